//! The paths of `worker-load`: a request is counted and counted no longer, by name, by counter and
//! by choice.
//!
//! An operation is a reservation and its release, at once: with nothing between them, it is the
//! most that the counter can cost. Each thread goes over the workers in an order of its own.
//! `load-turn` is the whole of what a router does with a turn whose session is pinned: its headers
//! are read, its worker is reserved by id, and what goes upstream is made.
//!
//! `resolved` is a map that costs nothing: the counter is at hand.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, bail};
use http::{HeaderMap, HeaderValue, Request};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;
use worker_load::{
    Ask, Budget, Candidates, Capacity, Cost, DashMapLoads, LeastLoaded, LoadMap, PapayaLoads,
    Policy, PowerOfTwo, RwLockLoads, SccLoads, WorkerLoads,
};

use crate::baselines::loads::{CountersByText, EntriesByText};
use crate::scenario::{Scenario, Share, Shares, map_of, maps, varied};

/// Operations of a round.
const ROUND: usize = 256;
/// Which worker each operation of a thread is on, made beforehand.
const ORDER: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// On a worker that the caller names.
    Reserve,
    /// A pinned turn, with what a router does beside it.
    Turn,
    /// On one that a policy chooses.
    Pick,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Setting {
    work: Work,
    threads: u32,
    workers: u64,
}

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let usual = Setting {
        work: Work::Reserve,
        threads: cores,
        workers: 8,
    };
    let mut all = Vec::new();
    let mut add = |variation: &str, setting: Setting| {
        let (base, what) = match setting.work {
            Work::Reserve => (
                "load-reserve",
                "a request counts on one of 8 workers, and no longer",
            ),
            Work::Turn => (
                "load-turn",
                "a pinned turn: its headers read, its worker reserved, what is sent upstream made",
            ),
            Work::Pick => (
                "load-pick",
                "a worker of 8 is chosen and reserved, and given back",
            ),
        };
        let (name, what) = varied(base, what, variation);
        all.push(Scenario {
            name,
            adr: "0009",
            gating: setting.work == Work::Turn && variation.is_empty(),
            what,
            threads: setting.threads,
            arms: setting.arms(),
            build: Arc::new(move |arm, seed| setting.shares(arm, seed)),
        });
    };
    for work in [Work::Reserve, Work::Turn, Work::Pick] {
        let usual = Setting { work, ..usual };
        add("", usual);
        if cores > 1 {
            add(
                "threads=1",
                Setting {
                    threads: 1,
                    ..usual
                },
            );
        }
    }
    add(
        "workers=1",
        Setting {
            workers: 1,
            ..usual
        },
    );
    let pick = Setting {
        work: Work::Pick,
        workers: 1_000,
        ..usual
    };
    add("workers=1000", pick);
    if cores > 1 {
        add("workers=1000,threads=1", Setting { threads: 1, ..pick });
    }
    all
}

impl Setting {
    fn arms(self) -> Vec<Arm> {
        let reference = |name| Arm::new(name, Role::Reference);
        match self.work {
            Work::Turn => [maps(), vec![reference("resolved")]].concat(),
            Work::Reserve => {
                let others = ["resolved", "budget", "counters-by-text", "entries-by-text"];
                [maps(), others.map(reference).into()].concat()
            }
            Work::Pick => vec![
                Arm::new("two-choices", Role::Incumbent),
                reference("least-loaded"),
                reference("resolved"),
            ],
        }
    }

    fn shares(self, arm: &str, seed: u64) -> Result<Shares> {
        let counters = CountersByText::new(&self.addresses());
        let entries = EntriesByText::default();
        Ok(match (self.work, map_of(arm)) {
            (Work::Pick, "two-choices") => self.picks(PowerOfTwo::default(), seed),
            (Work::Pick, "least-loaded") => self.picks(LeastLoaded::default(), seed),
            (_, "dashmap") => self.by_id::<DashMapLoads>(seed),
            (_, "papaya") => self.by_id::<PapayaLoads>(seed),
            (_, "scc") => self.by_id::<SccLoads>(seed),
            (_, "rwlock") => self.by_id::<RwLockLoads>(seed),
            (_, "resolved") => {
                let fleet = self.loads::<DashMapLoads>().everyone();
                self.each(seed, move |at, _| {
                    fleet[at].reserve(Cost::request()).is_ok()
                })
            }
            (_, "budget") => {
                let fleet = self.loads::<DashMapLoads>().everyone();
                let tenants: Vec<_> = (0..self.threads)
                    .map(|_| Budget::new("tenant", Capacity::requests(1_000)))
                    .collect();
                self.each(seed, move |at, thread| {
                    let budgets = [&tenants[thread]];
                    let ask = Ask::new(Cost::request()).within(&budgets);
                    fleet[at].reserve(ask).is_ok()
                })
            }
            (_, "counters-by-text") => {
                let addresses = self.addresses();
                self.each(seed, move |at, _| counters.begin(&addresses[at]).is_some())
            }
            (_, "entries-by-text") => {
                let addresses = self.addresses();
                self.each(seed, move |at, _| {
                    entries.begin(&addresses[at]);
                    black_box(&entries).end(&addresses[at]);
                    true
                })
            }
            _ => bail!("no load is counted by {arm}"),
        })
    }

