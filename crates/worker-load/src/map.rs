//! The map that loads stand on, and what they ask of it.
//!
//! # Design
//!
//! [`LoadMap`] names only what loads need of their storage. Every `state_map::StateMap` of the
//! right key and value is one, by one blanket implementation; a map of your own can be one without
//! being a `StateMap`.
//!
//! # Why
//!
//! Workers come and go under a lock of [`WorkerLoads`](crate::WorkerLoads), and requests only look
//! them up. What a lookup finds may be of a worker that leaves at this moment: its counter says so.

use state_map::{DefaultMap, MapSession, StateMap};
use worker_id::WorkerWithDpRank;

use crate::WorkerLoad;

/// A map from workers to their counters, to build [`WorkerLoads`](crate::WorkerLoads) on.
///
/// Any `state_map::StateMap` from [`WorkerWithDpRank`] to [`WorkerLoad`] is one. For a map of your
/// own, implement this and [`LoadSession`], whose documentation is the contract.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `LoadMap`"
)]
pub trait LoadMap: Send + Sync {
    /// See [`LoadSession`].
    type Session<'a>: LoadSession
    where
        Self: 'a;

    /// Opens a session of the map.
    fn open(&self) -> Self::Session<'_>;
}

/// A thread's access to a [`LoadMap`]. Operations on one key are linearizable; closures must not
/// touch the map.
///
/// No two calls of `put` and `evict` race with each other, and neither with `visit`: only with
/// `find`.
pub trait LoadSession {
    /// The counter of `worker`, whichever life it is of.
    fn find(&self, worker: &WorkerWithDpRank) -> Option<WorkerLoad>;

    /// Stores `load` for `worker`, which has none.
    fn put(&self, worker: WorkerWithDpRank, load: WorkerLoad);

    /// Removes the counter of `worker`.
    fn evict(&self, worker: &WorkerWithDpRank);

    /// Calls `f` with each counter.
    fn visit(&self, f: impl FnMut(&WorkerLoad));
}

impl<M: StateMap<Key = WorkerWithDpRank, Value = WorkerLoad>> LoadMap for M {
    type Session<'a>
        = StateMapSession<M::Session<'a>>
    where
        Self: 'a;

    #[inline]
    fn open(&self) -> Self::Session<'_> {
        StateMapSession(self.session())
    }
}

/// The session of a `StateMap`, as a [`LoadSession`].
#[derive(Debug)]
pub struct StateMapSession<S>(S);

impl<S: MapSession<Key = WorkerWithDpRank, Value = WorkerLoad>> LoadSession for StateMapSession<S> {
    #[inline]
    fn find(&self, worker: &WorkerWithDpRank) -> Option<WorkerLoad> {
        self.0.read(worker, WorkerLoad::clone)
    }

    fn put(&self, worker: WorkerWithDpRank, load: WorkerLoad) {
        // Occupied it is not: loads evict first, and nobody else puts anything.
        let _ = self.0.insert_if_absent(worker, load, |_| ());
    }

    fn evict(&self, worker: &WorkerWithDpRank) {
        let _ = self.0.remove(worker);
    }

    fn visit(&self, mut f: impl FnMut(&WorkerLoad)) {
        self.0.for_each(|_, load| f(load));
    }
}

/// The map of loads that name none: DashMap where that feature is on, else papaya, else scc, else
/// the locked map. With none of them it stands for nothing, and using it is an error that says so.
pub type DefaultLoadMap = DefaultMap<WorkerWithDpRank, WorkerLoad>;

/// Loads on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapLoads = state_map::DashMapBackend<WorkerWithDpRank, WorkerLoad>;

/// Loads on papaya.
#[cfg(feature = "papaya")]
pub type PapayaLoads = state_map::PapayaBackend<WorkerWithDpRank, WorkerLoad>;

/// Loads on scc.
#[cfg(feature = "scc")]
pub type SccLoads = state_map::SccBackend<WorkerWithDpRank, WorkerLoad>;

/// Loads on one locked `HashMap`, the baseline of the decision records.
#[cfg(feature = "rwlock")]
pub type RwLockLoads = state_map::RwLockBackend<WorkerWithDpRank, WorkerLoad>;
