//! No read allocates, on any map, nor an event once there is room for what it adds.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use alloc_count::assert_no_alloc;
use lora_tracker::{LoraEvent, LoraInfo, LoraMap, LoraTracker};
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! { reads_allocate_nothing, events_allocate_nothing }

const WORKERS: u64 = 200;

fn reads_allocate_nothing<M: LoraMap + Default>() {
    let _turn = crate::alone();
    let tracker = LoraTracker::<M>::default();
    for id in 0..WORKERS {
        for (name, every) in [("all", 1), ("some", 20), ("full", 30)] {
            let capacity = if id % 30 == 0 { 1 } else { 4 };
            if id % every == 0 {
                let worker = WorkerWithDpRank::from_worker_id(id);
                let lora = LoraInfo::new(name, Some(capacity));
                tracker.apply(LoraEvent::Loaded { worker, lora }).unwrap();
            }
        }
    }
    let read = || {
        let mut met = 0;
        for name in ["all", "some", "full", "none"] {
            met += tracker.loaded_workers(name).len();
            met += tracker.candidates(name).iter().count();
        }
        for id in 0..WORKERS + 1 {
            let worker = WorkerWithDpRank::from_worker_id(id);
            met += usize::from(tracker.is_loaded(&worker, "some"));
            met += usize::from(tracker.worker_slots(&worker).is_some());
        }
        met += tracker.workers_with_free_slots().iter().count();
        met += tracker.workers().iter().count() + tracker.loras().iter().len();
        black_box((
            tracker.total_slots(),
            tracker.is_empty(),
            tracker.generation(),
        ));
        met + tracker.view().loras().count()
    };
    // A thread's first access may register it with what publishes, and with the map's memory reclamation.
    let expected = read();
    assert!(expected > 1_000, "the reads found nothing to read");
    assert_no_alloc(|| {
        for _ in 0..100 {
            assert_eq!(read(), expected);
        }
    });

    let planted = catch_unwind(AssertUnwindSafe(|| {
        assert_no_alloc(|| {
            black_box(tracker.loaded_workers("all").len());
            drop(black_box(Box::new(7)));
        });
    }));
    assert!(planted.is_err(), "a planted allocation goes unnoticed");
}

fn events_allocate_nothing<M: LoraMap + Default>() {
    let _turn = crate::alone();
    let tracker = LoraTracker::<M>::default();
    let [name, other]: [Arc<str>; 2] = ["all", "other"].map(Arc::from);
    let toggle = |id| {
        let worker = WorkerWithDpRank::from_worker_id(id);
        let lora = LoraInfo::new(Arc::clone(&name), Some(4));
        assert_eq!(tracker.apply(LoraEvent::Loaded { worker, lora }), Ok(true));
        let name = Arc::clone(&name);
        let unloaded = LoraEvent::Unloaded { worker, name };
        assert_eq!(tracker.apply(unloaded), Ok(true));
    };
    for id in 0..WORKERS {
        for name in [&name, &other] {
            let worker = WorkerWithDpRank::from_worker_id(id);
            let lora = LoraInfo::new(Arc::clone(name), Some(4));
            // Every other worker is to load the adapter that is toggled.
            if id % 2 == 0 || Arc::ptr_eq(name, &other) {
                tracker.apply(LoraEvent::Loaded { worker, lora }).unwrap();
            }
        }
    }
    let all = || (1..WORKERS).step_by(2).for_each(toggle);
    all();
    assert_no_alloc(all);

    let planted = catch_unwind(AssertUnwindSafe(|| {
        // Whoever holds an answer over two changes has the second copy what it changes.
        let _held = tracker.loaded_workers("all");
        assert_no_alloc(all);
    }));
    assert!(planted.is_err(), "a copy goes unnoticed");
}
