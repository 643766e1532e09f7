//! Transitions that tokens alone bring about, one row each: config, start, tokens; the events and
//! where it ends.

use static_assertions::const_assert_eq;

use super::{END, EOS, START, config, exit, forced, output, plain, run, thinking};
use crate::{
    BudgetForceReason::HardCap,
    PhaseEvent::{self, Complete, EnterThink},
    PhaseRouterConfig,
    StartPhase::{self, Prefill, ThinkDecode},
    ThinkPhase,
    machine::State,
};

// With the bits of a cell's own, within a line of 64 bytes.
const_assert_eq!(size_of::<State>(), 28);

type Row<'a> = (
    &'a str,
    StartPhase,
    &'a [u32],
    &'a [(usize, PhaseEvent)],
    ThinkPhase,
);

fn check(config: &PhaseRouterConfig, rows: &[Row<'_>]) {
    for (name, start, tokens, events, phase) in rows {
        let expected = (events.to_vec(), *phase);
        assert_eq!(run(config, *start, &plain(tokens)), expected, "{name}");
    }
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
    let config = PhaseRouterConfig {
        think_start_markers: vec![vec![1, 1, 2], vec![4, 5]],
        think_end_markers: vec![vec![END, 3], vec![1, 1, 3]],
        eos_markers: vec![vec![EOS, 2], vec![5, 6]],
        reentry: true,
        ..config()
    };
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
    let config = PhaseRouterConfig { reentry: true, ..config() };
    check(&config, &[
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

#[test]
#[rustfmt::skip]
fn the_cap() {
    let cap = forced(HardCap);
    let config = PhaseRouterConfig { max_think_tokens: 3, reentry: true, ..config() };
    check(&config, &[
        ("not yet", ThinkDecode, &[9, 9], &[], thinking(2, false)),
        ("once", ThinkDecode, &[9, 9, 9, 9, 9], &[(3, cap)], thinking(5, true)),
        ("and ended", ThinkDecode, &[9, 9, 9, END, 9], &[(3, cap), (4, exit(4))], output(4)),
        ("the end goes before it", ThinkDecode, &[9, 9, END], &[(3, exit(3))], output(3)),
        (
            "counts over the spans", ThinkDecode, &[9, END, START, 9, 9],
            &[(2, exit(2)), (3, EnterThink), (4, cap)], thinking(2, true),
        ),
        (
            "once a span", ThinkDecode, &[9, 9, 9, END, START, 9, 9],
            &[(3, cap), (4, exit(4)), (5, EnterThink), (6, cap)], thinking(2, true),
        ),
    ]);
    let none = PhaseRouterConfig { max_think_tokens: 0, ..config };
    check(&none, &[("a cap of nothing", ThinkDecode, &[9], &[(1, cap)], thinking(1, true))]);
}
