//! The paths of `router-snapshot`: a selection, a registration, and two whole operations that lookups by id are part of.
//!
//! A fleet has HTTP routers and workers, half of them regular and half PD, so that what each request prefers is there.
//! Changes come so many a second by the clock, which is read once a round, and are the first thread's; its share of the time
//! that they take is measured with the rest.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use router_snapshot::{
    DashMapRouters, PapayaRouters, Role as WorkerRole, Router, RouterClass, RouterManager,
    RouterMap, RouterMode, RwLockRouters, SccRouters, Selection, WorkerSpec,
};
use serde::{Deserialize, Serialize};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use crate::baselines::routers::PublishedRouters;
use crate::scenario::{AGAIN, PLANTED, Share, Shares, map_of};

/// The requests of a thread, made beforehand.
const REQUESTS: usize = 1_024;
/// Selections of a round; fewer where all routers are looked at for each.
const ROUND: usize = 256;
const SCANNED_A_ROUND: usize = 2_048;
/// Requests of a round that are whole.
const WHOLE: usize = 16;
/// Workers of a model.
const WORKERS_PER_MODEL: u64 = 4;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// A router is chosen, for a request that names no model or one that does.
    Select { named: bool },
    /// A router comes and another one goes.
    Register,
    /// A request is routed and made ready to be sent on.
    Route,
    /// A worker joins, is looked up, falls ill and leaves.
    Join,
}

/// An operation on a fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fleet {
    work: Work,
    threads: u32,
    routers: usize,
    models: u64,
    changes_a_second: u32,
}

/// A fleet with the name of its scenario, what it stands for, and whether it decides the record.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub what: String,
    /// Whether it is a whole operation.
    pub gating: bool,
    /// The fleet.
    pub fleet: Fleet,
}

/// All fleets, on a machine with so many cores.
#[must_use]
pub fn all(cores: u32) -> Vec<Named> {
    let select = Fleet {
        work: Work::Select { named: false },
        threads: cores,
        routers: 100,
        models: 10,
        changes_a_second: 0,
    };
    let route = Fleet {
        work: Work::Route,
        models: 250,
        changes_a_second: 1_000,
        ..select
    };
    let join = Fleet {
        work: Work::Join,
        models: 250,
        ..select
    };
    let register = Fleet {
        work: Work::Register,
        threads: 1,
        ..select
    };
    let mut all = Vec::new();
    let mut add = |variation: &str, fleet: Fleet| {
        let (base, what, gating) = match fleet.work {
            Work::Select { .. } => ("router-select", "the router for a request", false),
            Work::Register => ("router-register", "one router comes, another goes", false),
            Work::Route => (
                "router-lookup",
                "a request: its headers read, a router chosen, its worker looked up, what is sent upstream made; workers come and go",
                true,
            ),
            Work::Join => (
                "router-churn",
                "a worker joins: its registration read, stored, looked up, ill, gone; the answer serialised",
                true,
            ),
        };
        let gating = gating && variation.is_empty();
        let (name, what) = if variation.is_empty() {
            (base.to_owned(), what.to_owned())
        } else {
            (
                format!("{base}/{variation}"),
                format!("{what}; {variation}"),
            )
        };
        all.push(Named {
            name,
            what,
            gating,
            fleet,
        });
    };

    add("", route);
    add("", join);
    add("", select);
    for fleet in [route, join, select] {
        if cores > 1 {
            add(
                "threads=1",
                Fleet {
                    threads: 1,
                    ..fleet
                },
            );
        }
    }
    for routers in [2, 10, 1_000, 10_000] {
        let fleet = Fleet { routers, ..select };
        add(&format!("routers={routers}"), fleet);
        if cores > 1 {
            let fleet = Fleet {
                threads: 1,
                ..fleet
            };
            add(&format!("routers={routers},threads=1"), fleet);
        }
    }
    for changes_a_second in [10, 1_000] {
        for routers in [2, 10, 100, 1_000, 10_000] {
            let fleet = Fleet {
                routers,
                changes_a_second,
                ..select
            };
            add(
                &format!("routers={routers},changes={changes_a_second}"),
                fleet,
            );
        }
    }
    let named = Fleet {
        work: Work::Select { named: true },
        models: 1_000,
        ..select
    };
    add("models=1000", named);
    if cores > 1 {
        add(
            "models=1000,threads=1",
            Fleet {
                threads: 1,
                ..named
            },
        );
    }
    for routers in [100, 5_000, 10_000] {
        let variation = if routers == register.routers {
            String::new()
        } else {
            format!("routers={routers}")
        };
        add(
            &variation,
            Fleet {
                routers,
                ..register
            },
        );
    }
    all
}

