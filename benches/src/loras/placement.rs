//! A placement: the whole operation that decides the record.
//!
//! Half of the requests are of sessions that have been there, whose worker is asked for by its id.
//! That is all that goes through the map, and what the arm `free` leaves out.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;

use serde::{Deserialize, Serialize};
use worker_id::WorkerWithDpRank;

use super::compared::Tracker;
use super::{ADAPTERS, Fleet, names, of_worker, worker};

/// A request for a chat completion, as far as placing it needs to know.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    model: &'a str,
    #[serde(borrow)]
    user: Option<&'a str>,
}

/// One line on it.
pub(super) const WHAT: &str = "a placement: the request read, its session's worker asked for, \
     else the least loaded candidate, the decision written";

/// What goes to the router.
#[derive(Serialize)]
struct Decision<'a> {
    request: u64,
    adapter: &'a str,
    user: Option<&'a str>,
    worker_id: u64,
    dp_rank: u32,
    loaded: usize,
    sticky: bool,
}

/// The requests of a thread, made beforehand.
const REQUESTS: usize = 256;

/// The requests of a thread, and where it writes what it decides.
#[derive(Default)]
pub(super) struct Placements {
    /// The body, and the worker that has served the session before, if it is not new.
    requests: Vec<(String, Option<WorkerWithDpRank>)>,
    at: usize,
    placed: u64,
    decision: Vec<u8>,
}

impl Placements {
    pub(super) fn new(fleet: Fleet, mut rng: fastrand::Rng) -> Self {
        let names = names();
        let request = |number| {
            let at = rng.u64(2..ADAPTERS);
            let before = rng.bool().then(|| {
                loop {
                    let id = rng.u64(..fleet.workers);
                    if of_worker(id).any(|held| held == at) {
                        break worker(id);
                    }
                }
            });
            let name = &names[usize::try_from(at).unwrap_or_default()];
            (body(name, number, rng.usize(2..8)), before)
        };
        Self {
            requests: (0..REQUESTS).map(request).collect(),
            decision: Vec::with_capacity(512),
            ..Self::default()
        }
    }

    pub(super) fn round(&mut self, tracker: &impl Tracker) -> u64 {
        const ROUND: usize = 16;
        for _ in 0..ROUND {
            self.at = (self.at + 1) % self.requests.len();
            let (body, before) = &self.requests[self.at];
            let request: Request<'_> = serde_json::from_str(body).expect("a request");
            let name = request.model;
            let sticky = before.as_ref().and_then(|worker| {
                let loaded = tracker.with_room(worker)?;
                tracker.is_loaded(worker, name).then_some((*worker, loaded))
            });
            assert_eq!(
                sticky.is_some(),
                before.is_some(),
                "a session's worker has its adapter"
            );
            let (worker, loaded) = sticky
                .or_else(|| tracker.least_loaded(name))
                .expect("everybody has room");
            self.placed += 1;
            self.decision.clear();
            let decision = Decision {
                request: self.placed,
                adapter: name,
                user: request.user,
                worker_id: worker.worker_id,
                dp_rank: worker.dp_rank,
                loaded,
                sticky: sticky.is_some(),
            };
            serde_json::to_writer(&mut self.decision, &decision).expect("a vector takes all");
            self.decision.write_all(b"\n").expect("a vector takes all");
            black_box(&self.decision);
        }
        ROUND as u64
    }
}

/// A body of a few hundred bytes to a few kilobytes.
fn body(model: &str, number: usize, messages: usize) -> String {
    let mut body =
        format!(r#"{{"model":"{model}","user":"user-{number}","stream":true,"messages":["#);
    for message in 0..messages {
        let role = ["user", "assistant"][message % 2];
        let comma = if message == 0 { "" } else { "," };
        let text =
            "Please look at the order once more and tell me what has become of it. ".repeat(4);
        let _ = write!(body, r#"{comma}{{"role":"{role}","content":"{text}"}}"#);
    }
    body.push_str("]}");
    body
}
