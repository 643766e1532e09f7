//! scc: buckets of up to 32 entries, each behind a reader-writer lock that spins, then parks.
//!
//! A read writes the lock word of its bucket. Growing and shrinking move a bucket at a time, by
//! whoever comes across it. Keys and values are moved and dropped in place; only the bucket arrays
//! are reclaimed later.
//!
//! Only the `_sync` methods are used. With more threads than cores an exclusive lock on a hot
//! bucket is lost to preempted holders, shared ones are not: the contract's hot path is a read.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use ::scc::HashMap;

use super::constructors;
use crate::{Access, DefaultHashBuilder, Shrink, StateMap};

/// A [`StateMap`] on scc's [`HashMap`].
///
/// It never shrinks below the capacity it was built with.
pub struct SccBackend<K, V, S = DefaultHashBuilder>(HashMap<K, V, S>)
where
    S: BuildHasher;

constructors!(SccBackend, [BuildHasher], |capacity, hasher| SccBackend(
    HashMap::with_capacity_and_hasher(capacity, hasher)
));

impl<K, V, S> StateMap for SccBackend<K, V, S>
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
        access.map().0.read_sync(key, |_, value| f(value))
    }

    fn insert_if_absent(access: &Access<'_, Self>, key: K, value: V) -> Result<(), V> {
        // Not through `entry_sync`, which drops a rejected key while the bucket is locked. This
        // gives it back.
        let taken = access.map().0.insert_sync(key, value);
        taken.map_err(|(_key, value)| value)
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
        let removed = access.map().0.remove_if_sync(key, |value| condition(value));
        removed.is_some()
    }

    fn for_each(access: &Access<'_, Self>, mut f: impl FnMut(&K, &V)) {
        access.map().0.iter_sync(|key, value| {
            f(key, value);
            true
        });
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn shrink(&self) -> Shrink {
        Shrink::Automatic
    }
}
