//! A locked map with a choice of flaws.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::hint::black_box;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use hashbrown::HashTable;
use state_map::conformance::Backend;
use state_map::{Access, Shrink, StateMap};

/// The flaws, at least one for each property of the suite.
pub(crate) struct Flaw;

impl Flaw {
    pub(crate) const NONE: u8 = 0;
    /// A read takes the entry out of the map while its closure runs.
    pub(crate) const READ_TAKES_OUT: u8 = 1;
    /// An insertion looks whether the key is absent, and only then inserts.
    pub(crate) const LOOKS_THEN_INSERTS: u8 = 2;
    /// A removal does not look whether it was the one that unlinked the entry.
    pub(crate) const SUCCEEDS_TWICE: u8 = 3;
    /// A removal asks its condition of one value, and then removes whatever the key has.
    pub(crate) const REMOVES_SUCCESSOR: u8 = 4;
    /// An iteration ends early when the map changes.
    pub(crate) const ITERATION_GIVES_UP: u8 = 5;
    /// A removed entry is never dropped.
    pub(crate) const LEAKS: u8 = 6;
    /// The lock stays held where a closure or a key panics.
    pub(crate) const LOCK_OUTLIVES_PANIC: u8 = 7;
    /// A read allocates.
    pub(crate) const READ_ALLOCATES: u8 = 8;
    /// A key is not found in a borrowed form of another size.
    pub(crate) const WANTS_OWNED_KEYS: u8 = 9;
    /// An access reads what the map held when the access was opened.
    pub(crate) const ACCESS_IS_STALE: u8 = 10;
    /// A condition that declines removes all the same.
    pub(crate) const IGNORES_CONDITION: u8 = 11;
    /// The length does not notice removals.
    pub(crate) const LENGTH_LAGS: u8 = 12;
    /// An iteration meets each entry twice.
    pub(crate) const ITERATES_TWICE: u8 = 13;
    /// Entries are lost as the map grows.
    pub(crate) const LOSES_ON_GROWTH: u8 = 14;
    /// A rejected key is dropped under the lock.
    pub(crate) const REJECTS_UNDER_LOCK: u8 = 15;
    /// A removed entry is dropped under the lock.
    pub(crate) const DROPS_UNDER_LOCK: u8 = 16;
    /// The lock stays held where a destructor panics.
    pub(crate) const LOCK_OUTLIVES_DESTRUCTOR: u8 = 17;
}

pub(crate) struct Subject<const FLAW: u8>;

impl<const FLAW: u8> Backend for Subject<FLAW> {
    type Map<K, V>
        = Broken<K, V, FLAW>
    where
        K: Eq + Hash + Send + Sync + 'static,
        V: Send + Sync + 'static;
}

type Entry<K, V> = Arc<(K, V)>;

pub(crate) struct Broken<K, V, const FLAW: u8> {
    entries: Mutex<HashTable<Entry<K, V>>>,
    hasher: RandomState,
    removed: AtomicUsize,
}

impl<K, V, const FLAW: u8> Default for Broken<K, V, FLAW> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            hasher: RandomState::default(),
            removed: AtomicUsize::default(),
        }
    }
}

