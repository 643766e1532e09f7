//! scc: buckets of up to 32 entries, each behind a reader-writer lock that spins, then parks.
//!
//! A read writes the lock word of its bucket. Growing and shrinking move a bucket at a time, by whoever comes
//! across it. Keys and values are moved and dropped in place; only the bucket arrays are reclaimed later.
//!
//! Only the `_sync` methods are used. With more threads than cores an exclusive lock on a hot bucket is
//! lost to preempted holders, shared ones are not: the contract's hot path is a read.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use ::scc::HashMap;
use ::scc::hash_map::Entry;

use super::constructors;
use crate::{DefaultHashBuilder, LocalSession, MapSession, Occupied, Retire, Shrink, StateMap};

/// A [`StateMap`] on scc's [`HashMap`].
///
/// It never shrinks below the capacity it was built with.
pub struct SccBackend<K, V, S = DefaultHashBuilder>
where
    S: BuildHasher,
{
    map: HashMap<K, V, S>,
}

constructors!(SccBackend, [BuildHasher], HashMap::with_capacity_and_hasher);

impl<K, V, S> StateMap for SccBackend<K, V, S>
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
        self.map.len()
    }

    fn shrink(&self) -> Shrink {
        Shrink::Automatic
    }
}

impl<K, V, S> MapSession for LocalSession<'_, SccBackend<K, V, S>>
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
        self.map.map.read_sync(key, |_, value| f(value))
    }

    fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        match self.map.map.entry_sync(key) {
            Entry::Vacant(entry) => {
                entry.insert_entry(value);
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
        let (_key, value) = self.map.map.remove_if_sync(key, |value| condition(value))?;
        Some(value.retire())
    }

    fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        self.map.map.iter_sync(|key, value| {
            f(key, value);
            true
        });
    }
}