impl Fleet {
    /// Threads that operate at once.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// What is compared.
    #[must_use]
    pub fn arms(&self) -> Vec<Arm> {
        match self.work {
            Work::Select { .. } => vec![
                Arm::new("snapshot", Role::Incumbent),
                Arm::new("scan", Role::Reference),
                Arm::new("collect", Role::Reference),
            ],
            Work::Register => vec![
                Arm::new("snapshot", Role::Incumbent),
                Arm::new("scan", Role::Reference),
            ],
            Work::Route | Work::Join => vec![
                Arm::new("dashmap", Role::Incumbent),
                Arm::new(AGAIN, Role::IncumbentAgain),
                Arm::new(PLANTED, Role::Planted { extra: 0.10 }),
                Arm::new("papaya", Role::Candidate),
                Arm::new("scc", Role::Candidate),
                Arm::new("rwlock", Role::Baseline),
            ],
        }
    }

    /// The shares of all threads of an arm.
    ///
    /// # Errors
    ///
    /// If there is no such arm.
    pub fn shares(self, arm: &str, seed: u64) -> Result<Shares> {
        Ok(match (self.work, map_of(arm)) {
            (Work::Select { .. } | Work::Register, "snapshot") => {
                self.choosing(self.manager::<DashMapRouters>(), ROUND, seed)
            }
            (Work::Select { .. } | Work::Register, "scan") => {
                self.choosing(self.published(), self.scanned(), seed)
            }
            (Work::Select { .. }, "collect") => {
                self.choosing(Collecting(self.published()), self.scanned(), seed)
            }
            (Work::Route | Work::Join, "dashmap") => self.whole::<DashMapRouters>(seed),
            (Work::Route | Work::Join, "papaya") => self.whole::<PapayaRouters>(seed),
            (Work::Route | Work::Join, "scc") => self.whole::<SccRouters>(seed),
            (Work::Route | Work::Join, "rwlock") => self.whole::<RwLockRouters>(seed),
            _ => bail!("no routers are chosen by {arm}"),
        })
    }

    fn routers(self) -> impl Iterator<Item = (String, Arc<dyn Router>)> {
        (0..self.routers).map(|number| {
            let class = [RouterClass::HttpRegular, RouterClass::HttpPd][number % 2];
            // The first of a class has its name, which is how the published design finds it.
            let id = if number < 2 {
                class.to_string()
            } else {
                format!("router-{number}")
            };
            (id, router(class))
        })
    }

    fn workers(self) -> impl Iterator<Item = WorkerSpec> {
        (0..self.models * WORKERS_PER_MODEL).map(move |number| self.worker(number))
    }

    /// A worker of the model that its number says.
    fn worker(self, number: u64) -> WorkerSpec {
        let pd = number / self.models % 2 == 1;
        WorkerSpec {
            role: if pd {
                WorkerRole::Decode
            } else {
                WorkerRole::Regular
            },
            ..WorkerSpec::new(worker_id(number), [model(number % self.models)])
        }
    }

    fn manager<M: RouterMap<dyn Router> + Default>(self) -> RouterManager<dyn Router, M> {
        let manager = RouterManager::with_map(RouterMode::Multi, M::default());
        manager
            .update(|batch| {
                for (id, router) in self.routers() {
                    batch.register(id, router);
                }
                for spec in self.workers() {
                    batch.upsert_worker(spec);
                }
            })
            .expect("all ids are different");
        manager
    }

    fn published(self) -> PublishedRouters {
        let workers: Vec<_> = self.workers().collect();
        PublishedRouters::new(self.routers(), &workers)
    }

