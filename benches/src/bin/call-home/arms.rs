//! What the streams are registered in: the published designs, and ours on each map.
//!
//! The published ones know a stream by the text of its id, and keep, for the end of an instance, both of which streams it
//! has and which instance a stream has. One async lock around all of it is what was first published; one plain lock is what
//! replaced it; four concurrent maps were proposed in between.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use dashmap::DashMap;
use stream_registry::{
    Claim, Established, Registration, StreamId, StreamKind, StreamMap, StreamRegistry,
    StreamRegistryConfig,
};
use tokio::sync::{mpsc, oneshot};
use worker_id::EndpointInstanceId;

/// What a registrant gets.
pub(crate) struct Feed {
    pub(crate) pieces: mpsc::Receiver<Bytes>,
    /// How long it took to claim the stream, in nanoseconds.
    pub(crate) claim: u64,
}

pub(crate) trait Arm: Send + Sync + 'static {
    type Pending: Future<Output = Option<Feed>> + Send;
    type Claim: Send;
    type InUse: Send;

    /// Registers a stream and ties it to an instance.
    fn register(
        &self,
        instance: &EndpointInstanceId,
    ) -> impl Future<Output = (StreamId, Self::Pending)> + Send;

    /// Claims a stream.
    fn claim(&self, id: StreamId) -> impl Future<Output = Option<Self::Claim>> + Send;

    /// Answers whoever registered the stream.
    fn establish(claim: Self::Claim, feed: Feed) -> Self::InUse;
}

type Sender = oneshot::Sender<Feed>;

/// The receiver, as a future of an option.
pub(crate) struct Receiver(oneshot::Receiver<Feed>);

impl Future for Receiver {
    type Output = Option<Feed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

fn random() -> (StreamId, String) {
    let id = uuid::Uuid::new_v4();
    (StreamId::from_bytes(id.into_bytes()), id.to_string())
}

/// Responses alone: the other half of a session has maps of its own, of which nothing is asked here.
#[derive(Default)]
struct Tables {
    responses: HashMap<String, Sender>,
    instances: HashMap<String, EndpointInstanceId>,
    streams: HashMap<EndpointInstanceId, HashSet<String>>,
}

impl Tables {
    fn associate(&mut self, key: String, instance: &EndpointInstanceId) {
        self.instances.insert(key.clone(), instance.clone());
        self.streams
            .entry(instance.clone())
            .or_default()
            .insert(key);
    }

    fn claim(&mut self, key: &str) -> Option<Sender> {
        let sender = self.responses.remove(key)?;
        if let Some(instance) = self.instances.remove(key)
            && let Some(streams) = self.streams.get_mut(&instance)
        {
            streams.remove(key);
            if streams.is_empty() {
                self.streams.remove(&instance);
            }
        }
        Some(sender)
    }
}

#[derive(Default)]
pub(crate) struct AsyncMutex(tokio::sync::Mutex<Tables>);

impl Arm for AsyncMutex {
    type Pending = Receiver;
    type Claim = Sender;
    type InUse = ();

    async fn register(&self, instance: &EndpointInstanceId) -> (StreamId, Receiver) {
        let (id, key) = random();
        let (sender, receiver) = oneshot::channel();
        self.0.lock().await.responses.insert(key.clone(), sender);
        self.0.lock().await.associate(key, instance);
        (id, Receiver(receiver))
    }

    async fn claim(&self, id: StreamId) -> Option<Sender> {
        let key = id.to_string();
        self.0.lock().await.claim(&key)
    }

    fn establish(claim: Sender, feed: Feed) {
        drop(claim.send(feed));
    }
}

#[derive(Default)]
pub(crate) struct PlainMutex(Mutex<Tables>);

impl PlainMutex {
    fn with<R>(&self, access: impl FnOnce(&mut Tables) -> R) -> R {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Arm for PlainMutex {
    type Pending = Receiver;
    type Claim = Sender;
    type InUse = ();

    async fn register(&self, instance: &EndpointInstanceId) -> (StreamId, Receiver) {
        let (id, key) = random();
        let (sender, receiver) = oneshot::channel();
        self.with(|tables| tables.responses.insert(key.clone(), sender));
        self.with(|tables| tables.associate(key, instance));
        (id, Receiver(receiver))
    }

    async fn claim(&self, id: StreamId) -> Option<Sender> {
        let key = id.to_string();
        self.with(|tables| tables.claim(&key))
    }

    fn establish(claim: Sender, feed: Feed) {
        drop(claim.send(feed));
    }
}

/// The fourth is of requests.
#[derive(Default)]
pub(crate) struct FourDashMaps {
    responses: DashMap<String, Sender>,
    instances: DashMap<String, EndpointInstanceId>,
    streams: DashMap<EndpointInstanceId, HashSet<String>>,
}

impl Arm for FourDashMaps {
    type Pending = Receiver;
    type Claim = Sender;
    type InUse = ();

    async fn register(&self, instance: &EndpointInstanceId) -> (StreamId, Receiver) {
        let (id, key) = random();
        let (sender, receiver) = oneshot::channel();
        self.responses.insert(key.clone(), sender);
        self.instances.insert(key.clone(), instance.clone());
        self.streams
            .entry(instance.clone())
            .or_default()
            .insert(key);
        (id, Receiver(receiver))
    }

    async fn claim(&self, id: StreamId) -> Option<Sender> {
        let key = id.to_string();
        let (_, sender) = self.responses.remove(&key)?;
        if let Some((_, instance)) = self.instances.remove(&key) {
            if let Some(mut streams) = self.streams.get_mut(&instance) {
                streams.remove(&key);
            }
            self.streams
                .remove_if(&instance, |_, streams| streams.is_empty());
        }
        Some(sender)
    }

    fn establish(claim: Sender, feed: Feed) {
        drop(claim.send(feed));
    }
}

pub(crate) struct Ours<M>(Arc<StreamRegistry<Feed, M>>);

impl<M: StreamMap<Feed> + Default + 'static> Default for Ours<M> {
    fn default() -> Self {
        let config = StreamRegistryConfig::default();
        Self(Arc::new(StreamRegistry::with_map(config, M::default())))
    }
}

/// The registration, as a future of an option.
pub(crate) struct Registered(Registration<Feed>);

impl Future for Registered {
    type Output = Option<Feed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<M: StreamMap<Feed> + 'static> Arm for Ours<M> {
    type Pending = Registered;
    type Claim = Claim<Feed>;
    type InUse = Option<Established<Feed>>;

    async fn register(&self, instance: &EndpointInstanceId) -> (StreamId, Registered) {
        let registration = self.0.register(StreamKind::Response);
        let id = registration.id();
        // Nothing is cancelled here. If it were, the registrant would hear of it.
        let _ = self.0.associate(&[id], instance);
        (id, Registered(registration))
    }

    async fn claim(&self, id: StreamId) -> Option<Claim<Feed>> {
        self.0.claim(id, StreamKind::Response).ok()
    }

    fn establish(claim: Claim<Feed>, feed: Feed) -> Option<Established<Feed>> {
        claim.establish(feed).ok()
    }
}
