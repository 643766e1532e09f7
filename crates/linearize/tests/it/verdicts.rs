//! Written histories with a known verdict.

use std::panic::catch_unwind;

use linearize::{
    Budget, Call, Counterexample, PARTITION_MAX, Unknown, Verdict, WHOLE_MAX, check, check_by_key,
    concurrent_pairs,
};

use crate::specs::MapOp::{Insert, Read as Get, Remove, RemoveIf};
use crate::specs::RegisterOp::{self, Read, Write};
use crate::specs::{Map, MapOp, Register, call};

fn register(history: &[Call<RegisterOp, u64>]) -> Verdict<RegisterOp, u64> {
    check(&Register, history, Budget::default())
}

fn refuted<Op, Ret>(verdict: Verdict<Op, Ret>) -> Counterexample<Op, Ret>
where
    Verdict<Op, Ret>: std::fmt::Debug,
{
    match verdict {
        Verdict::NotLinearizable(counterexample) => counterexample,
        other => panic!("expected a counterexample, found {other:?}"),
    }
}

#[test]
fn a_history_without_calls_is_linearizable() {
    assert_eq!(register(&[]), Verdict::Linearizable);
}

#[test]
fn a_read_may_answer_either_side_of_a_write_it_overlaps() {
    for seen in [0, 1] {
        let history = [call(0, (0, 9), Write(1), 0), call(1, (3, 5), Read, seen)];
        assert_eq!(register(&history), Verdict::Linearizable, "read {seen}");
    }
    let history = [call(0, (0, 9), Write(1), 0), call(1, (3, 5), Read, 2)];
    refuted(register(&history));
}

#[test]
fn a_read_after_a_write_must_see_it() {
    let history = [call(0, (0, 1), Write(1), 0), call(1, (2, 3), Read, 0)];
    refuted(register(&history));
}

#[test]
fn once_a_read_saw_the_new_value_no_later_read_may_see_the_old() {
    let reads = |first, second| {
        [
            call(0, (0, 9), Write(1), 0),
            call(1, (1, 2), Read, first),
            call(2, (3, 4), Read, second),
        ]
    };
    assert_eq!(register(&reads(0, 1)), Verdict::Linearizable);
    refuted(register(&reads(1, 0)));
}

#[test]
fn two_readers_must_agree_on_the_order_of_two_writes() {
    let readers = |last| {
        [
            call(0, (0, 9), Write(1), 0),
            call(1, (0, 9), Write(2), 0),
            call(2, (1, 2), Read, 1),
            call(3, (1, 2), Read, 2),
            call(2, (3, 4), Read, 2),
            call(3, (5, 6), Read, last),
        ]
    };
    assert_eq!(register(&readers(2)), Verdict::Linearizable);
    refuted(register(&readers(1)));
}

#[test]
fn the_order_may_need_calls_out_of_their_order_of_invocation() {
    // The last to be invoked has to come first.
    let history = [
        call(0, (0, 9), Read, 2),
        call(1, (1, 9), Write(2), 0),
        call(2, (2, 9), Read, 0),
    ];
    assert_eq!(register(&history), Verdict::Linearizable);
}

#[test]
fn equal_stamps_count_as_concurrent() {
    let history = [call(0, (0, 5), Write(1), 0), call(1, (5, 9), Read, 0)];
    assert_eq!(register(&history), Verdict::Linearizable);
    assert_eq!(concurrent_pairs(&history), 1);

    let history = [call(0, (0, 5), Write(1), 0), call(1, (6, 9), Read, 0)];
    refuted(register(&history));
    assert_eq!(concurrent_pairs(&history), 0);
}

/// Checked whole and by key: a good history, and the same with one answer made wrong.
fn map_kind(good: &[Call<MapOp, Option<u64>>], bad: usize, wrong: Option<u64>) {
    let both = |history: &[_]| {
        let whole = check(&Map, history, Budget::default());
        let by_key = check_by_key(&Map, history, MapOp::key, Budget::default());
        (whole, by_key)
    };
    assert_eq!(both(good), (Verdict::Linearizable, Verdict::Linearizable));
    let mut history = good.to_vec();
    history[bad].ret = wrong;
    let (whole, by_key) = both(&history);
    refuted(whole);
    refuted(by_key);
}

#[test]
fn two_inserts_cannot_both_win() {
    let good = [
        call(0, (0, 5), Insert(1, 10), None),
        call(1, (0, 5), Insert(1, 20), Some(10)),
        call(0, (6, 7), Get(2), None),
    ];
    map_kind(&good, 1, None);
}

#[test]
fn a_value_cannot_be_read_before_its_insert() {
    let good = [
        call(0, (0, 1), Get(1), None),
        call(1, (2, 5), Insert(1, 10), None),
        call(0, (3, 4), Get(1), Some(10)),
    ];
    map_kind(&good, 0, Some(10));
}

#[test]
fn two_removes_cannot_both_take_the_value() {
    let good = [
        call(0, (0, 1), Insert(1, 10), None),
        call(0, (2, 5), Remove(1), Some(10)),
        call(1, (2, 5), Remove(1), None),
    ];
    map_kind(&good, 2, Some(10));
}

#[test]
fn a_conditional_remove_cannot_miss_the_value_it_names() {
    let good = [
        call(0, (0, 1), Insert(1, 10), None),
        call(0, (2, 5), RemoveIf(1, 10), Some(10)),
        call(1, (2, 5), RemoveIf(1, 20), None),
    ];
    map_kind(&good, 1, None);
}

