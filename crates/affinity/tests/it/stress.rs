//! More threads than cores, a clock that races ahead, callbacks that panic: every engine-backed binding that was made is
//! told of once.

use std::collections::BTreeSet;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use affinity::BindingKind::EngineBacked;
use affinity::{MemoryStore, MemoryStoreConfig, SessionMap, SessionRef, WhenFull};
use linearize::Rng;

crate::backends::on_every_backend! { every_end_is_told_once }

const THREADS: u64 = 8;
const CALLS: u64 = 3_000;
const CAPACITY: usize = 24;

fn every_end_is_told_once<M: SessionMap + Default>() {
    let config = MemoryStoreConfig {
        ttl: Duration::from_millis(5),
        capacity: CAPACITY,
        when_full: WhenFull::EvictOldestIdle,
        ..MemoryStoreConfig::default()
    };
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let store = MemoryStore::with_map(config, M::default())
        .unwrap()
        .on_expire(move |ended| {
            let generation = ended.binding.generation;
            telling
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(generation);
            if generation % 64 == 0 {
                // Not `panic!`: the hook would print thousands of them.
                panic::resume_unwind(Box::new("planted"));
            }
        });
    let (made, now) = (Mutex::new(BTreeSet::new()), AtomicU64::new(0));
    let sessions: &Vec<String> = &(0..48).map(|number| format!("s-{number}")).collect();
    let act = &|thread: u64| {
        let mut rng = Rng::new(thread);
        let mut lease = None;
        for call in 0..CALLS {
            let key = SessionRef::new(rng.pick::<String>(sessions)).tenant(if rng.below(8) == 0 {
                "t"
            } else {
                "u"
            });
            match rng.below(16) {
                0..=4 => {
                    let written = store.claim(key, thread.into(), EngineBacked);
                    if let Some(binding) = written
                        .ok()
                        .filter(|written| written.applied)
                        .and_then(|written| written.now)
                    {
                        let fresh = made.lock().unwrap().insert(binding.generation);
                        assert!(fresh, "generation {} was given twice", binding.generation);
                    }
                }
                5..=9 => drop(store.get(key).unwrap()),
                10 => lease = store.acquire(key).unwrap(),
                11 => lease = None,
                12 => drop(store.release(key.tenant, key.session).unwrap()),
                13 => {
                    let worker = rng.below(THREADS).into();
                    store.unbind_worker(worker);
                }
                14 => store.advance_to(Duration::from_millis(now.fetch_add(1, Ordering::Relaxed))),
                _ => drop(store.sweep(store.now(), 40)),
            }
            assert!(store.len() <= CAPACITY);
            if call % 16 == 0 {
                thread::yield_now();
            }
        }
        drop(lease);
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || act(thread)))
            .collect();
        running
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });

    let end = store.now() + Duration::from_secs(1);
    assert!(!store.sweep(end, usize::MAX).more && store.is_empty());
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    told.sort_unstable();
    let made: Vec<u64> = made.lock().unwrap().iter().copied().collect();
    assert!(made.len() > 1_000, "only {} bindings were made", made.len());
    assert_eq!(told, made);
}