    /// Operations of a round where each looks at all routers.
    fn scanned(self) -> usize {
        (SCANNED_A_ROUND / self.routers).clamp(1, ROUND)
    }

    fn choosing<C: Choosing>(self, chooser: C, round: usize, seed: u64) -> Shares {
        let chooser = Arc::new(chooser);
        self.each_thread(seed, |rng, changes| -> Box<dyn Share> {
            let (chooser, comings) = (Arc::clone(&chooser), Comings::default());
            if self.work == Work::Register {
                return Box::new(Registering {
                    chooser,
                    comings,
                    round: round.min(16),
                });
            }
            let named = self.work == Work::Select { named: true };
            let requests = (0..REQUESTS).map(|_| {
                let model = named.then(|| model(rng.u64(..self.models)));
                (model, rng.bool())
            });
            Box::new(Choices {
                chooser,
                requests: requests.collect(),
                at: 0,
                round,
                changes,
                comings,
            })
        })
    }

    fn whole<M: RouterMap<dyn Router> + Default + 'static>(self, seed: u64) -> Shares {
        let manager = Arc::new(self.manager::<M>());
        let mut thread = 0;
        self.each_thread(seed, |rng, changes| -> Box<dyn Share> {
            let manager = Arc::clone(&manager);
            thread += 1;
            match self.work {
                Work::Join => Box::new(Joining::new(manager, self, thread, rng)),
                _ => Box::new(Routing::new(manager, self, changes, rng)),
            }
        })
    }

    fn each_thread(
        self,
        seed: u64,
        mut make: impl FnMut(&mut fastrand::Rng, Changes) -> Box<dyn Share>,
    ) -> Shares {
        (0..self.threads)
            .map(|thread| {
                let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(thread)));
                let rate = if thread == 0 {
                    self.changes_a_second
                } else {
                    0
                };
                make(&mut rng, Changes::new(rate))
            })
            .collect()
    }
}

/// Says when a change is due.
struct Changes {
    every: Option<Duration>,
    next: Instant,
}

impl Changes {
    fn new(a_second: u32) -> Self {
        Self {
            every: (a_second > 0).then(|| Duration::from_secs(1) / a_second),
            next: Instant::now(),
        }
    }

    /// At most one at a time: what was due while the process slept is not made up for.
    fn due(&mut self) -> bool {
        let Some(every) = self.every else {
            return false;
        };
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + every;
        }
        due
    }
}

struct Target(RouterClass);

impl Router for Target {
    fn class(&self) -> RouterClass {
        self.0
    }
}

fn router(class: RouterClass) -> Arc<dyn Router> {
    Arc::new(Target(class))
}

/// As long as models are called.
fn model(number: u64) -> String {
    format!("meta-llama/Llama-3.1-8B-Instruct-{number:04}")
}

fn worker_id(number: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(number)
}

/// What chooses routers, and has them registered.
trait Choosing: Send + Sync + 'static {
    /// Whether the router that was chosen is a PD one.
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool>;
    fn come(&self, id: String, router: Arc<dyn Router>);
    fn go(&self, id: &str) -> bool;
}

impl<M: RouterMap<dyn Router> + 'static> Choosing for RouterManager<dyn Router, M> {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        let selected = self.select(&Selection { model, prefer_pd }).ok()?;
        Some(selected.class().is_pd())
    }

    fn come(&self, id: String, router: Arc<dyn Router>) {
        self.register(id, router).expect("a fresh id");
    }

    fn go(&self, id: &str) -> bool {
        self.deregister(id).is_some()
    }
}

impl Choosing for PublishedRouters {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        Some(self.select(model, prefer_pd)?.class().is_pd())
    }

    fn come(&self, id: String, router: Arc<dyn Router>) {
        self.register(id, router);
    }

    fn go(&self, id: &str) -> bool {
        self.deregister(id)
    }
}

struct Collecting(PublishedRouters);

impl Choosing for Collecting {
    fn choose(&self, model: Option<&str>, prefer_pd: bool) -> Option<bool> {
        Some(self.0.select_collecting(model, prefer_pd)?.class().is_pd())
    }

