//! The naive model: maps of maps, changed one event after the other, and compared as a whole.
//!
//! Shares with the tracker what the rules are, and nothing of how they are followed.

use std::collections::{BTreeMap, BTreeSet};

use lora_tracker::{LoraEvent, LoraInfo, Slots};
use worker_id::{Incarnation, WorkerWithDpRank};

/// A worker as the model has it. The incarnation beside it, since the key compares without.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NaiveWorker {
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) reported: Option<u32>,
    pub(crate) adapters: BTreeSet<String>,
}

/// What readers can tell.
pub(crate) type Fleet = BTreeMap<WorkerWithDpRank, NaiveWorker>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Naive {
    pub(crate) fleet: Fleet,
    /// When each life departed, by its text.
    pub(crate) departed: BTreeMap<String, u64>,
    pub(crate) generation: u64,
    pub(crate) default_capacity: Option<u32>,
    /// In seconds.
    pub(crate) now: u64,
}

impl Naive {
    pub(crate) fn apply(&mut self, event: &LoraEvent) -> bool {
        self.apply_batch(std::slice::from_ref(event))
    }

    pub(crate) fn apply_batch(&mut self, events: &[LoraEvent]) -> bool {
        let before = self.readable();
        for event in events {
            self.step(event);
        }
        self.count(&before)
    }

    pub(crate) fn replace(
        &mut self,
        worker: WorkerWithDpRank,
        capacity: Option<u32>,
        loras: &[LoraInfo],
    ) -> bool {
        let before = self.readable();
        if let Some(there) = self.enter(worker) {
            let said = loras.iter().map(|lora| lora.max_gpu_lora_count);
            there.reported = said.rev().chain([capacity]).flatten().next();
            there.adapters = loras.iter().map(|lora| lora.name.to_string()).collect();
        }
        self.count(&before)
    }

    /// The fleet, and its capacities as they count.
    fn readable(&self) -> (Fleet, Vec<Option<u32>>) {
        let capacities = self.fleet.values().map(|there| self.capacity(there));
        let mut fleet = self.fleet.clone();
        fleet.values_mut().for_each(|there| there.reported = None);
        (fleet, capacities.collect())
    }

    fn count(&mut self, before: &(Fleet, Vec<Option<u32>>)) -> bool {
        let changed = self.readable() != *before;
        self.generation += u64::from(changed);
        changed
    }

    fn capacity(&self, there: &NaiveWorker) -> Option<u32> {
        there.reported.or(self.default_capacity)
    }

    fn step(&mut self, event: &LoraEvent) {
        match event {
            LoraEvent::Loaded { worker, lora } => {
                if let Some(there) = self.enter(*worker) {
                    there.adapters.insert(lora.name.to_string());
                    there.reported = lora.max_gpu_lora_count.or(there.reported);
                }
            }
            LoraEvent::WorkerJoined { worker, capacity } => {
                if let Some(there) = self.enter(*worker) {
                    there.reported = capacity.or(there.reported);
                }
            }
            LoraEvent::Unloaded { worker, name } => {
                if self.is_meant(worker)
                    && let Some(there) = self.fleet.get_mut(worker)
                {
                    there.adapters.remove(&**name);
                }
            }
            LoraEvent::WorkerLeft { worker } => {
                if self.is_meant(worker) {
                    self.end(*worker);
                } else {
                    self.depart(*worker, worker.incarnation());
                }
            }
            other => panic!("an event the model does not know: {other:?}"),
        }
    }

    /// Whether the worker that is there is the one that an event speaks of.
    fn is_meant(&self, worker: &WorkerWithDpRank) -> bool {
        let there = self.fleet.get(worker);
        there.is_some_and(|there| {
            worker.incarnation().is_none() || worker.incarnation() == there.incarnation
        })
    }

    fn enter(&mut self, worker: WorkerWithDpRank) -> Option<&mut NaiveWorker> {
        if !self.is_meant(&worker) {
            let since = self.departed.get(&worker.to_string());
            if since.is_some_and(|since| self.now - since < 60) {
                return None;
            }
            self.end(worker);
            let fresh = NaiveWorker {
                incarnation: worker.incarnation(),
                reported: None,
                adapters: BTreeSet::new(),
            };
            self.fleet.insert(worker, fresh);
        }
        self.fleet.get_mut(&worker)
    }

    fn end(&mut self, worker: WorkerWithDpRank) {
        if let Some(there) = self.fleet.remove(&worker) {
            self.depart(worker, there.incarnation);
        }
    }

    fn depart(&mut self, worker: WorkerWithDpRank, life: Option<Incarnation>) {
        if life.is_some() {
            self.departed.insert(shown(worker, life), self.now);
        }
    }

    pub(crate) fn slots(&self, worker: &WorkerWithDpRank) -> Option<Slots> {
        self.fleet.get(worker).map(|there| Slots {
            loaded: there.adapters.len(),
            capacity: self.capacity(there),
        })
    }

    pub(crate) fn loaded_workers(&self, name: &str) -> Vec<String> {
        let having = self
            .fleet
            .iter()
            .filter(|(_, there)| there.adapters.contains(name));
        having
            .map(|(worker, there)| shown(*worker, there.incarnation))
            .collect()
    }

    /// Those that satisfy `choose`, with their slots.
    pub(crate) fn workers(
        &self,
        choose: impl Fn(&NaiveWorker, Slots) -> bool,
    ) -> BTreeSet<(String, usize, Option<u32>)> {
        let all = self.fleet.iter().map(|(worker, there)| {
            let slots = self.slots(worker).expect("it is there");
            (worker, there, slots)
        });
        all.filter(|(_, there, slots)| choose(there, *slots))
            .map(|(worker, there, slots)| {
                let worker = shown(*worker, there.incarnation);
                (worker, slots.loaded, slots.capacity)
            })
            .collect()
    }
}

fn shown(worker: WorkerWithDpRank, incarnation: Option<Incarnation>) -> String {
    let bare = WorkerWithDpRank::new(worker.worker_id, worker.dp_rank);
    incarnation
        .map_or(bare, |incarnation| bare.in_incarnation(incarnation))
        .to_string()
}
