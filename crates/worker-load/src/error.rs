//! Why a request is not admitted, with what was seen.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use worker_id::WorkerWithDpRank;

use crate::Limit;

/// A request that is not admitted. Nothing was kept of it, anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// A worker or a budget has no room for it.
    ///
    /// Of two requests that ask at once, both may be told so where one would have fitted: one of
    /// them had room in a budget, or for its bytes, and gave it back when the rest was refused.
    #[error(
        "{at} has {in_flight} {limit} in flight, of {cap}: wait for one to end, or raise the cap"
    )]
    AtCapacity {
        /// Who has no room.
        at: Holder,
        /// Which cap it is.
        limit: Limit,
        /// What was in flight, without this request.
        in_flight: u64,
        /// The cap.
        cap: u64,
    },
    /// The worker drains, and takes nothing new; or nothing at all, as its owner said.
    #[error("the worker {worker} drains, with {requests} requests in flight: choose another one")]
    Draining {
        /// The worker.
        worker: WorkerWithDpRank,
        /// What it has in flight.
        requests: u64,
    },
    /// This life of the worker is not there: it has left, another life has taken its place, or it
    /// has not joined.
    #[error("the worker {worker} is not there: choose another one")]
    Gone {
        /// The worker, as it was asked for.
        worker: WorkerWithDpRank,
    },
    /// None of the candidates could take it.
    #[error(
        "none of {candidates} candidates takes the request: {at_capacity} at capacity, {draining} draining, {gone} gone"
    )]
    NoCandidate {
        /// How many there are.
        candidates: usize,
        /// How many of them had no room, when they were looked at last.
        at_capacity: usize,
        /// How many were draining.
        draining: usize,
        /// How many had left.
        gone: usize,
    },
}

/// Who has a capacity: a worker, or a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// A worker.
    Worker(WorkerWithDpRank),
    /// The budget of this name.
    Budget(Arc<str>),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(worker) => write!(f, "the worker {worker}"),
            // From outside, perhaps: it must not forge a line of a log.
            Self::Budget(name) => write!(f, "the budget {name:?}"),
        }
    }
}
