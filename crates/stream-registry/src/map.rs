//! The map that a registry stands on: any `state_map::StateMap` of the right key and value.

use std::fmt;
use std::sync::Arc;

use state_map::{DefaultMap, StateMap};

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

/// A map from ids to streams of `T`, to build a [`StreamRegistry`](crate::StreamRegistry) on.
///
/// Every `state_map::StateMap` from [`StreamId`] to [`StreamEntry`] is one, a map of your own too.
/// Ids are drawn at random and never used again: an entry is removed by its id, whatever is in it.
pub trait StreamMap<T>: StateMap<Key = StreamId, Value = StreamEntry<T>> {}

impl<T, M: StateMap<Key = StreamId, Value = StreamEntry<T>>> StreamMap<T> for M {}

/// For `state_map::conformance!` on a map of your own.
#[cfg(feature = "conformance")]
impl<T: Send + 'static> state_map::conformance::Sample for StreamEntry<T> {
    type Key = StreamId;

    fn key(number: u64) -> StreamId {
        StreamId::from_bytes(u128::from(number).to_be_bytes())
    }

    fn sample(stamp: u64) -> Self {
        let kind = crate::StreamKind::Response;
        Self(Arc::new(StreamCell::new(Self::key(stamp), kind, None)))
    }

    fn stamp(&self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0.id.to_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The map of a registry that names none: DashMap where that feature is on, else papaya, else scc,
/// else the locked map. With none of them on, none can be made, and the error says so.
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
