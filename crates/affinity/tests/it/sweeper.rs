//! The task that sweeps: it moves the clock with tokio's, tells what runs out, and ends with its store.

use std::sync::Arc;
use std::time::Duration;

use affinity::BindingKind::EngineBacked;
use affinity::{
    Expired, FINEST_TICK, MemoryStore, MemoryStoreConfig, SessionEntry, SessionFingerprint,
};
use state_map::model::ReferenceMap;
use tokio::sync::mpsc;
use tokio::time::advance;

type Store = MemoryStore<ReferenceMap<SessionFingerprint, SessionEntry>>;

const TTL: Duration = Duration::from_secs(60);

fn store() -> (Arc<Store>, mpsc::UnboundedReceiver<Expired>) {
    let config = MemoryStoreConfig {
        ttl: TTL,
        ..MemoryStoreConfig::default()
    };
    let (told, telling) = mpsc::unbounded_channel();
    // Outside of any runtime: a store needs none.
    let store = Store::with_map(config, ReferenceMap::default()).unwrap();
    let store = store.on_expire(move |each| told.send(each).unwrap());
    (Arc::new(store), telling)
}

#[test]
fn a_sweeper_moves_the_clock_tells_and_ends_with_its_store() {
    let (store, mut telling) = store();
    for number in 0..3_000 {
        assert!(
            store
                .claim(&format!("s-{number}"), 7.into(), EngineBacked)
                .unwrap()
                .applied
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let sweeper = store.spawn_sweeper(FINEST_TICK);
        advance(TTL / 2).await;
        tokio::task::yield_now().await;
        assert!(store.get("s-0").unwrap().is_some());
        for _ in 1..3_000 {
            let _ = telling.recv().await.unwrap();
        }
        assert!(
            store.now() >= TTL && store.now() < TTL + TTL / 2,
            "{:?}",
            store.now()
        );
        let last = telling.recv().await.unwrap();
        assert_eq!(last.key.as_ref().session, "s-0");
        assert!(store.now() >= TTL + TTL / 2 && store.is_empty());

        drop(store);
        sweeper.await.unwrap();
    });
}

#[test]
fn a_clock_that_has_moved_goes_on() {
    let (store, _telling) = store();
    store.advance_to(TTL * 5);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let sweeper = store.spawn_sweeper(Duration::ZERO);
        while store.now() < TTL * 5 + Duration::from_millis(20) {
            advance(Duration::from_millis(1)).await;
            tokio::task::yield_now().await;
        }
        sweeper.abort();
        assert!(sweeper.await.unwrap_err().is_cancelled());
    });
}
