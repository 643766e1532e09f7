//! Recorded histories of every map: events, batches, replacements and reads of one and of several keys are linearizable,
//! checked whole.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::naive::Naive;
use linearize::{Budget, Plan, Rng, Spec, check, concurrent_pairs};
use lora_tracker::{LoraEvent, LoraInfo, LoraMap, LoraTracker, Slots};
use quanta::Clock;
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! { histories_are_linearizable }

const NAMES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Op {
    Apply(LoraEvent),
    Batch(Vec<LoraEvent>),
    Replace(WorkerWithDpRank, Vec<LoraInfo>),
    IsLoaded(WorkerWithDpRank, &'static str),
    WorkerSlots(WorkerWithDpRank),
    LoadedWorkers(&'static str),
    Free,
    View,
}

#[derive(Clone, Debug, PartialEq)]
enum Ret {
    Is(bool),
    Slots(Option<Slots>),
    Workers(Vec<String>),
    View(u64, Vec<Vec<String>>, Vec<usize>),
}

struct Fleet;

impl Spec for Fleet {
    type Op = Op;
    type Ret = Ret;
    type State = Naive;

    fn initial(&self) -> Naive {
        Naive::default()
    }

    fn step(&self, state: &mut Naive, op: &Op) -> Ret {
        match op {
            Op::Apply(event) => Ret::Is(state.apply(event)),
            Op::Batch(events) => Ret::Is(state.apply_batch(events)),
            Op::Replace(worker, loras) => Ret::Is(state.replace(*worker, Some(2), loras)),
            Op::IsLoaded(worker, name) => {
                let there = state.fleet.get(worker);
                Ret::Is(there.is_some_and(|there| there.adapters.contains(*name)))
            }
            Op::WorkerSlots(worker) => Ret::Slots(state.slots(worker)),
            Op::LoadedWorkers(name) => Ret::Workers(state.loaded_workers(name)),
            Op::Free => {
                let free = state.workers(|_, slots| slots.has_room());
                Ret::Workers(free.into_iter().map(|(worker, ..)| worker).collect())
            }
            Op::View => Ret::View(
                state.generation,
                NAMES.map(|name| state.loaded_workers(name)).to_vec(),
                state
                    .fleet
                    .values()
                    .map(|there| there.adapters.len())
                    .collect(),
            ),
        }
    }
}

fn generate(rng: &mut Rng, _thread: usize) -> Op {
    match rng.below(16) {
        0..6 => Op::Apply(event(rng)),
        6 | 7 => {
            let events = 2 + rng.below(3);
            Op::Batch((0..events).map(|_| event(rng)).collect())
        }
        8 => {
            let loras = rng.below(3);
            Op::Replace(worker(rng), (0..loras).map(|_| lora(rng)).collect())
        }
        9 => Op::IsLoaded(worker(rng), a_name(rng)),
        10 | 11 => Op::WorkerSlots(worker(rng)),
        12 => Op::LoadedWorkers(a_name(rng)),
        13 => Op::Free,
        _ => Op::View,
    }
}

fn a_name(rng: &mut Rng) -> &'static str {
    let name: &&str = rng.pick(&NAMES);
    name
}

fn worker(rng: &mut Rng) -> WorkerWithDpRank {
    let worker = WorkerWithDpRank::from_worker_id(rng.below(2));
    match rng.below(6) {
        0 => worker.with_incarnation(rng.below(2)),
        _ => worker,
    }
}

fn lora(rng: &mut Rng) -> LoraInfo {
    LoraInfo::new(a_name(rng), *rng.pick(&[None, Some(1), Some(2)]))
}

fn event(rng: &mut Rng) -> LoraEvent {
    let worker = worker(rng);
    match rng.below(8) {
        0..3 => LoraEvent::Loaded {
            worker,
            lora: lora(rng),
        },
        3 | 4 => LoraEvent::Unloaded {
            worker,
            name: lora(rng).name,
        },
        5 => LoraEvent::WorkerJoined {
            worker,
            capacity: Some(1),
        },
        _ => LoraEvent::WorkerLeft { worker },
    }
}

fn run<M: LoraMap>(tracker: &LoraTracker<M>, op: &Op) -> Ret {
    let shown = |workers: &[WorkerWithDpRank]| workers.iter().map(ToString::to_string).collect();
    match op {
        Op::Apply(event) => Ret::Is(tracker.apply(event.clone()).unwrap()),
        Op::Batch(events) => Ret::Is(tracker.apply_batch(events.clone()).unwrap()),
        Op::Replace(worker, loras) => Ret::Is(
            tracker
                .replace_worker(*worker, Some(2), loras.clone())
                .unwrap(),
        ),
        Op::IsLoaded(worker, name) => Ret::Is(tracker.is_loaded(worker, name)),
        Op::WorkerSlots(worker) => Ret::Slots(tracker.worker_slots(worker)),
        Op::LoadedWorkers(name) => Ret::Workers(shown(&tracker.loaded_workers(name))),
        Op::Free => {
            let free = tracker.workers_with_free_slots();
            let mut free: Vec<_> = free.iter().map(|each| each.worker.to_string()).collect();
            free.sort_unstable();
            Ret::Workers(free)
        }
        Op::View => {
            let view = tracker.view();
            let mut workers: Vec<_> = view.workers().collect();
            workers.sort_unstable_by_key(|each| each.worker);
            Ret::View(
                view.generation(),
                NAMES.map(|name| shown(view.loaded_workers(name))).to_vec(),
                workers.into_iter().map(|each| each.slots.loaded).collect(),
            )
        }
    }
}

fn histories_are_linearizable<M: LoraMap + Default + Send>() {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let mut overlapping = 0;
    Plan {
        threads: 3,
        calls: 7,
        histories: 1_500,
        seed: 11,
    }
    .record(
        // Time stands still: no incarnation is forgotten.
        || LoraTracker::<M>::default().with_clock(Clock::mock().0),
        generate,
        |tracker, ops, recorder| {
            for (at, op) in ops.into_iter().enumerate() {
                recorder.call(op, |op| {
                    // Somewhere within a call, so that calls overlap however few cores there are.
                    if at % 3 == 0 {
                        thread::yield_now();
                    }
                    run(tracker, op)
                });
            }
        },
        |history| {
            overlapping += concurrent_pairs(history);
            check(&Fleet, history, Budget::default()).assert_linearizable();
        },
    );
    assert!(
        overlapping > 1_500,
        "only {overlapping} pairs of calls overlapped: nothing was tested"
    );
}
