//! No read allocates, on any map, and an event no more than the pair that it brings.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use alloc_count::{assert_no_alloc, measure};
use lora_tracker::{LoraEvent, LoraInfo, LoraMap, LoraTracker};
use worker_id::{Effect, WorkerWithDpRank};

crate::backends::on_every_backend! {
    reads_allocate_nothing, an_event_allocates_the_pair_that_it_brings
}

const WORKERS: u64 = 200;

fn reads_allocate_nothing<M: LoraMap + Default>() {
    let _turn = crate::alone();
    let tracker = LoraTracker::<M>::default();
    for id in 0..WORKERS {
        for (name, every) in [("all", 1), ("some", 20), ("full", 30)] {
            let capacity = if id % 30 == 0 { 1 } else { 4 };
            if id % every == 0 {
                let worker = WorkerWithDpRank::from_worker_id(id);
                let lora = LoraInfo::new(name).with_capacity(Some(capacity));
                tracker.apply(LoraEvent::Loaded { worker, lora }).unwrap();
            }
        }
    }
    let read = || {
        let mut met = 0;
        for name in ["all", "some", "full", "none"] {
            let snapshot = tracker.snapshot();
            met += snapshot.loaded_workers(name).len();
            met += snapshot.candidates(name).iter().count();
            met += snapshot
                .candidates(name)
                .first()
                .map_or(0, |(_, each)| each.iter().count());
        }
        for id in 0..WORKERS + 1 {
            let worker = WorkerWithDpRank::from_worker_id(id);
            met += usize::from(tracker.is_loaded(&worker, "some"));
            met += usize::from(tracker.worker_slots(&worker).is_some());
            met += tracker.snapshot().adapters_of(&worker).len();
            met += usize::from(tracker.touch(&worker, "some", id));
            met += usize::from(tracker.snapshot().coldest(&worker).is_some());
        }
        met += tracker.snapshot().workers_with_free_slots().iter().count();
        met += tracker.snapshot().workers().count() + tracker.snapshot().loras().count();
        black_box((
            tracker.snapshot().total_slots(),
            tracker.snapshot().is_empty(),
            tracker.generation(),
        ));
        met
    };
    // A thread's first access may register it with what publishes, and with the map's memory
    // reclamation.
    let expected = read();
    assert!(expected > 1_000, "the reads found nothing to read");
    assert_no_alloc(|| {
        for _ in 0..100 {
            assert_eq!(read(), expected);
        }
    });

    let planted = catch_unwind(AssertUnwindSafe(|| {
        assert_no_alloc(|| {
            black_box(tracker.snapshot().loaded_workers("all").len());
            drop(black_box(Box::new(7)));
        });
    }));
    assert!(planted.is_err(), "a planted allocation goes unnoticed");
}

fn an_event_allocates_the_pair_that_it_brings<M: LoraMap + Default>() {
    let _turn = crate::alone();
    let tracker = LoraTracker::<M>::default();
    let [name, other]: [Arc<str>; 2] = ["all", "other"].map(Arc::from);
    let toggle = |id| {
        let worker = WorkerWithDpRank::from_worker_id(id);
        let lora = LoraInfo::new(Arc::clone(&name)).with_capacity(Some(4));
        assert_eq!(
            tracker.apply(LoraEvent::Loaded { worker, lora }),
            Ok(Effect::Changed)
        );
        let name = Arc::clone(&name);
        let unloaded = LoraEvent::Unloaded { worker, name };
        assert_eq!(tracker.apply(unloaded), Ok(Effect::Changed));
    };
    for id in 0..WORKERS {
        for name in [&name, &other] {
            let worker = WorkerWithDpRank::from_worker_id(id);
            let lora = LoraInfo::new(Arc::clone(name)).with_capacity(Some(4));
            // Every other worker is to load the adapter that is toggled.
            if id % 2 == 0 || Arc::ptr_eq(name, &other) {
                tracker.apply(LoraEvent::Loaded { worker, lora }).unwrap();
            }
        }
    }
    let all = || (1..WORKERS).step_by(2).for_each(toggle);
    all();
    let ((), counts) = measure(all);
    let pairs = WORKERS / 2;
    assert_eq!((counts.allocations, counts.reallocations), (pairs, 0));
    assert_eq!(counts.bytes_allocated, pairs * 64);
    assert_eq!(counts.live_bytes(), 0);

    // Whoever holds a snapshot over two changes has the second copy what it changes.
    let held = tracker.snapshot();
    let ((), copying) = measure(all);
    assert!(
        copying.allocations > counts.allocations,
        "a copy goes unnoticed"
    );

    // And letting go frees nothing: the next changes do.
    let ((), letting_go) = measure(|| drop(held));
    assert_eq!((letting_go.deallocations, letting_go.bytes_freed), (0, 0));
    let (.., freeing) = measure(|| (toggle(1), toggle(3)));
    assert!(freeing.live_bytes() < 0, "{freeing:?}");
}
