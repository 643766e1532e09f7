//! What reads answer: one guard, on one snapshot.

use std::fmt;
use std::slice;
use std::sync::Arc;

use published::{Published, Reading};
use worker_id::WorkerWithDpRank;

use crate::adapters::Adapter;
use crate::lora::WorkerLora;
use crate::map::{LoraMap, LoraSession, WorkerEntry};
use crate::snapshot::Snapshot;
use crate::table::{Group, Row, Table};
use crate::{Slots, Tier, WorkerSlots};

/// Everything that is known at one instant: several questions to one of these have one answer.
///
/// It holds no lock and delays nobody. While one is held, changes copy what they touch of it, and
/// share the rest; letting one go is as cheap as a read, and frees nothing: the next changes do.
/// Beyond eight that a thread holds at once, to take one more writes a count that all threads
/// share. So hold it for a decision, and keep what it decided. [`detach`](Self::detach) one that is
/// to be held for long.
pub struct LoraSnapshot<'t, M> {
    snapshot: Reading<Snapshot>,
    published: &'t Published<Snapshot>,
    map: &'t M,
    unknown_may_load: bool,
}

impl<'t, M: LoraMap> LoraSnapshot<'t, M> {
    #[inline]
    pub(crate) fn new(
        published: &'t Published<Snapshot>,
        map: &'t M,
        unknown_may_load: bool,
    ) -> Self {
        Self {
            snapshot: published.load(),
            published,
            map,
            unknown_may_load,
        }
    }

    /// The same, with a count of its own, which does not use up what a thread has for short reads.
    /// Writes that count, which all who detach share.
    #[must_use]
    pub fn detach(self) -> Self {
        Self {
            snapshot: self.snapshot.detach(),
            ..self
        }
    }

    /// How many changes there have been that made anything different.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot.generation
    }

    /// The workers that have an adapter, in order; empty for a name that nobody has. One lookup.
    #[inline]
    pub fn loaded_workers(&self, name: &str) -> &[WorkerWithDpRank] {
        let adapter = self.snapshot.adapters.get(name);
        adapter.map_or(&[], |adapter| adapter.resident.workers())
    }

    /// The workers that are loading an adapter, in order.
    pub fn loading_workers(&self, name: &str) -> &[WorkerWithDpRank] {
        let adapter = self.snapshot.adapters.get(name);
        adapter.map_or(&[], |adapter| adapter.loading.workers())
    }

    /// Whether a worker, in whichever incarnation, has an adapter. One lookup, and a search among
    /// those that have it.
    #[must_use]
    pub fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.loaded_workers(name).binary_search(worker).is_ok()
    }

    /// What is known of an adapter on a worker, resident or loading.
    #[must_use]
    pub fn lora(&self, worker: &WorkerWithDpRank, name: &str) -> Option<&WorkerLora> {
        let adapter = self.snapshot.adapters.get(name)?;
        adapter.lora(worker).map(|lora| &**lora)
    }

    /// Where a request for an adapter may go, in tiers. One lookup; walks nothing.
    #[inline]
    #[must_use]
    pub fn candidates(&self, name: &str) -> Candidates<'_> {
        Candidates {
            table: &self.snapshot.table,
            adapter: self.snapshot.adapters.get(name),
            unknown_may_load: self.unknown_may_load,
        }
    }

    /// The workers that are known to have a free slot, in no order. Walks nothing.
    #[inline]
    #[must_use]
    pub fn workers_with_free_slots(&self) -> Workers<'_> {
        let table = &self.snapshot.table;
        let places = table.group(Group::Room);
        Workers { table, places }
    }

    /// All workers with their slots, in no order.
    pub fn workers(&self) -> impl Iterator<Item = &WorkerSlots> + Clone {
        let rows = self.snapshot.table.rows();
        rows.filter(|row| row.registered).map(|row| &row.shown)
    }

    /// The names of all adapters that some worker has, each once, in no order.
    pub fn loras(&self) -> impl Iterator<Item = (&Arc<str>, &[WorkerWithDpRank])> {
        let all = self.snapshot.adapters.iter();
        let all = all.map(|(name, adapter)| (name, adapter.resident.workers()));
        all.filter(|(_, workers)| !workers.is_empty())
    }

    /// How many adapters a worker has, and how many it can hold; `None` if there is no such worker,
    /// in whichever incarnation. One lookup in the map.
    #[must_use]
    pub fn worker_slots(&self, worker: &WorkerWithDpRank) -> Option<Slots> {
        Some(self.row(worker)?.shown.slots)
    }

    /// All adapters of a worker, resident and loading, in no order. One lookup in the map.
    #[must_use]
    pub fn adapters_of(&self, worker: &WorkerWithDpRank) -> &[Arc<WorkerLora>] {
        self.row(worker).map_or(&[], |row| &row.held)
    }

    /// Which adapter of a worker to evict first: of those that are neither pinned nor loading, the
    /// one that was touched longest ago. Of several that were never touched, the first by name.
    #[must_use]
    pub fn coldest(&self, worker: &WorkerWithDpRank) -> Option<&Arc<WorkerLora>> {
        let held = self.adapters_of(worker).iter();
        held.filter(|lora| lora.is_evictable())
            .min_by_key(|lora| (lora.last_used(), lora.name()))
    }

    /// The capacities of all workers together; those that are not known add nothing.
    #[must_use]
    pub fn total_slots(&self) -> u64 {
        self.snapshot.table.total_slots
    }

    /// Whether there is no worker, and so no adapter either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshot.table.workers == 0
    }

    fn row(&self, worker: &WorkerWithDpRank) -> Option<&Row> {
        let is_it = |row: &&Row| row.shown.worker == *worker;
        let place = self.map.open().find(worker);
        if let Some(WorkerEntry(place)) = place
            && let Some(row) = self.snapshot.row(place).filter(is_it)
        {
            return Some(row).filter(|row| row.registered);
        }
        // The map speaks of now, and this is of then. A worker of this snapshot is in the map until
        // another snapshot is published. So if none was, the worker is not in this one.
        if self.published.load().publication == self.snapshot.publication {
            return None;
        }
        let mut rows = self.snapshot.table.rows();
        rows.find(is_it).filter(|row| row.registered)
    }
}

