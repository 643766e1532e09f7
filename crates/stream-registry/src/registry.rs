//! The registry: every stream that has been registered and has not ended, by its id.
//!
//! 1. A stream is in `map` from its registration until whoever ended it has returned.
//! 2. Locks nest in one order: a group of tombstones, a lock of the map, a cell.
//! 3. There is no index from instances to streams: `cancel_instance` looks at all of them.
//!
//! Why there is none: `adr/0004-stream-registry.md`.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quanta::Clock;
use state_map::BackendEnabled;
use worker_id::EndpointInstanceId;

use crate::cell::{Ending, StreamCell, StreamIndex};
use crate::life::Stage;
use crate::map::{DefaultStreamMap, StreamEntry, StreamMap};
use crate::tombstones::{self, Tombstones};
use crate::{Claim, ClaimError, Registration, StreamError, StreamId, StreamKind, Tombstoned};

/// What a registry may be told. The default suits a fleet whose instances come and go within
/// seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct StreamRegistryConfig {
    /// For how long after [`cancel_instance`](StreamRegistry::cancel_instance) nothing can be
    /// associated with the instance. 5 s by default; zero for not at all.
    pub tombstone_life: Duration,
}

impl Default for StreamRegistryConfig {
    fn default() -> Self {
        Self {
            tombstone_life: Duration::from_secs(5),
        }
    }
}

/// How many there are of what, from [`StreamRegistry::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StreamStats {
    /// Streams that nobody has claimed.
    pub pending: usize,
    /// Streams that are claimed and not established.
    pub claimed: usize,
    /// Established streams, whose handles are still held.
    pub established: usize,
    /// Instances that at least one of those streams is associated with.
    pub instances: usize,
    /// Tombstones that have not expired.
    pub tombstones: usize,
}

/// The streams that a frontend has registered, and that workers call home to claim.
///
/// Shared by `Arc` among any number of threads; needs no runtime, spawns nothing, and never blocks
/// for longer than a few moves of memory. Every handle it gives out keeps it alive while its stream
/// has not ended.
///
/// # Concurrency
///
/// Operations on one stream are linearizable, those of its handles included.
/// [`associate`](Self::associate) is atomic against [`cancel_instance`](Self::cancel_instance), for
/// all its streams at once. Otherwise operations on many streams are not atomic: each stream on its
/// own is.
///
/// # Cost
///
/// A registration allocates the stream, and what the map allocates for an entry; nothing else
/// allocates but a failure's text and `cancel_instance`. Registering and ending count references to
/// the registry, and associating takes one of 64 locks, chosen by the instance.
// Apart from the reference count before it, which registering and ending write.
#[repr(align(128))]
pub struct StreamRegistry<T, M = DefaultStreamMap<T>> {
    /// Every stream that has not ended.
    map: M,
    config: StreamRegistryConfig,
    /// Asked before the map is, by whatever names an instance.
    tombstones: Tombstones,
    _streams_of: std::marker::PhantomData<fn(T) -> T>,
}

impl<T: Send + 'static> StreamRegistry<T> {
    /// A registry on the default map.
    #[must_use]
    pub fn new<'new>(config: StreamRegistryConfig) -> Self
    where
        DefaultStreamMap<T>: BackendEnabled<'new>,
    {
        Self::with_map(config, DefaultStreamMap::<T>::empty())
    }
}

impl<T: Send + 'static, M: StreamMap<T> + 'static> StreamRegistry<T, M> {
    /// The most tombstones there are at a time: 16,384, in 64 groups by hash. In a group that is
    /// full, the oldest makes room; thousands of instances have to go within a tombstone's life for
    /// that.
    pub const MAX_TOMBSTONES: usize = tombstones::MAX;

    /// A registry on `map`, which must be empty.
    #[must_use]
    pub fn with_map(config: StreamRegistryConfig, map: M) -> Self {
        Self {
            map,
            config,
            tombstones: Tombstones::new(config.tombstone_life),
            _streams_of: std::marker::PhantomData,
        }
    }

