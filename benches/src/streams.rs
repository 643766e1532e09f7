//! Streams that workers call home for: a stream's life by itself, and with the work that a frontend
//! does beside it.
//!
//! Streams are in flight all the time. An operation opens one (registers it, polls its future once
//! as a task that waits does, associates it with one of eight instances) and settles the oldest
//! (claims it, establishes it, receives it). In `stream-request` it also serialises the request
//! that carries the id, 512 prompt tokens and all, and reads the worker's handshake, both by
//! `serde_json`. Every answer is checked. Some arms are asynchronous: all run in a future, which is
//! entered once a round.
//!
//! The arm `free` leaves out the map: the stream's insertion, its removal, and the two times that
//! it is found by its id. The id, the cell, the tombstones and their lock stay.

use std::any::Any;
use std::collections::VecDeque;
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use anyhow::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stream_registry::{
    Claim, Established, Registration, StreamEntry, StreamId, StreamKind, StreamRegistry,
    StreamRegistryConfig,
};
use tokio::sync::oneshot;
use worker_id::EndpointInstanceId;

use crate::any_map::{AnyMap, Backend};
use crate::baselines::streams::{AsyncMutex, FourMaps, OneMutex};
use crate::scenario::{Scenario, Share, Shares, deciding, maps};
use crate::threads::{Operation, Threads, beside};

/// Operations of a round: short, so that a slice ends where it should.
const ROUND: usize = 64;
/// Streams in flight, over all threads.
const IN_FLIGHT: u64 = 1_024;
const INSTANCES: u64 = 8;
const PROMPT: usize = 512;
const ADDRESS: &str = "10.12.0.7:41923";

const LIFE: Operation = Operation {
    adr: "0004",
    name: "stream-life",
    what: "a response stream: registered, associated, claimed, established, received",
};
const REQUEST: Operation = Operation {
    adr: "0004",
    name: "stream-request",
    what: "a frontend's part of a request: its stream's life, its envelope serialised, the \
        worker's handshake read",
};

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let mut all = Vec::new();
    for whole in [true, false] {
        all.push(scenario("", cores, whole));
        if cores > 1 {
            all.push(scenario("threads=1", 1, whole));
        }
    }
    all.push(scenario("oversubscribed", cores * 4, false));
    all
}

/// `whole` is with the request that carries the stream's id, and the handshake that brings it back.
fn scenario(variation: &str, threads: u32, whole: bool) -> Scenario {
    let (operation, arms) = if whole {
        (REQUEST, deciding())
    } else {
        (LIFE, maps())
    };
    let arms = beside(arms, ["reference", "one-mutex", "async-mutex"]);
    operation.scenario(variation, threads, arms, move |threads| {
        shares(threads, IN_FLIGHT, whole)
    })
}

fn shares(threads: Threads<'_>, in_flight: u64, whole: bool) -> Result<Shares> {
    Ok(match threads.arm {
        "reference" => lives(threads, &Arc::<FourMaps<_>>::default(), in_flight, whole),
        "one-mutex" => lives(threads, &Arc::<OneMutex<_>>::default(), in_flight, whole),
        "async-mutex" => lives(threads, &Arc::<AsyncMutex<_>>::default(), in_flight, whole),
        map => lives(threads, &registry(Backend::of_arm(map)?), in_flight, whole),
    })
}

/// A design with so many streams in flight, and what waits for them, to be weighed. These are the
/// shares that are timed: a second caller of what they call would have the compiler inline it
/// otherwise, and move the instructions by 2 %.
pub(crate) fn filled(arm: &str, streams: u64) -> Option<Box<dyn Any>> {
    let threads = Threads {
        arm,
        count: 1,
        seed: 1,
    };
    Some(Box::new(shares(threads, streams, false).ok()?))
}

fn instances() -> Vec<EndpointInstanceId> {
    let first = EndpointInstanceId::new("prod", "decode", "generate", 0).expect("short names");
    (0..INSTANCES)
        .map(|id| first.with_instance_id(id))
        .collect()
}

/// The crate on any map.
pub type Registry<T> = StreamRegistry<T, AnyMap<StreamId, StreamEntry<T>>>;

