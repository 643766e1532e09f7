//! The whole state at one instant, to keep, to hand on, and to write down.

use std::fmt;
use std::sync::Arc;

use worker_id::WorkerWithDpRank;

use crate::answer::WorkerIter;
use crate::snapshot::{Adapter, Snapshot, WorkerSlots};

/// All adapters and workers at one instant. Clones are the same view.
///
/// It is the snapshot that reads are answered from: to take one is a load and a count, at any size. While one is kept over two
/// changes, the second of them copies the table of workers and the index of adapters; slices of workers are shared, until an
/// event changes one.
///
/// With the feature `serde` it serializes as `generation`, `total_slots`, `workers` and `loras`, both in order.
#[derive(Clone)]
pub struct LoraView(pub(crate) Arc<Snapshot>);

impl LoraView {
    /// The number of changes that there have been.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Whether there is no worker, and so no adapter either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.workers == 0
    }

    /// The capacities of all workers together; those that are not known add nothing.
    #[must_use]
    pub fn total_slots(&self) -> u64 {
        self.0.total_slots
    }

    /// All workers with their slots, in no order.
    pub fn workers(&self) -> WorkerIter<'_> {
        WorkerIter::all(&self.0, false)
    }

    /// All adapters with the workers that have them, in no order; the workers of each in order.
    pub fn loras(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &[WorkerWithDpRank])> {
        self.0
            .adapters()
            .map(|(name, adapter)| (name, adapter.workers()))
    }

    /// The workers that have an adapter, in order.
    #[must_use = "it is the answer"]
    pub fn loaded_workers(&self, name: &str) -> &[WorkerWithDpRank] {
        self.0.adapter(name).map_or(&[], Adapter::workers)
    }

    fn sorted_workers(&self) -> Vec<&WorkerSlots> {
        let mut workers: Vec<_> = self.workers().collect();
        workers.sort_unstable_by_key(|row| row.worker);
        workers
    }

    fn sorted_loras(&self) -> Vec<(&Arc<str>, &[WorkerWithDpRank])> {
        let mut loras: Vec<_> = self.loras().collect();
        loras.sort_unstable_by_key(|(name, _)| *name);
        loras
    }
}

impl fmt::Debug for LoraView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoraView")
            .field("generation", &self.generation())
            .field("total_slots", &self.total_slots())
            .field("workers", &self.sorted_workers())
            .field("loras", &self.sorted_loras())
            .finish()
    }
}

#[cfg(feature = "serde")]
mod written {
    //! The form with named fields.

    use std::sync::Arc;

    use serde::{Serialize, Serializer};
    use worker_id::WorkerWithDpRank;

    use super::LoraView;

    #[derive(Serialize)]
    #[serde(rename = "LoraView")]
    struct View<'a> {
        generation: u64,
        total_slots: u64,
        workers: Vec<Worker>,
        loras: Vec<Lora<'a>>,
    }

    #[derive(Serialize)]
    struct Worker {
        worker: WorkerWithDpRank,
        loaded: usize,
        capacity: Option<u32>,
    }

    #[derive(Serialize)]
    struct Lora<'a> {
        name: &'a Arc<str>,
        workers: &'a [WorkerWithDpRank],
    }

    impl Serialize for LoraView {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let workers = self.sorted_workers().into_iter();
            let loras = self.sorted_loras().into_iter();
            View {
                generation: self.generation(),
                total_slots: self.total_slots(),
                workers: workers
                    .map(|row| Worker {
                        worker: row.worker,
                        loaded: row.slots.loaded,
                        capacity: row.slots.capacity,
                    })
                    .collect(),
                loras: loras
                    .map(|(name, workers)| Lora { name, workers })
                    .collect(),
            }
            .serialize(serializer)
        }
    }
}
