//! The paths of `affinity`: a hit by itself, and the routing of a whole turn.
//!
//! Sessions have ids of 36 characters, as clients make them, and each has a pin. The store's clock
//! moves on with every round of the first thread, so that nearly every hit finds a deadline to
//! store.
//!
//! The arm `free` leaves out the map. A hit still hashes its session's id, finds the entry's own
//! line far away, and stores the deadline there.

use std::any::Any;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use affinity::{
    BindingKind, MemoryStore, MemoryStoreConfig, SessionEntry, SessionFingerprint,
    StickySessionRouter,
};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use worker_id::WorkerWithDpRank;

use crate::any_map::{AnyMap, Backend};
use crate::baselines::sessions::ReferenceSessions;
use crate::scenario::{Scenario, Share, Shares, deciding, maps};
use crate::threads::{Operation, Threads, beside};

const TTL: Duration = Duration::from_secs(3_600);
/// Hits of a round.
const ROUND: usize = 256;
const WORKERS: u64 = 16;
/// Sessions of a store: more than caches hold.
const SESSIONS: u64 = 100_000;
/// Bytes of a session's id.
const ID: usize = 36;

const HIT: Operation = Operation {
    adr: "0006",
    name: "affinity-hit",
    what: "a lookup of a pinned session, its deadline stored",
};
const TURN: Operation = Operation {
    adr: "0006",
    name: "affinity-turn",
    what: "the routing of a turn whose session is pinned: header and body parsed, candidates \
        checked, decision written",
};

/// The crate on any map.
type Router = StickySessionRouter<MemoryStore<AnyMap<SessionFingerprint, SessionEntry>>>;

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let mut all = Vec::new();
    for whole in [true, false] {
        all.push(scenario("", cores, SESSIONS, whole));
        if cores > 1 {
            all.push(scenario("threads=1", 1, SESSIONS, whole));
        }
    }
    all.push(scenario("sessions=1000", cores, 1_000, false));
    all
}

/// `whole` is the routing of a turn, from the header and body of its request to the decision, as
/// JSON.
fn scenario(variation: &str, threads: u32, sessions: u64, whole: bool) -> Scenario {
    let (operation, arms) = if whole {
        (TURN, deciding())
    } else {
        (HIT, maps())
    };
    let arms = beside(arms, ["reference"]);
    operation.scenario(variation, threads, arms, move |threads| {
        shares(threads, sessions, whole)
    })
}

fn shares(threads: Threads<'_>, sessions: u64, whole: bool) -> Result<Shares> {
    let ids = ids(sessions);
    Ok(match threads.arm {
        "reference" => each_thread(threads, reference(&ids), &ids, whole),
        map => each_thread(threads, memory(Backend::of_arm(map)?, &ids), &ids, whole),
    })
}

/// A store with a pin for each of these, to be weighed.
pub(crate) fn filled(arm: &str, ids: &[String]) -> Option<Box<dyn Any>> {
    Some(match arm {
        "reference" => Box::new(reference(ids)),
        map => Box::new(memory(Backend::of_arm(map).ok()?, ids)),
    })
}

fn reference(ids: &[String]) -> ReferenceSessions {
    let sessions = ReferenceSessions::default();
    ids.iter()
        .for_each(|id| sessions.put(id, worker_of(id), TTL));
    sessions
}

/// The ids of so many sessions, as clients make them: 36 characters each, the same ones every time.
#[must_use]
pub fn ids(sessions: u64) -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(sessions);
    let id = |_| Uuid::from_u128(rng.u128(..)).to_string();
    (0..sessions).map(id).collect()
}

fn worker_of(id: &str) -> WorkerWithDpRank {
    WorkerWithDpRank::from(u64::from(id.as_bytes()[0]) % WORKERS)
}

fn memory(backend: Backend, ids: &[String]) -> Router {
    let config = MemoryStoreConfig {
        ttl: TTL,
        capacity: ids.len(),
        ..MemoryStoreConfig::default()
    };
    let store = MemoryStore::with_map(config, backend.map(ids.len()));
    let store = store.expect("a valid configuration");
    for id in ids {
        let written = store.claim(id, worker_of(id), BindingKind::RouterOnly);
        assert!(written.is_ok_and(|written| written.applied), "a fresh id");
    }
    StickySessionRouter::new(store)
}

/// What knows the workers of sessions.
trait Pins: Send + Sync + 'static {
    fn hit(&self, id: &str) -> Option<WorkerWithDpRank>;

    /// Where a turn goes, if the session's worker is a candidate.
    fn route(&self, id: &str, candidates: &[WorkerWithDpRank]) -> Option<WorkerWithDpRank> {
        self.hit(id)
            .filter(|worker| candidates.iter().any(|each| each.same_incarnation(worker)))
    }

    /// Moves the store's clock on by a millisecond, where it has one.
    fn tick(&self) {}
}

