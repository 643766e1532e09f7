//! papaya: open addressing without locks, entries behind pointers, memory reclaimed by seize.
//!
//! A read writes nothing that another thread reads, but for the pin, which is the thread's own.
//! What is removed stays allocated until every access that was open then has closed. The table
//! grows incrementally, and shrinks only as far as a later resize happens to.
//!
//! Two traps: the condition of `remove_if` runs on a value that others may be changing, and runs
//! again where the entry moved to a larger table; and an iteration may stop making progress while
//! keys with *equal full hashes* are being inserted, so a hasher that is not seeded must not meet
//! keys from outside.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

use ::papaya::{HashMap, HashMapRef, LocalGuard};

use super::constructors;
use crate::{Access, DefaultHashBuilder, StateMap};

/// A [`StateMap`] on papaya's [`HashMap`].
pub struct PapayaBackend<K, V, S = DefaultHashBuilder>(HashMap<K, V, S>);

constructors!(PapayaBackend, [BuildHasher], |capacity, hasher| {
    PapayaBackend(HashMap::with_capacity_and_hasher(capacity, hasher))
});

/// What an access to a [`PapayaBackend`] holds: the map, pinned.
pub struct PapayaGuard<'a, K, V, S>(HashMapRef<'a, K, V, S, LocalGuard<'a>>);

impl<K, V, S> fmt::Debug for PapayaGuard<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PapayaGuard").finish_non_exhaustive()
    }
}

impl<K, V, S> StateMap for PapayaBackend<K, V, S>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
    S: BuildHasher + Send + Sync,
{
    type Key = K;
    type Value = V;
    type Guard<'a>
        = PapayaGuard<'a, K, V, S>
    where
        Self: 'a;

    #[inline]
    fn guard(&self) -> Self::Guard<'_> {
        PapayaGuard(self.0.pin())
    }

    #[inline]
    fn read<Q, R>(access: &Access<'_, Self>, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        access.guard().0.get(key).map(f)
    }

    fn insert_if_absent(access: &Access<'_, Self>, key: K, value: V) -> Result<(), V> {
        match access.guard().0.try_insert(key, value) {
            Ok(_) => Ok(()),
            Err(taken) => Err(taken.not_inserted),
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
        let removed = access.guard().0.remove_if(key, |_, value| condition(value));
        matches!(removed, Ok(Some(_)))
    }

    fn for_each(access: &Access<'_, Self>, mut f: impl FnMut(&K, &V)) {
        for (key, value) in &access.guard().0 {
            f(key, value);
        }
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}
