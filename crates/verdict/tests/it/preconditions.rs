//! Each precondition, broken alone.

use verdict::preconditions::What;
use verdict::schema::{Cell, Results, Role, Slice};
use verdict::{Answer, Next, Outcome, decide};

use crate::exact::{AGAIN, INCUMBENT, NANOS, PAPAYA, PLANTED, cell, pass, remove, results, set};
use crate::synthetic::{facts, record};

/// What (b) would say yes to in the first pass, confirmed by the second.
fn good() -> Results {
    results(vec![pass(1, 0.75, 0.75), pass(2, 0.75, 0.75)])
}

fn dirty(results: &mut Results, run: usize, slices_of_each: usize) {
    for block in &mut results.runs[run].blocks {
        for cell in &mut block.cells {
            if let Cell::Measured { slices } = cell {
                for slice in &mut slices[..slices_of_each] {
                    *slice = Slice {
                        run_delay_nanos: slice.nanos / 10,
                        ..*slice
                    };
                }
            }
        }
    }
}

fn void(results: &mut Results, blocks: usize) {
    for block in &mut results.runs[0].blocks[..blocks] {
        block.cells[PAPAYA] = Cell::Void {
            reason: "crashed: signal 11".to_owned(),
            seed: 5,
        };
    }
}

type Break = fn(&mut Results);

#[test]
fn a_broken_precondition_is_named_and_ends_inconclusive() {
    let broken: [(What, &str, Break); 16] = [
        (What::Cores, "2 cores asked for, 1 here", |r| {
            r.machine.cores = 1;
        }),
        (What::Cores, "8 cores asked for, 2 here", |r| {
            r.runs[0].cores_needed = 8;
        }),
        (What::Finished, "12 blocks ran of the 30 planned", |r| {
            r.runs[0].blocks.truncate(12);
        }),
        (
            What::Void,
            "8 of 30 blocks are void, the first because papaya crashed: signal 11 (block 1, seed 5)",
            |r| void(r, 8),
        ),
        (What::Dirty, "50.0 % of 600 slices are dirty", |r| {
            dirty(r, 0, 2);
        }),
        (
            What::Dirty,
            "second pass, dirty slices: 50.0 % of 600 slices",
            |r| dirty(r, 1, 2),
        ),
        (What::Aa, "differs from itself by 1.2 %", |r| {
            set(&mut r.runs[0], AGAIN, |_| 1.012);
        }),
        (What::Aa, "differs from itself by 1.2 %", |r| {
            set(&mut r.runs[0], AGAIN, |_| 0.988);
        }),
        (What::Aa, "half-width of 6.", |r| {
            set(&mut r.runs[0], AGAIN, |block| [0.94, 1.0, 1.06][block % 3]);
        }),
        (What::Aa, "was not paired with itself", |r| {
            remove(&mut r.runs[0], Role::IncumbentAgain);
        }),
        (What::Control, "shows as 0.1 %", |r| {
            set(&mut r.runs[0], PLANTED, |block| [0.99, 1.001][block % 2]);
            set(&mut r.runs[0], PLANTED, |_| 1.001);
        }),
        (What::Control, "shows as 30.0 %", |r| {
            set(&mut r.runs[0], PLANTED, |_| 1.3);
        }),
        (What::Control, "shows as -10.0 %", |r| {
            set(&mut r.runs[0], PLANTED, |_| 0.9);
        }),
        (
            What::Control,
            "no gating scenario has an arm with a planted delay",
            |r| {
                remove(&mut r.runs[0], Role::Planted { extra: 0.1 });
            },
        ),
        (
            What::Measured,
            "there is no run of it against dashmap",
            |r| {
                r.runs.clear();
            },
        ),
        (
            What::Measured,
            "there is no run of it against dashmap",
            |r| {
                r.runs[0].arms[INCUMBENT].name = "mutex".to_owned();
            },
        ),
    ];
    assert!(
        decide(&good(), &record(), &facts())
            .checks
            .iter()
            .all(|check| check.holds)
    );
    for (what, evidence, break_it) in broken {
        let mut results = good();
        break_it(&mut results);
        results.validate().expect("still consistent");
        let decision = decide(&results, &record(), &facts());
        let failing: Vec<_> = decision
            .checks
            .iter()
            .filter(|check| !check.holds)
            .collect();
        assert_eq!(failing[0].what, what, "{evidence}: {failing:?}");
        assert!(
            failing[0].sentence().contains(evidence),
            "{evidence}: {failing:?}"
        );
        for candidate in &decision.candidates {
            assert_eq!(
                candidate.ruling.verdict(),
                Some(Outcome::Inconclusive),
                "{evidence}"
            );
            assert!(candidate.why.contains(evidence), "{}", candidate.why);
            let measured = &candidate.criteria[1];
            assert_eq!(measured.answer, Answer::Open, "{evidence}");
            assert!(
                measured
                    .evidence
                    .contains(&format!("a precondition fails ({what})")),
                "{}",
                measured.evidence
            );
        }
    }
}