/// One without streams.
#[must_use]
pub fn registry<T: Send + 'static>(backend: Backend) -> Arc<Registry<T>> {
    let config = StreamRegistryConfig::default();
    Arc::new(StreamRegistry::with_map(config, backend.map(0)))
}

/// A way to keep streams of `T`.
pub trait Streams<T>: Clone + Send + Sync + 'static {
    /// What it knows a stream by.
    type Id: Serialize + DeserializeOwned + Send;
    /// What the registrant waits for.
    type Waits: Future + Unpin + Send;
    /// The right to establish a stream.
    type Claim: Send;
    /// What is held while the stream is in use.
    type InUse: Send;

    /// Registers a stream.
    fn register(&self) -> impl Future<Output = (Self::Id, Self::Waits)> + Send;

    /// Ties it to an instance. False if that has gone.
    fn associate(
        &self,
        id: &Self::Id,
        to: &EndpointInstanceId,
    ) -> impl Future<Output = bool> + Send;

    /// Claims a stream that waits.
    fn claim(&self, id: &Self::Id) -> impl Future<Output = Option<Self::Claim>> + Send;

    /// Answers whoever registered it, if it still waits.
    fn establish(claim: Self::Claim, with: T) -> Option<Self::InUse>;

    /// What it was established with.
    fn received(answer: <Self::Waits as Future>::Output) -> Option<T>;

    /// The id as it travels, and as it came.
    fn sent(id: &Self::Id) -> StreamId;
    /// See [`sent`](Self::sent).
    fn came(id: StreamId) -> Self::Id;
}

impl<T: Send + 'static> Streams<T> for Arc<Registry<T>> {
    type Id = StreamId;
    type Waits = Registration<T>;
    type Claim = Claim<T>;
    type InUse = Established<T>;

    fn register(&self) -> impl Future<Output = (StreamId, Self::Waits)> {
        let stream = StreamRegistry::register(self, StreamKind::Response);
        ready((stream.id(), stream))
    }

    fn associate(&self, id: &StreamId, to: &EndpointInstanceId) -> impl Future<Output = bool> {
        ready(StreamRegistry::associate(self, &[*id], to).is_ok())
    }

    fn claim(&self, id: &StreamId) -> impl Future<Output = Option<Claim<T>>> {
        ready(StreamRegistry::claim(self, *id, StreamKind::Response).ok())
    }

    fn establish(claim: Claim<T>, with: T) -> Option<Established<T>> {
        claim.establish(with).ok()
    }

    fn received(answer: <Self::Waits as Future>::Output) -> Option<T> {
        answer.ok()
    }

    fn sent(id: &StreamId) -> StreamId {
        *id
    }

    fn came(id: StreamId) -> StreamId {
        id
    }
}

/// The references have names for the same operations, some of them asynchronous.
macro_rules! reference {
    ($design:ident $($wait:tt)*) => {
        impl<T: Send + 'static> Streams<T> for Arc<$design<T>> {
            type Id = String;
            type Waits = oneshot::Receiver<T>;
            type Claim = oneshot::Sender<T>;
            type InUse = ();

            async fn register(&self) -> (String, Self::Waits) {
                $design::register(self)$($wait)*
            }

            async fn associate(&self, id: &String, to: &EndpointInstanceId) -> bool {
                $design::associate(self, id, to)$($wait)*
            }

            async fn claim(&self, id: &String) -> Option<Self::Claim> {
                $design::claim(self, id)$($wait)*
            }

            fn establish(claim: Self::Claim, with: T) -> Option<()> {
                claim.send(with).ok()
            }

            fn received(answer: <Self::Waits as Future>::Output) -> Option<T> {
                answer.ok()
            }

            fn sent(id: &String) -> StreamId {
                id.parse().expect("it is a UUID")
            }

            fn came(id: StreamId) -> String {
                id.to_string()
            }
        }
    };
}

reference!(FourMaps);
reference!(OneMutex);
reference!(AsyncMutex.await);

/// A request on its way to a worker.
#[derive(Serialize)]
struct Envelope<'a, Id> {
    request: &'a str,
    model: &'static str,
    response: Route<'a, Id>,
    prompt: &'a [u32],
    sampling: Sampling,
}

/// Where the worker is to call home, and for what.
#[derive(Serialize)]
struct Route<'a, Id> {
    transport: &'static str,
    address: &'static str,
    stream: &'a Id,
}

