//! Which models are served, by whom: a persistent table.
//!
//! 64 hash tables by hash of the name, each behind an `Arc`. A clone is one reference count; a
//! change to a clone copies the 64 pointers and the one table that it touches, and shares the rest
//! with the original. What was tried instead, with figures: `docs/router-snapshot-performance.md`.
//!
//! # Invariants
//!
//! 1. A model is in the table exactly if a worker names it, whatever the worker's state. Workers
//!    that name none are under the empty name, which `get` does not answer.
//! 2. `served[d]` of a model is `pools.served(d)`; `Models::served[d]` counts those of all models.

use std::array;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use state_map::DefaultHashBuilder;

use crate::Worker;
use crate::pool::{ClassSet, Pools, Served};

const TABLES: usize = 64;

/// What workers that name no model are under.
const NAMELESS: &str = "";

#[derive(Clone)]
pub(crate) struct Model {
    name: Arc<str>,
    /// The classes that can serve it: new requests; and requests that draining workers may have.
    served: [ClassSet; 2],
    pools: Arc<Pools>,
}

impl Model {
    #[inline]
    pub(crate) fn served(&self, draining: bool) -> ClassSet {
        self.served[usize::from(draining)]
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }
}

#[derive(Clone)]
pub(crate) struct Models {
    hasher: DefaultHashBuilder,
    tables: Arc<[Arc<HashTable<Model>>; TABLES]>,
    count: usize,
    served: [Served; 2],
}

impl Default for Models {
    fn default() -> Self {
        let empty = Arc::default();
        Self {
            hasher: DefaultHashBuilder::default(),
            tables: Arc::new(array::from_fn(|_| Arc::clone(&empty))),
            count: 0,
            served: Default::default(),
        }
    }
}

/// Of the bytes alone: `str` adds one, so that parts of a longer key stay apart.
#[inline]
fn hash_of(hasher: &DefaultHashBuilder, name: &str) -> u64 {
    let mut hash = hasher.build_hasher();
    hash.write(name.as_bytes());
    hash.finish()
}

/// By bits that a table does not choose its slots by.
fn table_of(hash: u64) -> usize {
    (hash >> 32) as usize % TABLES
}

impl Models {
    /// A model that has a name.
    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<&Model> {
        if *name == *NAMELESS {
            return None;
        }
        let hash = hash_of(&self.hasher, name);
        self.tables[table_of(hash)].find(hash, |model| &*model.name == name)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        let models = self.tables.iter().flat_map(|table| table.iter());
        models
            .map(|model| &model.name)
            .filter(|name| ***name != *NAMELESS)
    }

    /// The classes that serve any model.
    pub(crate) fn served(&self, draining: bool) -> ClassSet {
        self.served[usize::from(draining)].classes()
    }

    pub(crate) fn add<W>(&mut self, worker: &Worker<W>, place: u32) {
        self.change(worker, |pools| {
            pools.insert(worker.class(), worker.role, place, worker.state());
        });
    }

    /// A worker has gone that had been added.
    pub(crate) fn remove<W>(&mut self, worker: &Worker<W>, place: u32) {
        self.change(worker, |pools| {
            pools.remove(worker.class(), worker.role, place, worker.state());
        });
    }

    /// Changes the pools of each model that a worker names, once.
    fn change<W>(&mut self, worker: &Worker<W>, mut change: impl FnMut(&mut Pools)) {
        if worker.models.is_empty() {
            self.change_model(&Arc::from(NAMELESS), &mut change);
        }
        for (at, name) in worker.models.iter().enumerate() {
            if !worker.models[..at].contains(name) {
                self.change_model(name, &mut change);
            }
        }
    }

    fn change_model(&mut self, name: &Arc<str>, change: &mut impl FnMut(&mut Pools)) {
        let hash = hash_of(&self.hasher, name);
        let hasher = &self.hasher;
        let tables = Arc::make_mut(&mut self.tables);
        let table = Arc::make_mut(&mut tables[table_of(hash)]);
        let entry = table.entry(
            hash,
            |model| model.name == *name,
            |model| hash_of(hasher, &model.name),
        );
        let mut entry = match entry {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                self.count += usize::from(**name != *NAMELESS);
                entry.insert(Model {
                    name: Arc::clone(name),
                    served: Default::default(),
                    pools: Arc::default(),
                })
            }
        };
        let model = entry.get_mut();
        let pools = Arc::make_mut(&mut model.pools);
        change(pools);
        let served = [false, true].map(|draining| pools.served(draining));
        for ((total, before), now) in self.served.iter_mut().zip(model.served).zip(served) {
            total.replace(before, now);
        }
        model.served = served;
        if pools.iter().all(|pool| pool.all().is_empty()) {
            entry.remove();
            self.count -= usize::from(**name != *NAMELESS);
        }
    }
}
