//! [`Access`]: the operations of a [`StateMap`], and what each promises.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use crate::StateMap;

/// A thread's access to a [`StateMap`], with the map's operations.
///
/// Keep accesses short, a batch at most: on papaya nothing that was removed, by anybody, is freed
/// while an access that was open at the time stays open. An access holds no lock between calls. It
/// sees its own writes, and those of others as they happen: it is no snapshot. Any number may be
/// open at once, on one thread too. None can be sent to another thread, because papaya's cannot:
/// what compiles on one map compiles on all.
///
/// # Closures, keys and destructors
///
/// A closure given to an operation, and `eq` and `hash` of a key, may run under a lock of the map,
/// and so **must not use the same map**: on DashMap, scc and the locked map that can deadlock. They
/// should be short. A closure runs at most once where its type is `FnOnce`; an `FnMut` may run more
/// than once for one entry. On papaya (and by this contract anywhere) a closure may run on a value
/// whose entry another thread is unlinking or has just unlinked. A crate that must tell marks the
/// value itself: see [`remove_if`](Self::remove_if).
///
/// Destructors of keys and values run with nothing locked, and may use the map: those of what was
/// rejected or removed within the operation, but on papaya whenever the last access that may still
/// read the entry has closed, in whatever operation of whatever thread comes next.
///
/// # Panics
///
/// Where a closure panics, or `eq` or `hash` of the key of a call, the panic passes through, no
/// entry was changed by that call, and the map stays usable. Nothing is promised of a `hash` that
/// panics while a table is resized. Where a destructor panics, what it belonged to has left the map
/// already, and the map stays usable; on papaya the panic comes out of whatever operation it
/// happens to run in.
pub struct Access<'a, M: StateMap> {
    map: &'a M,
    /// Held for as long as this is open.
    guard: M::Guard<'a>,
    /// Makes it neither `Send` nor `Sync`.
    stays_on_its_thread: PhantomData<*const ()>,
}

impl<'a, M: StateMap> Access<'a, M> {
    #[inline]
    pub(crate) fn new(map: &'a M) -> Self {
        Self {
            map,
            guard: map.guard(),
            stays_on_its_thread: PhantomData,
        }
    }

    /// The map that this is an access to: for whoever writes a map.
    #[inline]
    #[must_use]
    pub fn map(&self) -> &'a M {
        self.map
    }

    /// What the map handed out in [`StateMap::guard`]: for whoever writes a map.
    #[inline]
    #[must_use]
    pub fn guard(&self) -> &M::Guard<'a> {
        &self.guard
    }

    /// Calls `f` with the value of `key`, if there is one, and returns what it returned.
    ///
    /// Atomic: the entry was in the map at some moment during the call. `f` runs at most once,
    /// under the shard's or bucket's shared lock, on papaya under none. Waits for writers of the
    /// same shard or bucket, on papaya for nobody. Allocates nothing.
    #[inline]
    pub fn read<Q, R>(&self, key: &Q, f: impl FnOnce(&M::Value) -> R) -> Option<R>
    where
        M::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        M::read(self, key, f)
    }

    /// Inserts `value`, unless `key` has a value already.
    ///
    /// Atomic: of several insertions of an absent key exactly one succeeds, and the others find its
    /// entry there, for as long as it stays. Takes the shard's or bucket's exclusive lock, on
    /// papaya none. May allocate, and may move or rebuild a shard that has grown full, in which
    /// case others wait (on papaya they help).
    ///
    /// # Errors
    ///
    /// `value`, where the key is taken: nothing has changed. The key is dropped.
    #[inline]
    pub fn insert_if_absent(&self, key: M::Key, value: M::Value) -> Result<(), M::Value> {
        M::insert_if_absent(self, key, value)
    }

    /// Removes the entry of `key` where `condition` accepts its value. True for exactly one caller:
    /// false means that the key is absent, that another thread removed the entry first, or that the
    /// condition declined.
    ///
    /// The value removed is the very one that `condition` accepted last, never one that replaced it
    /// under the same key. But the condition may run more than once, and on papaya what it looked
    /// at may change before the entry is unlinked. So let it test what, once true, stays true: to
    /// end an entry on a condition that can pass, first mark its value dead with a compare-and-swap
    /// inside [`read`](Self::read), which also says who takes what was in it; then remove what is
    /// dead. Whoever meets a dead value treats it as absent.
    ///
    /// The condition runs under the shard's or bucket's exclusive lock, on papaya under none.
    /// Allocates nothing, but for papaya's and scc's bookkeeping of what is still to be freed.
    #[inline]
    pub fn remove_if<Q>(&self, key: &Q, condition: impl FnMut(&M::Value) -> bool) -> bool
    where
        M::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        M::remove_if(self, key, condition)
    }

    /// Removes the entry of `key`. True for exactly one caller. As [`remove_if`](Self::remove_if)
    /// with a condition that accepts everything.
    #[inline]
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        M::Key: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        M::remove_if(self, key, |_| true)
    }

    /// Calls `f` for the entries of the map, in no order.
    ///
    /// Weak: an entry that is there during the whole call is met, and only then surely; one that
    /// comes or goes meanwhile may be met or not; where the map is resized or a key is removed and
    /// inserted again meanwhile, a key may be met twice. While nobody inserts or removes, each
    /// entry is met once.
    ///
    /// `f` runs under a shared lock: of the shard on DashMap (which allocates a few words a shard),
    /// of the bucket on scc, of everything on the locked map; of nothing on papaya, which instead
    /// waits for a resize under way. O(capacity). To sweep, note the keys to go, and remove them
    /// afterwards by [`remove_if`](Self::remove_if).
    #[inline]
    pub fn for_each(&self, f: impl FnMut(&M::Key, &M::Value)) {
        M::for_each(self, f);
    }
}

impl<M: StateMap> fmt::Debug for Access<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}
