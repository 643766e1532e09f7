//! What is asked of a tracker, and how each of those that are compared answers it.

use std::hint::black_box;

use lora_tracker::{LoraEvent, LoraTracker, WorkerEntry};
use worker_id::WorkerWithDpRank;

use crate::any_map::AnyMap;
use crate::baselines::loras::FourMaps;

/// What is compared.
pub(super) trait Tracker: Send + Sync + 'static {
    fn apply(&self, event: LoraEvent);
    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool;

    /// How many have the adapter, where the answer is a collection of them.
    fn loaded_workers(&self, name: &str) -> usize;
    /// The least loaded of the candidates, and how many adapters it has.
    fn least_loaded(&self, name: &str) -> Option<(WorkerWithDpRank, usize)>;
    /// How many adapters a worker has, if it is there and has a free slot.
    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize>;
}

/// The crate on any map.
pub(super) type Tracked = LoraTracker<AnyMap<WorkerWithDpRank, WorkerEntry>>;

impl Tracker for Tracked {
    fn apply(&self, event: LoraEvent) {
        assert_eq!(self.apply(event), Ok(true), "it changes something");
    }

    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.is_loaded(worker, name)
    }

    fn loaded_workers(&self, name: &str) -> usize {
        black_box(self.loaded_workers(name)).len()
    }

    fn least_loaded(&self, name: &str) -> Option<(WorkerWithDpRank, usize)> {
        let candidates = self.candidates(name);
        let least = candidates.iter().min_by_key(|each| each.slots.loaded)?;
        Some((least.worker, least.slots.loaded))
    }

    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize> {
        let slots = self.worker_slots(worker)?;
        slots.has_room().then_some(slots.loaded)
    }
}

impl Tracker for FourMaps {
    fn apply(&self, event: LoraEvent) {
        self.apply(event);
    }

    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.is_loaded(worker, name)
    }

    fn loaded_workers(&self, name: &str) -> usize {
        black_box(self.loaded_workers(name)).len()
    }

    fn least_loaded(&self, name: &str) -> Option<(WorkerWithDpRank, usize)> {
        self.candidates(name).into_iter().min_by_key(|each| each.1)
    }

    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize> {
        let (loaded, capacity) = self.worker_slots(worker)?;
        (loaded < capacity as usize).then_some(loaded)
    }
}
