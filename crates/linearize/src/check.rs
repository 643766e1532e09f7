//! The search for an order of calls that the specification allows.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use crate::history::{Call, Spec, by_invocation};
use crate::verdict::{Counterexample, Unknown, Verdict};

/// The most calls that [`check`] takes in one history.
///
/// Each further call may multiply the orders to search, and nobody can read a longer counterexample.
pub const WHOLE_MAX: usize = 24;

/// The most calls on one key that [`check_by_key`] takes: the placed calls are a set of 128 bits.
pub const PARTITION_MAX: usize = 128;

/// How many states a search may explore before it gives up, for each partition anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget(pub usize);

impl Default for Budget {
    /// About a million states: seconds of work, and memory in proportion to the size of a state.
    fn default() -> Self {
        Self(1 << 20)
    }
}

/// Checks `history` as one whole: for operations that touch several keys, or the whole object.
///
/// Answers [`Unknown`] for more than [`WHOLE_MAX`] calls, and when `budget` runs out.
///
/// # Panics
///
/// If a call returned before it was invoked.
pub fn check<S: Spec>(
    spec: &S,
    history: &[Call<S::Op, S::Ret>],
    budget: Budget,
) -> Verdict<S::Op, S::Ret> {
    search(spec, by_invocation(history), WHOLE_MAX, budget)
}

/// Checks the calls on each key on their own: for operations that read and change nothing but their key.
///
/// The initial state of the specification has to hold for each key alone. One key that cannot be explained decides the
/// verdict; short of that, one that could not be decided does. Answers [`Unknown`] for more than [`PARTITION_MAX`]
/// calls on a key, and when `budget` runs out.
///
/// # Panics
///
/// If a call returned before it was invoked.
pub fn check_by_key<'h, S: Spec, K: Ord>(
    spec: &S,
    history: &'h [Call<S::Op, S::Ret>],
    key: impl Fn(&'h S::Op) -> K,
    budget: Budget,
) -> Verdict<S::Op, S::Ret> {
    let mut partitions = BTreeMap::<K, Vec<_>>::new();
    for call in by_invocation(history) {
        partitions.entry(key(&call.op)).or_default().push(call);
    }
    let mut verdict = Verdict::Linearizable;
    for calls in partitions.into_values() {
        match search(spec, calls, PARTITION_MAX, budget) {
            Verdict::Linearizable => {}
            refuted @ Verdict::NotLinearizable(_) => return refuted,
            undecided @ Verdict::Unknown(_) => verdict = undecided,
        }
    }
    verdict
}

fn search<S: Spec>(
    spec: &S,
    calls: Vec<&Call<S::Op, S::Ret>>,
    limit: usize,
    budget: Budget,
) -> Verdict<S::Op, S::Ret> {
    if calls.len() > limit {
        let calls = calls.len();
        return Verdict::Unknown(Unknown::TooLong { calls, limit });
    }
    let mut search = Search::new(spec, calls, budget);
    match search.extend(CallSet::EMPTY, &spec.initial()) {
        ControlFlow::Break(End::Explained) => Verdict::Linearizable,
        ControlFlow::Break(End::OutOfBudget) => Verdict::Unknown(Unknown::OutOfBudget {
            calls: search.calls.len(),
            states: budget.0,
        }),
        ControlFlow::Continue(()) => Verdict::NotLinearizable(search.into_counterexample()),
    }
}

/// A depth-first search; `path` is the order under trial, as indices into `calls`.
struct Search<'a, S: Spec> {
    spec: &'a S,
    calls: Vec<&'a Call<S::Op, S::Ret>>,
    /// For each call, those that have to be placed before it.
    before: Vec<CallSet>,
    /// Where the search has been: from an equal place it can only end the same way.
    seen: HashSet<(CallSet, S::State)>,
    budget: Budget,
    path: Vec<usize>,
    longest: Vec<usize>,
}

enum End {
    Explained,
    OutOfBudget,
}

impl<'a, S: Spec> Search<'a, S> {
    fn new(spec: &'a S, calls: Vec<&'a Call<S::Op, S::Ret>>, budget: Budget) -> Self {
        let before = (0..calls.len()).map(|later| {
            assert!(
                calls[later].invoked <= calls[later].returned,
                "a call returned before it was invoked: {:?}",
                calls[later]
            );
            // In order of invocation, nothing that comes later can precede.
            let earlier = (0..later).filter(|&call| calls[call].precedes(calls[later]));
            earlier.fold(CallSet::EMPTY, CallSet::with)
        });
        Self {
            spec,
            before: before.collect(),
            seen: HashSet::new(),
            budget,
            path: Vec::with_capacity(calls.len()),
            longest: Vec::new(),
            calls,
        }
    }

    /// Tries to place all calls that `placed` lacks, from `state` on. Continues if that is impossible.
    fn extend(&mut self, placed: CallSet, state: &S::State) -> ControlFlow<End> {
        if self.path.len() == self.calls.len() {
            return ControlFlow::Break(End::Explained);
        }
        for next in 0..self.calls.len() {
            if !self.may_come_next(next, placed) {
                continue;
            }
            let call = self.calls[next];
            let mut after = state.clone();
            if self.spec.step(&mut after, &call.op) != call.ret {
                continue;
            }
            let placed = placed.with(next);
            if !self.seen.insert((placed, after.clone())) {
                continue;
            }
            if self.seen.len() > self.budget.0 {
                return ControlFlow::Break(End::OutOfBudget);
            }
            self.path.push(next);
            if self.path.len() > self.longest.len() {
                self.longest.clone_from(&self.path);
            }
            self.extend(placed, &after)?;
            self.path.pop();
        }
        ControlFlow::Continue(())
    }

    fn may_come_next(&self, call: usize, placed: CallSet) -> bool {
        !placed.contains(call) && placed.contains_all(self.before[call])
    }

    fn into_counterexample(self) -> Counterexample<S::Op, S::Ret> {
        let mut state = self.spec.initial();
        let mut placed = CallSet::EMPTY;
        for &call in &self.longest {
            self.spec.step(&mut state, &self.calls[call].op);
            placed = placed.with(call);
        }
        let stuck = (0..self.calls.len())
            .filter(|&call| self.may_come_next(call, placed))
            .map(|call| {
                let answer = self.spec.step(&mut state.clone(), &self.calls[call].op);
                (call, answer)
            })
            .collect();
        Counterexample {
            calls: self.calls.into_iter().cloned().collect(),
            prefix: self.longest,
            stuck,
        }
    }
}

/// A set of calls, by their index.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct CallSet(u128);

impl CallSet {
    const EMPTY: Self = Self(0);

    fn with(self, call: usize) -> Self {
        Self(self.0 | 1 << call)
    }

    fn contains(self, call: usize) -> bool {
        self.0 & (1 << call) != 0
    }

    fn contains_all(self, calls: Self) -> bool {
        calls.0 & !self.0 == 0
    }
}
