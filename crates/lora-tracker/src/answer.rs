//! What reads answer: guards, each on one snapshot.
//!
//! # Design
//!
//! A guard keeps the snapshot that it was answered from, and where in it the answer is. It holds no lock, delays nobody,
//! and may live across an `.await`; what it costs to keep is said at each. All are lazy: they walk nothing until they
//! are iterated.

use std::fmt;
use std::ops::Deref;
use std::slice;
use std::sync::Arc;

use published::Reading;
use worker_id::WorkerWithDpRank;

use crate::snapshot::{Adapter, Snapshot, WorkerSlots};

/// The workers that have an adapter: a slice, in order. Empty if there is none.
///
/// Where a guard is held while two changes are made, the second copies the table of workers and the index of adapters.
pub struct LoadedWorkers {
    snapshot: Reading<Snapshot>,
    adapter: Option<usize>,
}

impl LoadedWorkers {
    #[inline]
    pub(crate) fn new(snapshot: Reading<Snapshot>, name: &str) -> Self {
        let adapter = snapshot.index_of(name);
        Self { snapshot, adapter }
    }
}

impl Deref for LoadedWorkers {
    type Target = [WorkerWithDpRank];

    #[inline]
    fn deref(&self) -> &[WorkerWithDpRank] {
        self.adapter
            .and_then(|index| self.snapshot.adapter_at(index))
            .map_or(&[], Adapter::workers)
    }
}

impl fmt::Debug for LoadedWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

/// Workers with their slots, of one instant, in no order: all of them, or those with a free slot.
///
/// To keep one costs what it does with [`LoadedWorkers`].
pub struct Workers {
    snapshot: Reading<Snapshot>,
    with_room: bool,
}

impl Workers {
    pub(crate) fn new(snapshot: Reading<Snapshot>, with_room: bool) -> Self {
        Self {
            snapshot,
            with_room,
        }
    }

    /// Walks the table of workers, and skips those that are not asked for.
    #[inline]
    pub fn iter(&self) -> WorkerIter<'_> {
        WorkerIter::all(&self.snapshot, self.with_room)
    }
}

impl<'a> IntoIterator for &'a Workers {
    type Item = &'a WorkerSlots;
    type IntoIter = WorkerIter<'a>;

    #[inline]
    fn into_iter(self) -> WorkerIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Where a request for an adapter may go, of one instant: the workers that have it, if any of them has a free slot; else
/// all workers that have one.
///
/// To keep one costs what it does with [`LoadedWorkers`].
pub struct Candidates {
    snapshot: Reading<Snapshot>,
    /// Nothing where the adapter would have to be loaded first.
    adapter: Option<usize>,
}

impl Candidates {
    #[inline]
    pub(crate) fn new(snapshot: Reading<Snapshot>, name: &str) -> Self {
        let with_room = |index: &usize| {
            let adapter = snapshot.adapter_at(*index);
            adapter.is_some_and(|adapter| WorkerIter::of(&snapshot, adapter).next().is_some())
        };
        let adapter = snapshot.index_of(name).filter(with_room);
        Self { snapshot, adapter }
    }

    /// Whether these have the adapter already.
    #[must_use]
    pub fn are_loaded(&self) -> bool {
        self.adapter.is_some()
    }

    /// Each with its slots, of which at least one is free: in order where they have the adapter, else in no order.
    #[inline]
    pub fn iter(&self) -> WorkerIter<'_> {
        let adapter = self
            .adapter
            .and_then(|index| self.snapshot.adapter_at(index));
        match adapter {
            Some(adapter) => WorkerIter::of(&self.snapshot, adapter),
            None => WorkerIter::all(&self.snapshot, true),
        }
    }
}

impl<'a> IntoIterator for &'a Candidates {
    type Item = &'a WorkerSlots;
    type IntoIter = WorkerIter<'a>;

    #[inline]
    fn into_iter(self) -> WorkerIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidates")
            .field("are_loaded", &self.are_loaded())
            .field("workers", &self.iter().collect::<Vec<_>>())
            .finish()
    }
}

/// The names of all adapters that some worker has, of one instant, each once, in no order.
///
/// To keep one costs what it does with [`LoadedWorkers`].
pub struct Loras(Reading<Snapshot>);

impl Loras {
    pub(crate) fn new(snapshot: Reading<Snapshot>) -> Self {
        Self(snapshot)
    }

    /// Each name, which may be kept by a count of its own.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.0.adapters().map(|(name, _)| name)
    }
}

impl fmt::Debug for Loras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Walks workers of one snapshot.
#[derive(Clone, Debug)]
pub struct WorkerIter<'a> {
    rows: &'a [Option<WorkerSlots>],
    walk: Walk<'a>,
}

#[derive(Clone, Debug)]
enum Walk<'a> {
    All(slice::Iter<'a, Option<WorkerSlots>>),
    WithRoom(slice::Iter<'a, Option<WorkerSlots>>),
    WithRoomAmong(slice::Iter<'a, u32>),
}

impl<'a> WorkerIter<'a> {
    #[inline]
    pub(crate) fn all(snapshot: &'a Snapshot, with_room: bool) -> Self {
        let rows = snapshot.rows();
        let walk = if with_room {
            Walk::WithRoom(rows.iter())
        } else {
            Walk::All(rows.iter())
        };
        Self { rows, walk }
    }

    /// Those with room among the workers of an adapter.
    #[inline]
    pub(crate) fn of(snapshot: &'a Snapshot, adapter: &'a Adapter) -> Self {
        Self {
            rows: snapshot.rows(),
            walk: Walk::WithRoomAmong(adapter.places().iter()),
        }
    }
}

impl<'a> Iterator for WorkerIter<'a> {
    type Item = &'a WorkerSlots;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let with_room = |row: &&WorkerSlots| row.slots.has_room();
        match &mut self.walk {
            Walk::All(rows) => rows.flatten().next(),
            Walk::WithRoom(rows) => rows.flatten().find(with_room),
            Walk::WithRoomAmong(places) => places
                .filter_map(|place| self.rows.get(*place as usize)?.as_ref())
                .find(with_room),
        }
    }
}