    fn come(&self, id: String, router: Arc<dyn Router>) {
        self.0.register(id, router);
    }

    fn go(&self, id: &str) -> bool {
        self.0.deregister(id)
    }
}

/// Routers that come, each of which goes when the next one has come.
#[derive(Default)]
struct Comings(u64);

impl Comings {
    fn next(&mut self, chooser: &impl Choosing) {
        let id = |number: u64| format!("newcomer-{number}");
        chooser.come(id(self.0), router(RouterClass::HttpRegular));
        if self.0 > 0 {
            assert!(chooser.go(&id(self.0 - 1)), "it has come");
        }
        self.0 += 1;
    }
}

struct Choices<C> {
    chooser: Arc<C>,
    requests: Vec<(Option<String>, bool)>,
    at: usize,
    round: usize,
    changes: Changes,
    comings: Comings,
}

impl<C: Choosing> Share for Choices<C> {
    fn round(&mut self) -> u64 {
        if self.changes.due() {
            self.comings.next(&*self.chooser);
        }
        if self.at + self.round > self.requests.len() {
            self.at = 0;
        }
        let requests = &self.requests[self.at..self.at + self.round];
        let mut as_wanted = 0;
        for (model, prefer_pd) in requests {
            let is_pd = black_box(self.chooser.choose(model.as_deref(), *prefer_pd));
            // Models are served by both kinds, and PD is the better class.
            as_wanted += u64::from(is_pd == Some(*prefer_pd || model.is_some()));
        }
        self.at += self.round;
        assert_eq!(as_wanted, self.round as u64, "the wrong router");
        as_wanted
    }
}

struct Registering<C> {
    chooser: Arc<C>,
    comings: Comings,
    round: usize,
}

impl<C: Choosing> Share for Registering<C> {
    fn round(&mut self) -> u64 {
        for _ in 0..self.round {
            self.comings.next(&*self.chooser);
        }
        assert_eq!(self.chooser.choose(None, true), Some(true));
        self.round as u64
    }
}

/// A gateway's part of a request before it is sent on.
struct Routing<M> {
    manager: Arc<RouterManager<dyn Router, M>>,
    fleet: Fleet,
    requests: Vec<Incoming>,
    at: usize,
    changes: Changes,
    newcomer: u64,
}

struct Incoming {
    headers: HeaderMap,
    model: u64,
    session: u64,
}

impl Incoming {
    fn new(fleet: Fleet, rng: &mut fastrand::Rng) -> Self {
        let model_number = rng.u64(..fleet.models);
        let session = rng.u64(..);
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).expect("text"));
        };
        put(HOST, "gateway.example:443");
        put(USER_AGENT, "openai-python/1.51.0");
        put(ACCEPT, "text/event-stream");
        put(CONTENT_TYPE, "application/json");
        put(CONTENT_LENGTH, "1834");
        put(CONNECTION, "keep-alive");
        put(AUTHORIZATION, &format!("Bearer sk-{session:048x}"));
        put(
            HeaderName::from_static("x-request-id"),
            &format!("{session:032x}"),
        );
        put(HeaderName::from_static("x-model-id"), &model(model_number));
        if rng.bool() {
            put(HeaderName::from_static("x-prefer-pd"), "true");
        }
        Self {
            headers,
            model: model_number,
            session,
        }
    }
}

impl<M: RouterMap<dyn Router>> Routing<M> {
    fn new(
        manager: Arc<RouterManager<dyn Router, M>>,
        fleet: Fleet,
        changes: Changes,
        rng: &mut fastrand::Rng,
    ) -> Self {
        Self {
            manager,
            fleet,
            requests: (0..REQUESTS).map(|_| Incoming::new(fleet, rng)).collect(),
            at: 0,
            changes,
            newcomer: fleet.models * WORKERS_PER_MODEL,
        }
    }

