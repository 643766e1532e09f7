//! Writers and readers at once, more of them than cores: every answer is checked within itself, and
//! against the answers before it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use linearize::Rng;
use lora_tracker::{
    ListedWorker, LoraEvent, LoraInfo, LoraMap, LoraSnapshot, LoraTracker, Tier, WorkerSlots,
};
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! { every_answer_holds_while_writers_write }

const WRITERS: u64 = 2;
const READERS: u64 = 4;
const EVENTS: usize = 4_000;
const READS: usize = 4_000;
const WORKERS: u64 = 24;
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Of these, batches load and unload both or neither.
const TWINS: [&str; 2] = ["first", "second"];

fn worker(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(id)
}

/// A worker's capacity follows from its number, so that a torn pair of numbers would show.
fn capacity(worker: WorkerWithDpRank) -> u32 {
    u32::try_from(worker.worker_id % 5 + 1).unwrap()
}

fn a_name(rng: &mut Rng) -> &'static str {
    let name: &&str = rng.pick(&NAMES);
    name
}

fn write<M: LoraMap>(tracker: &LoraTracker<M>, rng: &mut Rng) -> bool {
    let worker = worker(rng.below(WORKERS));
    let capacity = Some(capacity(worker));
    let loaded = |name: &str| LoraEvent::Loaded {
        worker,
        lora: LoraInfo::new(name).with_capacity(capacity),
    };
    let unloaded = |name: &str| LoraEvent::Unloaded {
        worker,
        name: name.into(),
    };
    let effect = match rng.below(16) {
        0 => tracker
            .apply(LoraEvent::WorkerLeft {
                worker: worker.into(),
            })
            .unwrap(),
        1 => tracker
            .apply(LoraEvent::WorkerJoined { worker, capacity })
            .unwrap(),
        2 => {
            let held = rng.pick(&[&NAMES[..2], &NAMES[1..], &[]]).iter();
            let held = held.map(|name| LoraInfo::new(*name).with_capacity(capacity));
            let entry = ListedWorker::new(worker, capacity, held);
            tracker.replace_worker(None, entry).unwrap()
        }
        3 | 4 => tracker.apply_batch(TWINS.map(loaded)).unwrap(),
        5 | 6 => tracker.apply_batch(TWINS.map(unloaded)).unwrap(),
        // Leaves and is back, in one change.
        7 => tracker
            .apply_batch([
                LoraEvent::WorkerLeft {
                    worker: worker.into(),
                },
                loaded("a"),
            ])
            .unwrap(),
        8..12 => tracker.apply(loaded(a_name(rng))).unwrap(),
        _ => tracker.apply(unloaded(a_name(rng))).unwrap(),
    };
    effect.is_changed()
}

/// Both indexes, the slots and the totals agree; no batch is in it by half.
fn check_view<M: LoraMap>(view: &LoraSnapshot<'_, M>) {
    let mut counted: BTreeMap<WorkerWithDpRank, usize> = BTreeMap::new();
    for (name, workers) in view.loras() {
        assert!(!workers.is_empty(), "an adapter that nobody has: {name}");
        assert!(workers.is_sorted());
        for worker in workers {
            *counted.entry(*worker).or_default() += 1;
        }
    }
    let mut total = 0;
    let mut met = 0;
    for &WorkerSlots { worker, slots } in view.workers() {
        met += 1;
        assert_eq!(
            slots.loaded,
            counted.remove(&worker).unwrap_or(0),
            "{worker}"
        );
        assert_eq!(slots.capacity, Some(capacity(worker)));
        total += u64::from(capacity(worker));
    }
    assert!(
        counted.is_empty(),
        "adapters on workers that are not there: {counted:?}"
    );
    assert_eq!((view.total_slots(), view.is_empty()), (total, met == 0));
    assert_eq!(view.loaded_workers(TWINS[0]), view.loaded_workers(TWINS[1]));
}

fn read<M: LoraMap>(tracker: &LoraTracker<M>, rng: &mut Rng, newest: &mut u64) {
    let name = a_name(rng);
    let asked = worker(rng.below(WORKERS));
    match rng.below(8) {
        0 => check_view(&tracker.snapshot()),
        1 => {
            if let Some(slots) = tracker.worker_slots(&asked) {
                assert_eq!(slots.capacity, Some(capacity(asked)), "of another worker");
                assert!(slots.loaded <= NAMES.len() + TWINS.len());
            }
        }
        2 => {
            let snapshot = tracker.snapshot();
            for &WorkerSlots { worker, slots } in snapshot.workers_with_free_slots() {
                assert!(slots.has_room() && slots.capacity == Some(capacity(worker)));
            }
        }
        3 => {
            let snapshot = tracker.snapshot();
            for (tier, &WorkerSlots { worker, slots }) in snapshot.candidates(name).iter() {
                assert_eq!(slots.capacity, Some(capacity(worker)));
                assert_eq!(tier == Tier::Resident, snapshot.is_loaded(&worker, name));
                assert!(slots.has_room() || tier != Tier::Room);
                let held = snapshot.adapters_of(&worker).len();
                assert_eq!(snapshot.worker_slots(&worker), Some(slots));
                assert_eq!(held, slots.loaded, "several questions of one instant");
            }
        }
        4 => {
            let snapshot = tracker.snapshot();
            let loaded = snapshot.loaded_workers(name);
            let copy = loaded.to_vec();
            thread::yield_now();
            assert_eq!(*loaded, *copy, "an answer changed while it was held");
            assert!(copy.is_sorted_by(|a, b| a < b));
        }
        5 => {
            let before = tracker.generation();
            let view = tracker.snapshot();
            assert!(view.generation() >= before);
            let (has, after) = (tracker.is_loaded(&asked, name), tracker.generation());
            if after == view.generation() {
                assert_eq!(has, view.loaded_workers(name).contains(&asked));
            }
        }
        6 => assert!(tracker.snapshot().loras().count() <= NAMES.len() + TWINS.len()),
        _ => {
            // The first of the two that was loaded is older; so it may lack what the other has, and
            // the other way round, but not with the same generation.
            let (first, second) = (tracker.snapshot(), tracker.snapshot());
            assert!(first.generation() <= second.generation());
            if first.generation() == second.generation() {
                assert_eq!(format!("{first:?}"), format!("{second:?}"));
            }
        }
    }
    let generation = tracker.generation();
    assert!(generation >= *newest, "time ran backwards");
    *newest = generation;
}

fn every_answer_holds_while_writers_write<M: LoraMap + Default>() {
    let tracker = LoraTracker::<M>::default();
    let changes = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..WRITERS {
            let (tracker, changes) = (&tracker, &changes);
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                for at in 0..EVENTS {
                    let changed = write(tracker, &mut rng);
                    changes.fetch_add(usize::from(changed), Ordering::Relaxed);
                    if at % 8 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
        for seed in 0..READERS {
            let tracker = &tracker;
            scope.spawn(move || {
                let mut rng = Rng::new(100 + seed);
                let mut newest = 0;
                for at in 0..READS {
                    read(tracker, &mut rng, &mut newest);
                    if at % 8 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    let view = tracker.snapshot();
    check_view(&view);
    let changes = changes.into_inner();
    assert!(
        changes > EVENTS / 2,
        "only {changes} events changed anything"
    );
    assert_eq!(view.generation(), changes as u64, "one for each change");
}
