//! Loads that are begun: one for all who ask, and each ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lora_tracker::{
    ListedWorker, LoadStart, LoraEvent, LoraInfo, LoraMap, LoraTracker, Slots, Tier, TrackerConfig,
};
use quanta::Clock;
use worker_id::{Effect, WorkerWithDpRank};

crate::backends::on_every_backend! {
    a_burst_for_a_cold_adapter_loads_it_once,
    a_load_takes_a_slot_and_ends_in_one_of_four_ways,
    a_failure_is_remembered_for_the_back_off,
    a_popular_adapter_spreads,
    who_could_evict_is_asked_last,
    a_list_leaves_the_loads_of_tickets_alone,
    a_ticket_of_an_earlier_life_ends_nothing,
}

fn w(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(id)
}

/// A fleet of so many workers with so many slots each.
fn fleet<M: LoraMap + Default>(workers: u64, capacity: u32) -> LoraTracker<M> {
    let tracker = LoraTracker::default();
    for id in 0..workers {
        let (worker, capacity) = (w(id), Some(capacity));
        tracker
            .apply(LoraEvent::WorkerJoined { worker, capacity })
            .unwrap();
    }
    tracker
}

fn begin<'t, M: LoraMap>(tracker: &'t LoraTracker<M>, name: &str) -> LoadStart<'t, M> {
    tracker.begin_load(name, &Tier::WITHOUT_EVICTION).unwrap()
}

fn slots<M: LoraMap>(tracker: &LoraTracker<M>, id: u64) -> (usize, usize) {
    let Slots {
        loaded, loading, ..
    } = tracker.worker_slots(&w(id)).unwrap();
    (loaded, loading)
}

fn a_burst_for_a_cold_adapter_loads_it_once<M: LoraMap + Default>() {
    let tracker = fleet::<M>(50, 4);
    let loads = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    match begin(&tracker, "cold") {
                        LoadStart::Begin(ticket) => {
                            loads.fetch_add(1, Ordering::Relaxed);
                            thread::yield_now();
                            assert_eq!(ticket.loaded(), Effect::Changed);
                        }
                        LoadStart::There { tier, .. } => assert!(tier <= Tier::Loading),
                        LoadStart::Nobody => panic!("there is room"),
                    }
                }
            });
        }
    });
    assert_eq!(loads.into_inner(), 1);
    assert_eq!(tracker.snapshot().loaded_workers("cold").len(), 1);
}

fn a_load_takes_a_slot_and_ends_in_one_of_four_ways<M: LoraMap + Default>() {
    let tracker = fleet::<M>(1, 1);
    let ticket = |name| match begin(&tracker, name) {
        LoadStart::Begin(ticket) => ticket,
        other => panic!("{other:?}"),
    };
    let dropped = ticket("a");
    assert_eq!((dropped.worker(), &**dropped.name()), (w(0), "a"));
    assert_eq!(slots(&tracker, 0), (0, 1));
    assert!(
        matches!(begin(&tracker, "b"), LoadStart::Nobody),
        "the slot is taken"
    );
    let there = begin(&tracker, "a");
    assert_eq!(there.worker(), Some(w(0)));
    assert!(matches!(
        there,
        LoadStart::There {
            tier: Tier::Loading,
            ..
        }
    ));
    assert!(!tracker.is_loaded(&w(0), "a"));
    drop(dropped);
    assert_eq!(slots(&tracker, 0), (0, 0));

    assert_eq!(ticket("a").loaded(), Effect::Changed);
    assert_eq!(slots(&tracker, 0), (1, 0));
    let (worker, name) = (w(0), "a".into());
    tracker.apply(LoraEvent::Unloaded { worker, name }).unwrap();

    // The feed is faster than the ticket's owner.
    let late = ticket("a");
    let lora = LoraInfo::new("a");
    tracker.apply(LoraEvent::Loaded { worker, lora }).unwrap();
    drop(late);
    assert!(tracker.is_loaded(&w(0), "a"), "the ticket had ended");
    let name = "a".into();
    tracker.apply(LoraEvent::Unloaded { worker, name }).unwrap();

    assert_eq!(ticket("a").failed("no memory"), Effect::Changed);
    assert_eq!(slots(&tracker, 0), (0, 0));
}

