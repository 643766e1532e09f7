//! The contract: what a concurrent map of request state promises, at its weakest backend.
//!
//! # Design
//!
//! A [`StateMap`] opens [sessions](MapSession), and a session has the operations. Values are shared and
//! carry their own mutability, so the hot path of every backend is [`read`](MapSession::read).
//!
//! # Why
//!
//! - *Reads, not updates in place*: scc's `update` collapses when threads outnumber cores, papaya's copies
//!   the value. A read of a value with an atomic in it does neither.
//! - *Sessions, not operations on the map*: papaya pays for a pin at each access and a batch should pay
//!   once. For the others a session is a reference. A second set of the same operations on the map itself
//!   would save its callers one word, `session()`.
//! - *Closures, not references*: only papaya could hand out a reference without holding a lock for as
//!   long as it lives.
//! - *No in-place `retain` of the backends*: DashMap's and scc's run the predicate, and drop the values,
//!   under a lock; papaya's does not tell who unlinked what. One loop over [`for_each`](MapSession::for_each)
//!   and [`remove_if`](MapSession::remove_if) has none of that.
//!
//! # Invariants
//!
//! - An entry's value is the same object from its insertion to its removal; no operation replaces it.
//! - Of all removals of one entry, exactly one succeeds, and that one retires its value.
//! - Operations on one key are linearizable. Operations that touch several keys (`for_each`, `retain`,
//!   `len`) are not atomic.
//! - No lock of the map is held between two calls, only within one.

use std::borrow::Borrow;
use std::hash::Hash;

use crate::Retire;

/// A concurrent map whose values are shared and carry their own mutability.
///
/// Usable as a type parameter of the crates built on this one. It has no operations of its own but those on
/// the map as a whole: open a [`session`](Self::session) for the rest.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `StateMap`"
)]
pub trait StateMap: Send + Sync {
    /// Cloned only by [`MapSession::retain`], once for each entry it removes.
    type Key: Eq + Hash + Clone + Send + Sync;

    /// Shared by all who read the entry. What changes inside it changes through atomics or a lock.
    type Value: Retire + Send + Sync;

    /// See [`MapSession`].
    type Session<'a>: MapSession<Key = Self::Key, Value = Self::Value>
    where
        Self: 'a;

    /// Opens a session: free, but for papaya, which pins the map: a store, and a fence where the kernel has no
    /// `membarrier`.
    #[must_use = "a session is what has the operations"]
    fn session(&self) -> Self::Session<'_>;

    /// How many entries the map holds; exact while nobody inserts or removes, approximate otherwise.
    ///
    /// Cost: O(1) on papaya and the locked map, O(shards) on DashMap, O(n) on scc.
    fn len(&self) -> usize;

    /// Whether [`len`](Self::len) is zero, at the same cost.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries each shard holds, counted one shard after the other, where the backend has shards that
    /// fill and are locked on their own: on DashMap. `None` elsewhere.
    fn shard_lens(&self) -> Option<Vec<usize>> {
        None
    }

    /// Gives memory that removed entries left behind back to the allocator, where the backend can.
    /// Removes no entry. The answer says what to expect of the next burst.
    ///
    /// Cost where it is [`Shrink::Done`]: each shard in turn is locked and rebuilt, and stops every access
    /// to it meanwhile (5 to 7 ms in all for a DashMap of a million entries).
    fn shrink(&self) -> Shrink;
}

/// What [`StateMap::shrink`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shrink {
    /// The memory was given back during the call.
    Done,
    /// Nothing to do: the backend shrinks by itself as entries go.
    Automatic,
    /// The backend has no way to shrink; memory of its largest burst stays until the map is dropped.
    Unsupported,
}

/// A thread's access to a [`StateMap`], and its operations.
///
/// Keep sessions short, a batch at most: on papaya nothing that was removed, by anybody, is freed while a
/// session that was open at the time stays open. A session holds no lock between calls. It sees its own
/// writes, and those of others as they happen: it is not a snapshot. Any number may be open at once, on one
/// thread too.
///
/// # Closures
///
/// A closure given to an operation may run under a lock of the backend, and so **must not touch the same
/// map**: on DashMap, scc and the locked map that can deadlock. It should be short. It runs at most once
/// where its type is `FnOnce`; an `FnMut` condition may run more than once. If it panics, the panic
/// passes through, no entry was changed by that call, and the map stays usable.
///
/// On papaya (and by this contract anywhere) a closure may run on a value whose entry another thread is
/// unlinking or has just unlinked. A crate that must tell marks the value itself: see
/// [`remove_if`](Self::remove_if).
pub trait MapSession {
    /// As in [`StateMap::Key`].
    type Key: Eq + Hash + Clone;

