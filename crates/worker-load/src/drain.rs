//! What is left of a worker that takes nothing new.

use crate::WorkerLoad;

/// Workers that drain or have left, until the last of their requests has ended: ranks of one
/// worker, or none that was there. From [`WorkerLoads::drain`](crate::WorkerLoads::drain) or
/// [`leave`](crate::WorkerLoads::leave).
///
/// How long to wait is the caller's: it knows when it will end the worker whatever is in flight.
///
/// # Examples
///
/// ```
/// # #[cfg(any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"))] {
/// use worker_load::{Capacity, Cost, PinnedTurns, WorkerLoads};
/// use worker_id::WorkerWithDpRank;
///
/// let loads = WorkerLoads::new();
/// let worker = WorkerWithDpRank::new(7, 0);
/// loads.join(worker, Capacity::unlimited())?;
/// let request = loads.reserve(worker, Cost::request())?;
/// let draining = loads.drain(worker, PinnedTurns::Refuse)?;
/// assert!(!draining.is_drained());
/// drop(request);
/// assert!(draining.is_drained());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Draining(pub(crate) Vec<WorkerLoad>);

impl Draining {
    /// The workers. None, if none of those that were meant was there.
    #[must_use]
    pub fn workers(&self) -> &[WorkerLoad] {
        &self.0
    }

    /// Requests in flight.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.iter().map(WorkerLoad::requests).sum()
    }

    /// Whether nothing is in flight on any of them. Then nothing will be, unless one is
    /// [resumed](crate::WorkerLoads::resume), or lets pinned turns in.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.0.iter().all(WorkerLoad::is_drained)
    }

    /// Wakes whoever waits for one that has nothing in flight. It may have begun to wait before the
    /// worker was resumed, so that no release will wake it.
    pub(crate) fn tell(&self) {
        let drained = self.0.iter().filter(|load| load.is_drained());
        drained.for_each(WorkerLoad::tell_drained);
    }

    /// Resolves when [`is_drained`](Self::is_drained), at once if it is. Any number may wait. Needs
    /// no runtime; may be dropped and called again.
    #[cfg(feature = "tokio")]
    pub async fn drained(&self) {
        // One that has been waited for stays drained, but for the exceptions above: then it is
        // waited for again.
        while !self.is_drained() {
            for worker in &self.0 {
                let life = &worker.0;
                life.drained.wait_until(|| worker.is_drained()).await;
            }
        }
    }
}

/// What a worker that drains does with turns of sessions that are pinned to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PinnedTurns {
    /// It takes them, so that sessions end where they are warm.
    Admit,
    /// It refuses them, so that it is empty soon.
    Refuse,
}
