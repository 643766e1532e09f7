//! A hit allocates nothing, on every map; and neither does a miss.
#![cfg(not(inflight_loom))]

#[path = "it/backends.rs"]
mod backends;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use affinity::BindingKind::RouterOnly;
use affinity::{Leg, MemoryStore, MemoryStoreConfig, SessionMap, SessionRef, StickySessionRouter};
use alloc_count::{CountingAllocator, assert_no_alloc};
use worker_id::WorkerWithDpRank;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

backends::on_every_backend! { lookups_allocate_nothing }

/// The output of a future that waits for nothing.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("there was nothing to wait for"),
    }
}

fn lookups_allocate_nothing<M: SessionMap + Default>() {
    let store = MemoryStore::with_map(MemoryStoreConfig::default(), M::default()).unwrap();
    let router = StickySessionRouter::new(store);
    let store = router.store();
    let worker = WorkerWithDpRank::from(7);
    let sessions: Vec<String> = (0..64)
        .map(|id| format!("00000000-0000-0000-0000-0000000000{id:02}"))
        .collect();
    let keys: Vec<SessionRef<'_>> = sessions
        .iter()
        .map(|session| {
            SessionRef::new(session)
                .tenant("acme")
                .model("llama")
                .leg(Leg::Decode)
        })
        .collect();
    for key in &keys {
        assert!(store.claim(*key, worker, RouterOnly).unwrap().applied);
        // A thread's first access may register it with the map's memory reclamation.
        assert!(store.get(*key).unwrap().is_some());
    }
    assert_no_alloc(|| {
        for millis in 1..200 {
            store.advance_to(Duration::from_millis(millis));
            for key in &keys {
                assert!(store.get(*key).unwrap().is_some());
                let _ = black_box((
                    store.peek(*key).unwrap(),
                    store.refresh_if(*key, worker).unwrap(),
                ));
                drop(black_box(store.acquire(*key).unwrap()));
                let routed = at_once(router.resolve_or_assign(*key, &[worker], || async {
                    Err::<WorkerWithDpRank, &str>("it has a pin")
                }));
                assert_eq!(routed.unwrap().worker, worker);
            }
            black_box((store.get("nobody").unwrap(), store.peek("nobody").unwrap()));
        }
    });

    let planted = catch_unwind(AssertUnwindSafe(|| {
        assert_no_alloc(|| {
            black_box(store.get(keys[0]).unwrap());
            drop(black_box(Box::new(7)));
        });
    }));
    assert!(planted.is_err(), "a planted allocation goes unnoticed");
}
