//! Streams that workers call home for: a stream's life by itself, and with the work that a frontend does beside it.
//!
//! Streams are in flight all the time. An operation opens one (registers it, polls its future once as a task that waits
//! does, associates it with one of eight instances) and settles the oldest (claims it, establishes it, receives it). In
//! `stream-request` it also serialises the request that carries the id, 512 prompt tokens and all, and reads the worker's
//! handshake, both by `serde_json`. Every answer is checked.
//!
//! All arms run on a runtime of the thread's own, for some of them are asynchronous: it is entered once a round.

use std::any::Any;
use std::collections::VecDeque;
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use state_map::DefaultHashBuilder;
use stream_registry::{
    DashMapStreams, PapayaStreams, Registration, RwLockStreams, SccStreams, StreamId, StreamKind,
    StreamMap, StreamRegistry, StreamRegistryConfig,
};
use tokio::runtime::{Builder, Runtime};
use verdict::schema::{Arm, Role};
use worker_id::EndpointInstanceId;

use crate::baselines::streams::{AsyncMutex, FourMaps, Ids, OneMutex, Receiver};
use crate::scenario::{Scenario, Share, Shares, map_of, maps, varied};

/// Operations of a round: short, so that a slice ends where it should.
const ROUND: usize = 64;
const INSTANCES: u64 = 8;
const PROMPT: usize = 512;
const ADDRESS: &str = "10.12.0.7:41923";

/// What varies between scenarios.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Setting {
    threads: u32,
    /// Over all threads.
    in_flight: u64,
    shards: Option<usize>,
    /// With the request that carries the stream's id, and the handshake that brings it back.
    whole: bool,
}

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let usual = Setting {
        threads: cores,
        in_flight: 1_024,
        shards: None,
        whole: true,
    };
    let mut all = Vec::new();
    let mut add = |variation: &str, setting: Setting| {
        let (base, what) = if setting.whole {
            (
                "stream-request",
                "a frontend's part of a request: its stream's life, its envelope serialised, the worker's handshake read",
            )
        } else {
            (
                "stream-life",
                "a response stream: registered, associated, claimed, established, received",
            )
        };
        let (name, what) = varied(base, what, variation);
        all.push(Scenario {
            name,
            adr: "0004",
            gating: setting.whole && variation.is_empty(),
            what,
            threads: setting.threads,
            arms: arms(setting.whole),
            build: Arc::new(move |arm, seed| on_arm(arm, &setting, seed)),
        });
    };
    for whole in [true, false] {
        let usual = Setting { whole, ..usual };
        add("", usual);
        if cores > 1 {
            let setting = Setting {
                threads: 1,
                ..usual
            };
            add("threads=1", setting);
        }
        let setting = Setting {
            threads: cores * 4,
            ..usual
        };
        add("oversubscribed", setting);
    }
    for in_flight in [8, 100_000] {
        let setting = Setting {
            in_flight,
            whole: false,
            ..usual
        };
        add(&format!("in-flight={in_flight}"), setting);
    }
    let setting = Setting {
        shards: Some(128),
        whole: false,
        ..usual
    };
    add("shards=128", setting);
    all
}

fn arms(whole: bool) -> Vec<Arm> {
    let mut references = vec!["reference", "one-mutex", "async-mutex"];
    if !whole {
        // What is left of the difference where the ids come from the same generator.
        references.extend(["reference-own-ids", "one-mutex-own-ids"]);
    }
    let references = references
        .into_iter()
        .map(|name| Arm::new(name, Role::Reference));
    maps().into_iter().chain(references).collect()
}

fn on_arm(arm: &str, setting: &Setting, seed: u64) -> Result<Shares> {
    let make = Make { setting, seed };
    match (map_of(arm), setting.shards) {
        ("dashmap", None) => make.on_map(DashMapStreams::new()),
        ("dashmap", Some(shards)) => {
            let hasher = DefaultHashBuilder::default();
            make.on_map(DashMapStreams::with_capacity_hasher_and_shards(
                0, hasher, shards,
            )?)
        }
        ("papaya", _) => make.on_map(PapayaStreams::new()),
        ("scc", _) => make.on_map(SccStreams::new()),
        ("rwlock", _) => make.on_map(RwLockStreams::new()),
        ("reference", _) => make.each(&Arc::new(FourMaps::new(Ids::OfTheKernel))),
        ("reference-own-ids", _) => make.each(&Arc::new(FourMaps::new(Ids::OfTheThread))),
        ("one-mutex", _) => make.each(&Arc::new(OneMutex::new(Ids::OfTheKernel))),
        ("one-mutex-own-ids", _) => make.each(&Arc::new(OneMutex::new(Ids::OfTheThread))),
        ("async-mutex", _) => make.each(&Arc::new(AsyncMutex::new(Ids::OfTheKernel))),
        _ => bail!("no design is called {arm}"),
    }
}

/// A design with so many streams in flight, and what waits for them, to be weighed. These are the shares that are timed: a second
/// caller of what they call would have the compiler inline it otherwise, and move the instructions by 2 %.
pub(crate) fn filled(arm: &str, streams: u64) -> Option<Box<dyn Any>> {
    let setting = Setting {
        threads: 1,
        in_flight: streams,
        shards: None,
        whole: false,
    };
    let shares = on_arm(arm, &setting, 1).ok()?;
    Some(Box::new(shares))
}

