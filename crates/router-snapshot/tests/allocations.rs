//! Selections and lookups allocate nothing, on every map; and what a change allocates does not
//! depend on the fleet.
#![cfg(not(inflight_loom))]

#[path = "it/backends.rs"]
mod backends;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use alloc_count::{CountingAllocator, assert_no_alloc, measure};
use backends::{ReferenceRouters, Upstream, all_of, spec, worker};
use router_snapshot::RouterClass::{self, HttpRegular};
use router_snapshot::{Choice, RouterManager, RouterMap, RouterMode, Selection};
use worker_id::WorkerState;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

backends::on_every_backend! { selections_and_lookups_allocate_nothing }

fn selections_and_lookups_allocate_nothing<M: RouterMap + Default>() {
    let manager = RouterManager::<_, (), M>::with_map(RouterMode::Multi, M::default());
    let names: Vec<String> = (0..100).map(|number| format!("model-{number}")).collect();
    manager
        .update(|batch| {
            for (number, name) in (0..).zip(&names) {
                let class = RouterClass::ALL[number % 5];
                batch.register(name.as_str(), Upstream::new(class, number as u64));
                for spec in all_of(number as u64, class, &[name]) {
                    batch.upsert_worker(spec);
                }
            }
        })
        .unwrap();
    let all = || {
        let mut sum = 0;
        for (number, name) in (0..).zip(&names) {
            for (model, prefer_pd) in [(None, false), (None, true), (Some(name.as_str()), false)] {
                let request = Selection {
                    model,
                    prefer_pd,
                    draining: false,
                };
                sum += manager.select(&request).unwrap().number;
                sum += manager.select_owned(&request).unwrap().number;
            }
            sum += manager.router(name).unwrap().number;
            let snapshot = manager.snapshot();
            let eligible = snapshot.select(&Selection::of_model(name)).unwrap();
            sum += (eligible.regular().len() + eligible.prefill().len()) as u64;
            let known = snapshot.worker(&worker(number)).unwrap();
            sum += u64::from(known.state() == WorkerState::Healthy);
            sum += snapshot.workers_of(name).count() as u64;
            black_box(snapshot.resolve_model(Some(name)).unwrap());
        }
        let snapshot = manager.snapshot();
        black_box((sum, snapshot.routers().count(), snapshot.workers().count()));
        black_box((snapshot.models().count(), snapshot.generation()));
        assert!(manager.router("unknown").is_none() && manager.worker(worker(1_000)).is_none());
    };
    // A thread's first accesses register it with the publication, and with the maps' memory
    // reclamation.
    all();
    assert_no_alloc(all);

    // A shared reference count would have been written.
    let request = Selection::default();
    let router = manager.select_owned(&request).unwrap();
    let before = Arc::strong_count(Choice::router(&router));
    let held: Vec<_> = (0..4).map(|_| manager.select(&request).unwrap()).collect();
    assert_eq!(Arc::strong_count(Choice::router(&router)), before);
    let owned = manager.select_owned(&request).unwrap();
    assert!(std::ptr::eq(Choice::id(&owned), Choice::id(&router)));
    drop((held, owned));

    let planted = catch_unwind(AssertUnwindSafe(|| {
        assert_no_alloc(|| {
            black_box(manager.generation());
            drop(black_box(Box::new(7)));
        });
    }));
    assert!(planted.is_err(), "a planted allocation goes unnoticed");
}

/// On a map that grows by doubling only, so that what is counted is the manager's.
#[test]
fn a_change_allocates_the_same_in_a_small_fleet_and_in_a_large_one() {
    let manager =
        RouterManager::<_, (), _>::with_map(RouterMode::Multi, ReferenceRouters::default());
    let mut change = |number: u64| {
        let (id, router) = (number.to_string(), Upstream::new(HttpRegular, number));
        let spec = spec(number, HttpRegular, &[&id]);
        let ((), counts) = measure(|| {
            manager.register(id, router).unwrap();
            manager.upsert_worker(spec).unwrap();
            assert!(
                manager
                    .set_state(worker(number), WorkerState::Ill)
                    .is_changed()
            );
        });
        counts.bytes_allocated
    };
    let mut most = |numbers: std::ops::Range<u64>| {
        let mut bytes: Vec<_> = numbers.map(&mut change).collect();
        bytes.sort_unstable();
        bytes[bytes.len() / 2]
    };
    let (small, large) = (most(0..100), most(2_900..3_000));
    // A pointer for each 64 routers and each 64 workers, and 4 bytes for each worker there is.
    let roots = 3 * 3_000 * (8 + 8 + 64 * 4) / 64;
    assert!(
        large <= small + small / 4 + roots,
        "{small} bytes became {large}"
    );
    let planted = most(3_000..3_100);
    assert!(planted > 1_000, "{planted} bytes: nothing was counted");
}
