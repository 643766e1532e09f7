//! What a look at all workers shows.

use worker_id::WorkerWithDpRank;

use state_map::sync::atomic::Ordering;

use crate::{Outcome, WorkerLoad};

/// One worker at a look. See [`WorkerLoads::snapshot`](crate::WorkerLoads::snapshot) for what is of
/// one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Load {
    /// The worker, with the incarnation that it joined with.
    pub worker: WorkerWithDpRank,
    /// Requests in flight.
    pub requests: u64,
    /// Tokens in flight, prefill and decode together.
    pub tokens: u64,
    /// Those of them that are of prefills which are not done.
    pub prefill_tokens: u64,
    /// Bytes of KV in flight.
    pub kv_bytes: u64,
    /// Whether it drains.
    pub draining: bool,
    /// The most requests in flight since the last look.
    pub most_requests: u64,
    /// The most tokens in flight since the last look.
    pub most_tokens: u64,
    /// The most bytes of KV in flight since the last look.
    pub most_kv_bytes: u64,
    /// Tokens that running requests added over the cap, since it joined.
    pub overrun: u64,
    /// Requests that ended in [`Outcome::Success`], since it joined.
    pub succeeded: u64,
    /// Requests that ended in [`Outcome::Failure`], since it joined.
    pub failed: u64,
    /// Requests that ended in [`Outcome::Abandoned`], since it joined.
    pub abandoned: u64,
}

/// Sums over the workers of a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Totals {
    /// Workers.
    pub workers: usize,
    /// Those of them that drain.
    pub draining: usize,
    /// Requests in flight.
    pub requests: u64,
    /// Tokens in flight.
    pub tokens: u64,
    /// Those of them that are of prefills which are not done.
    pub prefill_tokens: u64,
    /// Bytes of KV in flight.
    pub kv_bytes: u64,
}

/// A look at all workers. From [`WorkerLoads::snapshot`](crate::WorkerLoads::snapshot).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Snapshot {
    workers: Vec<Load>,
}

impl Snapshot {
    pub(crate) fn new(mut workers: Vec<Load>) -> Self {
        workers.sort_unstable_by_key(|load| load.worker);
        Self { workers }
    }

    /// A row for each worker, in the order of their ids.
    #[must_use]
    pub fn workers(&self) -> &[Load] {
        &self.workers
    }

    /// The row of a worker, whichever life it is of.
    #[must_use]
    pub fn worker(&self, worker: WorkerWithDpRank) -> Option<&Load> {
        let at = self
            .workers
            .binary_search_by_key(&worker, |load| load.worker);
        at.ok().map(|at| &self.workers[at])
    }

    /// The sums of the rows. What is in flight on workers that have left is in none of them.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let add = |sum: Totals, load: &Load| Totals {
            workers: sum.workers + 1,
            draining: sum.draining + usize::from(load.draining),
            requests: sum.requests + load.requests,
            tokens: sum.tokens + load.tokens,
            prefill_tokens: sum.prefill_tokens + load.prefill_tokens,
            kv_bytes: sum.kv_bytes.saturating_add(load.kv_bytes),
        };
        self.workers.iter().fold(Totals::default(), add)
    }
}

impl WorkerLoad {
    /// The row of this worker, whose high-water marks begin anew.
    pub(crate) fn row(&self) -> Load {
        let counter = &self.0.counter;
        let (most, most_kv_bytes) = counter.take_peaks();
        let word = counter.word();
        let ended = |how: Outcome| counter.ended[how as usize].load(Ordering::Relaxed);
        Load {
            worker: self.worker(),
            requests: word.requests(),
            tokens: word.tokens(),
            prefill_tokens: counter.prefill(),
            kv_bytes: counter.bytes(),
            draining: word.is_draining(),
            most_requests: most.requests(),
            most_tokens: most.tokens(),
            most_kv_bytes,
            overrun: counter.overrun(),
            succeeded: ended(Outcome::Success),
            failed: ended(Outcome::Failure),
            abandoned: ended(Outcome::Abandoned),
        }
    }
}
