//! The map that a router stands on: any `state_map::StateMap` of the right key and value.

use std::fmt;
use std::sync::Arc;

use state_map::{DefaultMap, StateMap};

use crate::RequestKey;
use crate::cell::PhaseCell;

/// What a map of requests stores: a shared handle on a request's state. Opaque; clones are the same request.
#[derive(Clone)]
pub struct PhaseEntry(pub(crate) Arc<PhaseCell>);

impl PhaseEntry {
    pub(crate) fn is_live(&self) -> bool {
        self.0.is_live()
    }

    pub(crate) fn is_dead(&self) -> bool {
        !self.0.is_live()
    }
}

impl fmt::Debug for PhaseEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PhaseEntry").field(&self.0.kind()).finish()
    }
}

/// A map from requests to their state, to build a [`PhaseRouter`](crate::PhaseRouter) on.
///
/// Every `state_map::StateMap` from [`RequestKey`] to [`PhaseEntry`] is one, a map of your own too. Tokens
/// are one `read` each. A request's entry is inserted once and removed once, after it was marked dead.
pub trait PhaseMap: StateMap<Key = RequestKey, Value = PhaseEntry> {}

impl<M: StateMap<Key = RequestKey, Value = PhaseEntry>> PhaseMap for M {}

/// For `state_map::conformance!` on a map of your own.
#[cfg(feature = "conformance")]
mod sample {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use state_map::conformance::Sample;

    use super::PhaseEntry;
    use crate::cell::{Driver, PhaseCell};
    use crate::{RequestKey, StartPhase};

    /// The numbers of samples, by the addresses of their cells: a cell has no place for one.
    static STAMPS: Mutex<BTreeMap<usize, u64>> = Mutex::new(BTreeMap::new());

    impl Sample for PhaseEntry {
        type Key = RequestKey;

        fn key(number: u64) -> RequestKey {
            number.into()
        }

        fn sample(stamp: u64) -> Self {
            let cell = Arc::new(PhaseCell::new(StartPhase::Prefill, Driver::Key));
            // A freed cell's address may come again: the newest sample there counts.
            let mut stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
            stamps.insert(Arc::as_ptr(&cell).addr(), stamp);
            Self(cell)
        }

        fn stamp(&self) -> u64 {
            let stamps = STAMPS.lock().unwrap_or_else(PoisonError::into_inner);
            stamps[&Arc::as_ptr(&self.0).addr()]
        }
    }
}

/// The map of a router that names none: DashMap where that feature is on, else papaya, else scc,
/// else the locked map. With none of them on, none can be made, and the error says so.
pub type DefaultPhaseMap = DefaultMap<RequestKey, PhaseEntry>;

/// Requests on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapPhases = state_map::DashMapBackend<RequestKey, PhaseEntry>;

/// Requests on papaya.
#[cfg(feature = "papaya")]
pub type PapayaPhases = state_map::PapayaBackend<RequestKey, PhaseEntry>;

/// Requests on scc.
#[cfg(feature = "scc")]
pub type SccPhases = state_map::SccBackend<RequestKey, PhaseEntry>;

/// Requests on one locked `HashMap`, the baseline of ADR-0003.
#[cfg(feature = "rwlock")]
pub type RwLockPhases = state_map::RwLockBackend<RequestKey, PhaseEntry>;
