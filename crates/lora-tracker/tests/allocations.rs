//! No read allocates, on any map.
#![cfg(not(inflight_loom))]

mod backends;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};

use alloc_count::{CountingAllocator, assert_no_alloc};
use lora_tracker::{LoraEvent, LoraInfo, LoraMap, LoraTracker};
use worker_id::WorkerWithDpRank;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

backends::on_every_backend! { reads_allocate_nothing }

const WORKERS: u64 = 200;

fn reads_allocate_nothing<M: LoraMap + Default>() {
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
