//! [`StateMap`]: what a concurrent map of request state promises, at its weakest backend.
//!
//! # Invariants
//!
//! 1. An entry's value is one object from `insert_if_absent` to `remove_if`. Nothing replaces it.
//! 2. Of all removals of one entry, exactly one answers `true`.
//! 3. Operations on one key are linearizable. `for_each` and `len` touch many, and are not.
//! 4. No lock is held between two calls, and no destructor of the user's runs under one.
//!
//! Proof: `conformance` (on every backend, and on maps broken on purpose),
//! `tests/it/linearizability.rs` and `tests/loom.rs`. Why it is this way:
//! `adr/0002-the-map-seam.md`.

use std::borrow::Borrow;
use std::hash::Hash;

use crate::Access;

/// A concurrent map whose values are shared and carry their own mutability.
///
/// Whoever *uses* a map opens an [`access`](Self::access), which has the operations and says what
/// each promises. Whoever *writes* a map implements the functions below, which are those
/// operations: [`Access::map`] is the map and [`Access::guard`] what it handed out in
/// [`guard`](Self::guard). Then [`conformance!`](crate::conformance!) tests it. An example is in
/// the crate's documentation.
pub trait StateMap: Send + Sync + Sized {
    /// What entries are found by.
    ///
    /// `eq` may run under a lock of the map, and so may `hash`: of every key in a table that grows,
    /// and of the key of a `read`. So neither may use the map.
    type Key: Eq + Hash + Send + Sync;

    /// Shared by all who read the entry. What changes inside it changes through atomics or a lock.
    type Value: Send + Sync;

    /// What an access holds while it is open: papaya's guard, `()` where there is nothing to hold.
    type Guard<'a>
    where
        Self: 'a;

    /// What the next access is to hold.
    fn guard(&self) -> Self::Guard<'_>;

    /// Opens an access: free, but for papaya, which pins the map: a store, and a fence where the
    /// kernel has no `membarrier`.
    #[inline]
    fn access(&self) -> Access<'_, Self> {
        Access::new(self)
    }

    /// [`Access::read`].
    fn read<Q, R>(
        access: &Access<'_, Self>,
        key: &Q,
        f: impl FnOnce(&Self::Value) -> R,
    ) -> Option<R>
    where
        Self::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized;

    /// [`Access::insert_if_absent`].
    ///
    /// # Errors
    ///
    /// `value`, where the key is taken.
    fn insert_if_absent(
        access: &Access<'_, Self>,
        key: Self::Key,
        value: Self::Value,
    ) -> Result<(), Self::Value>;

    /// [`Access::remove_if`].
    fn remove_if<Q>(
        access: &Access<'_, Self>,
        key: &Q,
        condition: impl FnMut(&Self::Value) -> bool,
    ) -> bool
    where
        Self::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized;

    /// [`Access::for_each`].
    fn for_each(access: &Access<'_, Self>, f: impl FnMut(&Self::Key, &Self::Value));

    /// How many entries the map holds; exact while nobody inserts or removes, approximate
    /// otherwise.
    ///
    /// Cost: O(1) on papaya and the locked map, O(shards) on DashMap, O(n) on scc, and O(n) for a
    /// map that does not say better.
    fn len(&self) -> usize {
        let mut entries = 0;
        self.access().for_each(|_, _| entries += 1);
        entries
    }

    /// Whether [`len`](Self::len) is zero, at the same cost.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries each shard holds, counted one shard after the other, where the map has
    /// shards that fill and are locked on their own: on DashMap. `None` elsewhere.
    fn shard_lens(&self) -> Option<Vec<usize>> {
        None
    }

    /// Gives memory that removed entries left behind back to the allocator, where the map can.
    /// Removes no entry. The answer says what to expect of the next burst.
    ///
    /// Cost where it is [`Shrink::Done`]: each shard in turn is locked and rebuilt, and stops every
    /// access to it meanwhile (5 to 7 ms in all for a DashMap of a million entries).
    fn shrink(&self) -> Shrink {
        Shrink::Unsupported
    }
}

/// What [`StateMap::shrink`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shrink {
    /// The memory was given back during the call.
    Done,
    /// Nothing to do: the map shrinks by itself as entries go.
    Automatic,
    /// The map has no way to shrink; memory of its largest burst stays until the map is dropped.
    Unsupported,
}
