//! Transitions that tokens alone bring about, one row each: config, start, tokens; the events and
//! where it ends.

use super::oracle::Event::{self, Complete, EnterThink, EnterTool, ExitTool, Force};
use super::{END, EOS, START, config, exit, forced, output, plain, run, thinking, with_format};
use crate::{
    BudgetForceReason::HardCap,
    Format, PhaseRouterConfig, Spans,
    StartPhase::{self, Prefill, ThinkDecode},
    ThinkPhase,
};

type Row<'a> = (
    &'a str,
    StartPhase,
    &'a [u32],
    &'a [(usize, Event)],
    ThinkPhase,
);

fn check(config: &PhaseRouterConfig, rows: &[Row<'_>]) {
    for (name, start, tokens, events, phase) in rows {
        let expected = (events.to_vec(), *phase);
        assert_eq!(run(config, *start, &plain(tokens)), expected, "{name}");
    }
}

fn of_one_token(spans: Spans) -> PhaseRouterConfig {
    with_format(Format::with_marker_ids([START], [END], [EOS]).spans(spans))
}

#[test]
#[rustfmt::skip] // A row a line.
fn markers_of_one_token() {
    check(&config(), &[
        ("no token yet", Prefill, &[], &[], ThinkPhase::Prefill),
        ("start", Prefill, &[START], &[(1, EnterThink)], thinking(0, false)),
        ("end of sequence", Prefill, &[EOS], &[(1, Complete)], ThinkPhase::Complete),
        ("any other", Prefill, &[9], &[], output(0)),
        ("end before start", Prefill, &[END], &[], output(0)),
        ("start too late", Prefill, &[9, START], &[], output(0)),
        ("seeded", ThinkDecode, &[], &[], thinking(0, false)),
        ("each token counts", ThinkDecode, &[9, 9], &[], thinking(2, false)),
        ("nested start", ThinkDecode, &[START, 9], &[], thinking(2, false)),
        ("end of sequence while thinking", ThinkDecode, &[EOS, 9], &[], thinking(2, false)),
        ("end", ThinkDecode, &[9, END], &[(2, exit(2))], output(2)),
        ("empty span", Prefill, &[START, END], &[(1, EnterThink), (2, exit(1))], output(1)),
        ("answering", ThinkDecode, &[END, 9, END], &[(1, exit(1))], output(1)),
        ("no re-entry", ThinkDecode, &[END, START, 9, END], &[(1, exit(1))], output(1)),
        ("end of the answer", ThinkDecode, &[END, 9, EOS], &[(1, exit(1)), (3, Complete)], ThinkPhase::Complete),
        ("complete absorbs", Prefill, &[EOS, START, END, EOS, 9], &[(1, Complete)], ThinkPhase::Complete),
    ]);
}

#[test]
fn without_markers() {
    check(
        &PhaseRouterConfig::default(),
        &[
            ("token 0", Prefill, &[0], &[], output(0)),
            ("any", ThinkDecode, &[END, 0], &[], thinking(2, false)),
        ],
    );
}

#[test]
#[rustfmt::skip]
fn markers_of_several_tokens() {
    let config = with_format(Format {
        think_start: vec![vec![1, 1, 2], vec![4, 5]],
        think_end: vec![vec![END, 3], vec![1, 1, 3]],
        eos: vec![vec![EOS, 2], vec![5, 6]],
        spans: Spans::Any,
        ..Format::default()
    });
    check(&config, &[
        ("start under way", Prefill, &[1, 1], &[], ThinkPhase::Prefill),
        ("end of sequence under way", Prefill, &[EOS], &[], ThinkPhase::Prefill),
        ("broken off", Prefill, &[1, 1, 9], &[], output(0)),
        ("overlaps itself", Prefill, &[1, 1, 1, 2], &[(4, EnterThink)], thinking(0, false)),
        ("broken off by another", Prefill, &[1, EOS, 2], &[(3, Complete)], ThinkPhase::Complete),
        ("end of sequence", Prefill, &[EOS, 2], &[(2, Complete)], ThinkPhase::Complete),
        ("end", ThinkDecode, &[9, END, 3], &[(3, exit(3))], output(3)),
        ("end broken off", ThinkDecode, &[END, 9, 3], &[], thinking(3, false)),
        ("the other end", ThinkDecode, &[1, 1, 1, 3], &[(4, exit(4))], output(4)),
        ("broken off, then answering", Prefill, &[4, 9, 5, 6], &[(4, Complete)], ThinkPhase::Complete),
        ("start in the answer", Prefill, &[9, 1, 1, 1, 2], &[(5, EnterThink)], thinking(0, false)),
        // `5, 6` would end the sequence, but the 5 has been used.
        ("no token is used twice", Prefill, &[4, 5, END, 3, 6], &[(2, EnterThink), (4, exit(2))], output(2)),
        ("nor across a start", Prefill, &[9, 4, 5, 6], &[(3, EnterThink)], thinking(1, false)),
    ]);
}

#[test]
#[rustfmt::skip]
fn re_entry() {
    check(&of_one_token(Spans::Any), &[
        (
            "think, answer, think, answer", ThinkDecode, &[9, END, 9, START, 9, 9, END, EOS],
            &[(2, exit(2)), (4, EnterThink), (7, exit(3)), (8, Complete)], ThinkPhase::Complete,
        ),
        (
            "the spans add up", ThinkDecode, &[9, END, START, 9, END],
            &[(2, exit(2)), (3, EnterThink), (5, exit(2))], output(4),
        ),
        ("answer, then think", Prefill, &[9, START, 9], &[(2, EnterThink)], thinking(1, false)),
        ("complete absorbs", Prefill, &[EOS, START, END], &[(1, Complete)], ThinkPhase::Complete),
    ]);
}

/// `vllm#48971`, `#48690`: an answer that quotes the marker is no thought.
#[test]
#[rustfmt::skip]
fn one_span_wherever_it_starts() {
    check(&of_one_token(Spans::Once), &[
        ("late", Prefill, &[9, 9, START, 9, END], &[(3, EnterThink), (5, exit(2))], output(2)),
        ("quoted after it", Prefill, &[9, START, END, START, 9, 9], &[(2, EnterThink), (3, exit(1))], output(1)),
        ("quoted after a thought of the template's", ThinkDecode, &[END, START, 9], &[(1, exit(1))], output(1)),
        ("then the end", Prefill, &[9, START, END, 9, EOS], &[(2, EnterThink), (3, exit(1)), (5, Complete)], ThinkPhase::Complete),
    ]);
}

#[test]
#[rustfmt::skip]
fn whitespace_before_a_thought_is_passed_over() {
    let newline = 99;
    let with = |spans| with_format(Format {
        skipped: vec![vec![newline], vec![98]],
        spans,
        ..Format::with_marker_ids([START], [END], [EOS])
    });
    check(&with(Spans::First), &[
        ("a newline", Prefill, &[newline, START, 9], &[(2, EnterThink)], thinking(1, false)),
        ("several", Prefill, &[newline, 98, newline, START], &[(4, EnterThink)], thinking(0, false)),
        ("nothing but", Prefill, &[newline, 98], &[], ThinkPhase::Prefill),
        ("an answer", Prefill, &[newline, 9, START], &[], output(0)),
        ("the end", Prefill, &[newline, EOS], &[(2, Complete)], ThinkPhase::Complete),
        ("not in a thought", ThinkDecode, &[newline], &[], thinking(1, false)),
    ]);
    let quoted = [newline, START, 9, END, 50, START, 50];
    check(&with(Spans::First), &[
        ("quoted", Prefill, &quoted, &[(2, EnterThink), (4, exit(2))], output(2)),
    ]);
}

#[test]
#[rustfmt::skip]
fn tool_calls() {
    let (open, close) = (110, 111);
    let with = |spans| with_format(Format {
        tool_start: vec![vec![open]],
        tool_end: vec![vec![close, close]],
        spans,
        ..Format::with_marker_ids([START], [END], [EOS])
    });
    let tool = |tokens_so_far| ThinkPhase::ToolCall { tokens_so_far };
    check(&with(Spans::First), &[
        ("at once", Prefill, &[open, 9], &[(1, EnterTool)], tool(1)),
        ("after a thought", ThinkDecode, &[END, open, 9, close, close], &[(1, exit(1)), (2, EnterTool), (5, ExitTool(3))], output(1)),
        ("several", Prefill, &[9, open, close, close, open, 9], &[(2, EnterTool), (4, ExitTool(2)), (5, EnterTool)], tool(1)),
        ("quoted in a thought", ThinkDecode, &[open, 9], &[], thinking(2, false)),
        ("a start in it", Prefill, &[open, START, open, 9], &[(1, EnterTool)], tool(3)),
        ("cut by the end", Prefill, &[open, 9, EOS], &[(1, EnterTool), (3, Complete)], ThinkPhase::Complete),
        ("no thought after it", Prefill, &[open, close, close, START], &[(1, EnterTool), (3, ExitTool(2))], output(0)),
    ]);
    check(&with(Spans::Any), &[
        (
            "then think again", ThinkDecode, &[END, open, close, close, START, 9, END],
            &[(1, exit(1)), (2, EnterTool), (4, ExitTool(2)), (5, EnterThink), (7, exit(2))], output(3),
        ),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_cap() {
    let config = PhaseRouterConfig {
        max_think_tokens: 3,
        ..of_one_token(Spans::Any)
    };
    let cap = forced(HardCap);
    check(&config, &[
        ("at the cap", ThinkDecode, &[9, 9, 9], &[(3, cap.clone())], thinking(3, true)),
        ("once", ThinkDecode, &[9, 9, 9, 9, 9], &[(3, cap.clone())], thinking(5, true)),
        ("an end first", ThinkDecode, &[9, 9, END], &[(3, exit(3))], output(3)),
        ("followed", ThinkDecode, &[9, 9, 9, END], &[(3, cap.clone()), (4, exit(4))], output(4)),
        (
            "over all spans", ThinkDecode, &[9, END, START, 9, 9],
            &[(2, exit(2)), (3, EnterThink), (4, cap.clone())], thinking(2, true),
        ),
        (
            "spent: with the start", ThinkDecode, &[9, 9, 9, END, START, 9],
            &[(3, cap.clone()), (4, exit(4)), (5, cap.clone())], thinking(1, true),
        ),
    ]);
    let none = PhaseRouterConfig { max_think_tokens: 0, ..config };
    check(&none, &[
        ("a cap of nothing, at registration", ThinkDecode, &[9], &[(0, cap.clone())], thinking(1, true)),
        ("with the start marker", Prefill, &[START, 9], &[(1, cap.clone())], thinking(1, true)),
        ("followed", Prefill, &[START, END], &[(1, cap), (2, exit(1))], output(1)),
        ("an answer", Prefill, &[9], &[], output(0)),
    ]);
}

/// Whoever injects a marker that the model has begun shows it twice.
#[test]
#[rustfmt::skip]
fn an_end_marker_under_way_is_waited_for() {
    let config = PhaseRouterConfig {
        max_think_tokens: 4,
        ..with_format(Format {
            think_start: vec![vec![START]],
            think_end: vec![vec![10, 11, 12], vec![13, 14], vec![10, 15]],
            ..Format::default()
        })
    };
    let whole = Force(vec![10, 11, 12], HardCap);
    check(&config, &[
        ("it comes", Prefill, &[START, 7, 7, 10, 11, 12], &[(1, EnterThink), (6, exit(5))], output(5)),
        ("at the cap", Prefill, &[START, 7, 7, 10, 11], &[(1, EnterThink)], thinking(4, false)),
        ("it breaks off", Prefill, &[START, 7, 7, 10, 11, 7], &[(1, EnterThink), (6, whole.clone())], thinking(5, true)),
        ("another comes", Prefill, &[START, 7, 7, 7, 13, 14], &[(1, EnterThink), (6, exit(5))], output(5)),
        ("none is under way", Prefill, &[START, 7, 7, 7, 7], &[(1, EnterThink), (5, whole.clone())], thinking(4, true)),
        // It may take as long as the longest is, and no longer.
        (
            "begun anew, again and again", Prefill, &[START, 7, 7, 10, 10, 10, 10, 10],
            &[(1, EnterThink), (8, Force(vec![11, 12], HardCap))], thinking(7, true),
        ),
        (
            "on what is begun, the first that begins so", Prefill, &[START, 7, 7, 10, 10, 10, 13],
            &[(1, EnterThink)], thinking(6, false),
        ),
        (
            "waited for still", Prefill, &[START, 7, 7, 13, 13, 13, 13],
            &[(1, EnterThink)], thinking(6, false),
        ),
    ]);
    let left = run(&config, Prefill, &plain(&[START, 7, 7, 13, 13, 13, 13, 13]));
    assert_eq!(left.0, [(1, EnterThink), (8, Force(vec![14], HardCap))]);
}
