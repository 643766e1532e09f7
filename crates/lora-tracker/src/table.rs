//! The table of workers: rows by place, in chunks that snapshots share, and who has room.
//!
//! # Invariants
//!
//! 1. A worker's row stays at its *place* for as long as the worker is there.
//! 2. `rows[p].group == g` exactly if `groups[g][rows[p].at] == p`; `Group::None` has no list.
//! 3. `total_slots` and `workers` are those of the rows.
//! 4. A row's `slots.loaded`, `slots.loading` and `evictable` count what is in its `held`.

use std::array;
use std::sync::Arc;

use worker_id::WorkerWithDpRank;

use crate::lora::WorkerLora;
use crate::snapshot::shrink;
use crate::{Slots, WorkerSlots};

/// How many rows a change to one copies, where an old snapshot shares them.
const CHUNK: usize = 32;

/// What a worker can do for an adapter that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// It has a free slot.
    Room,
    /// Its capacity is not known.
    Unknown,
    /// It is full, and has an adapter that is neither pinned nor loading.
    Evict,
    /// Nothing: it is full of what must stay, or has not registered.
    None,
}

const GROUPS: usize = Group::None as usize;

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) shown: WorkerSlots,
    /// Whether it is shown to those who ask for workers or for adapters.
    pub(crate) registered: bool,
    pub(crate) group: Group,
    /// Where in the list of its group it is.
    at: u32,
    /// How many of `held` may be evicted.
    evictable: u32,
    pub(crate) held: Arc<Vec<Arc<WorkerLora>>>,
}

impl Row {
    fn wanted(&self) -> Group {
        let Slots {
            loaded,
            loading,
            capacity,
        } = self.shown.slots;
        match capacity {
            _ if !self.registered => Group::None,
            None => Group::Unknown,
            Some(capacity) if loaded + loading < capacity as usize => Group::Room,
            Some(_) if self.evictable > 0 => Group::Evict,
            Some(_) => Group::None,
        }
    }

    fn count(&mut self, lora: &WorkerLora) {
        self.shown.slots.loading += usize::from(lora.is_loading());
        self.shown.slots.loaded += usize::from(!lora.is_loading());
        self.evictable += u32::from(lora.is_evictable());
    }

    fn discount(&mut self, lora: &WorkerLora) {
        self.shown.slots.loading -= usize::from(lora.is_loading());
        self.shown.slots.loaded -= usize::from(!lora.is_loading());
        self.evictable -= u32::from(lora.is_evictable());
    }
}

type Chunk = [Option<Row>; CHUNK];

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    chunks: Vec<Arc<Chunk>>,
    /// Places of workers, by group, in no order.
    groups: [Arc<Vec<u32>>; GROUPS],
    pub(crate) total_slots: u64,
    pub(crate) workers: usize,
}

impl Table {
    #[inline]
    pub(crate) fn row(&self, place: u32) -> Option<&Row> {
        let place = place as usize;
        self.chunks.get(place / CHUNK)?[place % CHUNK].as_ref()
    }

    /// How many places there are, vacant ones included.
    pub(crate) fn places(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    pub(crate) fn group(&self, group: Group) -> &[u32] {
        self.groups.get(group as usize).map_or(&[], |list| list)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter().flatten())
    }

    fn slot(&mut self, place: u32) -> &mut Option<Row> {
        let place = place as usize;
        while self.chunks.len() <= place / CHUNK {
            self.chunks.push(Arc::new(array::from_fn(|_| None)));
        }
        &mut Arc::make_mut(&mut self.chunks[place / CHUNK])[place % CHUNK]
    }

    pub(crate) fn enter(&mut self, place: u32, worker: WorkerWithDpRank) {
        *self.slot(place) = Some(Row {
            shown: WorkerSlots {
                worker,
                slots: Slots::default(),
            },
            registered: false,
            group: Group::None,
            at: 0,
            evictable: 0,
            held: Arc::default(),
        });
        self.workers += 1;
    }

    pub(crate) fn leave(&mut self, place: u32) {
        self.change(place, |row| row.registered = false);
        if let Some(row) = self.slot(place).take() {
            self.total_slots -= row.shown.slots.capacity.map_or(0, u64::from);
            self.workers -= 1;
        }
    }

    pub(crate) fn set_capacity(&mut self, place: u32, capacity: Option<u32>) {
        let Some(row) = self.row(place) else {
            return;
        };
        self.total_slots -= row.shown.slots.capacity.map_or(0, u64::from);
        self.total_slots += capacity.map_or(0, u64::from);
        self.change(place, |row| row.shown.slots.capacity = capacity);
    }

    pub(crate) fn register(&mut self, place: u32) {
        self.change(place, |row| row.registered = true);
    }

    pub(crate) fn hold(&mut self, place: u32, lora: &Arc<WorkerLora>) {
        self.change(place, |row| {
            row.count(lora);
            Arc::make_mut(&mut row.held).push(Arc::clone(lora));
        });
    }

    pub(crate) fn let_go(&mut self, place: u32, at: usize) {
        self.change(place, |row| {
            let held = Arc::make_mut(&mut row.held);
            let lora = held.swap_remove(at);
            shrink(held.len(), held.capacity(), |room| held.shrink_to(room));
            row.discount(&lora);
        });
    }

    pub(crate) fn set_held(&mut self, place: u32, at: usize, lora: &Arc<WorkerLora>) {
        self.change(place, |row| {
            let held = Arc::make_mut(&mut row.held);
            let before = std::mem::replace(&mut held[at], Arc::clone(lora));
            row.discount(&before);
            row.count(lora);
        });
    }

    /// Changes a row, and moves it to the group where it belongs then.
    fn change(&mut self, place: u32, change: impl FnOnce(&mut Row)) {
        let Some(row) = self.slot(place) else {
            return;
        };
        change(row);
        let (before, now, at) = (row.group, row.wanted(), row.at);
        if before == now {
            return;
        }
        row.group = now;
        if let Some(list) = self.groups.get_mut(before as usize) {
            let list = Arc::make_mut(list);
            list.swap_remove(at as usize);
            let moved = list.get(at as usize).copied();
            shrink(list.len(), list.capacity(), |room| list.shrink_to(room));
            if let Some(moved) = moved
                && let Some(row) = self.slot(moved)
            {
                row.at = at;
            }
        }
        if let Some(list) = self.groups.get_mut(now as usize) {
            let list = Arc::make_mut(list);
            // No more than there are places, which are counted in 32 bits.
            let at = u32::try_from(list.len()).unwrap_or(u32::MAX);
            list.push(place);
            if let Some(row) = self.slot(place) {
                row.at = at;
            }
        }
    }

    /// Gives back the chunks at the end in which nobody stands.
    pub(crate) fn trim(&mut self) {
        let vacant = |chunk: &Arc<Chunk>| chunk.iter().all(Option::is_none);
        while self.chunks.last().is_some_and(vacant) {
            self.chunks.pop();
        }
        shrink(self.chunks.len(), self.chunks.capacity(), |room| {
            self.chunks.shrink_to(room);
        });
    }
}
