//! Streams of text, cut everywhere: always the same parts, nothing lost, nothing reordered, little held back.

use std::sync::Arc;

use phase_state::text::{PartKind, Splitter, TextFormat};
use phase_state::{ConfigError, Format, MarkerKind, PhaseKind, Spans, StartPhase};
use static_assertions::assert_impl_all;

assert_impl_all!(Splitter: Send, Sync, Clone);

fn formats() -> Vec<Format<String>> {
    let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    vec![
        Format::deepseek_r1(),
        Format::qwen3(),
        Format::kimi_k2(),
        Format::kimi(),
        Format::gpt_oss(),
        // Markers that overlap themselves and each other, in each mode.
        Format {
            think_start: texts(&["aab", "<a>"]),
            think_end: texts(&["aba", "bc"]),
            tool_start: texts(&["bab"]),
            tool_end: texts(&["bb"]),
            eos: texts(&["cab"]),
            skipped: texts(&[" "]),
            spans: Spans::Once,
            ..Format::default()
        },
    ]
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// 200 streams, recorded by the seed: markers whole, begun and doubled, among text of several scripts.
fn streams() -> Vec<(Arc<TextFormat>, StartPhase, String, usize)> {
    let mut rng = Rng(7);
    let formats = formats();
    let fillers = [
        "a",
        "b",
        "ab",
        " ",
        "\n",
        "<",
        "</",
        "two and two",
        "é",
        "日本",
        "<|",
        "｜",
        "▁",
        "c",
    ];
    (0..200)
        .map(|number| {
            let format = &formats[number % formats.len()];
            let lists = [
                &format.think_start,
                &format.think_end,
                &format.tool_start,
                &format.tool_end,
                &format.eos,
            ];
            let markers: Vec<&String> = lists.into_iter().flatten().collect();
            let mut stream = String::new();
            for _ in 0..3 + rng.below(14) {
                let marker = markers[rng.below(markers.len())];
                match rng.below(5) {
                    0 | 1 => stream.push_str(marker),
                    2 => stream.extend(marker.chars().take(1 + rng.below(marker.len()))),
                    _ => stream.push_str(fillers[rng.below(fillers.len())]),
                }
            }
            let start = if rng.below(3) == 0 {
                StartPhase::ThinkDecode
            } else {
                StartPhase::Prefill
            };
            let longest = markers.iter().map(|marker| marker.len()).max().unwrap();
            (
                Arc::new(TextFormat::new(format).unwrap()),
                start,
                stream,
                longest,
            )
        })
        .collect()
}

type Parts = Vec<(PartKind, Vec<u8>)>;

/// The parts of a stream in chunks, those of one kind put together; a marker is never cut.
fn parts<'a>(
    format: &Arc<TextFormat>,
    start: StartPhase,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    longest: usize,
) -> Parts {
    let mut splitter = Splitter::new(Arc::clone(format), start);
    let mut parts = Parts::new();
    let mut take = |kind, bytes: &[u8]| match parts.last_mut() {
        Some((last, text)) if *last == kind && !matches!(kind, PartKind::Marker(_)) => {
            text.extend_from_slice(bytes);
        }
        _ => parts.push((kind, bytes.to_vec())),
    };
    for chunk in chunks {
        splitter.push_bytes(chunk, &mut take);
        assert!(splitter.held() < longest);
    }
    splitter.finish(|kind, text| take(kind, text.as_bytes()));
    parts
}

#[test]
fn wherever_a_stream_is_cut_its_parts_are_the_same() {
    let mut rng = Rng(11);
    let mut kinds = std::collections::HashSet::new();
    for (format, start, stream, longest) in streams() {
        let stream = stream.as_bytes();
        let whole = parts(&format, start, [stream], longest);
        let joined: Vec<u8> = whole.iter().flat_map(|(_, text)| text.clone()).collect();
        assert_eq!(joined, stream, "nothing is lost or reordered");
        kinds.extend(whole.iter().map(|(kind, _)| *kind));
        for cut in 0..=stream.len() {
            let (one, other) = stream.split_at(cut);
            assert_eq!(
                parts(&format, start, [one, other], longest),
                whole,
                "at {cut}"
            );
        }
        assert_eq!(parts(&format, start, stream.chunks(1), longest), whole);
        for _ in 0..20 {
            let mut rest = stream;
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                let (chunk, others) = rest.split_at(1 + rng.below(rest.len().min(9)));
                chunks.push(chunk);
                rest = others;
            }
            assert_eq!(parts(&format, start, chunks, longest), whole);
        }
    }
    assert_eq!(kinds.len(), 8, "all there are: {kinds:?}");
}

