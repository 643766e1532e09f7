//! papaya: open addressing without locks, entries behind pointers, memory reclaimed by seize.
//!
//! A read writes nothing that another thread reads, but for the pin, which is the thread's own. What is
//! removed stays allocated until every session that was open then has closed. The table grows
//! incrementally, and shrinks only as far as a later resize happens to.
//!
//! Two traps: the condition of `remove_if` runs on a value that others may be changing, and runs again where
//! the entry moved to a larger table; and an iteration may stop making progress while keys with *equal full
//! hashes* are being inserted, so a hasher that is not seeded must not meet keys from outside.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use ::papaya::{HashMap, HashMapRef, LocalGuard};

use super::constructors;
use crate::{DefaultHashBuilder, MapSession, Occupied, Retire, Shrink, StateMap};

/// A [`StateMap`] on papaya's [`HashMap`].
pub struct PapayaBackend<K, V, S = DefaultHashBuilder> {
    map: HashMap<K, V, S>,
}

constructors!(
    PapayaBackend,
    [BuildHasher],
    HashMap::with_capacity_and_hasher
);

impl<K, V, S> StateMap for PapayaBackend<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Retire + Send + Sync,
    S: BuildHasher + Send + Sync,
{
    type Key = K;
    type Value = V;
    type Session<'a>
        = PapayaSession<'a, K, V, S>
    where
        Self: 'a;

    #[inline]
    fn session(&self) -> Self::Session<'_> {
        PapayaSession {
            pinned: self.map.pin(),
        }
    }

    fn len(&self) -> usize {
        self.map.len()
    }

    fn shrink(&self) -> Shrink {
        Shrink::Unsupported
    }
}

/// A session on a [`PapayaBackend`]: the map, pinned.
pub struct PapayaSession<'a, K, V, S> {
    pinned: HashMapRef<'a, K, V, S, LocalGuard<'a>>,
}

impl<K, V, S> fmt::Debug for PapayaSession<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PapayaSession").finish_non_exhaustive()
    }
}

impl<K, V, S> MapSession for PapayaSession<'_, K, V, S>
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
        self.pinned.get(key).map(f)
    }

    fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        match self.pinned.try_insert(key, value) {
            Ok(_) => Ok(()),
            Err(error) => Err(Occupied {
                occupant: occupied(error.current),
                rejected: error.not_inserted,
            }),
        }
    }

    fn remove_if<Q>(&self, key: &Q, mut condition: impl FnMut(&V) -> bool) -> Option<V::Payload>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        match self.pinned.remove_if(key, |_, value| condition(value)) {
            Ok(Some((_, value))) => Some(value.retire()),
            Ok(None) | Err(_) => None,
        }
    }

    fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for (key, value) in &self.pinned {
            f(key, value);
        }
    }
}
