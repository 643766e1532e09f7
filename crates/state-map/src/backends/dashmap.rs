//! DashMap: shards, each a hash table behind a reader-writer lock that spins, then parks.
//!
//! A read writes the lock word of its shard, twice: readers of one shard share a cache line even where they
//! share no entry. The table grows a shard at a time, under that shard's lock, and never shrinks unless
//! asked to.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use ::dashmap::{DashMap, Entry};

use super::constructors;
use crate::config::{check_capacity, check_shards};
use crate::{
    ConfigError, DefaultHashBuilder, LocalSession, MapSession, Occupied, Retire, Shrink, StateMap,
};

/// A [`StateMap`] on [`DashMap`], the default.
///
/// It has four shards for each core, rounded up to a power of two, unless
/// [told otherwise](Self::with_capacity_hasher_and_shards).
pub struct DashMapBackend<K, V, S = DefaultHashBuilder> {
    map: DashMap<K, V, S>,
}

constructors!(
    DashMapBackend,
    [BuildHasher + Clone],
    DashMap::with_capacity_and_hasher
);

impl<K: Eq + Hash, V, S: BuildHasher + Clone> DashMapBackend<K, V, S> {
    /// An empty map with room for `capacity` entries, spread over `shards` shards, which hashes by `hasher`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where `capacity` is over [`MAX_CAPACITY`](crate::MAX_CAPACITY), or `shards` is not a
    /// power of two from 2 to [`MAX_SHARDS`](crate::MAX_SHARDS).
    pub fn with_capacity_hasher_and_shards(
        capacity: usize,
        hasher: S,
        shards: usize,
    ) -> Result<Self, ConfigError> {
        let (capacity, shards) = (check_capacity(capacity)?, check_shards(shards)?);
        Ok(Self {
            map: DashMap::with_capacity_and_hasher_and_shard_amount(capacity, hasher, shards),
        })
    }
}

impl<K, V, S> StateMap for DashMapBackend<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Retire + Send + Sync,
    S: BuildHasher + Clone + Send + Sync,
{
    type Key = K;
    type Value = V;
    type Session<'a>
        = LocalSession<'a, Self>
    where
        Self: 'a;

    fn session(&self) -> Self::Session<'_> {
        LocalSession::new(self)
    }

    fn len(&self) -> usize {
        self.map.len()
    }

    fn shard_lens(&self) -> Option<Vec<usize>> {
        Some(
            self.map
                .shards()
                .iter()
                .map(|shard| shard.read().len())
                .collect(),
        )
    }

    fn shrink(&self) -> Shrink {
        self.map.shrink_to_fit();
        Shrink::Done
    }
}

impl<K, V, S> MapSession for LocalSession<'_, DashMapBackend<K, V, S>>
where
    K: Eq + Hash + Clone,
    V: Retire,
    S: BuildHasher + Clone,
{
    type Key = K;
    type Value = V;

    #[inline]
    fn read<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.map.get(key).map(|entry| f(entry.value()))
    }

    fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        match self.map.map.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
            Entry::Occupied(entry) => Err(Occupied {
                occupant: occupied(entry.get()),
                rejected: value,
            }),
        }
    }

    fn remove_if<Q>(&self, key: &Q, mut condition: impl FnMut(&V) -> bool) -> Option<V::Payload>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (_key, value) = self.map.map.remove_if(key, |_, value| condition(value))?;
        Some(value.retire())
    }

    fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for entry in &self.map.map {
            f(entry.key(), entry.value());
        }
    }
}