#[test]
fn a_conditional_remove_cannot_take_another_value() {
    let good = [
        call(0, (0, 1), Insert(1, 10), None),
        call(1, (2, 5), RemoveIf(1, 20), None),
        call(0, (6, 7), Get(1), Some(10)),
    ];
    map_kind(&good, 1, Some(10));
}

#[test]
fn a_counterexample_shows_how_far_it_goes_and_what_contradicts() {
    let history = [
        call(1, (130, 140), Read, 7),
        call(0, (100, 170), Write(1), 0),
        call(1, (150, 220), Write(2), 0),
        call(0, (195, 220), Read, 0),
        call(1, (230, 240), Read, 2),
    ];
    let history = &history[1..];
    let counterexample = refuted(register(history));
    assert_eq!(counterexample.prefix, [0, 1]);
    assert_eq!(counterexample.stuck, [(2, 2)]);
    let drawn = "not linearizable: 4 calls
   #1  thread 0  |-|      Write(1) -> 0  [0..70 ns]
   #2  thread 1   |--|    Write(2) -> 0  [50..120 ns]
    !  thread 0     ||    Read -> 0, specified: 2  [95..120 ns]
       thread 1       ||  Read -> 2  [130..140 ns]";
    assert_eq!(counterexample.to_string(), drawn);
}

#[test]
fn partitions_hold_the_calls_on_their_key_only() {
    let history = [
        call(0, (0, 1), Insert(1, 10), None),
        call(0, (2, 3), Insert(2, 20), None),
        call(1, (4, 5), Get(2), None),
    ];
    let verdict = check_by_key(&Map, &history, MapOp::key, Budget::default());
    assert_eq!(refuted(verdict).calls, history[1..]);
}

/// Writes that all overlap, and a read of what none wrote: every set of writes has to be tried.
fn exhausting() -> Vec<Call<RegisterOp, u64>> {
    let writes = (1..=14).map(|value| call(0, (0, 9), Write(value), 0));
    writes.chain([call(1, (0, 9), Read, 99)]).collect()
}

/// The sets of fourteen writes, with each the value that may have been written last. Without memory of where it has been,
/// the search would try their 14! orders, and not end.
const EXHAUSTING_STATES: usize = 14 << 13;

#[test]
fn an_exhausted_budget_is_no_verdict() {
    let limited = |states| check(&Register, &exhausting(), Budget(states));
    let (calls, states) = (15, EXHAUSTING_STATES - 1);
    let unknown = Verdict::Unknown(Unknown::OutOfBudget { calls, states });
    assert_eq!(limited(states), unknown);
    refuted(limited(EXHAUSTING_STATES));
}

#[test]
fn a_long_history_is_refused_whole_and_a_longer_one_by_key() {
    let history = |calls: usize| -> Vec<_> {
        let stamps = (0..).map(|at| (2 * at, 2 * at + 1));
        let calls = stamps.take(calls);
        calls.map(|stamps| call(0, stamps, Get(1), None)).collect()
    };
    let whole = |calls| check(&Map, &history(calls), Budget::default());
    let by_key = |calls| check_by_key(&Map, &history(calls), MapOp::key, Budget::default());
    let too_long = |calls, limit| Verdict::Unknown(Unknown::TooLong { calls, limit });

    assert_eq!(whole(WHOLE_MAX), Verdict::Linearizable);
    assert_eq!(whole(WHOLE_MAX + 1), too_long(25, 24));
    assert_eq!(by_key(PARTITION_MAX), Verdict::Linearizable);
    assert_eq!(by_key(PARTITION_MAX + 1), too_long(129, 128));
}

#[test]
fn a_refuted_key_outweighs_an_undecided_one() {
    let undecided = (0..129).map(|at| call(0, (2 * at, 2 * at + 1), Get(1), None));
    let refuted_at = |key| call(1, (0, 1), Get(key), Some(7));
    for key in [0, 2] {
        let history: Vec<_> = undecided.clone().chain([refuted_at(key)]).collect();
        let verdict = check_by_key(&Map, &history, MapOp::key, Budget::default());
        assert_eq!(refuted(verdict).calls, [refuted_at(key)]);
    }
    // And an explained key does not hide an undecided one.
    for key in [0, 2] {
        let explained = call(1, (0, 1), Get(key), None);
        let history: Vec<_> = undecided.clone().chain([explained]).collect();
        let verdict = check_by_key(&Map, &history, MapOp::key, Budget::default());
        assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict}");
    }
}

#[test]
fn asserting_accepts_an_explained_history_only() {
    register(&[]).assert_linearizable();
    let message = |verdict: Verdict<RegisterOp, u64>| {
        let panic = catch_unwind(|| verdict.assert_linearizable()).expect_err("no panic");
        *panic.downcast::<String>().expect("a formatted panic")
    };
    let refuted = message(register(&[call(0, (0, 1), Read, 3)]));
    assert!(
        refuted.contains("!  thread 0  ||  Read -> 3, specified: 0"),
        "{refuted}"
    );
    let unknown = message(check(&Register, &exhausting(), Budget(7)));
    assert_eq!(
        unknown,
        "unknown: gave up on 15 calls after 7 explored states"
    );
}

#[test]
#[should_panic(expected = "returned before it was invoked")]
fn a_call_that_ends_before_it_begins_is_refused() {
    register(&[call(0, (2, 1), Read, 0)]).assert_linearizable();
}
