//! Two whole operations that lookups by id are part of: a request is routed, and a worker joins.
//!
//! The arm `free` leaves out the map of workers: a lookup of each request, and of each worker that
//! joins its insertion, its removal and every lookup, of the registration and of the manager. The
//! manager's lock, its snapshot and what it publishes stay.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use router_snapshot::{Selection, WorkerSpec};
use serde::{Deserialize, Serialize};

use super::{Fleet, Manager, REQUESTS, WORKERS_PER_MODEL, model, worker_id};
use crate::changes::Changes;
use crate::scenario::Share;

/// One line on each.
pub(super) const ROUTING: &str = "a request: its headers read, a router chosen, its worker looked \
     up, what is sent upstream made; workers come and go";
pub(super) const JOINING: &str = "a worker joins: its registration read, stored, looked up, ill, \
     gone; the answer serialised";

/// Requests of a round.
const WHOLE: usize = 16;

/// A gateway's part of a request before it is sent on.
pub(super) struct Routing {
    manager: Arc<Manager>,
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

impl Routing {
    pub(super) fn new(
        manager: Arc<Manager>,
        fleet: Fleet,
        changes: Changes,
        mut rng: fastrand::Rng,
    ) -> Self {
        Self {
            manager,
            fleet,
            requests: (0..REQUESTS)
                .map(|_| Incoming::new(fleet, &mut rng))
                .collect(),
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
        // The router's own choice of a worker: by session, among those of the model that are of its
        // kind.
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

impl Share for Routing {
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
pub(super) struct Joining {
    manager: Arc<Manager>,
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

impl Joining {
    pub(super) fn new(
        manager: Arc<Manager>,
        fleet: Fleet,
        thread: usize,
        mut rng: fastrand::Rng,
    ) -> Self {
        // Other workers than the fleet's.
        let first = (thread as u64 + 1) << 32;
        let body = |at: u64| {
            let number = first + at * fleet.models + rng.u64(..fleet.models);
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

impl Share for Joining {
    fn round(&mut self) -> u64 {
        for _ in 0..4 {
            self.join();
        }
        4
    }
}