impl Pins for Router {
    fn hit(&self, id: &str) -> Option<WorkerWithDpRank> {
        Some(self.store().get(id).ok()??.worker)
    }

    fn route(&self, id: &str, candidates: &[WorkerWithDpRank]) -> Option<WorkerWithDpRank> {
        let routed =
            self.resolve_or_assign(id, candidates, || async { Err::<WorkerWithDpRank, ()>(()) });
        match pin!(routed).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(routed) => Some(routed.ok()?.worker),
            Poll::Pending => None,
        }
    }

    fn tick(&self) {
        let store = self.store();
        store.advance_to(store.now() + Duration::from_millis(1));
    }
}

impl Pins for ReferenceSessions {
    fn hit(&self, id: &str) -> Option<WorkerWithDpRank> {
        self.get(id)
    }
}

fn each_thread<P: Pins>(threads: Threads<'_>, pins: P, ids: &[String], whole: bool) -> Shares {
    let pins = Arc::new(pins);
    let hits = |thread, mut rng: fastrand::Rng| {
        let mut order: Vec<&str> = ids.iter().map(String::as_str).collect();
        rng.shuffle(&mut order);
        Hits {
            pins: Arc::clone(&pins),
            ids: order.concat(),
            next: 0,
            moves_the_clock: thread == 0,
        }
    };
    if whole {
        threads.each(|thread, rng| Turns::new(hits(thread, rng)))
    } else {
        threads.each(hits)
    }
}

struct Hits<P> {
    pins: Arc<P>,
    /// Every id once, in random order, one after the other: a gateway has just read the id that it
    /// looks up, so that it must not be what a hit waits for.
    ids: String,
    next: usize,
    moves_the_clock: bool,
}

impl<P> Hits<P> {
    fn next(&mut self) -> usize {
        let at = self.next;
        self.next = if at + ID < self.ids.len() { at + ID } else { 0 };
        at
    }
}

impl<P: Pins> Share for Hits<P> {
    fn round(&mut self) -> u64 {
        if self.moves_the_clock {
            self.pins.tick();
        }
        for _ in 0..ROUND {
            let at = self.next();
            let id = &self.ids[at..at + ID];
            let found = black_box(self.pins.hit(black_box(id)));
            assert_eq!(found, Some(worker_of(id)), "a pin was not found");
        }
        ROUND as u64
    }
}

/// What a router reads of a chat completion's request.
#[derive(Deserialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    stream: bool,
}

#[derive(Deserialize)]
struct Message<'a> {
    role: &'a str,
    #[serde(borrow)]
    content: std::borrow::Cow<'a, str>,
}

/// What it tells the transport.
#[derive(Serialize)]
struct Decision<'a> {
    session: &'a str,
    model: &'a str,
    worker_id: u64,
    dp_rank: u32,
    prompt_bytes: usize,
    stream: bool,
}

struct Turns<P> {
    hits: Hits<P>,
    body: String,
    header: String,
    candidates: Vec<WorkerWithDpRank>,
    decision: Vec<u8>,
}

impl<P> Turns<P> {
    fn new(hits: Hits<P>) -> Self {
        let message = |role: &str, times: usize| {
            let content = "what the user said, word for word ".repeat(times);
            serde_json::json!({ "role": role, "content": content })
        };
        let messages = [
            message("system", 8),
            message("user", 4),
            message("assistant", 12),
            message("user", 6),
        ];
        let body =
            serde_json::json!({ "model": "reasoner-70b", "messages": messages, "stream": true });
        Self {
            hits,
            body: body.to_string(),
            header: String::new(),
            candidates: (0..WORKERS).map(WorkerWithDpRank::from).collect(),
            decision: Vec::with_capacity(256),
        }
    }
}

impl<P: Pins> Share for Turns<P> {
    fn round(&mut self) -> u64 {
        const TURNS: usize = 32;
        if self.hits.moves_the_clock {
            self.hits.pins.tick();
        }
        for _ in 0..TURNS {
            let at = self.hits.next();
            let id = &self.hits.ids[at..at + ID];
            self.header.clear();
            self.header.push_str("x-session-id: ");
            self.header.push_str(id);
            let (_, session) = black_box(&self.header).split_once(": ").expect("a header");
            let request: Request<'_> =
                serde_json::from_str(black_box(&self.body)).expect("a request");
            let worker = self
                .hits
                .pins
                .route(session, &self.candidates)
                .expect("a pin among the candidates");
            assert_eq!(worker, worker_of(id), "a turn went astray");
            let user = request
                .messages
                .iter()
                .filter(|message| message.role != "system");
            let decision = Decision {
                session,
                model: request.model,
                worker_id: worker.worker_id,
                dp_rank: worker.dp_rank,
                prompt_bytes: user.map(|message| message.content.len()).sum(),
                stream: request.stream,
            };
            self.decision.clear();
            serde_json::to_writer(&mut self.decision, &decision).expect("a vector takes all");
            black_box(&self.decision);
        }
        TURNS as u64
    }
}
