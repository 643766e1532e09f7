//! The races of a tracker, each in a scenario of two or three threads, on the kind map and on the
//! adversarial one.
#![cfg(inflight_loom)]

use std::sync::Arc;

use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use lora_tracker::{
    ListedWorker, LoadStart, LoraEvent, LoraInfo, LoraMap, LoraSnapshot, LoraTracker, Slots, Tier,
    TrackerConfig, WorkerEntry, WorkerSlots,
};
use quanta::Clock;
use state_map::model::{AdversarialMap, ReferenceMap};
use worker_id::Effect::Changed;
use worker_id::{Effect, WorkerWithDpRank};

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
    let lora = LoraInfo::new(name);
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
    LoraEvent::WorkerLeft {
        worker: worker.into(),
    }
}

/// Both indexes agree.
fn check<M: LoraMap>(view: &LoraSnapshot<'_, M>) {
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
            let unloaded = tracker.apply(unloaded(w(1), "a")).unwrap().is_changed();
            check(&tracker.snapshot());
            unloaded
        });
        assert_eq!(tracker.apply(loaded(w(1), "a")), Ok(Changed));
        check(&tracker.snapshot());
        let unloaded = unloading.join().unwrap();
        assert_eq!(tracker.is_loaded(&w(1), "a"), !unloaded);
        assert_eq!(
            tracker.worker_slots(&w(1)).unwrap().loaded,
            usize::from(!unloaded)
        );
        assert_eq!(tracker.generation(), 2 + u64::from(unloaded));
    });
}

/// Whichever comes first, the incarnation that left is gone, and a reader never sees it with slots
/// but without adapters, or come back.
fn worker_left_against_load<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let life = w(1).with_incarnation(1);
        tracker
            .apply_batch([joined(life, 2), loaded(life, "a")])
            .unwrap();
        let reading = spawn(&tracker, move |tracker| {
            let first = tracker.worker_slots(&life);
            let view = tracker.snapshot();
            check(&view);
            assert!(first.is_some() || view.is_empty(), "it came back");
            assert!(!view.is_empty() || tracker.worker_slots(&life).is_none());
        });
        let loading = spawn(&tracker, move |tracker| {
            tracker.apply(loaded(life, "b")).unwrap().is_changed()
        });
        assert_eq!(tracker.apply(left(life)), Ok(Changed));
        let loaded = loading.join().unwrap();
        reading.join().unwrap();
        assert!(tracker.snapshot().is_empty() && tracker.snapshot().loras().count() == 0);
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
            let first = tracker.snapshot();
            let second = tracker.snapshot().loaded_workers("b").to_vec();
            let third = tracker.snapshot();
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
                assert_eq!(second, first.loaded_workers("b"));
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
                            loading: 0,
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

/// An answer that is held over several changes keeps its instant, while its snapshot's turn to be
/// changed comes.
fn answer_held_against_changes<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        tracker.apply(loaded(w(1), "a")).unwrap();
        let reading = spawn(&tracker, |tracker| {
            let (held, copy) = {
                let held = tracker.snapshot();
                let copy = held.loaded_workers("a").to_vec();
                (held, copy)
            };
            let newest = tracker.snapshot().loaded_workers("a").len();
            assert_eq!(held.loaded_workers("a"), copy);
            assert!(newest >= copy.len());
        });
        for id in 2..5 {
            tracker.apply(loaded(w(id), "a")).unwrap();
        }
        reading.join().unwrap();
        assert_eq!(tracker.snapshot().loaded_workers("a"), [1, 2, 3, 4].map(w));
    });
}

/// What is asked by worker of a snapshot that is held is of its instant, though the map is ahead.
fn held_snapshot_against_the_map<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        tracker.apply(joined(w(1), 1)).unwrap();
        let reading = spawn(&tracker, |tracker| {
            let snapshot = tracker.snapshot();
            let there: Vec<u64> = snapshot.workers().map(|row| row.worker.worker_id).collect();
            for id in [1, 2] {
                let slots = snapshot.worker_slots(&w(id));
                assert_eq!(slots.is_some(), there.contains(&id), "{id} of {there:?}");
            }
        });
        tracker.apply(left(w(1))).unwrap();
        tracker.apply(joined(w(2), 2)).unwrap();
        reading.join().unwrap();
    });
}

/// Neither loses the other's change, and the generation counts both.
fn event_against_event<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let other = spawn(&tracker, |tracker| {
            tracker.apply(loaded(w(1), "a")).unwrap().is_changed()
        });
        let own = tracker.apply(loaded(w(2), "a")).unwrap().is_changed();
        assert!(own && other.join().unwrap());
        assert_eq!(tracker.snapshot().loaded_workers("a"), [w(1), w(2)]);
        for id in [1, 2] {
            assert_eq!(tracker.worker_slots(&w(id)).unwrap().loaded, 1);
        }
        assert_eq!(tracker.generation(), 2);
    });
}

