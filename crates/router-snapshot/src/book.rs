//! What only changes look at: the order of routers, and what is known of whom as of when.
//!
//! # Invariants
//!
//! 1. `order` has each registered router once, by class and number, with its place.
//! 2. `records[p]` is of the worker that stands at `p` in the published snapshot.
//! 3. A place is in `vacant` exactly if it is below the end and nobody stands there.

use std::collections::{BTreeMap, BTreeSet};

use worker_id::{Known, Lives};

use crate::RouterClass;

/// Whoever has the manager's lock has this.
#[derive(Default)]
pub(crate) struct Book {
    /// Routers in the order of registration, by class.
    pub(crate) order: BTreeMap<(RouterClass, u64), u32>,
    /// How many have ever been registered.
    pub(crate) registrations: u64,
    pub(crate) router_places: Places,
    pub(crate) worker_places: Places,
    pub(crate) records: BTreeMap<u32, Record>,
    /// Which news of workers is believed.
    pub(crate) lives: Lives,
}

/// As of which revisions something is known of a worker.
pub(crate) struct Record {
    pub(crate) known: Known,
    pub(crate) spec: Option<u64>,
    pub(crate) state: Option<u64>,
}

/// Which places of a table are free.
#[derive(Default)]
pub(crate) struct Places {
    end: u32,
    vacant: BTreeSet<u32>,
}

impl Places {
    /// The lowest that nobody stands at.
    pub(crate) fn take(&mut self) -> u32 {
        self.vacant.pop_first().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }

    pub(crate) fn give_back(&mut self, place: u32) {
        self.vacant.insert(place);
        while let Some(last) = self.end.checked_sub(1)
            && self.vacant.remove(&last)
        {
            self.end = last;
        }
    }
}