impl<K: Eq + Hash, V, const FLAW: u8> Broken<K, V, FLAW> {
    fn lock(&self) -> MutexGuard<'_, HashTable<Entry<K, V>>> {
        // What one thread at a time is to show, it need not wait for.
        if FLAW == Flaw::REJECTS_UNDER_LOCK || FLAW == Flaw::LOCK_OUTLIVES_DESTRUCTOR {
            let free = self.entries.try_lock();
            assert!(
                !matches!(free, Err(TryLockError::WouldBlock)),
                "waits for itself"
            );
        }
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f`, in which code of the user's may panic, under the lock. With the flaw it stays held
    /// then.
    fn locked<R>(&self, flaw: u8, f: impl FnOnce(&mut HashTable<Entry<K, V>>) -> R) -> R {
        let mut entries = self.lock();
        match catch_unwind(AssertUnwindSafe(|| f(&mut entries))) {
            Ok(result) => result,
            Err(panic) => {
                if FLAW == flaw {
                    mem::forget(entries);
                }
                resume_unwind(panic)
            }
        }
    }

    fn find<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let entries = self.lock();
        entries.find(hash, |entry| entry.0.borrow() == key).cloned()
    }

    fn take_out<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Entry<K, V>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let mut entries = self.lock();
        let found = entries.find_entry(hash, |entry| entry.0.borrow() == key);
        Some(found.ok()?.remove().0)
    }

    fn drop_perhaps_under_lock<T>(&self, dropped: T) {
        if FLAW == Flaw::LOCK_OUTLIVES_DESTRUCTOR {
            self.locked(FLAW, |_| drop(dropped));
        }
    }

    fn put(&self, entries: &mut HashTable<Entry<K, V>>, entry: Entry<K, V>) {
        let rehash = |entry: &Entry<K, V>| self.hasher.hash_one(&entry.0);
        entries.insert_unique(rehash(&entry), entry, rehash);
    }
}

/// Long enough for the other threads of a race to get between two steps of an operation.
fn dawdle() {
    for _ in 0..20 {
        thread::yield_now();
    }
}

impl<K, V, const FLAW: u8> StateMap for Broken<K, V, FLAW>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
{
    type Key = K;
    type Value = V;
    /// What a stale access reads.
    type Guard<'a>
        = Option<HashTable<Entry<K, V>>>
    where
        Self: 'a;

    fn guard(&self) -> Self::Guard<'_> {
        (FLAW == Flaw::ACCESS_IS_STALE).then(|| self.lock().clone())
    }

    fn read<Q, R>(access: &Access<'_, Self>, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let map = access.map();
        let hash = map.hasher.hash_one(key);
        let is_it = |entry: &Entry<K, V>| entry.0.borrow() == key;
        match FLAW {
            Flaw::ACCESS_IS_STALE => {
                let entry = access.guard().as_ref()?.find(hash, is_it)?;
                return Some(f(&entry.1));
            }
            Flaw::WANTS_OWNED_KEYS if size_of_val(key) != size_of::<K>() => return None,
            Flaw::READ_TAKES_OUT => {
                let entry = map.take_out(key)?;
                thread::yield_now();
                let result = f(&entry.1);
                map.put(&mut map.lock(), entry);
                return Some(result);
            }
            Flaw::READ_ALLOCATES => drop(black_box(Box::new(0_u64))),
            _ => {}
        }
        map.locked(Flaw::LOCK_OUTLIVES_PANIC, |entries| {
            entries.find(hash, is_it).map(|entry| f(&entry.1))
        })
    }

    fn insert_if_absent(access: &Access<'_, Self>, key: K, value: V) -> Result<(), V> {
        let map = access.map();
        let hash = map.hasher.hash_one(&key);
        if FLAW == Flaw::LOOKS_THEN_INSERTS && map.find(&key).is_none() {
            dawdle();
            map.put(&mut map.lock(), Arc::new((key, value)));
            return Ok(());
        }
        let inserted = map.locked(Flaw::LOCK_OUTLIVES_PANIC, |entries| {
            if entries.find(hash, |entry| entry.0 == key).is_some() {
                let key = Some(key).filter(|_| FLAW != Flaw::REJECTS_UNDER_LOCK);
                return Err((key, value));
            }
            if FLAW == Flaw::LOSES_ON_GROWTH && entries.len() == 1_000 {
                entries.clear();
            }
            map.put(entries, Arc::new((key, value)));
            Ok(())
        });
        inserted.map_err(|(key, value)| {
            map.drop_perhaps_under_lock(key);
            value
        })
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
        let map = access.map();
        let hash = map.hasher.hash_one(key);
        if FLAW == Flaw::REMOVES_SUCCESSOR || FLAW == Flaw::SUCCEEDS_TWICE {
            let asked = map.find(key);
            if !asked.is_some_and(|entry| condition(&entry.1)) {
                return false;
            }
            dawdle();
            return map.take_out(key).is_some() || FLAW == Flaw::SUCCEEDS_TWICE;
        }
        let removed = map.locked(Flaw::LOCK_OUTLIVES_PANIC, |entries| {
            let found = entries.find_entry(hash, |entry| entry.0.borrow() == key);
            let found = found.ok()?;
            if !condition(&found.get().1) && FLAW != Flaw::IGNORES_CONDITION {
                return None;
            }
            let entry = found.remove().0;
            Some(Some(entry).filter(|_| FLAW != Flaw::DROPS_UNDER_LOCK))
        });
        let Some(entry) = removed else {
            return false;
        };
        map.removed.fetch_add(1, Ordering::Relaxed);
        if FLAW == Flaw::LEAKS {
            mem::forget(entry);
        } else {
            map.drop_perhaps_under_lock(entry);
        }
        true
    }

    fn for_each(access: &Access<'_, Self>, mut f: impl FnMut(&K, &V)) {
        let map = access.map();
        if FLAW == Flaw::ITERATION_GIVES_UP {
            let entries = map.lock().clone();
            for entry in &entries {
                thread::yield_now();
                if map.lock().len() != entries.len() {
                    return;
                }
                f(&entry.0, &entry.1);
            }
            return;
        }
        map.locked(Flaw::LOCK_OUTLIVES_PANIC, |entries| {
            for entry in entries.iter() {
                f(&entry.0, &entry.1);
                if FLAW == Flaw::ITERATES_TWICE {
                    f(&entry.0, &entry.1);
                }
            }
        });
    }

    fn len(&self) -> usize {
        let lag = match FLAW {
            Flaw::LENGTH_LAGS => self.removed.load(Ordering::Relaxed),
            _ => 0,
        };
        self.lock().len() + lag
    }

    fn shrink(&self) -> Shrink {
        let rehash = |entry: &Entry<K, V>| self.hasher.hash_one(&entry.0);
        self.lock().shrink_to_fit(rehash);
        Shrink::Done
    }
}
