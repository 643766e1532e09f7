//! The map that a tracker stands on: any `state_map::StateMap` of the right key and value.
//!
//! It has one duty: to find the place of a worker. Why the snapshot has all else: `adr/0005-lora-tracker.md`.

use state_map::{DefaultMap, StateMap};
use worker_id::WorkerWithDpRank;

/// What a map of workers stores: where in the table of a snapshot a worker stands. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerEntry(pub(crate) u32);

/// A map from workers to their places, to build a [`LoraTracker`](crate::LoraTracker) on.
///
/// Every `state_map::StateMap` from [`WorkerWithDpRank`] to [`WorkerEntry`] is one, a map of your own too. One
/// thread at a time inserts and removes; any number read meanwhile. An entry never changes.
pub trait LoraMap: StateMap<Key = WorkerWithDpRank, Value = WorkerEntry> {}

impl<M: StateMap<Key = WorkerWithDpRank, Value = WorkerEntry>> LoraMap for M {}

/// For `state_map::conformance!` on a map of your own.
#[cfg(feature = "conformance")]
impl state_map::conformance::Sample for WorkerEntry {
    type Key = WorkerWithDpRank;

    fn key(number: u64) -> WorkerWithDpRank {
        WorkerWithDpRank::from_worker_id(number)
    }

    fn sample(stamp: u64) -> Self {
        Self(u32::try_from(stamp).expect("a sample is of a small number"))
    }

    fn stamp(&self) -> u64 {
        self.0.into()
    }
}

/// The map of a tracker that names none: DashMap where that feature is on, else papaya, else scc,
/// else the locked map. With none of them on, none can be made, and the error says so.
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
