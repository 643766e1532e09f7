//! The published families: their markers by recorded ids, and a request of each.

use phase_state::{Format, PhaseEvent, PhaseKind, PhaseRouter, PhaseRouterConfig, Spans};
use state_map::model::ReferenceMap;

fn all() -> [Format<String>; 5] {
    [
        Format::deepseek_r1(),
        Format::qwen3(),
        Format::kimi_k2(),
        Format::kimi(),
        Format::gpt_oss(),
    ]
}

/// A tokenizer that has these as special tokens, and a token for each byte else.
fn tokenizer<'a>(special: &'a [(&'a str, u32)]) -> impl Fn(&str) -> Vec<u32> + 'a {
    move |text| {
        let mut tokens = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let token = special
                .iter()
                .find(|(special, _)| rest.starts_with(special));
            match token {
                Some((special, id)) => {
                    tokens.push(*id);
                    rest = &rest[special.len()..];
                }
                None => {
                    let next = rest.chars().next().unwrap().len_utf8();
                    tokens.extend(rest[..next].bytes().map(u32::from));
                    rest = &rest[next..];
                }
            }
        }
        tokens
    }
}

/// As the sources in `src/presets.rs` give them.
const QWEN3: [(&str, u32); 6] = [
    ("<|endoftext|>", 151_643),
    ("<|im_end|>", 151_645),
    ("<tool_call>", 151_657),
    ("</tool_call>", 151_658),
    ("<think>", 151_667),
    ("</think>", 151_668),
];
const HARMONY: [(&str, u32); 6] = [
    ("<|return|>", 200_002),
    ("<|channel|>", 200_005),
    ("<|start|>", 200_006),
    ("<|end|>", 200_007),
    ("<|message|>", 200_008),
    ("<|call|>", 200_012),
];

#[test]
fn all_of_them_are_valid_in_one_router() {
    for format in all() {
        let of_bytes = format.from_tokens(|text| text.bytes().map(u32::from).collect());
        assert_eq!(of_bytes.validate(), Ok(()), "{}", format.name);
    }
    let config = PhaseRouterConfig {
        formats: all()
            .map(|format| format.from_tokens(tokenizer(&[])))
            .to_vec(),
        ..PhaseRouterConfig::default()
    };
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn ids_come_from_the_tokenizer() {
    let format = Format::qwen3().from_tokens(tokenizer(&QWEN3));
    let expected = Format {
        tool_start: vec![vec![151_657]],
        tool_end: vec![vec![151_658]],
        skipped: vec![vec![10], vec![32], vec![9]],
        spans: Spans::First,
        ..Format::with_marker_ids([151_667], [151_668], [151_645, 151_643])
    };
    assert_eq!(format, expected.named("qwen3"));
}

fn events(format: Format, tokens: &[u32]) -> Vec<PhaseEvent> {
    let router = PhaseRouter::with_map(format.into(), ReferenceMap::default()).unwrap();
    assert!(router.register(1));
    let events = tokens
        .iter()
        .map(|token| router.on_token(1, *token, None).unwrap());
    let events = events
        .filter(|event| *event != PhaseEvent::Unchanged)
        .collect();
    assert_eq!(router.phase_kind(1), Some(PhaseKind::Complete));
    events
}

#[test]
fn qwen3_thinks_calls_and_ends() {
    let encode = tokenizer(&QWEN3);
    let stream = encode("\n<think>x</think>\n<tool_call>{}</tool_call><|im_end|>");
    let events = events(Format::qwen3().from_tokens(&encode), &stream);
    assert_eq!(
        events,
        [
            PhaseEvent::EnterThink,
            PhaseEvent::ExitThink { tokens_used: 2 },
            PhaseEvent::EnterTool,
            PhaseEvent::ExitTool { tokens_used: 3 },
            PhaseEvent::Complete,
        ]
    );
}

#[test]
fn gpt_oss_thinks_in_its_channel() {
    let encode = tokenizer(&HARMONY);
    let stream = encode(
        "<|channel|>analysis<|message|>xy<|end|>\
         <|start|>assistant<|channel|>final<|message|>4<|return|>",
    );
    let events = events(Format::gpt_oss().from_tokens(&encode), &stream);
    assert_eq!(
        events,
        [
            PhaseEvent::EnterThink,
            PhaseEvent::ExitThink { tokens_used: 3 },
            PhaseEvent::Complete,
        ]
    );
}
