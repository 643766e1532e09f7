//! The published design for tracking adapters: four DashMaps that are changed one after the other.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use dashmap::DashMap;
use lora_tracker::{LoraEvent, LoraInfo};
use worker_id::WorkerWithDpRank;

/// Four maps, each consistent in itself. Readers see one after the other.
#[derive(Debug, Default)]
pub struct FourMaps {
    workers_of: DashMap<String, HashSet<WorkerWithDpRank>>,
    loras_of: DashMap<WorkerWithDpRank, HashSet<String>>,
    infos: DashMap<String, LoraInfo>,
    capacities: DashMap<WorkerWithDpRank, u32>,
    /// Held over an event, so that two of one worker are not mixed.
    writer: Mutex<()>,
}

impl FourMaps {
    /// An event.
    pub fn apply(&self, event: LoraEvent) {
        let _held = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            LoraEvent::Loaded { worker, lora } => {
                let name = String::from(&*lora.name);
                if let Some(capacity) = lora.max_gpu_lora_count {
                    self.capacities.insert(worker, capacity);
                }
                self.workers_of
                    .entry(name.clone())
                    .or_default()
                    .insert(worker);
                self.loras_of
                    .entry(worker)
                    .or_default()
                    .insert(name.clone());
                self.infos.insert(name, lora);
            }
            LoraEvent::Unloaded { worker, name } => {
                if let Some(mut loras) = self.loras_of.get_mut(&worker) {
                    loras.remove(&*name);
                }
                self.take_from(&name, &worker);
            }
            LoraEvent::WorkerJoined { worker, capacity } => {
                self.loras_of.entry(worker).or_default();
                if let Some(capacity) = capacity {
                    self.capacities.insert(worker, capacity);
                }
            }
            LoraEvent::WorkerLeft { worker } => {
                if let Some((_, loras)) = self.loras_of.remove(&worker) {
                    for name in loras {
                        self.take_from(&name, &worker);
                    }
                }
                self.capacities.remove(&worker);
            }
            other => unreachable!("no such event: {other:?}"),
        }
    }

    fn take_from(&self, name: &str, worker: &WorkerWithDpRank) {
        let nobody = |workers: &HashSet<WorkerWithDpRank>| workers.is_empty();
        if let Some(mut workers) = self.workers_of.get_mut(name) {
            workers.remove(worker);
        }
        if self
            .workers_of
            .remove_if(name, |_, workers| nobody(workers))
            .is_some()
        {
            self.infos.remove(name);
        }
    }

    /// The workers that have an adapter.
    #[must_use]
    pub fn loaded_workers(&self, name: &str) -> HashSet<WorkerWithDpRank> {
        self.workers_of
            .get(name)
            .map(|workers| workers.clone())
            .unwrap_or_default()
    }

    /// Whether a worker has an adapter.
    #[must_use]
    pub fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.workers_of
            .get(name)
            .is_some_and(|workers| workers.contains(worker))
    }

    /// How many adapters a worker has, and can hold.
    #[must_use]
    pub fn worker_slots(&self, worker: &WorkerWithDpRank) -> Option<(usize, u32)> {
        let capacity = *self.capacities.get(worker)?;
        let loaded = self.loras_of.get(worker).map_or(0, |loras| loras.len());
        Some((loaded, capacity))
    }

    /// The workers that have a free slot, with how many adapters they have.
    #[must_use]
    pub fn workers_with_free_slots(&self) -> Vec<(WorkerWithDpRank, usize)> {
        let free = self.capacities.iter().filter_map(|entry| {
            let loaded = self
                .loras_of
                .get(entry.key())
                .map_or(0, |loras| loras.len());
            (loaded < *entry.value() as usize).then_some((*entry.key(), loaded))
        });
        free.collect()
    }

    /// Where a request may go: to those that have the adapter, if any has a free slot, else to all
    /// that have one.
    #[must_use]
    pub fn candidates(&self, name: &str) -> Vec<(WorkerWithDpRank, usize)> {
        let slots = |worker: WorkerWithDpRank| {
            let (loaded, capacity) = self.worker_slots(&worker)?;
            (loaded < capacity as usize).then_some((worker, loaded))
        };
        let loaded: Vec<_> = self
            .loaded_workers(name)
            .into_iter()
            .filter_map(slots)
            .collect();
        if loaded.is_empty() {
            self.workers_with_free_slots()
        } else {
            loaded
        }
    }
}