    /// The same registry, with tombstones that go by `clock`: a test passes one that it moves
    /// itself.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self {
            tombstones: self.tombstones.with_clock(clock),
            ..self
        }
    }

    /// The configuration this registry was made with.
    pub fn config(&self) -> &StreamRegistryConfig {
        &self.config
    }

    /// Registers a stream under a new id. It stays registered until it ends: until the registration
    /// is dropped, the stream is cancelled, its claim fails, or the handle of the established
    /// stream is dropped.
    ///
    /// # Panics
    ///
    /// If this thread has never drawn random numbers, and the system has none to seed its generator
    /// with.
    pub fn register(self: &Arc<Self>, kind: StreamKind) -> Registration<T> {
        loop {
            let id = StreamId::random();
            let cell = Arc::new(StreamCell::new(id, kind, Some(Arc::clone(self) as _)));
            let entry = StreamEntry(Arc::clone(&cell));
            if self.map.access().insert_if_absent(id, entry).is_ok() {
                return Registration::new(cell);
            }
        }
    }

    /// Ties streams to the instance that is to call home for them: both halves of a session. They
    /// end when the instance is cancelled, established ones included. A stream that was tied to
    /// another instance is untied from that; ids of streams that have ended, or never were, are
    /// passed over.
    ///
    /// Atomic against [`cancel_instance`](Self::cancel_instance): comes whole before it, and all
    /// the streams end; or whole after it, and finds the tombstone.
    ///
    /// # Errors
    ///
    /// [`Tombstoned`], if the instance was cancelled less than a tombstone's life ago: then all
    /// these streams have been ended, whatever they were tied to, with
    /// [`StreamError::InstanceGone`].
    pub fn associate(
        &self,
        ids: &[StreamId],
        instance: &EndpointInstanceId,
    ) -> Result<(), Tombstoned> {
        let outcome = self.tombstones.associate(instance, |epoch| {
            let access = self.map.access();
            for id in ids {
                access.read(id, |entry| entry.0.associate(instance, epoch));
            }
        });
        if outcome.is_err() {
            for id in ids {
                let instance = instance.clone();
                self.end(id, StreamError::InstanceGone { instance });
            }
        }
        outcome
    }

    /// Claims a stream, for whoever was told its id. Of any number of claims, one succeeds.
    ///
    /// # Errors
    ///
    /// [`ClaimError`]; the stream is as it was.
    pub fn claim(&self, id: StreamId, kind: StreamKind) -> Result<Claim<T>, ClaimError> {
        let cell = self.cell(&id).ok_or(ClaimError::Unknown { id })?;
        cell.claim(kind)?;
        Ok(Claim::new(cell))
    }

    /// Ends a stream, with [`StreamError::Cancelled`] for a registrant that has no answer yet.
    /// False if it has ended, or there is none of this id.
    pub fn cancel(&self, id: StreamId) -> bool {
        self.end(&id, StreamError::Cancelled)
    }

    /// Ends every stream that is associated with this instance, with [`StreamError::InstanceGone`]
    /// for registrants that have no answer yet, and returns how many those were. For a tombstone's
    /// life from now, nothing can be associated with the instance.
    ///
    /// Looks at every stream in the registry: `O(streams)`. Allocates for what it ends.
    pub fn cancel_instance(&self, instance: &EndpointInstanceId) -> usize {
        let epoch = self.tombstones.raise(instance);
        self.end_those(|cell| cell.end_of(instance, epoch))
    }

    /// Ends every stream, as when the frontend goes down, and returns how many those were. A stream
    /// that is registered meanwhile may be missed.
    pub fn cancel_all(&self) -> usize {
        self.end_those(|cell| cell.end(StreamError::Cancelled))
    }

    /// Lets streams be associated with this instance again, since it is back. False if it had no
    /// tombstone.
    pub fn clear_tombstone(&self, instance: &EndpointInstanceId) -> bool {
        self.tombstones.clear(instance)
    }

    /// How many there are of what: exact while nothing happens meanwhile, and all zero where
    /// nothing is in flight.
    ///
    /// Looks at every stream in the registry: `O(streams)`. For a gauge that is read every few
    /// seconds.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        let mut stats = StreamStats::default();
        let mut instances = HashSet::new();
        self.map.access().for_each(|_, entry| {
            entry.0.census(|stage, instance| {
                match stage {
                    Stage::Pending => stats.pending += 1,
                    Stage::Claimed => stats.claimed += 1,
                    Stage::Established | Stage::Ended => stats.established += 1,
                }
                if let Some(instance) = instance
                    && !instances.contains(instance)
                {
                    instances.insert(instance.clone());
                }
            });
        });
        stats.instances = instances.len();
        stats.tombstones = self.tombstones.count();
        stats
    }

    fn cell(&self, id: &StreamId) -> Option<Arc<StreamCell<T>>> {
        self.map.access().read(id, |entry| Arc::clone(&entry.0))
    }

    fn end(&self, id: &StreamId, why: StreamError) -> bool {
        self.cell(id).and_then(|cell| cell.end(why)).is_some()
    }

    fn end_those(&self, end: impl Fn(&StreamCell<T>) -> Option<Ending>) -> usize {
        let mut ended = Vec::new();
        self.map
            .access()
            .for_each(|_, entry| ended.extend(end(&entry.0)));
        ended.len()
    }
}

impl<T: Send + 'static, M: StreamMap<T>> StreamIndex for StreamRegistry<T, M> {
    fn forget(&self, id: &StreamId) {
        self.map.access().remove(id);
    }
}

impl<T, M> fmt::Debug for StreamRegistry<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRegistry")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
