//! What is asked of a tracker, and how each of those that are compared answers it.

use std::hint::black_box;

use lora_tracker::{LoraEvent, LoraMap, LoraTracker};
use worker_id::WorkerWithDpRank;

use crate::baselines::loras::{FourMaps, FullClone};

/// What is compared.
pub(super) trait Tracker: Send + Sync + 'static {
    fn apply(&self, event: LoraEvent);
    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool;
    /// How many have the adapter, where the answer is a collection of them.
    fn loaded_workers(&self, name: &str) -> usize;
    /// The least loaded of the candidates, and how many there are.
    fn least_loaded(&self, name: &str) -> Option<(WorkerWithDpRank, usize)>;
    /// How many workers have a free slot, and how many adapters those have.
    fn free_slots(&self) -> (usize, usize);
    /// How many adapters a worker has, if it is there and has a free slot.
    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize>;
    /// How many changes there have been in the state that is kept.
    fn view(&self) -> u64;
}

impl<M: LoraMap + 'static> Tracker for LoraTracker<M> {
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

    fn free_slots(&self) -> (usize, usize) {
        let free = self.workers_with_free_slots();
        let rows = free.iter().map(|each| black_box(each).slots.loaded);
        rows.fold((0, 0), |(met, sum), loaded| (met + 1, sum + loaded))
    }

    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize> {
        let slots = self.worker_slots(worker)?;
        slots.has_room().then_some(slots.loaded)
    }

    fn view(&self) -> u64 {
        black_box(self.view()).generation()
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

    fn free_slots(&self) -> (usize, usize) {
        let free = black_box(self.workers_with_free_slots());
        (free.len(), free.iter().map(|(_, loaded)| loaded).sum())
    }

    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize> {
        let (loaded, capacity) = self.worker_slots(worker)?;
        (loaded < capacity as usize).then_some(loaded)
    }

    fn view(&self) -> u64 {
        unreachable!("four maps have no view")
    }
}

/// Only events are compared with this one.
impl Tracker for FullClone {
    fn apply(&self, event: LoraEvent) {
        self.apply(event);
    }

    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.is_loaded(worker, name)
    }

    fn loaded_workers(&self, _: &str) -> usize {
        unreachable!("events alone")
    }

    fn least_loaded(&self, _: &str) -> Option<(WorkerWithDpRank, usize)> {
        unreachable!("events alone")
    }

    fn free_slots(&self) -> (usize, usize) {
        unreachable!("events alone")
    }

    fn with_room(&self, _: &WorkerWithDpRank) -> Option<usize> {
        unreachable!("events alone")
    }

    fn view(&self) -> u64 {
        unreachable!("events alone")
    }
}
