//! Adapters on workers: what is said of one, and where it stands in the snapshot.

use std::collections::VecDeque;
use std::sync::Arc;

use worker_id::{Ignored, News, Says, WorkerWithDpRank};

use crate::LoraInfo;
use crate::change::{Change, Heard};
use crate::lora::WorkerLora;
use crate::map::LoraSession;
use crate::snapshot::{Spot, Step};
use crate::writer::{FAILED, Failure, UNLOADED};

impl<S: LoraSession> Change<'_, S> {
    pub(crate) fn load(
        &mut self,
        worker: &WorkerWithDpRank,
        lora: &LoraInfo,
        as_of: Option<u64>,
        loading: bool,
    ) -> Heard {
        let news = News::new(*worker, Says::Here).as_of(as_of);
        let Some(place) = self.hear(&news)? else {
            return Ok(());
        };
        self.report(place, lora.max_gpu_lora_count, as_of, Some(&lora.name));
        if let Some(now) = as_of
            && self.is_known_later(place, &lora.name, now)
        {
            return Err(Ignored::Older);
        }
        self.put(place, lora, as_of, loading, false);
        Ok(())
    }

    /// Whether something of a later revision is known of an adapter on a worker.
    pub(crate) fn is_known_later(&self, place: u32, name: &str, as_of: u64) -> bool {
        let record = &self.state.records[place as usize];
        let listed = record.listed.is_some_and(|listed| as_of <= listed);
        let mut unloaded = record.unloaded.iter();
        listed
            || unloaded.any(|(gone, then)| **gone == *name && as_of < *then)
            || self
                .held(place, name)
                .is_some_and(|(_, lora)| lora.as_of().is_some_and(|then| as_of < then))
    }

    /// Lets a worker have an adapter, or lets what is known of it be this.
    pub(crate) fn put(
        &mut self,
        place: u32,
        lora: &LoraInfo,
        as_of: Option<u64>,
        loading: bool,
        whole: bool,
    ) -> Option<Arc<WorkerLora>> {
        if !loading && !self.record(place).failed.is_empty() {
            self.record(place)
                .failed
                .retain(|failure| failure.name != lora.name);
        }
        let (worker, registered) = {
            let row = self.snapshot.row(place)?;
            (row.shown.worker, row.registered)
        };
        let Some((at, there)) = self.held(place, &lora.name) else {
            let name = match self.snapshot.adapters.find(&lora.name) {
                Some((_, name, _)) => Arc::clone(name),
                None => Arc::clone(&lora.name),
            };
            let new = Arc::new(WorkerLora::new(name, lora, loading));
            new.said_at(as_of);
            if registered {
                self.show(place, &worker, &new);
            }
            self.step(Step::Hold(place, Arc::clone(&new)));
            return Some(new);
        };
        // What is resident is not on its way, and of what is on its way nothing new is said.
        if loading {
            return None;
        }
        let there = Arc::clone(there);
        there.said_at(as_of);
        let new = Arc::new(there.updated(lora, loading, whole)?);
        if registered && let Some(spot) = self.spot(&worker, &there) {
            if there.is_loading() == loading {
                self.step(Step::SetShown(spot, Arc::clone(&new)));
            } else {
                // In this order, so that the adapter stays in the index.
                self.show(place, &worker, &new);
                self.step(Step::Hide(spot));
            }
        }
        self.step(Step::SetHeld(place, at, Arc::clone(&new)));
        Some(new)
    }

    pub(crate) fn fail(
        &mut self,
        worker: &WorkerWithDpRank,
        name: &Arc<str>,
        reason: &Arc<str>,
        as_of: Option<u64>,
    ) -> Heard {
        let news = News::new(*worker, Says::Detail).as_of(as_of);
        let Some(place) = self.hear(&news)? else {
            return Ok(());
        };
        if let Some(now) = as_of
            && self.is_known_later(place, name, now)
        {
            return Err(Ignored::Older);
        }
        let since = self.context.clock.now();
        let failed = &mut self.record(place).failed;
        failed.retain(|failure| failure.name != *name);
        push(
            failed,
            FAILED,
            Failure {
                name: Arc::clone(name),
                reason: Arc::clone(reason),
                since,
            },
        );
        if self
            .held(place, name)
            .is_some_and(|(_, lora)| lora.is_loading())
        {
            self.remove(place, name);
        }
        Ok(())
    }

    pub(crate) fn unload(
        &mut self,
        worker: &WorkerWithDpRank,
        name: &Arc<str>,
        as_of: Option<u64>,
    ) -> Heard {
        let news = News::new(*worker, Says::Detail).as_of(as_of);
        let Some(place) = self.hear(&news)? else {
            return Ok(());
        };
        if let Some(now) = as_of {
            if self.is_known_later(place, name, now) {
                return Err(Ignored::Older);
            }
            let unloaded = &mut self.record(place).unloaded;
            unloaded.retain(|(gone, _)| gone != name);
            push(unloaded, UNLOADED, (Arc::clone(name), now));
        }
        self.remove(place, name);
        Ok(())
    }

    /// Takes an adapter from a worker that has it, or loads it.
    pub(crate) fn remove(&mut self, place: u32, name: &str) {
        let Some((at, lora)) = self.held(place, name) else {
            return;
        };
        let lora = Arc::clone(lora);
        if let Some(row) = self.snapshot.row(place)
            && let Some(spot) = self.spot(&row.shown.worker, &lora)
        {
            self.step(Step::Hide(spot));
        }
        self.step(Step::LetGo(place, at));
    }

    /// An adapter of a worker, and where among its adapters it is.
    pub(crate) fn held(&self, place: u32, name: &str) -> Option<(usize, &Arc<WorkerLora>)> {
        let row = self.snapshot.row(place)?;
        if row.registered {
            // By the index: to compare texts along the whole list would be slower.
            let (_, _, adapter) = self.snapshot.adapters.find(name)?;
            let lora = adapter.lora(&row.shown.worker)?;
            let mut held = row.held.iter();
            return Some((held.position(|held| Arc::ptr_eq(held, lora))?, lora));
        }
        let mut held = row.held.iter().enumerate();
        held.find(|(_, held)| *held.name == *name)
    }

    pub(crate) fn spot(&self, worker: &WorkerWithDpRank, lora: &WorkerLora) -> Option<Spot> {
        let (at, _, adapter) = self.snapshot.adapters.find(&lora.name)?;
        let loading = lora.is_loading();
        Some(Spot {
            adapter: at,
            loading,
            at: adapter.members(loading).search(worker).ok()?,
        })
    }

    pub(crate) fn show(&mut self, place: u32, worker: &WorkerWithDpRank, lora: &Arc<WorkerLora>) {
        if self.snapshot.adapters.get(&lora.name).is_none() {
            let name = self.snapshot.adapters.name(&lora.name);
            self.step(Step::Name(name));
        }
        let loading = lora.is_loading();
        let Some((adapter, _, there)) = self.snapshot.adapters.find(&lora.name) else {
            return;
        };
        if let Err(at) = there.members(loading).search(worker) {
            let spot = Spot {
                adapter,
                loading,
                at,
            };
            self.step(Step::Show(spot, place, Arc::clone(lora)));
        }
    }
}

/// Adds to a list of so many at most, whose oldest gives way.
fn push<T>(list: &mut VecDeque<T>, most: usize, item: T) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(item);
}
