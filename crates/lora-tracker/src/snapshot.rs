//! The whole state at one instant: a table of workers, and for each adapter the slice of workers that have it.
//!
//! # Design
//!
//! Plain data, written by one thread while nobody reads it. A worker's row stays at its *place* for as long as the worker
//! is there; vacant places are filled again. An adapter holds its workers in order, and beside each its place, so that the
//! slots of all of them are found without a lookup.
//!
//! # Why
//!
//! - Adapters sit behind `Arc`s: two snapshots share all that has not changed between them, and a copy of a snapshot costs
//!   by adapters and workers, not by pairs.
//! - Workers and places are two slices, and not a slice of pairs, so that the first can be handed out as it is.
//!
//! # Invariants
//!
//! - The totals are those of the rows. An adapter that no worker has is not in the index.
//! - A row's count is that of the adapters whose slices have its worker. The writer keeps this one, over several calls.

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
    fn is(&self, other: &Self) -> bool {
        self.worker.same_incarnation(&other.worker) && self.slots == other.slots
    }
}

/// The workers that have an adapter, in order, each with its place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Adapter {
    workers: Box<[WorkerWithDpRank]>,
    places: Box<[usize]>,
}

impl Adapter {
    pub(crate) fn workers(&self) -> &[WorkerWithDpRank] {
        &self.workers
    }

    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    pub(crate) fn has(&self, worker: &WorkerWithDpRank) -> bool {
        self.workers.binary_search(worker).is_ok()
    }

    /// The same with one worker more, unless it is there.
    pub(crate) fn with(&self, worker: WorkerWithDpRank, place: usize) -> Option<Self> {
        let at = self.workers.binary_search(&worker).err()?;
        Some(Self {
            workers: replaced(&self.workers, at, 0, Some(worker)),
            places: replaced(&self.places, at, 0, Some(place)),
        })
    }

    /// The same with one worker less, if it is there.
    pub(crate) fn without(&self, worker: &WorkerWithDpRank) -> Option<Self> {
        let at = self.workers.binary_search(worker).ok()?;
        Some(Self {
            workers: replaced(&self.workers, at, 1, None),
            places: replaced(&self.places, at, 1, None),
        })
    }
}

/// `old` with `gone` items at `at` replaced by `new`, in one allocation of the right size.
fn replaced<T: Copy>(old: &[T], at: usize, gone: usize, new: Option<T>) -> Box<[T]> {
    let mut items = Vec::with_capacity(old.len() - gone + usize::from(new.is_some()));
    items.extend_from_slice(&old[..at]);
    items.extend(new);
    items.extend_from_slice(&old[at + gone..]);
    items.into_boxed_slice()
}

/// What a change has touched: where two snapshots, one a change older than the other, may differ.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    names: Vec<Arc<str>>,
    places: Vec<usize>,
}

impl Touched {
    /// Whether the two differ in what a reader sees.
    pub(crate) fn tells_apart(&self, old: &Snapshot, new: &Snapshot) -> bool {
        let row_differs = |place: &usize| match (old.row(*place), new.row(*place)) {
            (Some(old), Some(new)) => !old.is(new),
            (None, None) => false,
            _ => true,
        };
        let adapter_differs = |name: &Arc<str>| old.adapters.get(name) != new.adapters.get(name);
        self.places.iter().any(row_differs) || self.names.iter().any(adapter_differs)
    }

    fn clear(&mut self) {
        self.names.clear();
        self.places.clear();
        // A large batch leaves no large buffers behind.
        self.names.shrink_to(64);
        self.places.shrink_to(64);
    }
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

    #[inline]
    pub(crate) fn row(&self, place: usize) -> Option<&WorkerSlots> {
        self.rows.get(place)?.as_ref()
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

    /// Sets what stands at a place, and corrects the totals.
    pub(crate) fn set_row(
        &mut self,
        place: usize,
        row: Option<WorkerSlots>,
        touched: &mut Touched,
    ) {
        if place >= self.rows.len() {
            self.rows.resize_with(place + 1, || None);
        }
        let old = std::mem::replace(&mut self.rows[place], row);
        let capacity = |row: Option<WorkerSlots>| {
            u64::from(row.and_then(|row| row.slots.capacity).unwrap_or(0))
        };
        self.total_slots = self.total_slots - capacity(old) + capacity(row);
        self.workers = self.workers - usize::from(old.is_some()) + usize::from(row.is_some());
        touched.places.push(place);
    }

    /// Changes who has an adapter, and answers with the name that all share who mention it; nothing if `change` declines. An
    /// adapter that nobody has is taken out of the index.
    pub(crate) fn change_adapter(
        &mut self,
        name: &Arc<str>,
        change: impl FnOnce(&Adapter) -> Option<Adapter>,
        touched: &mut Touched,
    ) -> Option<Arc<str>> {
        let name = match self.adapters.get_full_mut(&**name) {
            None => {
                let adapter = change(&Adapter::default())?;
                self.put(Arc::clone(name), Some(Arc::new(adapter)));
                Arc::clone(name)
            }
            Some((_, shared, slot)) => {
                let adapter = change(slot)?;
                let shared = Arc::clone(shared);
                if adapter.workers.is_empty() {
                    self.put(Arc::clone(&shared), None);
                } else {
                    *slot = Arc::new(adapter);
                }
                shared
            }
        };
        touched.names.push(Arc::clone(&name));
        Some(name)
    }

    fn put(&mut self, name: Arc<str>, adapter: Option<Arc<Adapter>>) {
        if let Some(adapter) = adapter {
            self.adapters.insert(name, adapter);
        } else if self.adapters.swap_remove(&name).is_some() {
            shrink(self.adapters.len(), self.adapters.capacity(), |room| {
                self.adapters.shrink_to(room);
            });
        }
    }

    /// Cuts off vacant places at the end.
    pub(crate) fn trim(&mut self) {
        while self.rows.last().is_some_and(Option::is_none) {
            self.rows.pop();
        }
        shrink(self.rows.len(), self.rows.capacity(), |room| {
            self.rows.shrink_to(room);
        });
    }

    /// Makes this snapshot, which is older, equal to `current`, which differs in what was `touched`.
    pub(crate) fn catch_up(&mut self, current: &Self, touched: &mut Touched) {
        self.generation = current.generation;
        self.total_slots = current.total_slots;
        self.workers = current.workers;
        self.rows.resize_with(current.rows.len(), || None);
        for &place in &touched.places {
            if let Some(row) = self.rows.get_mut(place) {
                *row = current.rows[place];
            }
        }
        for name in touched.names.drain(..) {
            let adapter = current.adapters.get(&name).cloned();
            self.put(name, adapter);
        }
        touched.clear();
    }
}

/// Gives memory back once three quarters of it are unused.
pub(crate) fn shrink(len: usize, capacity: usize, to: impl FnOnce(usize)) {
    if capacity > 64 && len < capacity / 4 {
        to(capacity / 2);
    }
}
