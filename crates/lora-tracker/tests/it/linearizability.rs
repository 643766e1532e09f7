//! Recorded histories of every map: events, batches, replacements and reads of one and of several
//! keys are linearizable, checked whole.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::naive::Naive;
use linearize::{Budget, Plan, Rng, Spec, check, concurrent_pairs};
use lora_tracker::{
    ListedWorker, LoraEvent, LoraInfo, LoraMap, LoraNews, LoraSnapshot, LoraTracker, Slots, Tier,
};
use worker_id::{Effect, WorkerRanks, WorkerWithDpRank};

crate::backends::on_every_backend! { histories_are_linearizable }

const NAMES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Op {
    Apply(LoraNews),
    Batch(Vec<LoraNews>),
    Replace(Option<u64>, ListedWorker),
    ReplaceAll(Option<u64>, Vec<ListedWorker>),
    IsLoaded(WorkerWithDpRank, &'static str),
    WorkerSlots(WorkerWithDpRank),
    LoadedWorkers(&'static str),
    Free,
    /// Several questions to one snapshot.
    View,
}

#[derive(Clone, Debug, PartialEq)]
enum Ret {
    Effect(Effect),
    Is(bool),
    Slots(Option<Slots>),
    Workers(Vec<String>),
    View(u64, Vec<Vec<String>>, Vec<Option<Slots>>, Vec<Tier>),
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
            Op::Apply(news) => Ret::Effect(state.apply(news)),
            Op::Batch(news) => Ret::Effect(state.apply_batch(news)),
            Op::Replace(as_of, entry) => Ret::Effect(state.replace(*as_of, entry)),
            Op::ReplaceAll(as_of, fleet) => Ret::Effect(state.replace_all(*as_of, fleet)),
            Op::IsLoaded(worker, name) => {
                let lora = state
                    .fleet
                    .get(worker)
                    .and_then(|there| there.loras.get(*name));
                Ret::Is(lora.is_some_and(|lora| !lora.loading))
            }
            Op::WorkerSlots(worker) => Ret::Slots(state.slots(worker)),
            Op::LoadedWorkers(name) => Ret::Workers(state.having(name, false)),
            Op::Free => {
                let free = state.tier(Tier::Room, "", true).into_iter();
                Ret::Workers(free.map(|(worker, _)| worker).collect())
            }
            Op::View => Ret::View(
                state.generation,
                NAMES.map(|name| state.having(name, false)).to_vec(),
                workers().map(|worker| state.slots(&worker)).collect(),
                NAMES
                    .iter()
                    .filter_map(|name| {
                        let mut tiers = Tier::ALL.into_iter();
                        tiers.find(|tier| !state.tier(*tier, name, true).is_empty())
                    })
                    .collect(),
            ),
        }
    }
}

fn workers() -> impl Iterator<Item = WorkerWithDpRank> {
    (0..2).map(WorkerWithDpRank::from_worker_id)
}

fn generate(rng: &mut Rng, _thread: usize) -> Op {
    match rng.below(16) {
        0..6 => Op::Apply(event(rng)),
        6 | 7 => {
            let events = 2 + rng.below(3);
            Op::Batch((0..events).map(|_| event(rng)).collect())
        }
        8 if rng.below(2) == 0 => Op::Replace(as_of(rng), listed(rng)),
        8 => {
            let workers = rng.below(3);
            Op::ReplaceAll(as_of(rng), (0..workers).map(|_| listed(rng)).collect())
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
        1 => worker.with_ordered_incarnation(rng.below(2)),
        _ => worker,
    }
}

fn as_of(rng: &mut Rng) -> Option<u64> {
    match rng.below(2) {
        0 => None,
        _ => Some(rng.below(4)),
    }
}

fn lora(rng: &mut Rng) -> LoraInfo {
    let capacity: Option<u32> = *rng.pick(&[None, Some(1), Some(2)]);
    LoraInfo::new(a_name(rng)).with_capacity(capacity)
}

fn listed(rng: &mut Rng) -> ListedWorker {
    let loras = rng.below(3);
    let loras: Vec<_> = (0..loras).map(|_| lora(rng)).collect();
    ListedWorker::new(worker(rng), 2, loras)
}

fn event(rng: &mut Rng) -> LoraNews {
    let worker = worker(rng);
    let lora = lora(rng);
    let event = match rng.below(10) {
        0..3 => LoraEvent::Loaded { worker, lora },
        3 => LoraEvent::Loading { worker, lora },
        4 | 5 => LoraEvent::Unloaded {
            worker,
            name: lora.name,
        },
        6 => LoraEvent::WorkerJoined {
            worker,
            capacity: Some(1),
        },
        7 => LoraEvent::WorkerLeft {
            worker: WorkerRanks::all(worker.worker_id),
        },
        _ => LoraEvent::WorkerLeft {
            worker: worker.into(),
        },
    };
    let as_of = as_of(rng);
    LoraNews { event, as_of }
}

fn shown(workers: &[WorkerWithDpRank]) -> Vec<String> {
    workers.iter().map(ToString::to_string).collect()
}

fn first<M: LoraMap>(snapshot: &LoraSnapshot<'_, M>, name: &str) -> Option<Tier> {
    snapshot.candidates(name).first().map(|(tier, _)| tier)
}

fn run<M: LoraMap>(tracker: &LoraTracker<M>, op: &Op) -> Ret {
    match op {
        Op::Apply(news) => Ret::Effect(tracker.apply(news.clone()).unwrap()),
        Op::Batch(news) => Ret::Effect(tracker.apply_batch(news.clone()).unwrap()),
        Op::Replace(as_of, entry) => {
            Ret::Effect(tracker.replace_worker(*as_of, entry.clone()).unwrap())
        }
        Op::ReplaceAll(as_of, fleet) => {
            Ret::Effect(tracker.replace_all(*as_of, fleet.clone()).unwrap())
        }
        Op::IsLoaded(worker, name) => Ret::Is(tracker.is_loaded(worker, name)),
        Op::WorkerSlots(worker) => Ret::Slots(tracker.worker_slots(worker)),
        Op::LoadedWorkers(name) => Ret::Workers(shown(tracker.snapshot().loaded_workers(name))),
        Op::Free => {
            let snapshot = tracker.snapshot();
            let free = snapshot.workers_with_free_slots();
            let mut free: Vec<_> = free.iter().map(|each| each.worker.to_string()).collect();
            free.sort_unstable();
            Ret::Workers(free)
        }
        Op::View => {
            let snapshot = tracker.snapshot();
            let generation = snapshot.generation();
            let having = NAMES.map(|name| shown(snapshot.loaded_workers(name)));
            // Others change the map meanwhile, and the answers are still of one instant.
            thread::yield_now();
            Ret::View(
                generation,
                having.to_vec(),
                workers()
                    .map(|worker| snapshot.worker_slots(&worker))
                    .collect(),
                NAMES
                    .iter()
                    .filter_map(|name| first(&snapshot, name))
                    .collect(),
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
        LoraTracker::<M>::default,
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