#[derive(Serialize)]
struct Sampling {
    temperature: f32,
    top_p: f32,
    max_tokens: u32,
}

/// What a worker says first.
#[derive(Serialize, Deserialize)]
struct Handshake<Id> {
    version: u32,
    stream: Id,
}

/// What is done beside the streams.
struct Frontend {
    prompt: Vec<u32>,
    request: String,
    envelope: Vec<u8>,
    handshake: Vec<u8>,
}

impl Frontend {
    fn new(rng: &mut fastrand::Rng) -> Self {
        Self {
            prompt: (0..PROMPT).map(|_| rng.u32(0..151_643)).collect(),
            request: format!("chatcmpl-{:032x}", rng.u128(..)),
            envelope: Vec::new(),
            handshake: Vec::new(),
        }
    }

    fn send<Id: Serialize>(&mut self, stream: &Id) {
        let envelope = Envelope {
            request: &self.request,
            model: "reasoner-70b",
            response: Route {
                transport: "tcp",
                address: ADDRESS,
                stream,
            },
            prompt: &self.prompt,
            sampling: Sampling {
                temperature: 0.6,
                top_p: 0.95,
                max_tokens: 8_192,
            },
        };
        self.envelope.clear();
        serde_json::to_writer(&mut self.envelope, &envelope).expect("a vector takes all");
        black_box(&self.envelope);
    }

    /// The id, by way of the wire.
    fn hear<Id: Serialize + DeserializeOwned>(&mut self, stream: &Id) -> Id {
        let handshake = Handshake { version: 1, stream };
        self.handshake.clear();
        serde_json::to_writer(&mut self.handshake, &handshake).expect("a vector takes all");
        let heard: Handshake<Id> =
            serde_json::from_slice(black_box(&self.handshake)).expect("a handshake");
        heard.stream
    }
}

/// What a registrant receives.
type Connection = u64;

struct Lives<S: Streams<Connection>> {
    streams: S,
    frontend: Option<Frontend>,
    in_flight: VecDeque<(S::Id, S::Waits)>,
    instances: Vec<EndpointInstanceId>,
    opened: Connection,
    rng: fastrand::Rng,
}

fn lives<S: Streams<Connection>>(
    threads: Threads<'_>,
    streams: &S,
    in_flight: u64,
    whole: bool,
) -> Shares {
    let each = usize::try_from(in_flight / u64::from(threads.count)).unwrap_or_default();
    threads.each(|_, mut rng| {
        let mut share = Lives {
            streams: streams.clone(),
            frontend: whole.then(|| Frontend::new(&mut rng)),
            in_flight: VecDeque::with_capacity(each),
            instances: instances(),
            opened: 0,
            rng,
        };
        pollster::block_on(async {
            for _ in 0..each {
                share.open().await;
            }
        });
        share
    })
}

impl<S: Streams<Connection>> Lives<S> {
    async fn open(&mut self) {
        let (id, mut waits) = self.streams.register().await;
        assert!(poll(&mut waits).is_pending(), "nobody has called home");
        if let Some(frontend) = &mut self.frontend {
            frontend.send(&id);
        }
        let instance = &self.instances[self.rng.usize(..self.instances.len())];
        assert!(self.streams.associate(&id, instance).await, "it is there");
        self.in_flight.push_back((id, waits));
    }

    async fn settle(&mut self) {
        let (id, mut waits) = self.in_flight.pop_front().expect("there are some");
        let id = match &mut self.frontend {
            Some(frontend) => frontend.hear(&id),
            None => id,
        };
        self.opened += 1;
        let claim = self.streams.claim(&id).await.expect("a first claim");
        let in_use = S::establish(claim, self.opened);
        assert!(in_use.is_some(), "it still waits");
        drop(in_use);
        let Poll::Ready(answer) = poll(&mut waits) else {
            panic!("nobody was told");
        };
        let received = S::received(answer);
        assert_eq!(received, Some(self.opened), "another's connection");
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

impl<S: Streams<Connection>> Share for Lives<S> {
    fn round(&mut self) -> u64 {
        pollster::block_on(async {
            for _ in 0..ROUND {
                self.settle().await;
                self.open().await;
            }
        });
        ROUND as u64
    }
}
