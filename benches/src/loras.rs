//! The paths of `lora-tracker`: who has an adapter, where a request may go, an event; and a whole placement decision.
//!
//! A fleet has 1,000 workers with ten of 100 adapters each, so 10,000 pairs; one adapter is on all workers, one on eight. Changes
//! come so many a second by the clock, which is read once a round, and are the first thread's: its share of the time that
//! they take is measured with the rest.

mod compared;
mod placement;

use std::any::Any;
use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, bail};
use lora_tracker::{
    DashMapLoras, LoraEvent, LoraInfo, LoraMap, LoraTracker, PapayaLoras, RwLockLoras, SccLoras,
};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use self::compared::Tracker;
use self::placement::Placements;
use crate::baselines::loras::{FourMaps, FullClone};
use crate::changes::Changes;
use crate::scenario::{Scenario, Share, Shares, map_of, maps, varied};

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
struct Fleet {
    work: Work,
    threads: u32,
    workers: u64,
    changes_a_second: u32,
}

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
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
        let (name, what) = varied(base, what, variation);
        all.push(Scenario {
            name,
            adr: "0005",
            gating,
            what,
            threads: fleet.threads,
            arms: fleet.arms(),
            build: Arc::new(move |arm, seed| fleet.shares(arm, seed)),
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
    fn arms(&self) -> Vec<Arm> {
        let mut arms = vec![Arm::new("dashmap", Role::Incumbent)];
        match self.work {
            // What is asked by name, and the state as a whole, does not go through the map.
            Work::LoadedWorkers(_) | Work::Candidates(_) | Work::FreeSlots => {
                arms.push(Arm::new("reference", Role::Reference));
            }
            Work::View => {}
            Work::Slots | Work::Event(_) | Work::Placement => {
                arms = maps();
                arms.push(Arm::new("reference", Role::Reference));
            }
        }
        if matches!(self.work, Work::Event(_)) {
            arms.push(Arm::new("full-clone", Role::Reference));
        }
        arms
    }

    fn shares(self, arm: &str, seed: u64) -> Result<Shares> {
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
                    changes: Changes::of_thread(thread, self.changes_a_second),
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

struct Asking<T> {
    tracker: Arc<T>,
    fleet: Fleet,
    names: Vec<Arc<str>>,
    toggled: Toggled,
    changes: Changes,
    placements: Placements,
    rng: fastrand::Rng,
}

impl<T: Tracker> Share for Asking<T> {
    fn round(&mut self) -> u64 {
        if self.changes.due() {
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

/// A design with so many pairs of worker and adapter, to be weighed.
pub(crate) fn filled(arm: &str, pairs: u64) -> Option<Box<dyn Any>> {
    fn loaded<M: LoraMap + Default + 'static>(pairs: u64) -> Box<dyn Any> {
        let tracker = LoraTracker::<M>::default();
        let is_new = |event| tracker.apply(event) == Ok(true);
        assert!(loads(pairs).all(is_new), "pairs are fresh");
        Box::new(tracker)
    }
    Some(match arm {
        "dashmap" => loaded::<DashMapLoras>(pairs),
        "papaya" => loaded::<PapayaLoras>(pairs),
        "scc" => loaded::<SccLoras>(pairs),
        "rwlock" => loaded::<RwLockLoras>(pairs),
        "reference" => {
            let maps = FourMaps::default();
            loads(pairs).for_each(|event| maps.apply(event));
            Box::new(maps)
        }
        _ => return None,
    })
}

/// Each with a name of its own, as a decoded event has.
fn loads(pairs: u64) -> impl Iterator<Item = LoraEvent> {
    (0..pairs).map(|number| {
        let (worker, at) = (number / 100, number % 100);
        let name = format!("acme/support-assistant-{}", (worker * 7 + at * 10) % 1_000);
        LoraEvent::Loaded {
            worker: WorkerWithDpRank::from_worker_id(worker),
            lora: LoraInfo::new(name, Some(128)),
        }
    })
}
