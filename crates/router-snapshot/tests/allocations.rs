//! Selections and lookups allocate nothing, on every map; and what a change allocates does not depend on the fleet.
#![cfg(not(inflight_loom))]

#[path = "it/backends.rs"]
mod backends;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use alloc_count::{CountingAllocator, assert_no_alloc, measure};
use backends::{ReferenceRouters, Upstream, spec, worker};
use router_snapshot::RouterClass::{self, HttpRegular};
use router_snapshot::{RouterManager, RouterMap, RouterMode, Selection};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

backends::on_every_backend! { selections_and_lookups_allocate_nothing }

fn selections_and_lookups_allocate_nothing<M: RouterMap<Upstream> + Default>() {
    let manager = RouterManager::with_map(RouterMode::Multi, M::default());
    let names: Vec<String> = (0..100).map(|number| format!("model-{number}")).collect();
    manager
        .update(|batch| {
            for (number, name) in (0..).zip(&names) {
                let class = RouterClass::ALL[number % 5];
                batch.register(name.as_str(), Upstream::new(class, number as u64));
                batch.upsert_worker(spec(number as u64, class, &[name]));
            }
        })
        .unwrap();
    let all = || {
        let mut sum = 0;
        for (number, name) in (0..).zip(&names) {
            for (model, prefer_pd) in [(None, false), (None, true), (Some(name.as_str()), false)] {
                let request = Selection { model, prefer_pd };
                sum += manager.select(&request).unwrap().number;
                sum += manager.select_owned(&request).unwrap().number;
            }
            sum += manager.router(name).unwrap().number;
            sum += u64::from(manager.worker(worker(number)).unwrap().healthy);
            black_box(manager.resolve_model(Some(name)).unwrap());
        }
        black_box((sum, manager.generation(), manager.router_count()));
        assert!(manager.router("unknown").is_none() && manager.worker(worker(1_000)).is_none());
    };
    // A thread's first accesses register it with the publication, and with the maps' memory reclamation.
    all();
    assert_no_alloc(all);

    // A shared reference count would have been written.
    let request = Selection::default();
    let router = manager.select_owned(&request).unwrap();
    let before = Arc::strong_count(&router);
    let held: Vec<_> = (0..4).map(|_| manager.select(&request).unwrap()).collect();
    assert_eq!(Arc::strong_count(&router), before);
    let owned = manager.select_owned(&request).unwrap();
    assert_eq!(Arc::strong_count(&router), before + 1);
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
    let manager = RouterManager::with_map(RouterMode::Multi, ReferenceRouters::default());
    let mut change = |number: u64| {
        let (id, router) = (number.to_string(), Upstream::new(HttpRegular, number));
        let spec = spec(number, HttpRegular, &["m"]);
        let ((), counts) = measure(|| {
            manager.register(id, router).unwrap();
            manager.upsert_worker(spec).unwrap();
            assert!(manager.set_health(worker(number), false));
        });
        counts.bytes_allocated
    };
    let mut most = |numbers: std::ops::Range<u64>| {
        let mut bytes: Vec<_> = numbers.map(&mut change).collect();
        bytes.sort_unstable();
        bytes[bytes.len() / 2]
    };
    let (small, large) = (most(0..100), most(2_900..3_000));
    assert!(large <= small + small / 4, "{small} bytes became {large}");
    let planted = most(3_000..3_100);
    assert!(planted > 1_000, "{planted} bytes: nothing was counted");
}