    /// As in [`StateMap::Value`].
    type Value: Retire;

    /// Calls `f` with the value of `key`, if there is one, and returns what it returned.
    ///
    /// Atomic: the entry was in the map at some moment during the call. `f` runs at most once, under the
    /// shard's or bucket's shared lock, on papaya under none. Waits for writers of the same shard or
    /// bucket, on papaya for nobody. Allocates nothing.
    fn read<Q, R>(&self, key: &Q, f: impl FnOnce(&Self::Value) -> R) -> Option<R>
    where
        Self::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized;

    /// Inserts `value` unless `key` has one already; then gives `value` back, with what `occupied` returned
    /// for the occupant. The key is dropped.
    ///
    /// Atomic: of several insertions of an absent key exactly one succeeds, and the losers see its value.
    /// `occupied` runs at most once, under the shard's or bucket's exclusive lock; on papaya under none,
    /// so that the occupant may have been removed meanwhile. May allocate, and may move or rebuild a
    /// shard that has grown full, in which case others wait (on papaya they help).
    ///
    /// # Errors
    ///
    /// [`Occupied`], where the key was taken: nothing has changed.
    fn insert_if_absent<R>(
        &self,
        key: Self::Key,
        value: Self::Value,
        occupied: impl FnOnce(&Self::Value) -> R,
    ) -> Result<(), Occupied<Self::Value, R>>;

    /// Removes the entry of `key` where `condition` accepts its value, and hands its payload over. To
    /// exactly one caller: `None` means that the key is absent, that another thread removed the entry
    /// first, or that the condition declined.
    ///
    /// The value removed is the very one that `condition` accepted last, never one that replaced it under
    /// the same key. But the condition may run more than once, and on papaya what it looked at may change
    /// before the entry is unlinked. So let it test what, once true, stays true: to end an entry on a
    /// condition that can pass, first mark its value dead with a compare-and-swap inside
    /// [`read`](Self::read), then remove what is dead; whoever meets a dead value treats it as absent.
    ///
    /// The condition runs under the shard's or bucket's exclusive lock, on papaya under none.
    /// [`Retire::retire`] runs after that lock was released. Allocates nothing, but for papaya's and scc's
    /// bookkeeping of what is still to be freed.
    fn remove_if<Q>(
        &self,
        key: &Q,
        condition: impl FnMut(&Self::Value) -> bool,
    ) -> Option<<Self::Value as Retire>::Payload>
    where
        Self::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized;

    /// Removes the entry of `key` and hands its payload over, to exactly one caller. As
    /// [`remove_if`](Self::remove_if) with a condition that accepts everything.
    fn remove<Q>(&self, key: &Q) -> Option<<Self::Value as Retire>::Payload>
    where
        Self::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.remove_if(key, |_| true)
    }

    /// Calls `f` for the entries of the map, in no order.
    ///
    /// Weak: an entry that is there during the whole call is met, and only then surely; one that comes or
    /// goes meanwhile may be met or not; where the map is resized or a key is removed and inserted again
    /// meanwhile, a key may be met twice. While nobody inserts or removes, each entry is met once.
    ///
    /// `f` runs under a shared lock: of the shard on DashMap (which allocates a few words a shard), of the
    /// bucket on scc, of everything on the locked map; of nothing on papaya, which instead waits for a
    /// resize under way. O(capacity).
    fn for_each(&self, f: impl FnMut(&Self::Key, &Self::Value));

    /// Removes every entry that `keep` declines, and calls `removed` with its key and payload.
    ///
    /// Not atomic over the map: as weak as [`for_each`](Self::for_each). For each entry it is
    /// [`remove_if`](Self::remove_if), with all that is said there: `keep` runs at least twice for what is
    /// removed. `removed` runs under no lock, may use the map, and is called exactly once for an entry
    /// that this call removed. If it panics, the entry that it was called for is gone and the rest stay.
    ///
    /// Allocates a vector of the declined keys: a sweep that must not should keep an index of its own.
    fn retain(
        &self,
        mut keep: impl FnMut(&Self::Key, &Self::Value) -> bool,
        mut removed: impl FnMut(Self::Key, <Self::Value as Retire>::Payload),
    ) {
        let mut declined = Vec::new();
        self.for_each(|key, value| {
            if !keep(key, value) {
                declined.push(key.clone());
            }
        });
        for key in declined {
            if let Some(payload) = self.remove_if(&key, |value| !keep(&key, value)) {
                removed(key, payload);
            }
        }
    }
}

/// What an insertion into a taken key gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Occupied<V, R = ()> {
    /// The value that was not inserted.
    pub rejected: V,
    /// What the caller's closure said of the value that is there.
    pub occupant: R,
}
