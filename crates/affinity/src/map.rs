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

use crate::entry::SessionEntry;
use crate::fingerprint::SessionFingerprint;

/// A map from sessions to their pins, to build a [`MemoryStore`](crate::MemoryStore) on.
///
/// It owns what it needs, since a lease may outlive its store. Any `state_map::StateMap` from [`SessionFingerprint`] to
/// [`SessionEntry`] is one. For a map of your own, implement this and [`SessionMapSession`], whose documentation is the
/// contract.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `SessionMap`"
)]
pub trait SessionMap: Send + Sync + 'static {
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
    /// Calls `f` with the entry at `at`, at most once.
    fn find<R>(&self, at: &SessionFingerprint, f: impl FnOnce(&SessionEntry) -> R) -> Option<R>;

    /// Stores `entry` at `at`, where there is none.
    fn put(&self, at: SessionFingerprint, entry: SessionEntry);

    /// Removes the entry at `at`.
    fn evict(&self, at: &SessionFingerprint);
}

impl<M: StateMap<Key = SessionFingerprint, Value = SessionEntry> + 'static> SessionMap for M {
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

impl<S: MapSession<Key = SessionFingerprint, Value = SessionEntry>> SessionMapSession
    for StateMapSession<S>
{
    #[inline]
    fn find<R>(&self, at: &SessionFingerprint, f: impl FnOnce(&SessionEntry) -> R) -> Option<R> {
        self.0.read(at, f)
    }

    fn put(&self, at: SessionFingerprint, entry: SessionEntry) {
        // Occupied it is not: the store evicts first, and nobody else puts anything.
        let _ = self.0.insert_if_absent(at, entry, |_| ());
    }

    fn evict(&self, at: &SessionFingerprint) {
        let _ = self.0.remove(at);
    }
}

/// The map of a store that names none: DashMap where that feature is on, else papaya, else scc, else the locked map.
/// With none of them it stands for nothing, and using it is an error that says so.
pub type DefaultSessionMap = DefaultMap<SessionFingerprint, SessionEntry>;

/// Sessions on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapSessions = state_map::DashMapBackend<SessionFingerprint, SessionEntry>;

/// Sessions on papaya.
#[cfg(feature = "papaya")]
pub type PapayaSessions = state_map::PapayaBackend<SessionFingerprint, SessionEntry>;

/// Sessions on scc.
#[cfg(feature = "scc")]
pub type SccSessions = state_map::SccBackend<SessionFingerprint, SessionEntry>;

/// Sessions on one locked `HashMap`, the baseline of the decision records.
#[cfg(feature = "rwlock")]
pub type RwLockSessions = state_map::RwLockBackend<SessionFingerprint, SessionEntry>;
