//! The two sides that a check compares: the sequential specification, and the calls that were recorded.

use std::fmt::Debug;
use std::hash::Hash;

/// What an object does when it is used by one thread only.
///
/// A specification is deterministic: in one state, an operation has one answer and one successor.
pub trait Spec {
    /// An operation with its arguments.
    type Op: Clone + Debug;
    /// What an operation answers.
    type Ret: Clone + Debug + PartialEq;
    /// Everything that later answers depend on, and nothing else: equal states are searched once.
    type State: Clone + Eq + Hash;

    /// The state of a fresh object.
    fn initial(&self) -> Self::State;

    /// Applies `op` to `state` and answers what the object would.
    fn step(&self, state: &mut Self::State, op: &Self::Op) -> Self::Ret;
}

/// One completed operation of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<Op, Ret> {
    /// The thread that made the call.
    pub thread: usize,
    /// What was called.
    pub op: Op,
    /// What it answered.
    pub ret: Ret,
    /// When it began, in nanoseconds since an instant that the whole history shares.
    pub invoked: u64,
    /// When it ended, on the same clock.
    pub returned: u64,
}

impl<Op, Ret> Call<Op, Ret> {
    /// Whether `self` had to take effect first.
    ///
    /// Equal stamps say nothing about the order of events, so they count as concurrent, whatever the threads: an order
    /// that is not one of intervals would make keys depend on each other (a cycle through two threads and two keys).
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        self.returned < other.invoked
    }
}

/// How many pairs of calls of `history` overlapped in time.
///
/// A history without such pairs is sequential and tests no race; a test that records histories can sum this up, and
/// insist on having seen some.
#[must_use]
pub fn concurrent_pairs<Op, Ret>(history: &[Call<Op, Ret>]) -> usize {
    let calls = by_invocation(history);
    let pairs_with = |later: usize| {
        let earlier = calls[..later].iter();
        earlier.filter(|call| !call.precedes(calls[later])).count()
    };
    (0..calls.len()).map(pairs_with).sum()
}

/// The calls in order of invocation.
pub(crate) fn by_invocation<'h, Op, Ret>(
    history: impl IntoIterator<Item = &'h Call<Op, Ret>>,
) -> Vec<&'h Call<Op, Ret>> {
    let mut calls: Vec<_> = history.into_iter().collect();
    calls.sort_by_key(|call| call.invoked);
    calls
}