/// The naive splitter: one byte more at a time, and a look at what ends there.
#[test]
fn parts_are_those_of_a_naive_splitter() {
    let formats = formats();
    for (number, (format, start, stream, longest)) in streams().into_iter().enumerate() {
        let texts = &formats[number % formats.len()];
        let mut kind = match start {
            StartPhase::ThinkDecode => PhaseKind::ThinkDecode,
            _ => PhaseKind::Prefill,
        };
        let mut thoughts = u32::from(kind == PhaseKind::ThinkDecode);
        let (mut parts_of, mut text) = (Parts::new(), Vec::<u8>::new());
        let close = |parts: &mut Parts, kind: PhaseKind, text: &mut Vec<u8>| {
            let part = match kind {
                PhaseKind::ThinkDecode => PartKind::Reasoning,
                PhaseKind::ToolCall => PartKind::ToolCall,
                _ => PartKind::Content,
            };
            if !text.is_empty() {
                parts.push((part, std::mem::take(text)));
            }
        };
        // What was passed over at the start of prefill, or of a phase: no marker reaches back over it.
        let mut from = 0;
        for byte in stream.bytes() {
            text.push(byte);
            let here = &text[from..];
            let may_think = match texts.spans {
                Spans::Any => true,
                Spans::Once => thoughts == 0,
                _ => kind == PhaseKind::Prefill,
            };
            let mut lists = Vec::new();
            match kind {
                PhaseKind::ThinkDecode => lists.push((MarkerKind::ThinkEnd, &texts.think_end)),
                PhaseKind::ToolCall => lists.push((MarkerKind::ToolEnd, &texts.tool_end)),
                PhaseKind::Complete => continue,
                _ => {
                    lists.push((MarkerKind::ToolStart, &texts.tool_start));
                    if may_think {
                        lists.push((MarkerKind::ThinkStart, &texts.think_start));
                    }
                }
            }
            if kind != PhaseKind::ThinkDecode {
                lists.push((MarkerKind::Eos, &texts.eos));
            }
            let markers: Vec<(MarkerKind, &String)> = lists
                .iter()
                .flat_map(|(kind, list)| list.iter().map(move |marker| (*kind, marker)))
                .collect();
            if kind == PhaseKind::Prefill {
                let begins = |text: &String| text.as_bytes().starts_with(here);
                let skipped = texts.skipped.iter().any(|text| text.as_bytes() == here);
                if skipped && !markers.iter().any(|(_, marker)| begins(marker)) {
                    from = text.len();
                    continue;
                }
                if !markers.iter().any(|(_, marker)| begins(marker)) {
                    kind = PhaseKind::OutputDecode;
                }
            }
            let looks = |of: MarkerKind| {
                kind != PhaseKind::OutputDecode
                    || of != MarkerKind::ThinkStart
                    || texts.spans != Spans::First
            };
            let ending = markers
                .iter()
                .filter(|(of, marker)| looks(*of) && here.ends_with(marker.as_bytes()))
                .max_by_key(|(_, marker)| marker.len());
            let Some((of, marker)) = ending else {
                continue;
            };
            text.truncate(text.len() - marker.len());
            close(&mut parts_of, kind, &mut text);
            from = 0;
            parts_of.push((PartKind::Marker(*of), marker.as_bytes().to_vec()));
            kind = match of {
                MarkerKind::ThinkStart => PhaseKind::ThinkDecode,
                MarkerKind::ToolStart => PhaseKind::ToolCall,
                MarkerKind::Eos => PhaseKind::Complete,
                _ => PhaseKind::OutputDecode,
            };
            thoughts += u32::from(*of == MarkerKind::ThinkStart);
        }
        close(&mut parts_of, kind, &mut text);
        let found = parts(&format, start, [stream.as_bytes()], longest);
        assert_eq!(found, parts_of, "stream {number}: {stream:?}");
    }
}

#[test]
fn deltas_of_text_are_parts_of_text() {
    let format = Arc::new(TextFormat::new(&Format::deepseek_r1()).unwrap());
    let mut splitter = Splitter::new(format, StartPhase::ThinkDecode);
    let mut all = Vec::new();
    for delta in ["日", "本</thi", "nk>\n4<｜end▁of", "▁sentence｜>"] {
        splitter.push(delta, |kind, text| all.push((kind, text.to_owned())));
    }
    assert_eq!(splitter.phase_kind(), PhaseKind::Complete);
    let marker = |kind, text: &str| (PartKind::Marker(kind), text.to_owned());
    assert_eq!(
        all,
        [
            (PartKind::Reasoning, "日".to_owned()),
            (PartKind::Reasoning, "本".to_owned()),
            marker(MarkerKind::ThinkEnd, "</think>"),
            (PartKind::Content, "\n4".to_owned()),
            marker(MarkerKind::Eos, "<｜end▁of▁sentence｜>"),
        ]
    );
}

#[test]
fn formats_are_checked_by_their_bytes() {
    let mut format = Format::qwen3();
    format.eos.push("<think>!".to_owned());
    assert!(matches!(
        TextFormat::new(&format),
        Err(ConfigError::PrefixOfAnother { .. })
    ));
    assert!(TextFormat::new(&Format::default()).is_ok(), "no markers");
}
