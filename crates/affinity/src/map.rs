//! The map that a store stands on: any `state_map::StateMap` of the right key and value.

use state_map::{DefaultMap, StateMap};

use crate::entry::SessionEntry;
use crate::fingerprint::SessionFingerprint;

/// A map from sessions to their pins, to build a [`MemoryStore`](crate::MemoryStore) on.
///
/// Every `state_map::StateMap` from [`SessionFingerprint`] to [`SessionEntry`] is one, a map of your own too,
/// if it owns what it needs: a lease may outlive its store. A store inserts and removes under a lock of its
/// own; any number of threads read meanwhile.
pub trait SessionMap: StateMap<Key = SessionFingerprint, Value = SessionEntry> + 'static {}

impl<M: StateMap<Key = SessionFingerprint, Value = SessionEntry> + 'static> SessionMap for M {}

/// For `state_map::conformance!` on a map of your own.
#[cfg(feature = "conformance")]
impl state_map::conformance::Sample for SessionEntry {
    type Key = SessionFingerprint;

    fn key(number: u64) -> SessionFingerprint {
        SessionFingerprint::numbered(number)
    }

    fn sample(stamp: u64) -> Self {
        let binding = crate::Binding {
            worker: stamp.into(),
            kind: crate::BindingKind::RouterOnly,
            generation: 1,
        };
        let note = crate::entry::Note {
            deadline: 0,
            used: false,
        };
        Self::new(&binding, note)
    }

    fn stamp(&self) -> u64 {
        self.worker().worker_id
    }
}

/// The map of a store that names none: DashMap where that feature is on, else papaya, else scc,
/// else the locked map. With none of them on, none can be made, and the error says so.
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
