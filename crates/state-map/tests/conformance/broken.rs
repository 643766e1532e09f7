//! A locked map with a choice of flaws.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use state_map::conformance::Backend;
use state_map::{MapSession, Occupied, Retire, Shrink, StateMap};

/// The flaws, one for each property of the suite.
pub(crate) struct Flaw;

impl Flaw {
    pub(crate) const NONE: u8 = 0;
    /// A read takes the entry out of the map while its closure runs.
    pub(crate) const READ_TAKES_OUT: u8 = 1;
    /// An insertion looks whether the key is absent, and only then inserts.
    pub(crate) const LOOKS_THEN_INSERTS: u8 = 2;
    /// A removal does not look whether it was the one that unlinked the entry.
    pub(crate) const HANDS_OVER_TWICE: u8 = 3;
    /// A removal asks its condition of one value, and then removes whatever the key has.
    pub(crate) const REMOVES_SUCCESSOR: u8 = 4;
    /// An iteration ends early when the map changes.
    pub(crate) const ITERATION_GIVES_UP: u8 = 5;
    /// A removal hands nothing over: the payload stays in the value, which stays with the map.
    pub(crate) const KEEPS_PAYLOAD: u8 = 6;
    /// A removal hands over what the one before it removed.
    pub(crate) const RETIRES_LATE: u8 = 7;
    /// An insertion retires the value that it gives back.
    pub(crate) const RETIRES_REJECTED: u8 = 8;
    /// A removed value is never dropped.
    pub(crate) const LEAKS_VALUES: u8 = 9;
    /// The lock stays held when a closure panics.
    pub(crate) const LOCK_OUTLIVES_PANIC: u8 = 10;
    /// A read allocates.
    pub(crate) const READ_ALLOCATES: u8 = 11;
    /// A key is not found in a borrowed form of another size.
    pub(crate) const WANTS_OWNED_KEYS: u8 = 12;
    /// A session reads what the map held when the session was opened.
    pub(crate) const SESSION_IS_STALE: u8 = 13;
    /// A condition that declines removes all the same.
    pub(crate) const IGNORES_CONDITION: u8 = 14;
    /// The length does not notice removals.
    pub(crate) const LENGTH_LAGS: u8 = 15;
    /// An iteration meets each entry twice.
    pub(crate) const ITERATES_TWICE: u8 = 16;
    /// An entry is lost as the map grows.
    pub(crate) const LOSES_ON_GROWTH: u8 = 17;
}

pub(crate) struct Subject<const FLAW: u8>;

impl<const FLAW: u8> Backend for Subject<FLAW> {
    type Map<K, V>
        = Broken<K, V, FLAW>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Retire + Send + Sync + 'static;
}

type Entries<K, V> = HashMap<K, Arc<V>>;

pub(crate) struct Broken<K, V, const FLAW: u8> {
    entries: Mutex<Entries<K, V>>,
    /// What the flaws that keep removed values keep.
    removed: Mutex<Vec<Arc<V>>>,
}

impl<K, V, const FLAW: u8> Default for Broken<K, V, FLAW> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            removed: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash, V, const FLAW: u8> Broken<K, V, FLAW> {
    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn removed(&self) -> MutexGuard<'_, Vec<Arc<V>>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f`, a user's closure, under the lock that `guard` holds.
    fn under<G, R>(guard: G, f: impl FnOnce(&G) -> R) -> R {
        match catch_unwind(AssertUnwindSafe(|| f(&guard))) {
            Ok(result) => result,
            Err(panic) => {
                if FLAW == Flaw::LOCK_OUTLIVES_PANIC {
                    mem::forget(guard);
                }
                resume_unwind(panic)
            }
        }
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
    K: Eq + Hash + Clone + Send + Sync,
    V: Retire + Send + Sync,
{
    type Key = K;
    type Value = V;
    type Session<'a>
        = BrokenSession<'a, K, V, FLAW>
    where
        Self: 'a;

    fn session(&self) -> Self::Session<'_> {
        let stale = (FLAW == Flaw::SESSION_IS_STALE).then(|| self.lock().clone());
        BrokenSession { map: self, stale }
    }

    fn len(&self) -> usize {
        let lag = if FLAW == Flaw::LENGTH_LAGS {
            self.removed().len()
        } else {
            0
        };
        self.lock().len() + lag
    }

    fn shrink(&self) -> Shrink {
        self.lock().shrink_to_fit();
        Shrink::Done
    }
}

pub(crate) struct BrokenSession<'a, K, V, const FLAW: u8> {
    map: &'a Broken<K, V, FLAW>,
    stale: Option<Entries<K, V>>,
}

