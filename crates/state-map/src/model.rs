//! Maps to check a crate's own logic against, under a model checker and in tests. Not for production.
//!
//! # Design
//!
//! - [`ReferenceMap`] is the contract at its kindest: one lock, everything atomic, closures run once.
//! - [`AdversarialMap`] is the contract at its worst: whatever it permits, this map does. Closures run on
//!   values that may have been unlinked meanwhile; conditions run twice, and not atomically with the removal;
//!   iteration shows a past state, and shows it again if the map changed; removed values linger until
//!   the map is dropped.
//!
//! Both take their lock from [`crate::sync`], so that loom sees it, and both search a vector, so that a model
//! checker finds the same order each time.
//!
//! # Why
//!
//! Loom cannot see into DashMap or papaya. A crate that is generic over its map can be checked on these
//! two instead: what is proved is its logic, given the contract. The real maps are held to the contract by
//! the conformance suite and by recorded histories.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use crate::sync::{self, Mutex};
use crate::{LocalSession, MapSession, Occupied, Retire, Shrink, StateMap};

/// An obviously correct [`StateMap`]: a vector behind one lock.
pub struct ReferenceMap<K, V> {
    entries: Mutex<Vec<(K, V)>>,
}

impl<K, V> Default for ReferenceMap<K, V> {
    fn default() -> Self {
        Self {
            entries: Mutex::new(Vec::new()),
        }
    }
}

impl<K, V> fmt::Debug for ReferenceMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReferenceMap").finish_non_exhaustive()
    }
}

fn position<K: Borrow<Q>, V, Q: Eq + ?Sized>(entries: &[(K, V)], key: &Q) -> Option<usize> {
    entries.iter().position(|(k, _)| k.borrow() == key)
}

impl<K, V> StateMap for ReferenceMap<K, V>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Retire + Send + Sync,
{
    type Key = K;
    type Value = V;
    type Session<'a>
        = LocalSession<'a, Self>
    where
        Self: 'a;

    fn session(&self) -> Self::Session<'_> {
        LocalSession::new(self)
    }

    fn len(&self) -> usize {
        sync::lock(&self.entries).len()
    }

    fn shrink(&self) -> Shrink {
        sync::lock(&self.entries).shrink_to_fit();
        Shrink::Done
    }
}

impl<K, V> MapSession for LocalSession<'_, ReferenceMap<K, V>>
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
        let entries = sync::lock(&self.map.entries);
        position(&entries, key).map(|at| f(&entries[at].1))
    }

    fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        let mut entries = sync::lock(&self.map.entries);
        if let Some(at) = position(&entries, &key) {
            return Err(Occupied {
                occupant: occupied(&entries[at].1),
                rejected: value,
            });
        }
        entries.push((key, value));
        Ok(())
    }

    fn remove_if<Q>(&self, key: &Q, mut condition: impl FnMut(&V) -> bool) -> Option<V::Payload>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut entries = sync::lock(&self.map.entries);
        let at = position(&entries, key)?;
        if !condition(&entries[at].1) {
            return None;
        }
        let (_key, value) = entries.swap_remove(at);
        drop(entries);
        Some(value.retire())
    }

    fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for (key, value) in sync::lock(&self.map.entries).iter() {
            f(key, value);
        }
    }
}

/// A [`StateMap`] that does whatever the contract does not forbid.
pub struct AdversarialMap<K, V> {
    state: Mutex<Adversary<K, V>>,
}

struct Adversary<K, V> {
    entries: Vec<(K, Arc<V>)>,
    /// Values of removed entries: the contract promises no moment at which they are dropped.
    shells: Vec<Arc<V>>,
}

impl<K, V> Adversary<K, V> {
    fn snapshot(&self) -> Vec<(K, Arc<V>)>
    where
        K: Clone,
    {
        self.entries.clone()
    }
}

impl<K, V> AdversarialMap<K, V> {
    fn find<Q: Eq + ?Sized>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
    {
        let state = sync::lock(&self.state);
        position(&state.entries, key).map(|at| Arc::clone(&state.entries[at].1))
    }
}

impl<K, V> Default for AdversarialMap<K, V> {
    fn default() -> Self {
        Self {
            state: Mutex::new(Adversary {
                entries: Vec::new(),
                shells: Vec::new(),
            }),
        }
    }
}

impl<K, V> fmt::Debug for AdversarialMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdversarialMap").finish_non_exhaustive()
    }
}

impl<K, V> StateMap for AdversarialMap<K, V>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Retire + Send + Sync,
{
    type Key = K;
    type Value = V;
    type Session<'a>
        = LocalSession<'a, Self>
    where
        Self: 'a;

    fn session(&self) -> Self::Session<'_> {
        LocalSession::new(self)
    }

    fn len(&self) -> usize {
        sync::lock(&self.state).entries.len()
    }

    fn shrink(&self) -> Shrink {
        Shrink::Unsupported
    }
}

impl<K, V> MapSession for LocalSession<'_, AdversarialMap<K, V>>
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
        self.map.find(key).map(|value| f(&value))
    }

    fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        let mut state = sync::lock(&self.map.state);
        if let Some(at) = position(&state.entries, &key) {
            let occupant = Arc::clone(&state.entries[at].1);
            drop(state);
            return Err(Occupied {
                occupant: occupied(&occupant),
                rejected: value,
            });
        }
        state.entries.push((key, Arc::new(value)));
        Ok(())
    }

    fn remove_if<Q>(&self, key: &Q, mut condition: impl FnMut(&V) -> bool) -> Option<V::Payload>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        loop {
            let value = self.map.find(key)?;
            // Once for nothing: a condition must bear to be asked again.
            let _ = condition(&value);
            if !condition(&value) {
                return None;
            }
            let mut state = sync::lock(&self.map.state);
            let at = position(&state.entries, key)?;
            if Arc::ptr_eq(&state.entries[at].1, &value) {
                state.entries.swap_remove(at);
                state.shells.push(Arc::clone(&value));
                drop(state);
                return Some(value.retire());
            }
        }
    }

    fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        let before = sync::lock(&self.map.state).snapshot();
        for (key, value) in &before {
            f(key, value);
        }
        let after = sync::lock(&self.map.state).snapshot();
        let unchanged = before.len() == after.len()
            && before
                .iter()
                .zip(&after)
                .all(|(b, a)| Arc::ptr_eq(&b.1, &a.1));
        if !unchanged {
            for (key, value) in &after {
                f(key, value);
            }
        }
    }
}
