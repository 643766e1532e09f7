//! The paths of `lora-tracker`: who has an adapter, where a request may go, an event; and a whole placement decision.
//!
//! A fleet has 1,000 workers with ten of 100 adapters each, so 10,000 pairs; one adapter is on all workers, one on eight. Changes
//! come so many a second by the clock, which is read once a round, and are the first thread's: its share of the time that
//! they take is measured with the rest.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lora_tracker::{
    DashMapLoras, LoraEvent, LoraInfo, LoraMap, LoraTracker, PapayaLoras, RwLockLoras, SccLoras,
};
use serde::{Deserialize, Serialize};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use crate::baselines::loras::{FourMaps, FullClone};
use crate::scenario::{AGAIN, PLANTED, Share, Shares, map_of};

/// Adapters of a fleet, and of a worker.
const ADAPTERS: u64 = 100;
const EACH: u64 = 10;
/// The adapters of which all workers have one, and eight the other.
const ON_ALL: usize = 0;
const ON_EIGHT: usize = 1;
/// How many adapters a worker can hold: a few more than it has.
const CAPACITY: u32 = 16;
/// Operations of a round where each looks at a handful of workers, and workers looked at where it is more.
const ROUND: u64 = 256;
const LOOKED_AT_A_ROUND: u64 = 8_192;
/// The placement requests of a thread, made beforehand.
const REQUESTS: usize = 256;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// The workers that have an adapter.
    LoadedWorkers(Spread),
    /// Where a request may go: the least loaded of the candidates.
    Candidates(Spread),
    /// The workers that have a free slot, counted.
    FreeSlots,
    /// How many slots a worker has.
    Slots,
    /// The whole state.
    View,
    /// An adapter is loaded or unloaded, by turns.
    Event(Spread),
    /// A request is placed.
    Placement,
}

/// On how many workers the adapter is that is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    All,
    Eight,
}

impl Spread {
    fn adapter(self) -> usize {
        match self {
            Self::All => ON_ALL,
            Self::Eight => ON_EIGHT,
        }
    }
}

/// An operation on a fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fleet {
    work: Work,
    threads: u32,
    workers: u64,
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
    let placement = Fleet {
        work: Work::Placement,
        threads: cores,
        workers: 1_000,
        changes_a_second: 1_000,
    };
    let mut all = Vec::new();
    let mut add = |variation: &str, fleet: Fleet| {
        let (base, what) = fleet.work.told();
        let gating = fleet.work == Work::Placement && variation.is_empty();
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

    add("", placement);
    for work in [
        Work::Placement,
        Work::LoadedWorkers(Spread::All),
        Work::Candidates(Spread::All),
        Work::Candidates(Spread::Eight),
        Work::FreeSlots,
        Work::Slots,
        Work::View,
    ] {
        let fleet = Fleet { work, ..placement };
        if work != Work::Placement {
            add("", fleet);
        }
        let idle = Fleet {
            changes_a_second: 0,
            ..fleet
        };
        add("idle", idle);
        if cores > 1 {
            add("threads=1", Fleet { threads: 1, ..idle });
        }
    }
    for workers in [100, 10_000] {
        for work in [Work::Candidates(Spread::Eight), Work::View] {
            let fleet = Fleet {
                work,
                workers,
                threads: 1,
                changes_a_second: 0,
            };
            add(&format!("workers={workers},threads=1"), fleet);
        }
    }
    for spread in [Spread::Eight, Spread::All] {
        let fleet = Fleet {
            work: Work::Event(spread),
            threads: 1,
            changes_a_second: 0,
            ..placement
        };
        add("", fleet);
    }
    all
}

