//! The map that a store stands on, and what it asks of it.
//!
//! # Design
//!
//! [`SessionMap`] names only what pins need of their storage. Every `state_map::StateMap` of the right key and value is
//! one, by one blanket implementation; a map of your own can be one without being a `StateMap`.
//!
//! # Why
//!
//! A store could ask for a `StateMap` directly. Then whoever brings a map for pins alone would have to implement what
//! only other crates need, and this crate's needs would not stand in one place.

use state_map::{DefaultMap, MapSession, StateMap};

use crate::SessionRef;
use crate::entry::{EntryKey, SessionEntry};
use crate::key::AnyKey;

/// A map from sessions to their pins, to build a [`MemoryStore`](crate::MemoryStore) on.
///
/// Any `state_map::StateMap` from [`EntryKey`] to [`SessionEntry`] is one. For a map of your own, implement this and
/// [`SessionMapSession`], whose documentation is the contract.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `SessionMap`"
)]
pub trait SessionMap: Send + Sync {
    /// See [`SessionMapSession`].
    type Session<'a>: SessionMapSession
    where
        Self: 'a;

    /// Opens a session of the map.
    fn open(&self) -> Self::Session<'_>;
}

/// A thread's access to a [`SessionMap`]. Operations on one key are linearizable; closures must not touch the map.
///
/// A store changes its map under a lock of its own: no two calls of `put` and `evict` race with each other, only with
/// `find`.
pub trait SessionMapSession {
    /// Calls `f` with the entry of `key`, at most once.
    fn find<R>(&self, key: SessionRef<'_>, f: impl FnOnce(&SessionEntry) -> R) -> Option<R>;

    /// Stores `entry`, whose key is absent.
    fn put(&self, key: EntryKey, entry: SessionEntry);

    /// Removes the entry of `key`.
    fn evict(&self, key: &EntryKey);
}

impl<M: StateMap<Key = EntryKey, Value = SessionEntry>> SessionMap for M {
    type Session<'a>
        = StateMapSession<M::Session<'a>>
    where
        Self: 'a;

    #[inline]
    fn open(&self) -> Self::Session<'_> {
        StateMapSession(self.session())
    }
}

/// The session of a `StateMap`, as a [`SessionMapSession`].
#[derive(Debug)]
pub struct StateMapSession<S>(S);

impl<S: MapSession<Key = EntryKey, Value = SessionEntry>> SessionMapSession for StateMapSession<S> {
    #[inline]
    fn find<R>(&self, key: SessionRef<'_>, f: impl FnOnce(&SessionEntry) -> R) -> Option<R> {
        let key: &dyn AnyKey = &key;
        self.0.read(key, f)
    }

    fn put(&self, key: EntryKey, entry: SessionEntry) {
        // Occupied it is not: the store evicts first, and nobody else puts anything.
        let _ = self.0.insert_if_absent(key, entry, |_| ());
    }

    fn evict(&self, key: &EntryKey) {
        let _ = self.0.remove(key);
    }
}

/// The map of a store that names none: DashMap where that feature is on, else papaya, else scc, else the locked map.
/// With none of them it stands for nothing, and using it is an error that says so.
pub type DefaultSessionMap = DefaultMap<EntryKey, SessionEntry>;

/// Sessions on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapSessions = state_map::DashMapBackend<EntryKey, SessionEntry>;

/// Sessions on papaya.
#[cfg(feature = "papaya")]
pub type PapayaSessions = state_map::PapayaBackend<EntryKey, SessionEntry>;

/// Sessions on scc.
#[cfg(feature = "scc")]
pub type SccSessions = state_map::SccBackend<EntryKey, SessionEntry>;

/// Sessions on one locked `HashMap`, the baseline of the decision records.
#[cfg(feature = "rwlock")]
pub type RwLockSessions = state_map::RwLockBackend<EntryKey, SessionEntry>;
