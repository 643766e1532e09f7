//! The naive gateway: lists, and every answer worked out by looking through all of them.

#![allow(dead_code)]

use router_snapshot::{RouterClass, RouterMode, SelectError, WorkerSpec};
use worker_id::WorkerWithDpRank;

/// A router is its name, its class and a number of its own.
pub(crate) type Registered = (String, RouterClass, u64);

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Naive {
    pub(crate) mode: RouterMode,
    /// In the order of registration.
    pub(crate) routers: Vec<Registered>,
    /// In the order of their ids.
    pub(crate) workers: Vec<WorkerSpec>,
    pub(crate) default: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Register(&'static str, RouterClass, u64),
    Deregister(&'static str),
    SetDefault(&'static str),
    Upsert(WorkerSpec),
    Remove(WorkerWithDpRank),
    SetHealth(WorkerWithDpRank, bool),
}

impl Naive {
    /// False if the step is refused.
    pub(crate) fn step(&mut self, step: &Step) -> bool {
        let known = |id: &str| self.routers.iter().any(|(known, ..)| known == id);
        match step {
            Step::Register(id, class, number) => {
                let fresh = !known(id);
                if fresh {
                    self.routers.push((id.to_string(), *class, *number));
                }
                fresh
            }
            Step::Deregister(id) => {
                self.routers.retain(|(known, ..)| known != id);
                self.default.take_if(|default| default == id);
                true
            }
            Step::SetDefault(id) => {
                let known = known(id);
                if known {
                    self.default = Some(id.to_string());
                }
                known
            }
            Step::Upsert(spec) => {
                let named = spec.models.iter().all(|model| !model.is_empty());
                if named {
                    self.workers.retain(|worker| worker.id != spec.id);
                    self.workers.push(spec.clone());
                    self.workers.sort_by_key(|worker| worker.id);
                }
                named
            }
            Step::Remove(id) => {
                self.workers.retain(|worker| worker.id != *id);
                true
            }
            Step::SetHealth(id, healthy) => {
                for worker in &mut self.workers {
                    if worker.id == *id {
                        worker.healthy = *healthy;
                    }
                }
                true
            }
        }
    }

    fn healthy(&self) -> impl Iterator<Item = &WorkerSpec> {
        self.workers.iter().filter(|worker| worker.healthy)
    }

    fn kind_has_worker(&self, pd: bool) -> bool {
        self.healthy().any(|worker| worker.class().is_pd() == pd)
    }

    fn default_router(&self) -> Option<&Registered> {
        let default = self.default.as_ref()?;
        self.routers.iter().find(|(id, ..)| id == default)
    }

    /// The number of the router that a request gets.
    pub(crate) fn select(&self, model: Option<&str>, prefer_pd: bool) -> Result<u64, SelectError> {
        if self.mode == RouterMode::Single {
            return match self.default_router() {
                Some((_, _, number)) => Ok(*number),
                None => Err(SelectError::NoDefault),
            };
        }
        let Some(model) = model else {
            for pd in [prefer_pd, !prefer_pd] {
                let of_kind = self
                    .routers
                    .iter()
                    .find(|(_, class, _)| class.is_pd() == pd);
                if let (Some((_, _, number)), true) = (of_kind, self.kind_has_worker(pd)) {
                    return Ok(*number);
                }
            }
            return Err(SelectError::NoWorkers);
        };
        if model.is_empty() {
            return Err(SelectError::EmptyModel);
        }
        for best in RouterClass::ALL {
            let serves = |worker: &WorkerSpec| {
                worker.class() == best && worker.models.iter().any(|named| **named == *model)
            };
            let router = self.routers.iter().find(|(_, class, _)| *class == best);
            if let (Some((_, _, number)), true) = (router, self.healthy().any(serves)) {
                return Ok(*number);
            }
        }
        match self.default_router() {
            Some((_, class, number)) if self.kind_has_worker(class.is_pd()) => Ok(*number),
            _ => Err(SelectError::NoWorkers),
        }
    }

    pub(crate) fn models(&self) -> Vec<String> {
        let names = self.workers.iter().flat_map(|worker| &worker.models);
        let mut names: Vec<_> = names.map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        names
    }
}