impl Work {
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::LoadedWorkers(Spread::All) => (
                "lora-loaded-workers",
                "the workers of an adapter that all have",
            ),
            Self::LoadedWorkers(Spread::Eight) => (
                "lora-loaded-workers-of-8",
                "the workers of an adapter that eight have",
            ),
            Self::Candidates(Spread::All) => (
                "lora-candidates",
                "the least loaded candidate for an adapter that all workers have",
            ),
            Self::Candidates(Spread::Eight) => (
                "lora-candidates-of-8",
                "the least loaded candidate for an adapter that eight workers have",
            ),
            Self::FreeSlots => ("lora-free-slots", "all workers with a free slot"),
            Self::Slots => ("lora-worker-slots", "the slots of a worker"),
            Self::View => ("lora-view", "the whole state, to keep"),
            Self::Event(Spread::All) => (
                "lora-event",
                "an adapter that all workers have is loaded or unloaded on one",
            ),
            Self::Event(Spread::Eight) => (
                "lora-event-of-8",
                "an adapter that eight workers have is loaded or unloaded on another",
            ),
            Self::Placement => (
                "lora-placement",
                "a placement: the request read, its session's worker asked for, else the least loaded candidate, the decision written",
            ),
        }
    }
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
        let mut arms = vec![Arm::new("dashmap", Role::Incumbent)];
        match self.work {
            // What is asked by name, and the state as a whole, does not go through the map.
            Work::LoadedWorkers(_) | Work::Candidates(_) | Work::FreeSlots => {
                arms.push(Arm::new("reference", Role::Reference));
            }
            Work::View => {}
            Work::Slots | Work::Event(_) | Work::Placement => {
                arms.extend([
                    Arm::new(AGAIN, Role::IncumbentAgain),
                    Arm::new(PLANTED, Role::Planted { extra: 0.10 }),
                    Arm::new("papaya", Role::Candidate),
                    Arm::new("scc", Role::Candidate),
                    Arm::new("rwlock", Role::Baseline),
                    Arm::new("reference", Role::Reference),
                ]);
            }
        }
        if matches!(self.work, Work::Event(_)) {
            arms.push(Arm::new("full-clone", Role::Reference));
        }
        arms
    }

    /// The shares of all threads of an arm.
    ///
    /// # Errors
    ///
    /// If there is no such arm.
    pub fn shares(self, arm: &str, seed: u64) -> Result<Shares> {
        Ok(match map_of(arm) {
            "dashmap" => self.tracked(LoraTracker::<DashMapLoras>::default(), seed),
            "papaya" => self.tracked(LoraTracker::<PapayaLoras>::default(), seed),
            "scc" => self.tracked(LoraTracker::<SccLoras>::default(), seed),
            "rwlock" => self.tracked(LoraTracker::<RwLockLoras>::default(), seed),
            "reference" => {
                let maps = FourMaps::default();
                self.pairs().for_each(|event| maps.apply(event));
                self.each_thread(maps, seed)
            }
            "full-clone" => {
                let state = FullClone::default();
                state.apply_all(self.pairs());
                self.each_thread(state, seed)
            }
            _ => bail!("no adapters are tracked by {arm}"),
        })
    }

    fn tracked<M: LoraMap + 'static>(self, tracker: LoraTracker<M>, seed: u64) -> Shares {
        tracker.apply_batch(self.pairs()).expect("names are names");
        self.each_thread(tracker, seed)
    }

    /// The events that make the fleet.
    fn pairs(self) -> impl Iterator<Item = LoraEvent> {
        let names = names();
        // The eight have even numbers.
        let few = (self.workers / 16).max(1) * 2;
        (0..self.workers).flat_map(move |id| {
            let of_eight = (id % few == 0 && id / few < 8).then_some(ON_EIGHT as u64);
            let held: Vec<_> = of_worker(id)
                .chain([ON_ALL as u64])
                .chain(of_eight)
                .filter_map(|at| names.get(usize::try_from(at).ok()?).cloned())
                .collect();
            held.into_iter().map(move |name| loaded(worker(id), name))
        })
    }

    fn each_thread<T: Tracker>(self, tracker: T, seed: u64) -> Shares {
        let tracker = Arc::new(tracker);
        (0..self.threads)
            .map(|thread| {
                let rng = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(thread)));
                let placements = match self.work {
                    Work::Placement => Placements::new(self, rng.clone()),
                    _ => Placements::default(),
                };
                Box::new(Asking {
                    tracker: Arc::clone(&tracker),
                    fleet: self,
                    names: names(),
                    toggled: Toggled::new(self, rng.clone()),
                    due: (thread == 0)
                        .then(|| Due::new(self.changes_a_second))
                        .flatten(),
                    placements,
                    rng,
                }) as Box<dyn Share>
            })
            .collect()
    }
}

fn worker(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(id)
}

/// The adapters of a worker, but for the two that all have, and eight.
fn of_worker(id: u64) -> impl Iterator<Item = u64> {
    (1..EACH).map(move |at| 2 + (id * 7 + at * 11) % (ADAPTERS - 2))
}

fn names() -> Vec<Arc<str>> {
    (0..ADAPTERS)
        .map(|number| format!("acme/support-assistant-{number}").into())
        .collect()
}

fn loaded(worker: WorkerWithDpRank, name: Arc<str>) -> LoraEvent {
    LoraEvent::Loaded {
        worker,
        lora: LoraInfo::new(name, Some(CAPACITY)),
    }
}