    fn route(&self, request: &Incoming) -> (Uri, HeaderMap) {
        let selection = Selection::from_headers(&request.headers).expect("headers are text");
        let router = self
            .manager
            .select(&selection)
            .expect("all models are served");
        // The router's own choice of a worker: by session, among those of the model that are of its kind.
        let of_kind =
            2 * (request.session % (WORKERS_PER_MODEL / 2)) + u64::from(router.class().is_pd());
        let number = request.model + of_kind * self.fleet.models;
        let worker = self.manager.worker(worker_id(number)).expect("it stays");
        assert!(
            worker.healthy && worker.class() == router.class(),
            "the wrong worker"
        );
        (upstream(number), forwarded(&request.headers))
    }
}

fn upstream(number: u64) -> Uri {
    let [.., a, b, c] = number.to_be_bytes();
    let mut authority = String::with_capacity(24);
    write!(authority, "10.{a}.{b}.{c}:8000").expect("a string takes all");
    Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query("/v1/chat/completions")
        .build()
        .expect("an address")
}

/// What is sent on: all but what is this hop's alone.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut on = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if ![HOST, CONNECTION, CONTENT_LENGTH].contains(name) && name != "x-prefer-pd" {
            on.append(name.clone(), value.clone());
        }
    }
    on
}

impl<M: RouterMap<dyn Router>> Share for Routing<M> {
    fn round(&mut self) -> u64 {
        if self.changes.due() {
            let spec = self.fleet.worker(self.newcomer);
            self.manager
                .upsert_worker(spec)
                .expect("a model with a name");
            if self.newcomer > self.fleet.models * WORKERS_PER_MODEL {
                let before = worker_id(self.newcomer - 1);
                assert!(self.manager.remove_worker(before).is_some(), "it has come");
            }
            self.newcomer += 1;
        }
        self.at = (self.at + WHOLE) % REQUESTS;
        for request in &self.requests[self.at..self.at + WHOLE] {
            let (uri, headers) = black_box(self.route(request));
            assert!(uri.port_u16() == Some(8_000) && headers.len() == 6);
        }
        WHOLE as u64
    }
}

/// The registration of workers, as an API serves it.
struct Joining<M> {
    manager: Arc<RouterManager<dyn Router, M>>,
    bodies: Vec<Vec<u8>>,
    at: usize,
    answer: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Registration {
    url: String,
    api_key: String,
    labels: Vec<String>,
    worker: WorkerSpec,
}

#[derive(Serialize)]
struct Joined<'a> {
    id: u64,
    url: &'a str,
    models: &'a [Arc<str>],
    generation: u64,
}

impl<M: RouterMap<dyn Router>> Joining<M> {
    fn new(
        manager: Arc<RouterManager<dyn Router, M>>,
        fleet: Fleet,
        thread: u64,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let body = |at: u64| {
            let number = (thread << 32) + at * fleet.models + rng.u64(..fleet.models);
            let registration = Registration {
                url: upstream(number).to_string(),
                api_key: format!("sk-{:048x}", rng.u64(..)),
                labels: vec!["zone=eu-1a".into(), "accelerator=h100".into()],
                worker: fleet.worker(number),
            };
            serde_json::to_vec(&registration).expect("it is text and numbers")
        };
        Self {
            manager,
            bodies: (0..REQUESTS as u64).map(body).collect(),
            at: 0,
            answer: Vec::with_capacity(512),
        }
    }

    fn join(&mut self) {
        let Registration { url, worker, .. } =
            serde_json::from_slice(&self.bodies[self.at]).expect("it was serialised");
        let id = worker.id;
        self.manager
            .upsert_worker(worker)
            .expect("a model with a name");
        let known = self.manager.worker(id).expect("it has joined");
        let joined = Joined {
            id: id.worker_id,
            url: &url,
            models: &known.models,
            generation: self.manager.generation(),
        };
        self.answer.clear();
        serde_json::to_writer(&mut self.answer, &joined).expect("a vector takes all");
        black_box(&self.answer);
        assert!(self.manager.set_health(id, false), "it was well");
        assert!(self.manager.remove_worker(id).is_some(), "it has joined");
        assert!(self.manager.worker(id).is_none(), "it has left");
        self.at = (self.at + 1) % self.bodies.len();
    }
}

impl<M: RouterMap<dyn Router>> Share for Joining<M> {
    fn round(&mut self) -> u64 {
        for _ in 0..4 {
            self.join();
        }
        4
    }
}
