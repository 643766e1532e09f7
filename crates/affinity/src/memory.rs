//! The pins of one process.
//!
//! # Design
//!
//! A map finds the entry of a key by the key's fingerprint, an entry has all that is to know of its binding, and a ledger
//! knows the entries' order, and the names of those that somebody may ask for. What a hit reads, map, clock and the secret of the fingerprints, the store
//! shares with its leases, which find their entries again as a hit does.
//!
//! **A hit** is a lookup and at most one compare-and-swap on the entry's own word. **A write** takes the ledger's lock, and
//! under it ends the old entry, removes it, and puts the new one: to the map, to the ledger. In between the key is absent
//! from the map, though it never was unbound. So **a lookup that finds nothing**, or an entry that has ended or run out,
//! looks again under the lock; there, nobody is in between. What has run out is ended by whoever comes upon it with the
//! lock held.
//!
//! **Time** is a number that whoever owns the store moves on, with the ledger's lock held: a write that read the clock, lost
//! its core, and bound a session by a time that others had seen pass would give it less than its time to live. Callbacks run after the lock is released, on the thread that
//! ended the binding.
//!
//! # Why
//!
//! - *A lease looks its entry up again*: an entry lies in the map's table and moves with it, so that nothing can point to
//!   it. A lease that is given back late finds another generation, or nothing.
//! - *Misses take the lock*: that is what lets a binding never change inside its entry. A turn that misses is about to
//!   bind, which takes the lock anyway; a hit is every other turn.
//! - *Callbacks on the thread that found out*: the reference has a sweeper that calls them under a shard's lock. A queue for
//!   the sweeper to empty was the other way; it grows for ever where nobody sweeps.
//!
//! # Invariants
//!
//! - The map and the ledger change under the ledger's lock alone, and agree whenever it is free.
//! - Under the lock, a key's entry in the map has not ended: whoever ends it removes it before it lets go of the lock.
//! - Nothing depends on when the map drops what was removed, which papaya does late.
//! - Nothing of the user's runs under it.

mod contract;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use state_map::BackendEnabled;
use std_or_loom::{self as sync, Mutex};
use worker_id::WorkerWithDpRank;

use crate::entry::{Moment, SessionEntry};
use crate::fingerprint::{Fingerprints, SessionFingerprint};
use crate::lease::Lessor;
use crate::ledger::{BITE, Ledger, Walked};
use crate::map::{DefaultSessionMap, SessionMap};
use crate::memory::writing::Room;
use crate::time::Time;
use crate::{
    Binding, BindingKind, ConfigError, Expired, Lease, LeaseError, MemoryStoreConfig, SessionRef,
    StoreError, WhenFull, Written,
};

type OnExpire = Arc<dyn Fn(Expired) + Send + Sync>;

/// The pins of one process, with a sliding time to live.
///
/// Shared by reference or `Arc` among any number of threads. It has the methods of [`AffinityStore`](crate::AffinityStore) without `async`, too:
/// where both are in scope, `store.get(key)` is the one here, and waits for nothing but the locks below.
///
/// # Concurrency
///
/// Operations on one key are linearizable. `release`, `unbind_worker` and `sweep` are not atomic over the entries that
/// they end: each of these is on its own.
///
/// A *hit* of [`get`](Self::get), [`peek`](Self::peek), [`refresh_if`](Self::refresh_if) or [`acquire`](Self::acquire)
/// takes no lock but what the map takes to find it, and writes to the entry's own word alone: a lease each time, the others
/// at most once a millisecond of the store's clock, and `peek` only while a turn is in flight. It allocates nothing (a lease
/// one reference count), makes no system call, reads no other clock and logs nothing. A *miss* and every write take one
/// lock, for `O(log n)` steps; a sweep takes it over 256 entries at most.
///
/// # Time
///
/// The store's clock counts milliseconds, from 0, and stands still until somebody [advances](Self::advance_to) it: the
/// sweeper task (feature `tokio`), or the caller. Expiry is exact by that clock.
pub struct MemoryStore<M = DefaultSessionMap> {
    hot: Arc<Hot<M>>,
    ledger: Mutex<Ledger>,
    config: MemoryStoreConfig,
    on_expire: Option<OnExpire>,
}

