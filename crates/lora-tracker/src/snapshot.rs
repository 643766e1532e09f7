//! The whole state at one instant: a table of workers, and for each adapter the slice of workers that have it.
//!
//! # Design
//!
//! Plain data, written by one thread while nobody reads it, one [`Step`] at a time. A worker's row stays at its *place* for as
//! long as the worker is there; vacant places are filled again. An adapter holds its workers in order, and beside each its
//! place, so that the slots of all of them are found without a lookup.
//!
//! # Why
//!
//! - Adapters sit behind `Arc`s, so a copy of a snapshot costs by adapters and workers, not by pairs. What was copied is
//!   shared until a step changes it, and a slice that is not shared is changed where it lies: to allocate a new one for each
//!   event was most of an event where all workers have the adapter, and a third of it where eight have.
//! - Workers and places are two slices, and not a slice of pairs, so that the first can be handed out as it is.
//! - Names have their numbers in an index that keeps an order, and the same steps keep the same order. So a step that was
//!   found by name is taken again by number.
//!
//! # Invariants
//!
//! - The totals are those of the rows. A row's count is that of the adapters whose slices have its worker.
//! - An adapter that no worker has is not in the index, but between its name and its first worker.

use std::mem;
use std::sync::Arc;

use indexmap::IndexMap;
use state_map::DefaultHashBuilder;
use worker_id::WorkerWithDpRank;

/// How many adapters a worker has, and how many it can hold at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Slots {
    /// Adapters that are loaded. May be more than the capacity: it is reported as it is.
    pub loaded: usize,
    /// How many it can hold, where that is known.
    pub capacity: Option<u32>,
}

impl Slots {
    /// How many more adapters it can take: 0 where there are more than it can hold, `None` where the capacity is not known.
    #[must_use]
    pub fn free(&self) -> Option<usize> {
        self.capacity
            .map(|capacity| (capacity as usize).saturating_sub(self.loaded))
    }

    /// Whether it is known to have a free slot.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.capacity
            .is_some_and(|capacity| self.loaded < capacity as usize)
    }
}

/// A worker, with its incarnation, and its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerSlots {
    /// The worker.
    pub worker: WorkerWithDpRank,
    /// How many adapters it has, and can hold.
    pub slots: Slots,
}

impl WorkerSlots {
    /// Equal in all that a reader sees, the incarnation included, which `==` leaves out.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.worker.same_incarnation(&other.worker) && self.slots == other.slots
    }
}

/// The workers that have an adapter, in order, each with its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adapter {
    workers: Vec<WorkerWithDpRank>,
    places: Vec<u32>,
}

impl Adapter {
    pub(crate) fn workers(&self) -> &[WorkerWithDpRank] {
        &self.workers
    }

    pub(crate) fn places(&self) -> &[u32] {
        &self.places
    }

    pub(crate) fn has(&self, worker: &WorkerWithDpRank) -> bool {
        self.workers.binary_search(worker).is_ok()
    }

    fn insert(&mut self, at: usize, worker: WorkerWithDpRank, place: u32) {
        insert(&mut self.workers, at, worker);
        insert(&mut self.places, at, place);
    }

    fn remove(&mut self, at: usize) {
        remove(&mut self.workers, at);
        remove(&mut self.places, at);
    }
}

/// Inserts, and takes an eighth more room where there is none, since there are two snapshots to hold it.
fn insert<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(items.len() / 8 + 1);
    }
    items.insert(at, item);
}

fn remove<T>(items: &mut Vec<T>, at: usize) {
    items.remove(at);
    shrink(items.len(), items.capacity(), |room| items.shrink_to(room));
}

/// A write to a snapshot. Equal snapshots that take the same steps stay equal, the order of the index included.
#[derive(Debug)]
pub(crate) enum Step {
    /// What stands at a place from now on.
    Row(u32, Option<WorkerSlots>),
    /// An adapter that no worker has had comes last in the index. Somebody loads it next.
    Name(Arc<str>),
    /// The worker at a place has an adapter, and is number `at` of those that have it.
    Load(Pair),
    /// The worker at a place, number `at` of those that have an adapter, has it no longer. If nobody else has, the last
    /// adapter in the index takes its number.
    Unload(Pair),
    /// Vacant places at the end are cut off.
    Trim,
}

impl Step {
    /// The place of the worker that it is about.
    pub(crate) fn place(&self) -> Option<u32> {
        match self {
            Self::Row(place, _)
            | Self::Load(Pair { place, .. })
            | Self::Unload(Pair { place, .. }) => Some(*place),
            Self::Name(_) | Self::Trim => None,
        }
    }
}

