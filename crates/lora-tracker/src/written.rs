//! A snapshot as a struct with named fields, in order.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use worker_id::WorkerWithDpRank;

use crate::{LoraMap, LoraSnapshot};

#[derive(Serialize)]
#[serde(rename = "LoraSnapshot")]
struct Fields<'a> {
    generation: u64,
    total_slots: u64,
    workers: Vec<Worker>,
    loras: Vec<Lora<'a>>,
}

#[derive(Serialize)]
struct Worker {
    worker: WorkerWithDpRank,
    loaded: usize,
    loading: usize,
    capacity: Option<u32>,
}

#[derive(Serialize)]
struct Lora<'a> {
    name: &'a Arc<str>,
    workers: &'a [WorkerWithDpRank],
}

/// As `generation`, `total_slots`, `workers` and `loras`, both in order.
impl<M: LoraMap> Serialize for LoraSnapshot<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut workers: Vec<_> = self.workers().collect();
        workers.sort_unstable_by_key(|row| row.worker);
        let mut loras: Vec<_> = self.loras().collect();
        loras.sort_unstable_by_key(|(name, _)| *name);
        let workers = workers.into_iter().map(|row| Worker {
            worker: row.worker,
            loaded: row.slots.loaded,
            loading: row.slots.loading,
            capacity: row.slots.capacity,
        });
        let loras = loras.into_iter();
        Fields {
            generation: self.generation(),
            total_slots: self.total_slots(),
            workers: workers.collect(),
            loras: loras
                .map(|(name, workers)| Lora { name, workers })
                .collect(),
        }
        .serialize(serializer)
    }
}