/// What is compared.
trait Tracker: Send + Sync + 'static {
    fn apply(&self, event: LoraEvent);
    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool;
    /// How many have the adapter, where the answer is a collection of them.
    fn loaded_workers(&self, name: &str) -> usize;
    /// The least loaded of the candidates, and how many there are.
    fn least_loaded(&self, name: &str) -> Option<(WorkerWithDpRank, usize)>;
    /// How many workers have a free slot, and how many adapters those have.
    fn free_slots(&self) -> (usize, usize);
    /// How many adapters a worker has, if it is there and has a free slot.
    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize>;
    /// How many changes there have been in the state that is kept.
    fn view(&self) -> u64;
}

impl<M: LoraMap + 'static> Tracker for LoraTracker<M> {
    fn apply(&self, event: LoraEvent) {
        assert_eq!(self.apply(event), Ok(true), "it changes something");
    }

    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.is_loaded(worker, name)
    }

    fn loaded_workers(&self, name: &str) -> usize {
        black_box(self.loaded_workers(name)).len()
    }

    fn least_loaded(&self, name: &str) -> Option<(WorkerWithDpRank, usize)> {
        let candidates = self.candidates(name);
        let least = candidates.iter().min_by_key(|each| each.slots.loaded)?;
        Some((least.worker, least.slots.loaded))
    }

    fn free_slots(&self) -> (usize, usize) {
        let free = self.workers_with_free_slots();
        let rows = free.iter().map(|each| black_box(each).slots.loaded);
        rows.fold((0, 0), |(met, sum), loaded| (met + 1, sum + loaded))
    }

    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize> {
        let slots = self.worker_slots(worker)?;
        slots.has_room().then_some(slots.loaded)
    }

    fn view(&self) -> u64 {
        black_box(self.view()).generation()
    }
}

impl Tracker for FourMaps {
    fn apply(&self, event: LoraEvent) {
        self.apply(event);
    }

    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.is_loaded(worker, name)
    }

    fn loaded_workers(&self, name: &str) -> usize {
        black_box(self.loaded_workers(name)).len()
    }

    fn least_loaded(&self, name: &str) -> Option<(WorkerWithDpRank, usize)> {
        self.candidates(name).into_iter().min_by_key(|each| each.1)
    }

    fn free_slots(&self) -> (usize, usize) {
        let free = black_box(self.workers_with_free_slots());
        (free.len(), free.iter().map(|(_, loaded)| loaded).sum())
    }

    fn with_room(&self, worker: &WorkerWithDpRank) -> Option<usize> {
        let (loaded, capacity) = self.worker_slots(worker)?;
        (loaded < capacity as usize).then_some(loaded)
    }

    fn view(&self) -> u64 {
        unreachable!("four maps have no view")
    }
}

/// Only events are compared with this one.
impl Tracker for FullClone {
    fn apply(&self, event: LoraEvent) {
        self.apply(event);
    }

    fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.is_loaded(worker, name)
    }

    fn loaded_workers(&self, _: &str) -> usize {
        unreachable!("events alone")
    }

    fn least_loaded(&self, _: &str) -> Option<(WorkerWithDpRank, usize)> {
        unreachable!("events alone")
    }

    fn free_slots(&self) -> (usize, usize) {
        unreachable!("events alone")
    }

    fn with_room(&self, _: &WorkerWithDpRank) -> Option<usize> {
        unreachable!("events alone")
    }

    fn view(&self) -> u64 {
        unreachable!("events alone")
    }
}

/// An adapter that is loaded and unloaded by turns, on one worker after the other.
struct Toggled {
    workers: u64,
    worker: WorkerWithDpRank,
    name: Arc<str>,
    is_loaded: bool,
    /// Whether the adapter is on all workers but the one whose turn it is, or on no other than its eight.
    on_all: bool,
    rng: fastrand::Rng,
}

impl Toggled {
    fn new(fleet: Fleet, rng: fastrand::Rng) -> Self {
        let adapter = match fleet.work {
            Work::Event(spread) => spread.adapter(),
            // What is asked for changes too.
            _ => ON_EIGHT,
        };
        Self {
            workers: fleet.workers,
            worker: worker(1),
            name: Arc::clone(&names()[adapter]),
            is_loaded: adapter == ON_ALL,
            on_all: adapter == ON_ALL,
            rng,
        }
    }

    fn next(&mut self) -> LoraEvent {
        if self.is_loaded == self.on_all {
            // As it was at first: another worker's turn. None of the eight, which have even numbers.
            self.worker = worker(self.rng.u64(..self.workers / 2) * 2 + 1);
        }
        self.is_loaded = !self.is_loaded;
        let (worker, name) = (self.worker, Arc::clone(&self.name));
        if self.is_loaded {
            loaded(worker, name)
        } else {
            LoraEvent::Unloaded { worker, name }
        }
    }
}