/// An adapter, by its number in the index, and a worker of it, by its place and its number among those that have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) adapter: usize,
    pub(crate) at: usize,
    pub(crate) place: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) total_slots: u64,
    pub(crate) workers: usize,
    rows: Vec<Option<WorkerSlots>>,
    adapters: IndexMap<Arc<str>, Arc<Adapter>, DefaultHashBuilder>,
}

impl Snapshot {
    pub(crate) fn rows(&self) -> &[Option<WorkerSlots>] {
        &self.rows
    }

    /// What a copy of this copies: rows and adapters.
    pub(crate) fn size(&self) -> usize {
        self.rows.len() + self.adapters.len()
    }

    #[inline]
    pub(crate) fn row(&self, place: u32) -> Option<&WorkerSlots> {
        self.rows.get(place as usize)?.as_ref()
    }

    /// Where in the index an adapter is: good for this snapshot alone.
    #[inline]
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.adapters.get_index_of(name)
    }

    #[inline]
    pub(crate) fn adapter_at(&self, index: usize) -> Option<&Adapter> {
        self.adapters
            .get_index(index)
            .map(|(_, adapter)| &**adapter)
    }

    #[inline]
    pub(crate) fn adapter(&self, name: &str) -> Option<&Adapter> {
        self.adapters.get(name).map(|adapter| &**adapter)
    }

    pub(crate) fn adapters(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Adapter)> {
        self.adapters
            .iter()
            .map(|(name, adapter)| (name, &**adapter))
    }

    /// Of an adapter the number, the name as all mention it, and where among its workers this one is, or would be.
    pub(crate) fn search(
        &self,
        name: &str,
        worker: &WorkerWithDpRank,
    ) -> Option<(usize, &Arc<str>, Result<usize, usize>)> {
        let (number, name, adapter) = self.adapters.get_full(name)?;
        Some((number, name, adapter.workers.binary_search(worker)))
    }

    /// An adapter that a worker has, and its name as all mention it.
    pub(crate) fn pair(&self, name: &str, worker: &WorkerWithDpRank) -> Option<(Pair, &Arc<str>)> {
        let (adapter, name, Ok(at)) = self.search(name, worker)? else {
            return None;
        };
        let place = *self.adapter_at(adapter)?.places.get(at)?;
        Some((Pair { adapter, at, place }, name))
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match *step {
            Step::Row(place, row) => self.set_row(place as usize, row),
            Step::Name(ref name) => {
                self.adapters.insert(Arc::clone(name), Arc::default());
            }
            Step::Load(Pair { adapter, at, place }) => {
                if let Some(row) = &mut self.rows[place as usize] {
                    row.slots.loaded += 1;
                    Arc::make_mut(&mut self.adapters[adapter]).insert(at, row.worker, place);
                }
            }
            Step::Unload(Pair { adapter, at, place }) => {
                if let Some(row) = &mut self.rows[place as usize] {
                    row.slots.loaded -= 1;
                }
                let left = Arc::make_mut(&mut self.adapters[adapter]);
                left.remove(at);
                if left.workers.is_empty() {
                    self.adapters.swap_remove_index(adapter);
                    shrink(self.adapters.len(), self.adapters.capacity(), |room| {
                        self.adapters.shrink_to(room);
                    });
                }
            }
            Step::Trim => self.trim(),
        }
    }

    /// Sets what stands at a place, and corrects the totals.
    fn set_row(&mut self, place: usize, row: Option<WorkerSlots>) {
        if place >= self.rows.len() {
            self.rows.resize_with(place + 1, || None);
        }
        let old = mem::replace(&mut self.rows[place], row);
        let capacity = |row: Option<WorkerSlots>| {
            u64::from(row.and_then(|row| row.slots.capacity).unwrap_or(0))
        };
        self.total_slots = self.total_slots - capacity(old) + capacity(row);
        self.workers = self.workers - usize::from(old.is_some()) + usize::from(row.is_some());
    }

    fn trim(&mut self) {
        while self.rows.last().is_some_and(Option::is_none) {
            self.rows.pop();
        }
        shrink(self.rows.len(), self.rows.capacity(), |room| {
            self.rows.shrink_to(room);
        });
    }
}

/// Gives memory back once three quarters of it are unused.
pub(crate) fn shrink(len: usize, capacity: usize, to: impl FnOnce(usize)) {
    if capacity > 64 && len < capacity / 4 {
        to(capacity / 2);
    }
}
