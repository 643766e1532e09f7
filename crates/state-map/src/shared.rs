//! An `Arc` of a map is a map: what stands on it, and whoever watches it, share it.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use crate::{Access, Shrink, StateMap};

/// Keep a clone of the `Arc` to [`shrink`](StateMap::shrink) or count a map that something else
/// stands on.
impl<M: StateMap> StateMap for Arc<M> {
    type Key = M::Key;
    type Value = M::Value;
    type Guard<'a>
        = Access<'a, M>
    where
        Self: 'a;

    #[inline]
    fn guard(&self) -> Access<'_, M> {
        self.as_ref().access()
    }

    #[inline]
    fn read<Q, R>(access: &Access<'_, Self>, key: &Q, f: impl FnOnce(&M::Value) -> R) -> Option<R>
    where
        M::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        access.guard().read(key, f)
    }

    fn insert_if_absent(
        access: &Access<'_, Self>,
        key: M::Key,
        value: M::Value,
    ) -> Result<(), M::Value> {
        access.guard().insert_if_absent(key, value)
    }

    fn remove_if<Q>(
        access: &Access<'_, Self>,
        key: &Q,
        condition: impl FnMut(&M::Value) -> bool,
    ) -> bool
    where
        M::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        access.guard().remove_if(key, condition)
    }

    fn for_each(access: &Access<'_, Self>, f: impl FnMut(&M::Key, &M::Value)) {
        access.guard().for_each(f);
    }

    fn len(&self) -> usize {
        self.as_ref().len()
    }

    fn shard_lens(&self) -> Option<Vec<usize>> {
        self.as_ref().shard_lens()
    }

    fn shrink(&self) -> Shrink {
        self.as_ref().shrink()
    }
}
