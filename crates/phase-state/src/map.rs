//! The map that a router stands on, and what it asks of it.
//!
//! # Design
//!
//! [`PhaseMap`] names only what requests need of their storage. Every `state_map::StateMap` of the right key and
//! value is one, by one blanket implementation; a map of your own can be one without being a `StateMap`.
//!
//! # Why
//!
//! A router could ask for a `StateMap` directly. Then whoever brings a map for requests alone would have to
//! implement what only other crates need, and this crate's needs would not stand in one place.

use std::fmt;
use std::sync::Arc;

use state_map::{DefaultMap, MapSession, Retire, Shrink, StateMap};

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

/// Nothing has to be handed over: whoever ended the request has what there was to know.
impl Retire for PhaseEntry {
    type Payload = ();

    fn retire(&self) {}
}

/// A map from requests to their state, to build a [`PhaseRouter`](crate::PhaseRouter) on.
///
/// Any `state_map::StateMap` from [`RequestKey`] to [`PhaseEntry`] is one. For a map of your own, implement this
/// and [`PhaseSession`], whose documentation is the contract.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `PhaseMap`"
)]
pub trait PhaseMap: Send + Sync {
    /// See [`PhaseSession`].
    type Session<'a>: PhaseSession
    where
        Self: 'a;

    /// Opens a session, which amortises over a batch what the map pays per access.
    fn open(&self) -> Self::Session<'_>;

    /// How many requests each shard holds, where the map has shards.
    fn shard_loads(&self) -> Option<Vec<usize>>;

    /// Gives back what a burst of requests has left behind, where the map can.
    fn give_back(&self) -> Shrink;
}

/// A thread's access to a [`PhaseMap`]. Operations on one key are linearizable; closures must not touch the map.
pub trait PhaseSession {
    /// Calls `f` with the entry of `key`, at most once.
    fn find<R>(&self, key: &RequestKey, f: impl FnOnce(&PhaseEntry) -> R) -> Option<R>;

    /// Stores `entry`, unless the key has one: then answers with what `occupied` says of that one.
    ///
    /// # Errors
    ///
    /// What `occupied` returned.
    fn store<R>(
        &self,
        key: RequestKey,
        entry: PhaseEntry,
        occupied: impl FnOnce(&PhaseEntry) -> R,
    ) -> Result<(), R>;

    /// Removes the entry of `key` if `condition` accepts it. The condition may run more than once; what it accepts
    /// it accepts for ever.
    fn evict(&self, key: &RequestKey, condition: impl FnMut(&PhaseEntry) -> bool);

    /// Calls `f` for each entry; those that come or go meanwhile may be missed, or met twice.
    fn visit(&self, f: impl FnMut(&RequestKey, &PhaseEntry));
}

impl<M: StateMap<Key = RequestKey, Value = PhaseEntry>> PhaseMap for M {
    type Session<'a>
        = StateMapSession<M::Session<'a>>
    where
        Self: 'a;

    #[inline]
    fn open(&self) -> Self::Session<'_> {
        StateMapSession(self.session())
    }

    fn shard_loads(&self) -> Option<Vec<usize>> {
        self.shard_lens()
    }

    fn give_back(&self) -> Shrink {
        self.shrink()
    }
}

/// The session of a `StateMap`, as a [`PhaseSession`].
#[derive(Debug)]
pub struct StateMapSession<S>(S);

impl<S: MapSession<Key = RequestKey, Value = PhaseEntry>> PhaseSession for StateMapSession<S> {
    #[inline]
    fn find<R>(&self, key: &RequestKey, f: impl FnOnce(&PhaseEntry) -> R) -> Option<R> {
        self.0.read(key, f)
    }

    fn store<R>(
        &self,
        key: RequestKey,
        entry: PhaseEntry,
        occupied: impl FnOnce(&PhaseEntry) -> R,
    ) -> Result<(), R> {
        self.0
            .insert_if_absent(key, entry, occupied)
            .map_err(|taken| taken.occupant)
    }

    fn evict(&self, key: &RequestKey, condition: impl FnMut(&PhaseEntry) -> bool) {
        // The payload is nothing; that there was one to hand over is told by the entry's own mark.
        let _ = self.0.remove_if(key, condition);
    }

    fn visit(&self, f: impl FnMut(&RequestKey, &PhaseEntry)) {
        self.0.for_each(f);
    }
}

/// The map of a router that names none: DashMap where that feature is on, else papaya, else scc, else the locked map.
/// With none of them it stands for nothing, and using it is an error that says so.
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
