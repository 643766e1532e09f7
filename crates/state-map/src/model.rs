//! Maps to check a crate's own logic against, under a model checker and in tests. Not for
//! production.
//!
//! [`ReferenceMap`] is the contract at its kindest: one lock, everything atomic, closures run once.
//! [`AdversarialMap`] is the contract at its worst: closures run on values that may have been
//! unlinked, conditions run twice and not atomically with the removal, an iteration shows a past
//! state, and again if the map changed, removed entries linger until the map is dropped. Loom sees
//! their locks, and finds their entries in one order each time. It cannot see into DashMap or
//! papaya: the real maps are held to the contract by the conformance suite and by recorded
//! histories.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use crate::{Access, Shrink, StateMap};
use std_or_loom::{Mutex, lock};

/// An obviously correct [`StateMap`]: a vector behind one lock.
pub struct ReferenceMap<K, V>(Mutex<Vec<(K, V)>>);

impl<K, V> Default for ReferenceMap<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
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
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
{
    type Key = K;
    type Value = V;
    type Guard<'a>
        = ()
    where
        Self: 'a;

    fn guard(&self) {}

    fn read<Q, R>(access: &Access<'_, Self>, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entries = lock(&access.map().0);
        position(&entries, key).map(|at| f(&entries[at].1))
    }

    fn insert_if_absent(access: &Access<'_, Self>, key: K, value: V) -> Result<(), V> {
        let mut entries = lock(&access.map().0);
        if position(&entries, &key).is_some() {
            // Unlocked before the key is dropped.
            drop(entries);
            return Err(value);
        }
        entries.push((key, value));
        Ok(())
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
        let mut entries = lock(&access.map().0);
        match position(&entries, key) {
            Some(at) if condition(&entries[at].1) => {
                let removed = entries.swap_remove(at);
                // Unlocked before the entry is dropped.
                drop(entries);
                drop(removed);
                true
            }
            _ => false,
        }
    }

    fn for_each(access: &Access<'_, Self>, mut f: impl FnMut(&K, &V)) {
        for (key, value) in lock(&access.map().0).iter() {
            f(key, value);
        }
    }

    fn shrink(&self) -> Shrink {
        lock(&self.0).shrink_to_fit();
        Shrink::Done
    }
}

/// A [`StateMap`] that does whatever the contract does not forbid.
pub struct AdversarialMap<K, V>(Mutex<Adversary<K, V>>);

struct Adversary<K, V> {
    entries: Vec<Arc<(K, V)>>,
    /// Removed entries: the contract promises no moment at which they are dropped.
    shells: Vec<Arc<(K, V)>>,
}

impl<K, V> Adversary<K, V> {
    fn position<Q: Eq + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        self.entries
            .iter()
            .position(|entry| entry.0.borrow() == key)
    }
}

impl<K, V> AdversarialMap<K, V> {
    fn find<Q: Eq + ?Sized>(&self, key: &Q) -> Option<Arc<(K, V)>>
    where
        K: Borrow<Q>,
    {
        let state = lock(&self.0);
        let at = state.position(key)?;
        Some(Arc::clone(&state.entries[at]))
    }

    fn entries(&self) -> Vec<Arc<(K, V)>> {
        lock(&self.0).entries.clone()
    }
}

impl<K, V> Default for AdversarialMap<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Adversary {
            entries: Vec::new(),
            shells: Vec::new(),
        }))
    }
}

impl<K, V> fmt::Debug for AdversarialMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdversarialMap").finish_non_exhaustive()
    }
}

impl<K, V> StateMap for AdversarialMap<K, V>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
{
    type Key = K;
    type Value = V;
    type Guard<'a>
        = ()
    where
        Self: 'a;

    fn guard(&self) {}

    fn read<Q, R>(access: &Access<'_, Self>, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        access.map().find(key).map(|entry| f(&entry.1))
    }

    fn insert_if_absent(access: &Access<'_, Self>, key: K, value: V) -> Result<(), V> {
        let mut state = lock(&access.map().0);
        if state.position(&key).is_some() {
            // Unlocked before the key is dropped.
            drop(state);
            return Err(value);
        }
        state.entries.push(Arc::new((key, value)));
        Ok(())
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
        while let Some(entry) = access.map().find(key) {
            // Once for nothing: a condition must bear to be asked again.
            let _ = condition(&entry.1);
            if !condition(&entry.1) {
                return false;
            }
            let mut state = lock(&access.map().0);
            match state.position(key) {
                Some(at) if Arc::ptr_eq(&state.entries[at], &entry) => {
                    let shell = state.entries.swap_remove(at);
                    state.shells.push(shell);
                    return true;
                }
                // Another thread removed it, and has perhaps put another one there.
                _ => {}
            }
        }
        false
    }

    fn for_each(access: &Access<'_, Self>, mut f: impl FnMut(&K, &V)) {
        let before = access.map().entries();
        before.iter().for_each(|entry| f(&entry.0, &entry.1));
        let after = access.map().entries();
        let unchanged = before.len() == after.len()
            && before.iter().zip(&after).all(|(b, a)| Arc::ptr_eq(b, a));
        if !unchanged {
            after.iter().for_each(|entry| f(&entry.0, &entry.1));
        }
    }

    fn len(&self) -> usize {
        lock(&self.0).entries.len()
    }
}
