//! Telling of bindings that have run out: once, whoever sweeps, and again where a sweeper did not come to an end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use affinity::{AffinityStore, BindingKind, Expired, SessionRef};
use affinity_redis::{RedisStore, RedisStoreConfig};
use worker_id::WorkerWithDpRank;

use crate::server::{self, Server, soon, until};

const WORKER: WorkerWithDpRank = WorkerWithDpRank::new(7, 0).with_incarnation(41);
const ENGINE: BindingKind = BindingKind::EngineBacked;

/// Sessions and their generations, and how often each was told.
type Tally = BTreeMap<(String, u64), usize>;

fn tally(told: &Mutex<Vec<Expired>>) -> Tally {
    let mut tally = Tally::new();
    for expired in told.lock().unwrap().iter() {
        let session = expired.key.as_ref().session.to_owned();
        *tally
            .entry((session, expired.binding.generation))
            .or_default() += 1;
    }
    tally
}

async fn bind(store: &RedisStore, sessions: usize) -> Tally {
    let mut bound = Tally::new();
    for number in 0..sessions {
        let session = format!("session {number}");
        let written = store
            .bind(SessionRef::from(&session), WORKER, ENGINE)
            .await
            .unwrap();
        bound.insert((session, written.now.unwrap().generation), 1);
    }
    bound
}

async fn index_len(server: &Server) -> usize {
    let mut members = 0;
    for index in server.run::<Vec<String>>(&["KEYS", "*:x"]).await {
        members += server.run::<usize>(&["ZCARD", &index]).await;
    }
    members
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_sweepers_one_tells() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    let bound = bind(&store, 600).await;
    server.elapse(server.config().ttl * 2).await;

    let told: Arc<Mutex<Vec<Expired>>> = Arc::default();
    let mut sweepers = Vec::new();
    for _ in 0..4 {
        let (store, told) = (server.store().await, Arc::clone(&told));
        sweepers.push(tokio::spawn(async move {
            let mut sweeps = 0;
            while store
                .sweep(50, |each| told.lock().unwrap().push(each))
                .await
                .unwrap()
                .more
            {
                sweeps += 1;
            }
            sweeps
        }));
    }
    let mut took_part = 0;
    for sweeper in sweepers {
        took_part += usize::from(soon("a sweeper", sweeper).await.unwrap() > 0);
    }
    assert!(took_part > 1, "they did not get in each other's way");
    assert_eq!(tally(&told), bound);
    assert_eq!(index_len(&server).await, 0);
}

#[tokio::test]
async fn a_sweep_keeps_to_its_budget() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    let bound = bind(&store, 300).await;
    server.elapse(server.config().ttl * 2).await;
    let told: Mutex<Vec<Expired>> = Mutex::default();
    let tell = |each| told.lock().unwrap().push(each);

    let swept = store.sweep(0, tell).await.unwrap();
    assert_eq!((swept.looked, swept.told, swept.more), (0, 0, true));
    let swept = store.sweep(7, tell).await.unwrap();
    assert_eq!((swept.looked, swept.told, swept.more), (7, 7, true));
    let swept = store.sweep(usize::MAX, tell).await.unwrap();
    assert_eq!((swept.looked, swept.told, swept.more), (293, 293, false));
    assert_eq!(tally(&told), bound);
}

#[tokio::test]
async fn what_was_refreshed_is_put_off() {
    let Some(server) = server::start().await else {
        return;
    };
    let (store, ttl) = (server.store().await, server.config().ttl);
    let bound = bind(&store, 1).await;
    server.elapse(ttl * 3 / 4).await;
    assert!(
        store
            .get(SessionRef::from("session 0"))
            .await
            .unwrap()
            .is_some()
    );

    // Its time to be looked at comes, and its deadline has moved.
    server.elapse(ttl / 2).await;
    let swept = store
        .sweep(10, |expired| panic!("{expired:?}"))
        .await
        .unwrap();
    assert_eq!((swept.looked, swept.told), (1, 0));
    let swept = store
        .sweep(10, |expired| panic!("{expired:?}"))
        .await
        .unwrap();
    assert_eq!(
        swept.looked, 0,
        "it is looked at again only when its time has come"
    );

    server.elapse(ttl).await;
    let told: Mutex<Vec<Expired>> = Mutex::default();
    let swept = store
        .sweep(10, |each| told.lock().unwrap().push(each))
        .await
        .unwrap();
    assert_eq!(swept.told, 1);
    assert_eq!(tally(&told), bound);
}

#[tokio::test]
async fn a_panic_costs_nobody_else_their_call() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    let bound = bind(&store, 20).await;
    server.elapse(server.config().ttl * 2).await;
    let told: Mutex<Vec<Expired>> = Mutex::default();
    let calls = AtomicUsize::new(0);
    let swept = store
        .sweep(usize::MAX, |each| {
            told.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(each);
            // Without the hook's message in the output of the tests.
            if calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
                std::panic::resume_unwind(Box::new("planted"));
            }
        })
        .await
        .unwrap();
    assert_eq!(swept.told, 20);
    assert_eq!(tally(&told), bound);
    assert_eq!(index_len(&server).await, 0);
}

