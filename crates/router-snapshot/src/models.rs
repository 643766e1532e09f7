//! Which models are served, and by how many workers of each class: a persistent table.
//!
//! # Design
//!
//! 64 hash tables by hash of the name, each behind an `Arc`. A clone is one reference count; a change to a clone copies
//! the 64 pointers and the one table that it touches, and shares the rest with the original.
//!
//! # Why
//!
//! Measured with names of 40 bytes, ns, a lookup at 1,000 / 10,000 models (with the load of the snapshot) and a change
//! at 10,000, on a machine that others were using:
//!
//! | | lookup | change |
//! |---|--:|--:|
//! | one table, copied whole | 18 / 29 | all of it |
//! | imbl's hash trie | 40 / 72 | 1,300 |
//! | rpds's hash trie | 39 / 112 | 1,150 |
//! | 64 shared tables | 31 / 41 | 2,000 |
//! | 256 shared tables | 22 / 34 | 2,400 |
//!
//! A trie follows a pointer for every five bits of the hash, and lookups are for every request. 256 tables make the
//! change of a small table dear, since all their counts are written.
//!
//! # Invariants
//!
//! - A model is in the table exactly if a worker names it, healthy or not.

use std::array;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use state_map::DefaultHashBuilder;

use crate::RouterClass;
use crate::router::CLASSES;

const TABLES: usize = 64;

#[derive(Clone)]
struct Model {
    name: Arc<str>,
    /// Workers that name it, healthy or not.
    workers: u32,
    healthy: Classes,
    /// The classes that have a healthy one: what lookups are after.
    served: ClassSet,
}

/// Some of the classes, a bit each, from the one that is preferred most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassSet(u8);

impl ClassSet {
    #[inline]
    pub(crate) fn with(self, class: RouterClass, present: bool) -> Self {
        Self(self.0 | u8::from(present) << class.index())
    }

    #[inline]
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The index of the best one.
    #[inline]
    pub(crate) fn best(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    pub(crate) fn has_kind(self, pd: bool) -> bool {
        let of_kind = RouterClass::ALL
            .into_iter()
            .filter(|class| class.is_pd() == pd);
        let kind = of_kind.fold(Self::default(), |set, class| set.with(class, true));
        self.and(kind) != Self::default()
    }
}

/// How many healthy workers there are of each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes([u32; CLASSES]);

impl Classes {
    pub(crate) fn add(&mut self, class: RouterClass) {
        self.0[class.index()] += 1;
    }

    pub(crate) fn remove(&mut self, class: RouterClass) {
        self.0[class.index()] -= 1;
    }

    /// The classes that have one, without a branch for each.
    #[inline]
    pub(crate) fn present(&self) -> ClassSet {
        let classes = RouterClass::ALL.into_iter();
        classes.fold(ClassSet::default(), |set, class| {
            set.with(class, self.0[class.index()] > 0)
        })
    }
}

#[derive(Clone)]
pub(crate) struct Models {
    hasher: DefaultHashBuilder,
    tables: Arc<[Arc<HashTable<Model>>; TABLES]>,
    count: usize,
}

impl Default for Models {
    fn default() -> Self {
        let empty = Arc::default();
        Self {
            hasher: DefaultHashBuilder::default(),
            tables: Arc::new(array::from_fn(|_| Arc::clone(&empty))),
            count: 0,
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
    #[inline]
    pub(crate) fn served(&self, name: &str) -> Option<ClassSet> {
        let hash = hash_of(&self.hasher, name);
        let model = self.tables[table_of(hash)].find(hash, |model| &*model.name == name)?;
        Some(model.served)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tables
            .iter()
            .flat_map(|table| table.iter())
            .map(|model| &model.name)
    }

    /// A worker of a class has come that names this model.
    pub(crate) fn add(&mut self, name: &Arc<str>, class: RouterClass, healthy: bool) {
        let (table, entry_hash) = self.table(name);
        let (table, hasher) = table;
        let entry = table.entry(
            entry_hash,
            |model| model.name == *name,
            |model| hash_of(hasher, &model.name),
        );
        let fresh = matches!(entry, Entry::Vacant(_));
        let mut model = entry.or_insert_with(|| Model {
            name: Arc::clone(name),
            workers: 0,
            healthy: Classes::default(),
            served: ClassSet::default(),
        });
        let model = model.get_mut();
        model.workers += 1;
        if healthy {
            model.healthy.add(class);
            model.served = model.healthy.present();
        }
        self.count += usize::from(fresh);
    }

    /// A worker has gone that had been added.
    pub(crate) fn remove(&mut self, name: &Arc<str>, class: RouterClass, healthy: bool) {
        let ((table, _), hash) = self.table(name);
        let Ok(mut entry) = table.find_entry(hash, |model| model.name == *name) else {
            return;
        };
        let model = entry.get_mut();
        if healthy {
            model.healthy.remove(class);
            model.served = model.healthy.present();
        }
        model.workers -= 1;
        if model.workers == 0 {
            entry.remove();
            self.count -= 1;
        }
    }

    /// The table of a name, no longer shared with anybody.
    fn table(&mut self, name: &str) -> ((&mut HashTable<Model>, &DefaultHashBuilder), u64) {
        let hash = hash_of(&self.hasher, name);
        let tables = Arc::make_mut(&mut self.tables);
        let table = Arc::make_mut(&mut tables[table_of(hash)]);
        ((table, &self.hasher), hash)
    }
}
