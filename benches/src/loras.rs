//! The paths of `lora-tracker`: who has an adapter, where a request may go, an event; and a whole
//! [placement](Placements).
//!
//! A fleet has 1,000 workers with ten of 100 adapters each, so 10,000 pairs; one adapter is on all
//! workers, one on eight. Changes come so many a second by the clock, which is read once a round,
//! and are the first thread's: its share of the time that they take is measured with the rest.

mod compared;
mod placement;

use std::any::Any;
use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;
use lora_tracker::{LoraEvent, LoraInfo, TrackerConfig};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use self::compared::{Tracked, Tracker};
use self::placement::Placements;
use crate::any_map::Backend;
use crate::baselines::loras::FourMaps;
use crate::changes::Changes;
use crate::scenario::{Scenario, Share, Shares, deciding, maps};
use crate::threads::{Operation, Threads, beside};

/// Adapters of a fleet, and of a worker.
const ADAPTERS: u64 = 100;
const EACH: u64 = 10;
/// The adapters of which all workers have one, and eight the other.
const ON_ALL: usize = 0;
const ON_EIGHT: usize = 1;
/// How many adapters a worker can hold: a few more than it has.
const CAPACITY: u32 = 16;
/// Operations of a round.
const ROUND: u64 = 256;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// The workers that have the adapter that all have.
    LoadedWorkers,
    /// Where a request for the adapter may go that eight have: the least loaded of the candidates.
    Candidates,
    /// That adapter is loaded on another worker and unloaded again.
    Event,
    /// A request is placed.
    Placement,
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
    for work in [Work::Placement, Work::LoadedWorkers, Work::Candidates] {
        let fleet = Fleet { work, ..placement };
        let idle = Fleet {
            changes_a_second: 0,
            ..fleet
        };
        all.extend([fleet.scenario(""), idle.scenario("idle")]);
        if cores > 1 {
            all.push(Fleet { threads: 1, ..idle }.scenario("threads=1"));
        }
    }
    let alone = |work, workers| Fleet {
        work,
        workers,
        threads: 1,
        changes_a_second: 0,
    };
    all.extend([
        alone(Work::Candidates, 100).scenario("workers=100,threads=1"),
        alone(Work::Candidates, 10_000).scenario("workers=10000,threads=1"),
        alone(Work::Event, placement.workers).scenario(""),
    ]);
    all
}

impl Fleet {
    fn scenario(self, variation: &str) -> Scenario {
        // What is asked by name does not go through the map.
        let ours = vec![Arm::new("dashmap", Role::Incumbent)];
        let (name, what, arms) = match self.work {
            Work::LoadedWorkers => (
                "lora-loaded-workers",
                "the workers of an adapter that all have",
                ours,
            ),
            Work::Candidates => (
                "lora-candidates-of-8",
                "the least loaded candidate for an adapter that eight workers have",
                ours,
            ),
            Work::Event => (
                "lora-event-of-8",
                "an adapter that eight workers have is loaded or unloaded on another",
                maps(),
            ),
            Work::Placement => ("lora-placement", placement::WHAT, deciding()),
        };
        let adr = "0005";
        let arms = beside(arms, ["reference"]);
        Operation { adr, name, what }.scenario(variation, self.threads, arms, move |threads| {
            self.shares(threads)
        })
    }

    fn shares(self, threads: Threads<'_>) -> Result<Shares> {
        if threads.arm == "reference" {
            let maps = FourMaps::default();
            self.pairs().for_each(|event| maps.apply(event));
            return Ok(self.each_thread(threads, maps));
        }
        let map = Backend::of_arm(threads.arm)?.map(usize::try_from(self.workers)?);
        let tracker = Tracked::with_map(TrackerConfig::default(), map);
        tracker.apply_batch(self.pairs()).expect("names are names");
        Ok(self.each_thread(threads, tracker))
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

    fn each_thread<T: Tracker>(self, threads: Threads<'_>, tracker: T) -> Shares {
        let tracker = Arc::new(tracker);
        threads.each(|thread, rng| {
            let placements = match self.work {
                Work::Placement => Placements::new(self, rng.clone()),
                _ => Placements::default(),
            };
            Asking {
                tracker: Arc::clone(&tracker),
                fleet: self,
                names: names(),
                toggled: Toggled::new(self.workers, rng),
                changes: Changes::of_thread(thread, self.changes_a_second),
                placements,
            }
        })
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

/// The adapter that eight workers have, as it is loaded and unloaded by turns on one of the others
/// after the other.
struct Toggled {
    workers: u64,
    worker: WorkerWithDpRank,
    name: Arc<str>,
    is_loaded: bool,
    rng: fastrand::Rng,
}

impl Toggled {
    fn new(workers: u64, rng: fastrand::Rng) -> Self {
        Self {
            workers,
            worker: worker(1),
            name: Arc::clone(&names()[ON_EIGHT]),
            is_loaded: false,
            rng,
        }
    }

    fn next(&mut self) -> LoraEvent {
        if !self.is_loaded {
            // None of the eight, which have even numbers.
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
}

impl<T: Tracker> Share for Asking<T> {
    fn round(&mut self) -> u64 {
        if self.changes.due() {
            self.tracker.apply(self.toggled.next());
        }
        let tracker = &*self.tracker;
        match self.fleet.work {
            Work::LoadedWorkers => {
                let name = &*self.names[ON_ALL];
                for _ in 0..ROUND {
                    let there = tracker.loaded_workers(black_box(name)) as u64;
                    assert_eq!(there, self.fleet.workers);
                }
                ROUND
            }
            Work::Candidates => {
                let name = &*self.names[ON_EIGHT];
                for _ in 0..ROUND {
                    let least = black_box(tracker.least_loaded(black_box(name)));
                    assert!(least.is_some(), "everybody has room");
                }
                ROUND
            }
            Work::Event => {
                for _ in 0..16 {
                    tracker.apply(self.toggled.next());
                }
                let Toggled { worker, name, .. } = &self.toggled;
                assert_eq!(tracker.is_loaded(worker, name), self.toggled.is_loaded);
                16
            }
            Work::Placement => self.placements.round(tracker),
        }
    }
}

/// A design with so many pairs of worker and adapter, to be weighed.
pub(crate) fn filled(arm: &str, pairs: u64) -> Option<Box<dyn Any>> {
    if arm == "reference" {
        let maps = FourMaps::default();
        loads(pairs).for_each(|event| maps.apply(event));
        return Some(Box::new(maps));
    }
    let map = Backend::of_arm(arm).ok()?.map(0);
    let tracker = Tracked::with_map(TrackerConfig::default(), map);
    let is_new = |event| tracker.apply(event) == Ok(true);
    assert!(loads(pairs).all(is_new), "pairs are fresh");
    Some(Box::new(tracker))
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