impl<M: LoraMap> fmt::Debug for LoraSnapshot<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut workers: Vec<_> = self.workers().collect();
        workers.sort_unstable_by_key(|row| row.worker);
        let mut loras: Vec<_> = self.loras().collect();
        loras.sort_unstable_by_key(|(name, _)| *name);
        f.debug_struct("LoraSnapshot")
            .field("generation", &self.generation())
            .field("total_slots", &self.total_slots())
            .field("workers", &workers)
            .field("loras", &loras)
            .finish()
    }
}

/// Where a request for an adapter may go, at one instant: [`Tier`]s, best first.
///
/// Take the first, or look further where its workers are hot, so that a popular adapter spreads.
/// The tiers from [`Tier::Room`] on are of the whole fleet, whatever the adapter: they have the
/// workers of the first two as well, where these have room. [`iter`](Self::iter) meets each worker
/// once.
#[derive(Clone, Copy)]
pub struct Candidates<'s> {
    table: &'s Table,
    adapter: Option<&'s Adapter>,
    unknown_may_load: bool,
}

impl<'s> Candidates<'s> {
    /// The workers of a tier: a shared slice.
    #[inline]
    #[must_use]
    pub fn tier(&self, tier: Tier) -> Workers<'s> {
        let places = match tier.group() {
            Some(Group::Unknown) if !self.unknown_may_load => &[],
            Some(group) => self.table.group(group),
            None => self.adapter.map_or(&[][..], |adapter| {
                adapter.members(tier == Tier::Loading).places()
            }),
        };
        Workers {
            table: self.table,
            places,
        }
    }

    /// The first tier that has workers, and they.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<(Tier, Workers<'s>)> {
        self.tiers().next()
    }

    /// The tiers that have workers, best first.
    pub fn tiers(&self) -> impl Iterator<Item = (Tier, Workers<'s>)> {
        let this = *self;
        let tiers = Tier::ALL.into_iter();
        tiers
            .map(move |tier| (tier, this.tier(tier)))
            .filter(|(_, workers)| !workers.is_empty())
    }

    /// Whether somebody has the adapter.
    #[must_use]
    pub fn are_resident(&self) -> bool {
        !self.tier(Tier::Resident).is_empty()
    }

    /// Every worker, each once, in its best tier.
    pub fn iter(&self) -> impl Iterator<Item = (Tier, &'s WorkerSlots)> {
        let adapter = self.adapter;
        self.tiers().flat_map(move |(tier, workers)| {
            let met = move |row: &&WorkerSlots| {
                tier.group().is_some()
                    && adapter.is_some_and(|adapter| adapter.lora(&row.worker).is_some())
            };
            let workers = workers.into_iter().filter(move |row| !met(row));
            workers.map(move |row| (tier, row))
        })
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.tiers()).finish()
    }
}

/// Some workers with their slots, at one instant: a shared slice.
#[derive(Clone, Copy)]
pub struct Workers<'s> {
    table: &'s Table,
    places: &'s [u32],
}

impl<'s> Workers<'s> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The one at an index, for policies that draw: `None` from [`len`](Self::len) on.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'s WorkerSlots> {
        let row = self.table.row(*self.places.get(index)?)?;
        Some(&row.shown)
    }

    /// Walks them.
    #[inline]
    pub fn iter(&self) -> WorkerIter<'s> {
        self.into_iter()
    }
}

impl<'s> IntoIterator for Workers<'s> {
    type Item = &'s WorkerSlots;
    type IntoIter = WorkerIter<'s>;

    #[inline]
    fn into_iter(self) -> WorkerIter<'s> {
        WorkerIter {
            table: self.table,
            places: self.places.iter(),
        }
    }
}

impl<'s> IntoIterator for &Workers<'s> {
    type Item = &'s WorkerSlots;
    type IntoIter = WorkerIter<'s>;

    #[inline]
    fn into_iter(self) -> WorkerIter<'s> {
        (*self).into_iter()
    }
}

impl fmt::Debug for Workers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Walks workers of one snapshot.
#[derive(Clone)]
pub struct WorkerIter<'s> {
    table: &'s Table,
    places: slice::Iter<'s, u32>,
}

impl<'s> Iterator for WorkerIter<'s> {
    type Item = &'s WorkerSlots;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let row = self.table.row(*self.places.next()?)?;
        Some(&row.shown)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl ExactSizeIterator for WorkerIter<'_> {}

impl fmt::Debug for WorkerIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
