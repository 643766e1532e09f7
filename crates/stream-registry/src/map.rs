//! The map that a registry stands on, and what it asks of it.
//!
//! # Design
//!
//! [`StreamMap`] names only what streams need of their storage. Every `state_map::StateMap` of the right key and
//! value is one, by one blanket implementation; a map of your own can be one without being a `StateMap`.
//!
//! # Why
//!
//! Ids are drawn at random and never used again. So an entry needs no condition to be removed, and no key is inserted
//! that a stream which has ended still occupies.

use std::fmt;
use std::sync::Arc;

use state_map::{DefaultMap, MapSession, Retire, StateMap};

use crate::StreamId;
use crate::cell::StreamCell;

/// What a map of streams stores: a shared handle on a stream. Opaque; clones are the same stream.
pub struct StreamEntry<T>(pub(crate) Arc<StreamCell<T>>);

impl<T> Clone for StreamEntry<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for StreamEntry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamEntry").field(&self.0).finish()
    }
}

/// Nothing has to be handed over: whoever ended the stream has what there was of it.
impl<T> Retire for StreamEntry<T> {
    type Payload = ();

    fn retire(&self) {}
}

/// A map from ids to streams of `T`, to build a [`StreamRegistry`](crate::StreamRegistry) on.
///
/// Any `state_map::StateMap` from [`StreamId`] to [`StreamEntry`] is one. For a map of your own, implement this
/// and [`StreamSession`], whose documentation is the contract.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `StreamMap`"
)]
pub trait StreamMap<T>: Send + Sync {
    /// See [`StreamSession`].
    type Session<'a>: StreamSession<T>
    where
        Self: 'a;

    /// Opens a session, which amortises over a batch what the map pays per access.
    fn open(&self) -> Self::Session<'_>;
}

/// A thread's access to a [`StreamMap`]. Operations on one key are linearizable; closures must not touch the map.
pub trait StreamSession<T> {
    /// Calls `f` with the entry of `id`, at most once.
    fn find<R>(&self, id: &StreamId, f: impl FnOnce(&StreamEntry<T>) -> R) -> Option<R>;

    /// Stores `entry`. False, and nothing stored, if the key has one already.
    fn store(&self, id: StreamId, entry: StreamEntry<T>) -> bool;

    /// Removes the entry of `id`, if there is one.
    fn evict(&self, id: &StreamId);

    /// Calls `f` for each entry that is there during the whole call, and perhaps for others, and perhaps twice.
    fn visit(&self, f: impl FnMut(&StreamId, &StreamEntry<T>));
}

impl<T, M: StateMap<Key = StreamId, Value = StreamEntry<T>>> StreamMap<T> for M {
    type Session<'a>
        = StateMapSession<M::Session<'a>>
    where
        Self: 'a;

    fn open(&self) -> Self::Session<'_> {
        StateMapSession(self.session())
    }
}

/// The session of a `StateMap`, as a [`StreamSession`].
#[derive(Debug)]
pub struct StateMapSession<S>(S);

impl<T, S: MapSession<Key = StreamId, Value = StreamEntry<T>>> StreamSession<T>
    for StateMapSession<S>
{
    fn find<R>(&self, id: &StreamId, f: impl FnOnce(&StreamEntry<T>) -> R) -> Option<R> {
        self.0.read(id, f)
    }

    fn store(&self, id: StreamId, entry: StreamEntry<T>) -> bool {
        self.0.insert_if_absent(id, entry, |_| ()).is_ok()
    }

    fn evict(&self, id: &StreamId) {
        // The payload is nothing; that there was one to hand over is told by the stream's own end.
        let _ = self.0.remove(id);
    }

    fn visit(&self, f: impl FnMut(&StreamId, &StreamEntry<T>)) {
        self.0.for_each(f);
    }
}

/// The map of a registry that names none: DashMap where that feature is on, else papaya, else scc, else the locked map.
/// With none of them it stands for nothing, and using it is an error that says so.
pub type DefaultStreamMap<T> = DefaultMap<StreamId, StreamEntry<T>>;

/// Streams on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapStreams<T> = state_map::DashMapBackend<StreamId, StreamEntry<T>>;

/// Streams on papaya.
#[cfg(feature = "papaya")]
pub type PapayaStreams<T> = state_map::PapayaBackend<StreamId, StreamEntry<T>>;

/// Streams on scc.
#[cfg(feature = "scc")]
pub type SccStreams<T> = state_map::SccBackend<StreamId, StreamEntry<T>>;

/// Streams on one locked `HashMap`, the baseline of ADR-0004.
#[cfg(feature = "rwlock")]
pub type RwLockStreams<T> = state_map::RwLockBackend<StreamId, StreamEntry<T>>;