    fn addresses(self) -> Vec<String> {
        let address = |id| format!("http://10.12.{}.{}:8000", id / 250, id % 250);
        (0..self.workers).map(address).collect()
    }

    fn loads<M: LoadMap + Default>(self) -> WorkerLoads<M> {
        let loads = WorkerLoads::with_map(M::default());
        for id in 0..self.workers {
            let worker = WorkerWithDpRank::new(id, 0);
            let joined = loads.join(worker, Capacity::requests(1_000));
            assert!(joined.is_ok(), "nobody has left");
        }
        loads
    }

    fn by_id<M: LoadMap + Default + 'static>(self, seed: u64) -> Shares {
        let loads = self.loads::<M>();
        self.each(seed, move |at, _| {
            let worker = WorkerWithDpRank::new(at as u64, 0);
            loads.reserve(worker, Cost::request()).is_ok()
        })
    }

    fn picks(self, policy: impl Policy + Send + Sync + 'static, seed: u64) -> Shares {
        let loads = self.loads::<DashMapLoads>();
        let fleet: Candidates = loads.everyone();
        self.each(seed, move |_, _| {
            loads.pick(&fleet, Cost::request(), &policy).is_ok()
        })
    }

    /// An operation is given its worker and its thread, and says whether it was done.
    fn each(self, seed: u64, op: impl Fn(usize, usize) -> bool + Send + Sync + 'static) -> Shares {
        let op = Arc::new(op);
        let share = |thread: u32| -> Box<dyn Share> {
            let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(thread)));
            let workers = usize::try_from(self.workers).unwrap_or(usize::MAX);
            Box::new(Counting {
                op: Arc::clone(&op),
                order: (0..ORDER).map(|_| rng.usize(..workers)).collect(),
                at: 0,
                thread: usize::try_from(thread).unwrap_or(0),
                turn: (self.work == Work::Turn).then(|| Turn::new(&mut rng)),
            })
        };
        (0..self.threads).map(share).collect()
    }
}

struct Counting<F> {
    op: Arc<F>,
    order: Vec<usize>,
    at: usize,
    thread: usize,
    turn: Option<Turn>,
}

impl<F: Fn(usize, usize) -> bool + Send + Sync> Share for Counting<F> {
    fn round(&mut self) -> u64 {
        if self.at + ROUND > self.order.len() {
            self.at = 0;
        }
        let mut done = 0;
        for at in &self.order[self.at..self.at + ROUND] {
            let upstream = self.turn.as_ref().map(|turn| turn.upstream(*at));
            done += u64::from(black_box((self.op)(*at, self.thread)));
            black_box(upstream);
        }
        self.at += ROUND;
        assert_eq!(done, ROUND as u64, "a request was refused");
        done
    }
}

/// A request as it came, and what a router reads of it.
struct Turn(HeaderMap);

impl Turn {
    fn new(rng: &mut fastrand::Rng) -> Self {
        let mut headers = HeaderMap::new();
        let session = format!("chat-{:016x}", rng.u64(..));
        for (name, value) in [
            ("content-type", "application/json"),
            ("authorization", "Bearer 0123456789abcdef"),
            ("x-tenant-id", "acme"),
            ("x-session-id", &*session),
        ] {
            headers.insert(name, HeaderValue::from_str(value).expect("plain text"));
        }
        Self(headers)
    }

    /// The request for the worker that has this place.
    fn upstream(&self, at: usize) -> Request<()> {
        let read = |name| self.0.get(name).and_then(|value| value.to_str().ok());
        let request = Request::post(format!("http://10.12.0.{at}:8000/v1/chat/completions"))
            .header("x-session-id", read("x-session-id").unwrap_or_default())
            .header("x-tenant-id", read("x-tenant-id").unwrap_or_default())
            .header("content-type", "application/json");
        request.body(()).expect("its parts are well-formed")
    }
}