/// When the next change is due.
struct Due {
    next: Instant,
    every: Duration,
}

impl Due {
    fn new(a_second: u32) -> Option<Self> {
        let every = Duration::from_secs(1).checked_div(a_second)?;
        Some(Self {
            next: Instant::now(),
            every,
        })
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            // None is made up for: the rate is an upper bound.
            self.next = now + self.every;
        }
        due
    }
}

struct Asking<T> {
    tracker: Arc<T>,
    fleet: Fleet,
    names: Vec<Arc<str>>,
    toggled: Toggled,
    due: Option<Due>,
    placements: Placements,
    rng: fastrand::Rng,
}

impl<T: Tracker> Share for Asking<T> {
    fn round(&mut self) -> u64 {
        if self.due.as_mut().is_some_and(Due::is_due) {
            self.tracker.apply(self.toggled.next());
        }
        let (tracker, workers) = (&*self.tracker, self.fleet.workers);
        let scanned = (LOOKED_AT_A_ROUND / workers).clamp(1, ROUND);
        match self.fleet.work {
            Work::LoadedWorkers(spread) => {
                let name = &*self.names[spread.adapter()];
                for _ in 0..ROUND {
                    let there = tracker.loaded_workers(black_box(name)) as u64;
                    assert!(there == workers || spread == Spread::Eight && there >= 8);
                }
                ROUND
            }
            Work::Candidates(spread) => {
                let name = &*self.names[spread.adapter()];
                let round = if spread == Spread::All {
                    scanned
                } else {
                    ROUND
                };
                for _ in 0..round {
                    let least = black_box(tracker.least_loaded(black_box(name)));
                    assert!(least.is_some(), "everybody has room");
                }
                round
            }
            Work::FreeSlots => {
                for _ in 0..scanned {
                    let (free, loaded) = tracker.free_slots();
                    assert!(free as u64 == workers && loaded as u64 >= workers * EACH);
                }
                scanned
            }
            Work::Slots => {
                for _ in 0..ROUND {
                    let asked = worker(self.rng.u64(..workers));
                    assert!(tracker.with_room(&asked).is_some(), "everybody has room");
                }
                ROUND
            }
            Work::View => {
                for _ in 0..ROUND {
                    assert!(tracker.view() > 0);
                }
                ROUND
            }
            Work::Event(_) => {
                for _ in 0..16 {
                    tracker.apply(self.toggled.next());
                }
                let Toggled {
                    worker,
                    name,
                    is_loaded,
                    ..
                } = &self.toggled;
                assert_eq!(tracker.is_loaded(worker, name), *is_loaded);
                16
            }
            Work::Placement => self.placements.round(tracker),
        }
    }
}

/// A request for a chat completion, as far as placing it needs to know.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    model: &'a str,
    #[serde(borrow)]
    user: Option<&'a str>,
}

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

/// The requests of a thread, and where it writes what it decides.
#[derive(Default)]
struct Placements {
    /// The body, and the worker that has served the session before, if it is not new.
    requests: Vec<(String, Option<WorkerWithDpRank>)>,
    at: usize,
    placed: u64,
    decision: Vec<u8>,
}

impl Placements {
    fn new(fleet: Fleet, mut rng: fastrand::Rng) -> Self {
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

    fn round(&mut self, tracker: &impl Tracker) -> u64 {
        const ROUND: usize = 16;
        for _ in 0..ROUND {
            self.at = (self.at + 1) % self.requests.len();
            let (body, before) = &self.requests[self.at];
            let request: Request<'_> = serde_json::from_str(body).expect("a request");
            let name = request.model;
            let sticky = before.and_then(|worker| {
                let loaded = tracker.with_room(&worker)?;
                tracker.is_loaded(&worker, name).then_some((worker, loaded))
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
fn body(model: &str, number: usize, turns: usize) -> String {
    let mut body =
        format!(r#"{{"model":"{model}","user":"user-{number}","stream":true,"messages":["#);
    for turn in 0..turns {
        let role = ["user", "assistant"][turn % 2];
        let comma = if turn == 0 { "" } else { "," };
        let text =
            "Please look at the order once more and tell me what has become of it. ".repeat(4);
        let _ = write!(body, r#"{comma}{{"role":"{role}","content":"{text}"}}"#);
    }
    body.push_str("]}");
    body
}
