//! Random histories: the search against brute force, partitions against the whole, and long histories that must check out.

use std::cell::Cell;

use linearize::{Budget, Call, Rng, Spec, Verdict, check, check_by_key};
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};

use crate::specs::{Map, MapOp, Register, RegisterOp};

const CASES: u32 = 4_000;

/// A history with an explanation, except that each answer may be replaced by `lie` once in `honesty` calls.
///
/// Each call gets a moment between its stamps, and the answers are those of the specification in the order of moments.
/// Time is so coarse that ties are frequent.
fn random_history<S: Spec>(
    spec: &S,
    rng: &mut Rng,
    (threads, calls): (usize, usize),
    op: impl Fn(&mut Rng) -> S::Op,
    lie: impl Fn(&mut Rng) -> S::Ret,
    honesty: u64,
) -> Vec<Call<S::Op, S::Ret>> {
    let mut clocks = vec![0; threads];
    let mut planned = Vec::new();
    for _ in 0..calls {
        let thread = *rng.pick(&(0..threads).collect::<Vec<_>>());
        let invoked = clocks[thread] + rng.below(3);
        let returned = invoked + rng.below(5);
        clocks[thread] = returned;
        let moment = invoked + rng.below(returned - invoked + 1);
        planned.push((moment, thread, op(rng), invoked, returned));
    }
    let mut order: Vec<usize> = (0..calls).collect();
    order.sort_by_key(|&call| planned[call].0);
    let mut state = spec.initial();
    let mut answers = vec![None; calls];
    for call in order {
        let answer = spec.step(&mut state, &planned[call].2);
        answers[call] = Some(if rng.below(honesty) == 0 {
            lie(rng)
        } else {
            answer
        });
    }
    let calls = planned.into_iter().zip(answers);
    calls
        .map(|((_, thread, op, invoked, returned), ret)| Call {
            thread,
            op,
            ret: ret.expect("an answer for every call"),
            invoked,
            returned,
        })
        .collect()
}

fn random_register(rng: &mut Rng, threads: usize, calls: usize) -> Vec<Call<RegisterOp, u64>> {
    let op = |rng: &mut Rng| match rng.below(2) {
        0 => RegisterOp::Read,
        _ => RegisterOp::Write(rng.below(3)),
    };
    random_history(&Register, rng, (threads, calls), op, |rng| rng.below(3), 6)
}

fn random_map(rng: &mut Rng, shape: (usize, usize), honesty: u64) -> Vec<Call<MapOp, Option<u64>>> {
    let op = |rng: &mut Rng| MapOp::any(rng, 3, 2);
    let lie = |rng: &mut Rng| *rng.pick(&[None, Some(0), Some(1)]);
    random_history(&Map, rng, shape, op, lie, honesty)
}

/// Tries every order, on nothing but the definition.
fn brute_force<S: Spec>(spec: &S, history: &[Call<S::Op, S::Ret>]) -> bool {
    let first = |a: usize, b: usize| {
        let (one, other) = (&history[a], &history[b]);
        one.returned < other.invoked
    };
    let explains = |order: &[usize]| {
        let in_time =
            (0..order.len()).all(|at| order[at..].iter().all(|&later| !first(later, order[at])));
        let mut state = spec.initial();
        in_time
            && order
                .iter()
                .all(|&call| spec.step(&mut state, &history[call].op) == history[call].ret)
    };
    let mut orders = vec![vec![]];
    for call in 0..history.len() {
        let longer = orders.iter().flat_map(|order: &Vec<usize>| {
            (0..=order.len()).map(|at| {
                let mut longer = order.clone();
                longer.insert(at, call);
                longer
            })
        });
        orders = longer.collect();
    }
    orders.iter().any(|order| explains(order))
}

/// Runs `holds` on many seeds; it answers whether the history was linearizable, and both must be frequent.
fn for_random_seeds(holds: impl Fn(&mut Rng) -> bool) {
    let linearizable = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(CASES));
    let outcome = runner.run(&any::<u64>(), |seed| {
        if holds(&mut Rng::new(seed)) {
            linearizable.set(linearizable.get() + 1);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let share = linearizable.get() * 100 / CASES;
    assert!(
        (20..=80).contains(&share),
        "{share} % linearizable: too one-sided to tell much"
    );
}

fn is_linearizable<Op, Ret>(verdict: &Verdict<Op, Ret>) -> bool
where
    Verdict<Op, Ret>: std::fmt::Display,
{
    assert!(!matches!(verdict, Verdict::Unknown(_)), "{verdict}");
    matches!(verdict, Verdict::Linearizable)
}

#[test]
fn the_search_agrees_with_brute_force_on_a_register() {
    for_random_seeds(|rng| {
        let calls = usize::try_from(3 + rng.below(4)).expect("small");
        let history = random_register(rng, 3, calls);
        let found = is_linearizable(&check(&Register, &history, Budget::default()));
        assert_eq!(found, brute_force(&Register, &history), "{history:#?}");
        found
    });
}

#[test]
fn the_search_agrees_with_brute_force_on_a_map() {
    for_random_seeds(|rng| {
        let history = random_map(rng, (3, 6), 5);
        let found = is_linearizable(&check(&Map, &history, Budget::default()));
        assert_eq!(found, brute_force(&Map, &history), "{history:#?}");
        found
    });
}

#[test]
fn partitions_agree_with_the_whole() {
    for_random_seeds(|rng| {
        let history = random_map(rng, (4, 14), 14);
        let whole = is_linearizable(&check(&Map, &history, Budget::default()));
        let by_key = check_by_key(&Map, &history, MapOp::key, Budget::default());
        assert_eq!(is_linearizable(&by_key), whole, "{history:#?}");
        whole
    });
}

#[test]
fn long_honest_histories_are_explained_within_the_budget() {
    for seed in 0..300 {
        let history = random_map(&mut Rng::new(seed), (6, 120), u64::MAX);
        check_by_key(&Map, &history, MapOp::key, Budget::default()).assert_linearizable();
    }
}