impl<K, V, const FLAW: u8> MapSession for BrokenSession<'_, K, V, FLAW>
where
    K: Eq + Hash + Clone,
    V: Retire,
{
    type Key = K;
    type Value = V;

    fn read<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(stale) = &self.stale {
            return stale.get(key).map(|value| f(value));
        }
        if FLAW == Flaw::WANTS_OWNED_KEYS && size_of_val(key) != size_of::<K>() {
            return None;
        }
        if FLAW == Flaw::READ_TAKES_OUT {
            let (key, value) = self.map.lock().remove_entry(key)?;
            thread::yield_now();
            let result = f(&value);
            self.map.lock().insert(key, value);
            return Some(result);
        }
        if FLAW == Flaw::READ_ALLOCATES {
            drop(black_box(Box::new(0_u64)));
        }
        Broken::<K, V, FLAW>::under(self.map.lock(), |entries| {
            entries.get(key).map(|value| f(value))
        })
    }

    fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        let mut entries = self.map.lock();
        if let Some(occupant) = entries.get(&key).cloned() {
            if FLAW == Flaw::RETIRES_REJECTED {
                drop(value.retire());
            }
            let occupant = Broken::<K, V, FLAW>::under(entries, |_| occupied(&occupant));
            return Err(Occupied {
                rejected: value,
                occupant,
            });
        }
        if FLAW == Flaw::LOOKS_THEN_INSERTS {
            drop(entries);
            dawdle();
            entries = self.map.lock();
        }
        if FLAW == Flaw::LOSES_ON_GROWTH && entries.len() == 1_000 {
            entries.clear();
        }
        entries.insert(key, Arc::new(value));
        Ok(())
    }

    fn remove_if<Q>(&self, key: &Q, mut condition: impl FnMut(&V) -> bool) -> Option<V::Payload>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let value = self.map.lock().get(key).cloned()?;
        if FLAW == Flaw::REMOVES_SUCCESSOR || FLAW == Flaw::HANDS_OVER_TWICE {
            if !condition(&value) {
                return None;
            }
            dawdle();
            let removed = self.map.lock().remove(key);
            return if FLAW == Flaw::HANDS_OVER_TWICE {
                Some(value.retire())
            } else {
                Some(removed?.retire())
            };
        }
        drop(value);

        let accepted = Broken::<K, V, FLAW>::under(self.map.lock(), |entries| {
            entries
                .get(key)
                .map(|value| (Arc::clone(value), condition(value)))
        });
        let (asked, accepted) = accepted?;
        if !accepted && FLAW != Flaw::IGNORES_CONDITION {
            return None;
        }
        let mut entries = self.map.lock();
        if !Arc::ptr_eq(entries.get(key)?, &asked) {
            return None;
        }
        let value = entries.remove(key)?;
        drop((asked, entries));
        match FLAW {
            Flaw::KEEPS_PAYLOAD => {
                self.map.removed().push(value);
                None
            }
            Flaw::RETIRES_LATE => {
                let before = mem::replace(&mut *self.map.removed(), vec![value]);
                before.first().map(Retire::retire)
            }
            Flaw::LEAKS_VALUES => {
                let payload = value.retire();
                mem::forget(value);
                Some(payload)
            }
            Flaw::LENGTH_LAGS => {
                self.map.removed().push(Arc::clone(&value));
                Some(value.retire())
            }
            _ => Some(value.retire()),
        }
    }

    fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        if FLAW == Flaw::ITERATION_GIVES_UP {
            let entries = self.map.lock().clone();
            for (key, value) in &entries {
                thread::yield_now();
                if self.map.lock().len() != entries.len() {
                    return;
                }
                f(key, value);
            }
            return;
        }
        Broken::<K, V, FLAW>::under(self.map.lock(), |entries| {
            for (key, value) in entries.iter() {
                f(key, value);
                if FLAW == Flaw::ITERATES_TWICE {
                    f(key, value);
                }
            }
        });
    }
}
