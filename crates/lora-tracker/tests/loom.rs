//! The races of a tracker, each in a scenario of two or three threads, on the kind map and on the adversarial one.
#![cfg(inflight_loom)]

use std::sync::Arc;

use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use lora_tracker::{
    LoraEvent, LoraInfo, LoraMap, LoraTracker, LoraView, Slots, TrackerConfig, WorkerEntry,
    WorkerSlots,
};
use quanta::Clock;
use state_map::model::{AdversarialMap, ReferenceMap};
use worker_id::WorkerWithDpRank;

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

type Tracker<M> = Arc<LoraTracker<M>>;

fn tracker<M: LoraMap + Default>() -> Tracker<M> {
    let tracker = LoraTracker::with_map(TrackerConfig::default(), M::default());
    Arc::new(tracker.with_clock(Clock::mock().0))
}

fn spawn<M, T>(
    tracker: &Tracker<M>,
    act: impl FnOnce(&LoraTracker<M>) -> T + 'static,
) -> JoinHandle<T>
where
    M: LoraMap + 'static,
    T: 'static,
{
    let tracker = Arc::clone(tracker);
    thread::spawn(move || act(&tracker))
}

fn w(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(id)
}

fn loaded(worker: WorkerWithDpRank, name: &str) -> LoraEvent {
    let lora = LoraInfo::new(name, None);
    LoraEvent::Loaded { worker, lora }
}

fn unloaded(worker: WorkerWithDpRank, name: &str) -> LoraEvent {
    let name = name.into();
    LoraEvent::Unloaded { worker, name }
}

fn joined(worker: WorkerWithDpRank, capacity: u32) -> LoraEvent {
    let capacity = Some(capacity);
    LoraEvent::WorkerJoined { worker, capacity }
}

fn left(worker: WorkerWithDpRank) -> LoraEvent {
    LoraEvent::WorkerLeft { worker }
}

/// Both indexes agree.
fn check(view: &LoraView) {
    for &WorkerSlots { worker, slots } in view.workers() {
        let having = view
            .loras()
            .filter(|(_, workers)| workers.contains(&worker));
        assert_eq!(having.count(), slots.loaded, "{view:?}");
    }
    let there = |worker| view.workers().any(|other| other.worker == worker);
    for (name, workers) in view.loras() {
        assert!(
            !workers.is_empty() && workers.iter().all(|worker| there(*worker)),
            "{name}"
        );
    }
}

/// The one is before the other: what was unloaded had been loaded, and is not there in the end.
fn load_against_unload_of_the_same_pair<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        tracker.apply(joined(w(1), 1)).unwrap();
        let unloading = spawn(&tracker, |tracker| {
            let unloaded = tracker.apply(unloaded(w(1), "a")).unwrap();
            check(&tracker.view());
            unloaded
        });
        assert_eq!(tracker.apply(loaded(w(1), "a")), Ok(true));
        check(&tracker.view());
        let unloaded = unloading.join().unwrap();
        assert_eq!(tracker.is_loaded(&w(1), "a"), !unloaded);
        assert_eq!(
            tracker.worker_slots(&w(1)).unwrap().loaded,
            usize::from(!unloaded)
        );
        assert_eq!(tracker.generation(), 2 + u64::from(unloaded));
    });
}

/// Whichever comes first, the incarnation that left is gone, and a reader never sees it with slots but without adapters, or
/// come back.
fn worker_left_against_load<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let life = w(1).with_incarnation(1);
        tracker
            .apply_batch([joined(life, 2), loaded(life, "a")])
            .unwrap();
        let reading = spawn(&tracker, move |tracker| {
            let first = tracker.worker_slots(&life);
            let view = tracker.view();
            check(&view);
            assert!(first.is_some() || view.is_empty(), "it came back");
            assert!(!view.is_empty() || tracker.worker_slots(&life).is_none());
        });
        let loading = spawn(&tracker, move |tracker| {
            tracker.apply(loaded(life, "b")).unwrap()
        });
        assert_eq!(tracker.apply(left(life)), Ok(true));
        let loaded = loading.join().unwrap();
        reading.join().unwrap();
        assert!(tracker.is_empty() && tracker.loras().iter().len() == 0);
        assert_eq!(tracker.worker_slots(&life), None);
        assert_eq!(tracker.generation(), 2 + u64::from(loaded));
    });
}