#[test]
fn what_just_holds_holds() {
    let holding: [(&str, Break); 7] = [
        ("a quarter of the slices", |r| dirty(r, 0, 1)),
        ("under a quarter of the blocks", |r| void(r, 7)),
        ("a median off by under 1 %", |r| {
            set(&mut r.runs[0], AGAIN, |_| 1.0099);
        }),
        ("twice the planted delay", |r| {
            set(&mut r.runs[0], PLANTED, |_| 1.199);
        }),
        ("half of the planted delay", |r| {
            set(&mut r.runs[0], PLANTED, |_| 1.051);
        }),
        ("all slices dirty, oversubscribed", |r| {
            dirty(r, 0, 4);
            r.runs[0].oversubscribed = true;
        }),
        ("no control in the second pass", |r| {
            remove(&mut r.runs[1], Role::Planted { extra: 0.1 });
        }),
    ];
    for (what, change) in holding {
        let mut results = good();
        change(&mut results);
        let decision = decide(&results, &record(), &facts());
        let failing: Vec<_> = decision
            .checks
            .iter()
            .filter(|check| !check.holds)
            .collect();
        assert!(failing.is_empty(), "{what}: {failing:?}");
        let verdict = decision.candidates[1].ruling.verdict();
        assert_eq!(verdict, Some(Outcome::Revisit), "{what}");
    }
}

#[test]
fn a_second_pass_that_a_candidate_does_not_need_cannot_spoil_its_answer() {
    // Only papaya is above in the first pass; the second is noisy.
    let mut results = results(vec![pass(1, 0.75, 1.0), pass(2, 0.75, 1.0)]);
    dirty(&mut results, 1, 2);
    let decision = decide(&results, &record(), &facts());
    let of = |index: usize| &decision.candidates[index];
    assert_eq!(of(0).ruling.verdict(), Some(Outcome::Inconclusive));
    assert_eq!(of(0).criteria[1].answer, Answer::Open);
    assert_eq!(of(1).ruling.verdict(), Some(Outcome::Keep));
    assert_eq!(of(1).criteria[1].answer, Answer::No);
}

#[test]
fn an_inconclusive_verdict_mentions_what_is_settled_anyhow() {
    let mut results = good();
    dirty(&mut results, 0, 2);
    let decision = decide(&results, &record(), &facts());
    let note = "Note that (a) stable-api already says no";
    assert!(
        decision.candidates[0].why.ends_with(note),
        "{}",
        decision.candidates[0].why
    );
    assert!(!decision.candidates[1].why.contains("Note"));
}

#[test]
fn only_a_lack_of_blocks_asks_for_blocks() {
    let next = |change: Break| {
        let mut results = results(vec![pass(1, 0.75, 1.0)]);
        change(&mut results);
        decide(&results, &record(), &facts()).next
    };
    let extend = Next::Extend {
        pass: 1,
        scenarios: vec!["decode-step".to_owned()],
    };
    // A wide A/A' may narrow.
    let wide: Break = |r| set(&mut r.runs[0], AGAIN, |block| [0.94, 1.0, 1.06][block % 3]);
    assert_eq!(next(wide), extend);
    // One that excludes no difference, dirt and a missing control will not go away; nor is a pass worth confirming.
    assert_eq!(next(|r| set(&mut r.runs[0], AGAIN, |_| 1.012)), Next::Done);
    assert_eq!(next(|r| dirty(r, 0, 2)), Next::Done);
    assert_eq!(
        next(|r| remove(&mut r.runs[0], Role::Planted { extra: 0.1 })),
        Next::Done
    );
    assert_eq!(next(|r| r.runs[0].blocks.truncate(29)), Next::Done);
    // A control that is about right, and not yet told from nothing.
    let vague: Break = |r| {
        for (index, block) in r.runs[0].blocks.iter_mut().enumerate() {
            block.cells[PLANTED] = cell(NANOS * [0.9, 1.04, 1.2][index % 3]);
        }
    };
    assert_eq!(next(vague), extend);
}