/// A list that has the worker, against the news that it has gone: whichever comes later counts, and
/// an event of that life is believed after the list and not after the departure.
fn flap_against_resync<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let life = w(1).with_incarnation(41);
        tracker.apply(joined(life, 2)).unwrap();
        let resync = spawn(&tracker, move |tracker| {
            let fleet = [ListedWorker::new(life, 2, [LoraInfo::new("a")])];
            tracker.replace_all(None, fleet).unwrap();
            tracker.generation()
        });
        let gone = tracker.apply(left(life)).unwrap();
        resync.join().unwrap();
        check(&tracker.snapshot());
        let there = tracker.worker_slots(&life).is_some();
        let believed = tracker.apply(loaded(life, "b")).unwrap().is_changed();
        assert_eq!(
            there, believed,
            "what is said of it is believed as long as it is there"
        );
        assert_eq!(gone, Changed);
        // The list came before the departure, or after it: it is one of the two.
        assert_eq!(tracker.is_loaded(&life, "a"), there);
    });
}

/// The same with revisions: in whatever order the two are told, the later revision counts.
fn flap_against_resync_by_revision<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let life = w(1).with_incarnation(41);
        tracker.apply(joined(life, 2).as_of(1)).unwrap();
        let resync = spawn(&tracker, move |tracker| {
            let fleet = [ListedWorker::new(life, 2, [LoraInfo::new("a")])];
            tracker.replace_all(Some(8), fleet).unwrap()
        });
        tracker.apply(left(life).as_of(9)).unwrap();
        resync.join().unwrap();
        assert!(tracker.snapshot().is_empty(), "the dead came back");
    });
}

/// News of the life that was, against the life that comes: nothing of the first is believed once
/// the second has been seen, and no reader sees the first again.
fn late_news_against_rejoin<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        let [first, second] = [41, 42].map(|life| w(1).with_ordered_incarnation(life));
        tracker.apply(loaded(first, "a")).unwrap();
        let late = spawn(&tracker, move |tracker| {
            let gone = tracker.apply(left(first)).unwrap();
            let again = tracker.apply(loaded(first, "b")).unwrap();
            assert!(again.ignored().is_some(), "it had left: {again:?}");
            gone
        });
        let reading = spawn(&tracker, move |tracker| {
            let lives = [(); 2].map(|()| {
                let snapshot = tracker.snapshot();
                check(&snapshot);
                let mut workers = snapshot.workers();
                workers
                    .next()
                    .map(|row| row.worker.same_incarnation(&second))
            });
            assert_ne!(lives, [Some(true), Some(false)], "the first life came back");
        });
        assert_eq!(tracker.apply(joined(second, 2)), Ok(Changed));
        let gone = late.join().unwrap();
        reading.join().unwrap();
        assert!(matches!(gone, Changed | Effect::Ignored(_)));
        let snapshot = tracker.snapshot();
        let worker = snapshot
            .workers()
            .next()
            .expect("the second life is there")
            .worker;
        assert!(worker.same_incarnation(&second));
        assert!(snapshot.loaded_workers("a").is_empty());
    });
}

/// Two callers for one cold adapter: one gets a ticket, the other its worker, also where the first
/// has loaded it meanwhile.
fn loading_against_loaded_elsewhere<M: LoraMap + Default + 'static>() {
    fn load<M: LoraMap>(tracker: &LoraTracker<M>) -> (bool, u64) {
        match tracker.begin_load("a", &Tier::WITHOUT_EVICTION).unwrap() {
            LoadStart::Begin(ticket) => {
                let worker = ticket.worker().worker_id;
                let _ = ticket.loaded();
                (true, worker)
            }
            LoadStart::There { worker, .. } => (false, worker.worker_id),
            LoadStart::Nobody => panic!("there is room"),
        }
    }
    model(|| {
        let tracker = tracker::<M>();
        tracker
            .apply_batch([joined(w(1), 1), joined(w(2), 1)])
            .unwrap();
        let other = spawn(&tracker, |tracker| load(tracker));
        let own = load(&tracker);
        let other = other.join().unwrap();
        assert_ne!(own.0, other.0, "one of the two loads it");
        assert_eq!(own.1, other.1, "and both go there");
        check(&tracker.snapshot());
        assert_eq!(tracker.snapshot().loaded_workers("a").len(), 1);
    });
}

/// A ticket is dropped while the feed says that the adapter is loaded: it is loaded, or was not and
/// is again, and the slot is counted once.
fn ticket_dropped_against_loaded<M: LoraMap + Default + 'static>() {
    model(|| {
        let tracker = tracker::<M>();
        tracker.apply(joined(w(1), 1)).unwrap();
        let loading = spawn(&tracker, |tracker| {
            tracker.apply(loaded(w(1), "a")).unwrap();
        });
        drop(tracker.begin_load("a", &Tier::WITHOUT_EVICTION).unwrap());
        loading.join().unwrap();
        check(&tracker.snapshot());
        let slots = tracker.worker_slots(&w(1)).unwrap();
        assert_eq!((slots.loaded, slots.loading), (1, 0));
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
        races!($map: load_against_unload_of_the_same_pair,
            worker_left_against_load,
            batch_against_view,
            worker_slots_against_a_return_in_one_change,
            worker_slots_against_a_place_used_again,
            worker_slots_against_join_and_leave,
            answer_held_against_changes,
            event_against_event,
            held_snapshot_against_the_map,
            flap_against_resync,
            flap_against_resync_by_revision,
            late_news_against_rejoin,
            loading_against_loaded_elsewhere,
            ticket_dropped_against_loaded);
    };
}

mod reference {
    races!(ReferenceMap);
}

mod adversarial {
    races!(AdversarialMap);
}