/// A reader sees all of a batch or nothing of it, by one call or by several, and never goes back.
fn batch_against_view<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let reading = spawn(&tracker, |tracker| {
            let by_name = tracker.is_loaded(&w(1), "a");
            let first = tracker.view();
            let second = tracker.loaded_workers("b");
            let third = tracker.view();
            for view in [&first, &third] {
                check(view);
                assert_eq!(
                    view.loaded_workers("a"),
                    view.loaded_workers("b"),
                    "half a batch"
                );
                assert_eq!(view.loaded_workers("a").is_empty(), view.generation() != 1);
            }
            assert!(!by_name || first.generation() >= 1);
            assert!(first.generation() <= third.generation());
            if first.generation() == third.generation() {
                assert_eq!(*second, *first.loaded_workers("b"));
            }
        });
        let both = ["a", "b"];
        tracker
            .apply_batch(both.map(|name| loaded(w(1), name)))
            .unwrap();
        tracker
            .apply_batch(both.map(|name| unloaded(w(1), name)))
            .unwrap();
        reading.join().unwrap();
    });
}

/// A worker that leaves and comes back within one change has always been there.
fn worker_slots_against_a_return_in_one_change<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        tracker.apply(joined(w(1), 1)).unwrap();
        let reading = spawn(&tracker, |tracker| {
            let capacities = [(); 2].map(|()| {
                let slots = tracker.worker_slots(&w(1));
                slots.expect("it has always been there").capacity
            });
            assert!(
                capacities.is_sorted(),
                "the worker went back: {capacities:?}"
            );
        });
        let around = [left(w(1)), joined(w(2), 9), joined(w(1), 2)];
        tracker.apply_batch(around).unwrap();
        reading.join().unwrap();
    });
}

/// Nobody is told the slots of the worker that has taken one's place.
fn worker_slots_against_a_place_used_again<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        tracker.apply(joined(w(1), 1)).unwrap();
        let reading = spawn(&tracker, |tracker| {
            let slots = |id, capacity| match tracker.worker_slots(&w(id)) {
                None => false,
                Some(slots) => {
                    assert_eq!(
                        slots,
                        Slots {
                            loaded: 0,
                            capacity: Some(capacity)
                        }
                    );
                    true
                }
            };
            let (second, first) = (slots(2, 2), slots(1, 1));
            assert!(!(second && first), "they were never there together");
        });
        tracker.apply(left(w(1))).unwrap();
        tracker.apply(joined(w(2), 2)).unwrap();
        reading.join().unwrap();
    });
}

/// What a snapshot shows, the map finds, before and after.
fn worker_slots_against_join_and_leave<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let reading = spawn(&tracker, |tracker| {
            let before = tracker.generation();
            let slots = tracker.worker_slots(&w(1));
            let after = tracker.generation();
            if before == after {
                assert_eq!(slots.is_some(), before == 1, "at {before}");
            }
        });
        tracker.apply(joined(w(1), 1)).unwrap();
        tracker.apply(left(w(1))).unwrap();
        reading.join().unwrap();
    });
}

/// An answer that is held over several changes keeps its instant, while its snapshot's turn to be changed comes.
fn answer_held_against_changes<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        tracker.apply(loaded(w(1), "a")).unwrap();
        let reading = spawn(&tracker, |tracker| {
            let (held, copy) = {
                let held = tracker.loaded_workers("a");
                let copy = held.to_vec();
                (held, copy)
            };
            let newest = tracker.loaded_workers("a").len();
            assert_eq!(*held, *copy);
            assert!(newest >= copy.len());
        });
        for id in 2..5 {
            tracker.apply(loaded(w(id), "a")).unwrap();
        }
        reading.join().unwrap();
        assert_eq!(*tracker.loaded_workers("a"), [1, 2, 3, 4].map(w));
    });
}

/// Neither loses the other's change, and the generation counts both.
fn event_against_event<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let other = spawn(&tracker, |tracker| {
            tracker.apply(loaded(w(1), "a")).unwrap()
        });
        let own = tracker.apply(loaded(w(2), "a")).unwrap();
        assert!(own && other.join().unwrap());
        assert_eq!(*tracker.loaded_workers("a"), [w(1), w(2)]);
        for id in [1, 2] {
            assert_eq!(tracker.worker_slots(&w(id)).unwrap().loaded, 1);
        }
        assert_eq!(tracker.generation(), 2);
    });
}

macro_rules! races {
    ($map:ident: $($race:ident),+ $(,)?) => {
        $(
            #[test]
            fn $race() {
                super::$race::<super::$map<super::WorkerWithDpRank, super::WorkerEntry>>();
            }
        )+
    };
    ($map:ident) => {
        races!($map: load_against_unload_of_the_same_pair, worker_left_against_load, batch_against_view,
            worker_slots_against_a_return_in_one_change, worker_slots_against_a_place_used_again,
            worker_slots_against_join_and_leave, answer_held_against_changes, event_against_event);
    };
}

mod reference {
    races!(ReferenceMap);
}

mod adversarial {
    races!(AdversarialMap);
}