/// What a hit reads, and a lease leads back to.
struct Hot<M> {
    map: M,
    fingerprints: Fingerprints,
    time: Time,
}

impl<M: SessionMap> Lessor for Hot<M> {
    fn give_back(&self, at: &SessionFingerprint, generation: u64) {
        let moment = self.time.moment();
        // An entry that is not there has ended.
        let _ = self
            .map
            .access()
            .read(at, |entry| entry.release(generation, moment));
    }
}

/// What a [sweep](MemoryStore::sweep) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Swept {
    /// Bindings that it ended.
    pub ended: usize,
    /// Entries that it looked at: those and others that had been used in the meantime.
    pub looked: usize,
    /// The most that it looked at in one go, with the lock held: 256 at most.
    pub largest_bite: usize,
    /// Whether it stopped for its budget, with more to do.
    pub more: bool,
}

impl MemoryStore {
    /// A store on the default map.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field, the value and the rule.
    pub fn new<'new>(config: MemoryStoreConfig) -> Result<Self, ConfigError>
    where
        DefaultSessionMap: BackendEnabled<'new>,
    {
        Self::with_map(config, DefaultSessionMap::empty())
    }
}

impl<M: SessionMap> MemoryStore<M> {
    /// A store on `map`, which must be empty: what is in it would be found by nobody.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field, the value and the rule.
    pub fn with_map(config: MemoryStoreConfig, map: M) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            hot: Arc::new(Hot {
                map,
                fingerprints: Fingerprints::random(),
                time: Time::new(config.ttl_in_millis()),
            }),
            ledger: Mutex::new(Ledger::default()),
            config,
            on_expire: None,
        })
    }

    /// The same store, which calls `told` once for every engine-backed binding that ends other than by being removed, or
    /// replaced while it holds.
    ///
    /// It is called outside of every lock, on the thread that came upon the end, and may use the store. If it panics, the
    /// panic is logged as an error and stops nothing else.
    #[must_use]
    pub fn on_expire(self, told: impl Fn(Expired) + Send + Sync + 'static) -> Self {
        Self {
            on_expire: Some(Arc::new(told)),
            ..self
        }
    }

    /// The configuration this store was made with.
    pub fn config(&self) -> &MemoryStoreConfig {
        &self.config
    }

    /// How many entries there are: exactly those that hold, and those that have run out and were not come upon yet. Takes
    /// the lock.
    #[must_use]
    pub fn len(&self) -> usize {
        sync::lock(&self.ledger).len()
    }

    /// Whether [`len`](Self::len) is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time of the store's clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.hot.time.now())
    }

    /// Moves the store's clock on to `now`, in whole milliseconds since whatever moment its owner counts from; begin
    /// near 0. Never moves it back. Ends nothing: what runs out is absent at once, and swept later. Waits for a write under
    /// way, but not where the clock is there already.
    pub fn advance_to(&self, now: Duration) {
        if self.hot.time.is_before(now) {
            let _writing = sync::lock(&self.ledger);
            self.hot.time.advance_to(now);
        }
    }

    /// What the map has for `key`, if that is one.
    #[inline]
    fn at(&self, key: &SessionRef<'_>) -> Result<SessionFingerprint, StoreError> {
        key.check(self.config.max_key_len)?;
        Ok(self.hot.fingerprints.of(key))
    }

    /// See [`AffinityStore::get`](crate::AffinityStore::get).
    ///
    /// # Errors
    ///
    /// [`StoreError::EmptySession`], [`StoreError::KeyTooLong`].
    #[inline]
    pub fn get<'k>(&self, key: impl Into<SessionRef<'k>>) -> Result<Option<Binding>, StoreError> {
        let at = self.at(&key.into())?;
        Ok(self.look_up(at, SessionEntry::refresh))
    }

    /// See [`AffinityStore::peek`](crate::AffinityStore::peek).
    ///
    /// # Errors
    ///
    /// [`StoreError::EmptySession`], [`StoreError::KeyTooLong`].
    #[inline]
    pub fn peek<'k>(&self, key: impl Into<SessionRef<'k>>) -> Result<Option<Binding>, StoreError> {
        let at = self.at(&key.into())?;
        Ok(self.look_up(at, SessionEntry::peek))
    }

    /// A lease on the binding of `key`, for a turn that streams: until it is dropped the binding does not run out, and is
    /// not evicted; from then on it lives for another `ttl`. `None` if the key has no binding.
    ///
    /// A lease is of one binding: where it is replaced, removed or released, the lease has nothing to hold any more.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Busy`] if `max_turns` are in flight; [`LeaseError::Store`] as [`get`](Self::get).
    pub fn acquire<'k>(&self, key: impl Into<SessionRef<'k>>) -> Result<Option<Lease>, LeaseError> {
        let at = self.at(&key.into())?;
        let max = self.config.max_turns;
        match self.look_up(at, |entry, moment| entry.lease(moment, max)) {
            None => Ok(None),
            Some(Ok(binding)) => Ok(Some(Lease::new(self.hot.clone(), at, binding))),
            Some(Err(turns)) => Err(LeaseError::Busy { turns }),
        }
    }

    /// Asks the entry at `at`: where that has no answer, once more with the lock held, when it is final.
    #[inline]
    fn look_up<R>(
        &self,
        at: SessionFingerprint,
        ask: impl Fn(&SessionEntry, Moment) -> Option<R>,
    ) -> Option<R> {
        let moment = self.hot.time.moment();
        let found = self.hot.map.access().read(&at, |entry| ask(entry, moment));
        found.flatten().or_else(|| self.look_again(at, ask))
    }

    #[cold]
    fn look_again<R>(
        &self,
        at: SessionFingerprint,
        ask: impl Fn(&SessionEntry, Moment) -> Option<R>,
    ) -> Option<R> {
        self.write().ask(at, ask)
    }

    /// See [`AffinityStore::bind`](crate::AffinityStore::bind).
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`] under [`WhenFull::Reject`], or where every session has a turn in flight; and as
    /// [`get`](Self::get).
    pub fn bind<'k>(
        &self,
        key: impl Into<SessionRef<'k>>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.put(key.into(), |_| Some((worker, kind)))
    }

    /// See [`AffinityStore::claim`](crate::AffinityStore::claim).
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn claim<'k>(
        &self,
        key: impl Into<SessionRef<'k>>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.put(key.into(), |holder| {
            holder.is_none().then_some((worker, kind))
        })
    }

    /// See [`AffinityStore::rebind_if`](crate::AffinityStore::rebind_if).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn rebind_if<'k>(
        &self,
        key: impl Into<SessionRef<'k>>,
        observed: u64,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.put(key.into(), |holder| {
            let same = holder.is_some_and(|binding| binding.generation == observed);
            same.then_some((worker, kind))
        })
    }

    /// See [`AffinityStore::refresh_if`](crate::AffinityStore::refresh_if).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn refresh_if<'k>(
        &self,
        key: impl Into<SessionRef<'k>>,
        worker: WorkerWithDpRank,
    ) -> Result<Written, StoreError> {
        let at = self.at(&key.into())?;
        let answer = self.look_up(at, |entry, moment| {
            if entry.worker().same_incarnation(&worker) {
                let binding = entry.refresh(moment)?;
                Some(Written::applied(Some(binding)))
            } else {
                let binding = entry.peek(moment)?;
                Some(Written::declined(Some(binding)))
            }
        });
        Ok(answer.unwrap_or(Written::declined(None)))
    }

    /// See [`AffinityStore::remove`](crate::AffinityStore::remove).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn remove<'k>(&self, key: impl Into<SessionRef<'k>>) -> Result<Written, StoreError> {
        self.take(&key.into(), |_| true)
    }

    /// See [`AffinityStore::remove_if`](crate::AffinityStore::remove_if).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn remove_if<'k>(
        &self,
        key: impl Into<SessionRef<'k>>,
        observed: u64,
    ) -> Result<Written, StoreError> {
        self.take(&key.into(), |holder| holder.generation == observed)
    }

    fn take(
        &self,
        key: &SessionRef<'_>,
        wanted: impl FnOnce(&Binding) -> bool,
    ) -> Result<Written, StoreError> {
        let at = self.at(key)?;
        let mut writing = self.write();
        let Some(holder) = writing.holder(at) else {
            return Ok(Written::declined(None));
        };
        if !wanted(&holder) {
            return Ok(Written::declined(Some(holder)));
        }
        writing.end(at);
        Ok(Written::applied(None))
    }

    /// Binds `key` as `decide` says, given what it is bound to.
    fn put(
        &self,
        key: SessionRef<'_>,
        decide: impl Fn(Option<&Binding>) -> Option<(WorkerWithDpRank, BindingKind)>,
    ) -> Result<Written, StoreError> {
        let at = self.at(&key)?;
        // As many bites as it takes to look at everything, and one.
        let mut bites = self.config.capacity / BITE + 2;
        loop {
            let mut writing = self.write();
            let holder = writing.holder(at);
            let Some((worker, kind)) = decide(holder.as_ref()) else {
                return Ok(Written::declined(holder));
            };
            if holder.is_some() {
                writing.end(at);
            } else {
                match writing.make_room() {
                    Room::Made => {}
                    Room::Unknown if bites > 0 => {
                        bites -= 1;
                        continue;
                    }
                    _ if self.config.when_full == WhenFull::Unpinned => {
                        return Ok(Written::declined(None));
                    }
                    Room::Unknown | Room::None => {
                        let capacity = self.config.capacity;
                        return Err(StoreError::Full { capacity });
                    }
                }
            }
            let binding = writing.add(at, key, worker, kind)?;
            return Ok(Written::applied(Some(binding)));
        }
    }

    /// Ends a session of a tenant in all of its scopes, whatever model or leg, at once and whether turns are in flight or
    /// not. Answers how many bindings that were.
    ///
    /// Another tenant's session of the same id is another session. Cost: `O(log n)` for each scope.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn release(&self, tenant: Option<&str>, session: &str) -> Result<usize, StoreError> {
        let key = SessionRef {
            tenant,
            ..SessionRef::new(session)
        };
        let at = self.at(&key)?;
        let mut released = 0;
        loop {
            let mut writing = self.write();
            let named = writing.ledger.of_owner(&key, at);
            // The one without a scope may have no name.
            let all = named.iter().chain([&at]);
            released += all.filter(|at| writing.release(**at)).count();
            if named.is_empty() {
                return Ok(released);
            }
        }
    }

    /// Ends every binding to a worker that has left, whether turns are in flight or not, and answers how many that were.
    /// Where `worker` has an incarnation, those of that incarnation; where it has none, those of any.
    ///
    /// Bindings to it that are made meanwhile may stay. Walks over all entries, 256 at a time with the lock held.
    pub fn unbind_worker(&self, worker: WorkerWithDpRank) -> usize {
        let left = |pinned: WorkerWithDpRank| {
            pinned == worker
                && worker
                    .incarnation()
                    .is_none_or(|left| pinned.incarnation() == Some(left))
        };
        let mut ended = 0;
        let mut last: Option<Walked> = None;
        loop {
            let mut writing = self.write();
            let bite = writing.ledger.after(last);
            for (_, (_, at)) in &bite {
                let worker = writing.access.read(at, SessionEntry::worker);
                ended += usize::from(worker.is_some_and(left) && writing.release(*at));
            }
            last = bite.last().copied();
            if last.is_none() {
                return ended;
            }
        }
    }

    /// Moves the clock on to `now`, as [`advance_to`](Self::advance_to), and ends what has run out, looking at `budget`
    /// entries at most.
    ///
    /// In bites: the lock is released, and callbacks run, after every 256 entries. The work is in proportion to what ends,
    /// plus one look in each time to live at what is in use. Sweeps by several threads share the work.
    pub fn sweep(&self, now: Duration, budget: usize) -> Swept {
        self.advance_to(now);
        let mut swept = Swept::default();
        loop {
            let mut writing = self.write();
            let most = BITE.min(budget - swept.looked);
            let mut bite = 0;
            while bite < most
                && let Some(ended) = writing.look_at_due()
            {
                bite += 1;
                swept.ended += usize::from(ended);
            }
            swept.looked += bite;
            swept.largest_bite = swept.largest_bite.max(bite);
            swept.more = writing.ledger.is_due(writing.moment.now);
            if !swept.more || swept.looked == budget {
                return swept;
            }
        }
    }
}

impl<M> fmt::Debug for MemoryStore<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("config", &self.config)
            .field("now", &self.hot.time.now())
            .finish_non_exhaustive()
    }
}
