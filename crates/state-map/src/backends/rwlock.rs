//! One reader-writer lock around a hash table: the baseline that ADR-0003 rejected.
//!
//! Kept because a comparison without the baseline proves nothing. Every write stops every reader,
//! and readers share one lock word. The table is hashbrown's, as std's `HashMap` is: std's own
//! takes a key that it may not give back, and hashes it under the lock.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::RwLock;

use super::constructors;
use crate::{Access, DefaultHashBuilder, Shrink, StateMap};

/// A [`StateMap`] on a hash table behind one lock.
pub struct RwLockBackend<K, V, S = DefaultHashBuilder> {
    table: RwLock<HashTable<(K, V)>>,
    hasher: S,
}

constructors!(RwLockBackend, [BuildHasher], |capacity, hasher| {
    let table = RwLock::new(HashTable::with_capacity(capacity));
    RwLockBackend { table, hasher }
});

impl<K, V, S> StateMap for RwLockBackend<K, V, S>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
    S: BuildHasher + Send + Sync,
{
    type Key = K;
    type Value = V;
    type Guard<'a>
        = ()
    where
        Self: 'a;

    fn guard(&self) {}

    #[inline]
    fn read<Q, R>(access: &Access<'_, Self>, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let Self { table, hasher } = access.map();
        // Hashed under the lock: to keep the hash over the locking costs a batch of reads 3 %.
        let table = table.read();
        let hash = hasher.hash_one(key);
        let (_, value) = table.find(hash, |(k, _)| k.borrow() == key)?;
        Some(f(value))
    }

    fn insert_if_absent(access: &Access<'_, Self>, key: K, value: V) -> Result<(), V> {
        let Self { table, hasher } = access.map();
        let hash = hasher.hash_one(&key);
        let mut table = table.write();
        match table.entry(hash, |(k, _)| *k == key, |(k, _)| hasher.hash_one(k)) {
            Entry::Vacant(entry) => {
                entry.insert((key, value));
                Ok(())
            }
            Entry::Occupied(_) => {
                // Unlocked before the key, whose destructor is the user's, is dropped.
                drop(table);
                Err(value)
            }
        }
    }

    fn remove_if<Q>(
        access: &Access<'_, Self>,
        key: &Q,
        mut condition: impl FnMut(&V) -> bool,
    ) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let Self { table, hasher } = access.map();
        let hash = hasher.hash_one(key);
        let mut table = table.write();
        let Ok(entry) = table.find_entry(hash, |(k, _)| k.borrow() == key) else {
            return false;
        };
        if !condition(&entry.get().1) {
            return false;
        }
        let (removed, _) = entry.remove();
        // Unlocked before the entry, whose destructors are the user's, is dropped.
        drop(table);
        drop(removed);
        true
    }

    fn for_each(access: &Access<'_, Self>, mut f: impl FnMut(&K, &V)) {
        for (key, value) in access.map().table.read().iter() {
            f(key, value);
        }
    }

    fn len(&self) -> usize {
        self.table.read().len()
    }

    fn shrink(&self) -> Shrink {
        let hasher = &self.hasher;
        self.table
            .write()
            .shrink_to_fit(|(key, _)| hasher.hash_one(key));
        Shrink::Done
    }
}