fn instances() -> Vec<EndpointInstanceId> {
    let first = EndpointInstanceId::new("prod", "decode", "generate", 0).expect("short names");
    (0..INSTANCES)
        .map(|id| first.with_instance_id(id))
        .collect()
}

/// What a registrant receives.
type Connection = u64;

/// A way to keep streams.
trait Streams: Send + 'static {
    type Id: Serialize + DeserializeOwned + Clone + Send;
    type Waits: Future + Unpin + Send;

    fn register(&self) -> impl Future<Output = (Self::Id, Self::Waits)>;
    fn associate(&self, id: &Self::Id, to: &EndpointInstanceId) -> impl Future<Output = bool>;
    /// Claims it, and establishes it with a connection.
    fn establish(&self, id: &Self::Id, connection: Connection) -> impl Future<Output = bool>;
    fn received(answer: <Self::Waits as Future>::Output) -> Option<Connection>;
}

impl<M: StreamMap<Connection> + 'static> Streams for Arc<StreamRegistry<Connection, M>> {
    type Id = StreamId;
    type Waits = Registration<Connection>;

    fn register(&self) -> impl Future<Output = (StreamId, Self::Waits)> {
        let stream = StreamRegistry::register(self, StreamKind::Response);
        ready((stream.id(), stream))
    }

    fn associate(&self, id: &StreamId, to: &EndpointInstanceId) -> impl Future<Output = bool> {
        ready(StreamRegistry::associate(self, &[*id], to).is_ok())
    }

    fn establish(&self, id: &StreamId, connection: Connection) -> impl Future<Output = bool> {
        let claim = self.claim(*id, StreamKind::Response);
        ready(claim.is_ok_and(|claim| claim.establish(connection).is_ok()))
    }

    fn received(answer: <Self::Waits as Future>::Output) -> Option<Connection> {
        answer.ok()
    }
}

/// The references have names for the same operations, some of them asynchronous.
macro_rules! reference {
    ($design:ident $($wait:tt)*) => {
        impl Streams for Arc<$design<Connection>> {
            type Id = String;
            type Waits = Receiver<Connection>;

            async fn register(&self) -> (String, Self::Waits) {
                $design::register(self)$($wait)*
            }

            async fn associate(&self, id: &String, to: &EndpointInstanceId) -> bool {
                $design::associate(self, id, to)$($wait)*
            }

            async fn establish(&self, id: &String, connection: Connection) -> bool {
                let claim = self.claim(id)$($wait)*;
                claim.is_some_and(|sender| sender.send(connection).is_ok())
            }

            fn received(answer: <Self::Waits as Future>::Output) -> Option<Connection> {
                answer.ok()
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

struct Make<'a> {
    setting: &'a Setting,
    seed: u64,
}

impl Make<'_> {
    fn on_map<M: StreamMap<Connection> + 'static>(&self, map: M) -> Result<Shares> {
        let config = StreamRegistryConfig::default();
        self.each(&Arc::new(StreamRegistry::with_map(config, map)))
    }

    fn each<S>(&self, streams: &S) -> Result<Shares>
    where
        S: Streams + Clone,
    {
        let threads = u64::from(self.setting.threads);
        let in_flight = (self.setting.in_flight / threads).max(1);
        (0..threads)
            .map(|thread| {
                let mut rng = fastrand::Rng::with_seed(self.seed.wrapping_add(thread));
                let frontend = Frontend {
                    prompt: (0..PROMPT).map(|_| rng.u32(0..151_643)).collect(),
                    request: format!("chatcmpl-{:032x}", rng.u128(..)),
                    envelope: Vec::new(),
                    handshake: Vec::new(),
                };
                let runtime = Builder::new_current_thread().build();
                let mut share = Lives {
                    streams: streams.clone(),
                    frontend: self.setting.whole.then_some(frontend),
                    in_flight: VecDeque::with_capacity(usize::try_from(in_flight)?),
                    instances: instances(),
                    opened: 0,
                    runtime: Some(runtime.context("a runtime")?),
                    rng,
                };
                share.run(async |share| {
                    for _ in 0..in_flight {
                        share.open().await;
                    }
                });
                Ok(Box::new(share) as Box<dyn Share>)
            })
            .collect()
    }
}

struct Lives<S: Streams> {
    streams: S,
    frontend: Option<Frontend>,
    in_flight: VecDeque<(S::Id, S::Waits)>,
    instances: Vec<EndpointInstanceId>,
    opened: u64,
    /// Away while it runs.
    runtime: Option<Runtime>,
    rng: fastrand::Rng,
}

impl<S: Streams> Lives<S> {
    fn run(&mut self, work: impl AsyncFnOnce(&mut Self)) {
        let runtime = self.runtime.take().expect("it does not run");
        runtime.block_on(work(self));
        self.runtime = Some(runtime);
    }

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
        assert!(
            self.streams.establish(&id, self.opened).await,
            "a first claim"
        );
        let Poll::Ready(answer) = poll(&mut waits) else {
            panic!("nobody was told");
        };
        assert_eq!(
            S::received(answer),
            Some(self.opened),
            "another's connection"
        );
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

impl<S: Streams> Share for Lives<S> {
    fn round(&mut self) -> u64 {
        self.run(async |share| {
            for _ in 0..ROUND {
                share.settle().await;
                share.open().await;
            }
        });
        ROUND as u64
    }
}