#[tokio::test]
async fn a_sweep_that_is_dropped_is_made_good() {
    let Some(server) = server::start().await else {
        return;
    };
    let config = RedisStoreConfig {
        claim_ttl: Duration::from_secs(3_600),
        ..server.config()
    };
    let store = server.store_with(config.clone()).await;
    let bound = bind(&store, 3).await;
    server.elapse(config.ttl * 2).await;

    // The server does not hear that they were told.
    let told: Mutex<Vec<Expired>> = Mutex::default();
    let sweep = store.sweep(usize::MAX, |each| {
        let mut told = told.lock().unwrap();
        if told.is_empty() {
            server.freeze();
        }
        told.push(each);
    });
    tokio::select! {
        swept = sweep => panic!("without its server: {swept:?}"),
        () = until("one is told", async || !told.lock().unwrap().is_empty()) => {}
    }
    server.thaw();
    drop(store);

    let other = server.store_with(config.clone()).await;
    let tell = |each| told.lock().unwrap().push(each);
    let _ = other.sweep(usize::MAX, tell).await.unwrap();
    server.elapse(config.claim_ttl * 2).await;
    let _ = other.sweep(usize::MAX, tell).await.unwrap();
    let told = tally(&told);
    assert!(told.keys().eq(bound.keys()), "{told:?}, bound {bound:?}");
    assert_eq!(index_len(&server).await, 0);
}

/// A callback so slow that the claim is another's in the meantime tells no more of what it claimed.
#[tokio::test]
async fn a_claim_that_wears_out_is_told_no_further() {
    let Some(server) = server::start().await else {
        return;
    };
    let claim_ttl = Duration::from_millis(200);
    let config = RedisStoreConfig {
        claim_ttl,
        buckets: 1,
        ..server.config()
    };
    let store = server.store_with(config.clone()).await;
    let bound = bind(&store, 5).await;
    server.elapse(config.ttl * 2).await;

    let told: Mutex<Vec<Expired>> = Mutex::default();
    let slow = |each| {
        told.lock().unwrap().push(each);
        let begun = tokio::time::Instant::now();
        while begun.elapsed() <= claim_ttl {
            std::thread::yield_now();
        }
    };
    let swept = store.sweep(5, slow).await.unwrap();
    assert_eq!(swept.told, 1, "after one call the claim was half over");
    until("all are told", async || {
        let _ = store
            .sweep(usize::MAX, |each| told.lock().unwrap().push(each))
            .await
            .unwrap();
        told.lock().unwrap().len() >= 5
    })
    .await;
    assert_eq!(tally(&told), bound);
}

/// Real time, by the server's clock: not a moment too early, gone without being swept, told by the task.
#[tokio::test]
async fn time_passes() {
    let Some(server) = server::start().await else {
        return;
    };
    let ttl = Duration::from_millis(300);
    let store = server
        .store_with(RedisStoreConfig {
            ttl,
            ..server.config()
        })
        .await;
    let before = server.now().await;
    let bound = bind(&store, 1).await;
    let key = SessionRef::from("session 0");
    until("it runs out", async || {
        store.peek(key).await.unwrap().is_none()
    })
    .await;
    let lived = server.now().await - before;
    assert!(u128::from(lived) >= ttl.as_millis(), "{lived} ms");
    assert!(
        store
            .claim(key, WORKER, BindingKind::RouterOnly)
            .await
            .unwrap()
            .applied
    );

    let told: Arc<Mutex<Vec<Expired>>> = Arc::default();
    let telling = Arc::clone(&told);
    let sweeper = store.spawn_sweeper(Duration::from_millis(1), move |each| {
        telling.lock().unwrap().push(each);
    });
    until("it is told", async || !told.lock().unwrap().is_empty()).await;
    assert_eq!(tally(&told), bound);
    drop(store);
    soon("a sweeper whose store is gone", sweeper)
        .await
        .unwrap();
    assert_eq!(tally(&told), bound);
}

#[tokio::test]
async fn the_task_outlives_its_server_and_not_its_store() {
    let Some(mut server) = server::start().await else {
        return;
    };
    let config = RedisStoreConfig {
        timeout: Duration::from_millis(200),
        ..server.config()
    };
    let store = server.store_with(config.clone()).await;
    let told: Arc<Mutex<Vec<Expired>>> = Arc::default();
    let telling = Arc::clone(&told);
    let sweeper = store.spawn_sweeper(Duration::ZERO, move |each| {
        telling.lock().unwrap().push(each);
    });
    server.kill();
    until("the store notices", async || {
        store.peek(SessionRef::from("x")).await.is_err()
    })
    .await;
    server.restart().await;
    until("it is back", async || {
        store.peek(SessionRef::from("x")).await.is_ok()
    })
    .await;
    let bound = bind(&server.store().await, 3).await;
    server.elapse(config.ttl * 2).await;
    until("all are told", async || told.lock().unwrap().len() >= 3).await;
    assert_eq!(tally(&told), bound);
    assert!(!sweeper.is_finished());
    drop(store);
    soon("a sweeper whose store is gone", sweeper)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_others_put_into_the_index_stops_nothing() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server
        .store_with(RedisStoreConfig {
            buckets: 1,
            ..server.config()
        })
        .await;
    let bound = bind(&store, 2).await;
    for foreign in ["", "garbage", "1 e 7:0", "1 e 7:0 no-shape"] {
        server
            .run::<()>(&["ZADD", "{affinity:0}:x", "0", foreign])
            .await;
    }
    server.elapse(server.config().ttl * 2).await;
    let told: Mutex<Vec<Expired>> = Mutex::default();
    for _ in 0..6 {
        let _ = store
            .sweep(1, |each| told.lock().unwrap().push(each))
            .await
            .unwrap();
    }
    assert_eq!(tally(&told), bound);
    assert_eq!(index_len(&server).await, 0);
}
