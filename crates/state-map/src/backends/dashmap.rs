//! DashMap: shards, each a hash table behind a reader-writer lock that spins, then parks.
//!
//! A read writes the lock word of its shard, twice: readers of one shard share a cache line even
//! where they share no entry. A reader enters while others read, whoever waits to write: see the
//! README on waiting. The table grows a shard at a time, under that shard's lock, and never shrinks
//! unless asked to.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use ::dashmap::{DashMap, Entry};

use super::constructors;
use crate::config::{check_capacity, check_shards};
use crate::{Access, ConfigError, DefaultHashBuilder, Shrink, StateMap};

/// A [`StateMap`] on [`DashMap`], the default.
///
/// It has four shards for each core, rounded up to a power of two, unless
/// [told otherwise](Self::with_capacity_hasher_and_shards).
pub struct DashMapBackend<K, V, S = DefaultHashBuilder>(DashMap<K, V, S>);

constructors!(DashMapBackend, [BuildHasher + Clone], |capacity, hasher| {
    DashMapBackend(DashMap::with_capacity_and_hasher(capacity, hasher))
});

impl<K: Eq + Hash, V, S: BuildHasher + Clone> DashMapBackend<K, V, S> {
    /// An empty map with room for `capacity` entries, spread over `shards` shards, which hashes by
    /// `hasher`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where `capacity` is over [`MAX_CAPACITY`](crate::MAX_CAPACITY), or `shards`
    /// is not a power of two from 2 to [`MAX_SHARDS`](crate::MAX_SHARDS).
    pub fn with_capacity_hasher_and_shards(
        capacity: usize,
        hasher: S,
        shards: usize,
    ) -> Result<Self, ConfigError> {
        let (capacity, shards) = (check_capacity(capacity)?, check_shards(shards)?);
        let map = DashMap::with_capacity_and_hasher_and_shard_amount(capacity, hasher, shards);
        Ok(Self(map))
    }
}

impl<K, V, S> StateMap for DashMapBackend<K, V, S>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
    S: BuildHasher + Clone + Send + Sync,
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
        access.map().0.get(key).map(|entry| f(entry.value()))
    }

    fn insert_if_absent(access: &Access<'_, Self>, key: K, value: V) -> Result<(), V> {
        match access.map().0.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
            Entry::Occupied(entry) => {
                // Unlocks the shard before the key, whose destructor is the user's, is dropped.
                drop(entry.into_key());
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
        // What comes back is dropped here, where nothing is locked any more.
        let removed = access.map().0.remove_if(key, |_, value| condition(value));
        removed.is_some()
    }

    fn for_each(access: &Access<'_, Self>, mut f: impl FnMut(&K, &V)) {
        for entry in &access.map().0 {
            f(entry.key(), entry.value());
        }
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn shard_lens(&self) -> Option<Vec<usize>> {
        let shards = self.0.shards().iter();
        Some(shards.map(|shard| shard.read().len()).collect())
    }

    fn shrink(&self) -> Shrink {
        self.0.shrink_to_fit();
        Shrink::Done
    }
}
