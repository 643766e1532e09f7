//! One reader-writer lock around std's `HashMap`: the baseline that ADR-0003 rejected.
//!
//! Kept because a comparison without the baseline proves nothing. Every write stops every reader, and readers
//! share one lock word.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash};

use parking_lot::RwLock;

use super::constructors;
use crate::{DefaultHashBuilder, LocalSession, MapSession, Occupied, Retire, Shrink, StateMap};

/// A [`StateMap`] on a locked [`HashMap`].
pub struct RwLockBackend<K, V, S = DefaultHashBuilder> {
    map: RwLock<HashMap<K, V, S>>,
}

constructors!(
    RwLockBackend,
    [BuildHasher],
    |capacity, hasher| RwLock::new(HashMap::with_capacity_and_hasher(capacity, hasher))
);

impl<K, V, S> StateMap for RwLockBackend<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Retire + Send + Sync,
    S: BuildHasher + Send + Sync,
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
        self.map.read().len()
    }

    fn shrink(&self) -> Shrink {
        self.map.write().shrink_to_fit();
        Shrink::Done
    }
}

impl<K, V, S> MapSession for LocalSession<'_, RwLockBackend<K, V, S>>
where
    K: Eq + Hash + Clone,
    V: Retire,
    S: BuildHasher,
{
    type Key = K;
    type Value = V;

    #[inline]
    fn read<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.map.read().get(key).map(f)
    }

    fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        match self.map.map.write().entry(key) {
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
        let mut map = self.map.map.write();
        if !condition(map.get(key)?) {
            return None;
        }
        let (_key, value) = map.remove_entry(key)?;
        drop(map);
        Some(value.retire())
    }

    fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for (key, value) in self.map.map.read().iter() {
            f(key, value);
        }
    }
}