fn a_failure_is_remembered_for_the_back_off<M: LoraMap + Default>() {
    let (clock, time) = Clock::mock();
    let config = TrackerConfig::new().with_load_backoff(Duration::from_secs(5));
    let tracker = LoraTracker::with_map(config, M::default()).with_clock(clock);
    for id in 0..2 {
        let (worker, capacity) = (w(id), Some(2));
        tracker
            .apply(LoraEvent::WorkerJoined { worker, capacity })
            .unwrap();
    }
    let fail = |name| match begin(&tracker, name) {
        LoadStart::Begin(ticket) => {
            let worker = ticket.worker();
            let _ = ticket.failed("no memory");
            worker
        }
        other => panic!("{other:?}"),
    };
    let failed = [fail("a"), fail("a")];
    assert_ne!(failed[0], failed[1]);
    assert!(matches!(begin(&tracker, "a"), LoadStart::Nobody));
    assert!(
        begin(&tracker, "b").worker().is_some(),
        "that was of another adapter"
    );
    assert_eq!(
        tracker.load_failure(&failed[0], "a").as_deref(),
        Some("no memory")
    );
    assert_eq!(tracker.load_failure(&failed[0], "b"), None);
    time.increment(Duration::from_secs(5) - Duration::from_nanos(1));
    assert!(matches!(begin(&tracker, "a"), LoadStart::Nobody));
    time.increment(Duration::from_nanos(1));
    let LoadStart::Begin(ticket) = begin(&tracker, "a") else {
        panic!("the back-off is over");
    };
    let worker = ticket.worker();
    let _ = ticket.loaded();
    assert_eq!(
        tracker.load_failure(&worker, "a"),
        None,
        "it has been loaded since"
    );
}

fn a_popular_adapter_spreads<M: LoraMap + Default>() {
    let tracker = fleet::<M>(3, 1);
    let mut on = Vec::new();
    for _ in 0..3 {
        match tracker.begin_load("hot", &[Tier::Room]).unwrap() {
            LoadStart::Begin(ticket) => {
                on.push(ticket.worker().worker_id);
                let _ = ticket.loaded();
            }
            other => panic!("{other:?}"),
        }
    }
    on.sort_unstable();
    assert_eq!(on, [0, 1, 2]);
    assert!(matches!(
        tracker.begin_load("hot", &[Tier::Room]),
        Ok(LoadStart::Nobody)
    ));
}

fn who_could_evict_is_asked_last<M: LoraMap + Default>() {
    let tracker = fleet::<M>(2, 1);
    for (id, pinned) in [(0, true), (1, false)] {
        let lora = LoraInfo::new("old");
        let lora = if pinned { lora.pinned() } else { lora };
        let worker = w(id);
        tracker.apply(LoraEvent::Loaded { worker, lora }).unwrap();
    }
    assert!(matches!(begin(&tracker, "new"), LoadStart::Nobody));
    let LoadStart::Begin(ticket) = tracker.begin_load("new", &Tier::ALL).unwrap() else {
        panic!("one of them can evict");
    };
    assert_eq!(ticket.worker(), w(1), "the other has pinned what it has");
    let snapshot = tracker.snapshot();
    assert_eq!(
        snapshot.coldest(&w(1)).map(|lora| &**lora.name()),
        Some("old")
    );
    assert_eq!(snapshot.coldest(&w(0)).map(|lora| &**lora.name()), None);
}

fn a_list_leaves_the_loads_of_tickets_alone<M: LoraMap + Default>() {
    let tracker = fleet::<M>(1, 4);
    let ticket = begin(&tracker, "a");
    let worker = w(0);
    let lora = LoraInfo::new("b");
    tracker.apply(LoraEvent::Loading { worker, lora }).unwrap();
    assert_eq!(slots(&tracker, 0), (0, 2));
    let list = || [ListedWorker::new(w(0), 4, [LoraInfo::new("c")])];
    tracker.replace_all(None, list()).unwrap();
    assert_eq!(
        slots(&tracker, 0),
        (1, 1),
        "what only the feed said is gone"
    );
    assert_eq!(tracker.snapshot().loading_workers("a"), [w(0)]);
    drop(ticket);
    assert_eq!(slots(&tracker, 0), (1, 0));
    assert_eq!(tracker.replace_all(None, list()), Ok(Effect::Unchanged));
}

fn a_ticket_of_an_earlier_life_ends_nothing<M: LoraMap + Default>() {
    let tracker = fleet::<M>(1, 4);
    let ticket = begin(&tracker, "a");
    let worker = w(0);
    tracker
        .apply(LoraEvent::WorkerLeft {
            worker: worker.into(),
        })
        .unwrap();
    let lora = LoraInfo::new("a").with_capacity(4);
    tracker.apply(LoraEvent::Loading { worker, lora }).unwrap();
    drop(ticket);
    assert_eq!(slots(&tracker, 0), (0, 1), "that load is another's");
}
