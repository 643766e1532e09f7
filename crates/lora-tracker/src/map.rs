//! The map that a tracker stands on, and what it asks of it.
//!
//! # Design
//!
//! [`LoraMap`] names only what the tracker needs of its storage: to find the place of a worker.
//! Every `state_map::StateMap` of the right key and value is one, by one blanket implementation; a
//! map of your own can be one without being a `StateMap`.
//!
//! # Why
//!
//! The snapshot has all else, and adapters too, since a lookup by name comes with every request,
//! and two threads in one map's lock words were five times slower than two threads in one snapshot.
//!
//! # Invariants
//!
//! - An entry never changes. The one writer inserts it and removes it; readers look it up
//!   meanwhile.

use state_map::{DefaultMap, MapSession, Retire, StateMap};
use worker_id::WorkerWithDpRank;

/// What a map of workers stores: where in the table of a snapshot a worker stands. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerEntry(pub(crate) u32);

/// There is nothing to hand over.
impl Retire for WorkerEntry {
    type Payload = ();

    fn retire(&self) {}
}

/// A map from workers to their places, to build a [`LoraTracker`](crate::LoraTracker) on.
///
/// Any `state_map::StateMap` from [`WorkerWithDpRank`] to [`WorkerEntry`] is one. For a map of your
/// own, implement this and [`LoraSession`], whose documentation is the contract.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` \
               or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `LoraMap`"
)]
pub trait LoraMap: Send + Sync {
    /// See [`LoraSession`].
    type Session<'a>: LoraSession
    where
        Self: 'a;

    /// Opens a session, which amortises over a batch what the map pays per access.
    fn open(&self) -> Self::Session<'_>;
}

/// A thread's access to a [`LoraMap`]. Operations on one worker are linearizable.
pub trait LoraSession {
    /// The entry of a worker. Any number of threads ask at once.
    fn find(&self, worker: &WorkerWithDpRank) -> Option<WorkerEntry>;

    /// Stores the entry of a worker that has none. Called by one thread at a time.
    fn store(&self, worker: WorkerWithDpRank, entry: WorkerEntry);

    /// Removes the entry of a worker. Called by one thread at a time, the one that stores.
    fn forget(&self, worker: &WorkerWithDpRank);
}

impl<M: StateMap<Key = WorkerWithDpRank, Value = WorkerEntry>> LoraMap for M {
    type Session<'a>
        = StateMapSession<M::Session<'a>>
    where
        Self: 'a;

    #[inline]
    fn open(&self) -> Self::Session<'_> {
        StateMapSession(self.session())
    }
}

/// The session of a `StateMap`, as a [`LoraSession`].
#[derive(Debug)]
pub struct StateMapSession<S>(S);

impl<S: MapSession<Key = WorkerWithDpRank, Value = WorkerEntry>> LoraSession
    for StateMapSession<S>
{
    #[inline]
    fn find(&self, worker: &WorkerWithDpRank) -> Option<WorkerEntry> {
        self.0.read(worker, |entry| *entry)
    }

    fn store(&self, worker: WorkerWithDpRank, entry: WorkerEntry) {
        // Never taken: the one writer has looked.
        let _ = self.0.insert_if_absent(worker, entry, |_| ());
    }

    fn forget(&self, worker: &WorkerWithDpRank) {
        let _ = self.0.remove(worker);
    }
}

/// The map of a tracker that names none: DashMap where that feature is on, else papaya, else scc,
/// else the locked map. With none of them it stands for nothing, and using it is an error that says
/// so.
pub type DefaultLoraMap = DefaultMap<WorkerWithDpRank, WorkerEntry>;

/// Workers on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapLoras = state_map::DashMapBackend<WorkerWithDpRank, WorkerEntry>;

/// Workers on papaya.
#[cfg(feature = "papaya")]
pub type PapayaLoras = state_map::PapayaBackend<WorkerWithDpRank, WorkerEntry>;

/// Workers on scc.
#[cfg(feature = "scc")]
pub type SccLoras = state_map::SccBackend<WorkerWithDpRank, WorkerEntry>;

/// Workers on one locked `HashMap`, the baseline of ADR-0005.
#[cfg(feature = "rwlock")]
pub type RwLockLoras = state_map::RwLockBackend<WorkerWithDpRank, WorkerEntry>;
