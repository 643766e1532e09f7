//! The server killed, restarted, frozen and full of strangers: every operation ends, and no answer is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use affinity::{AffinityStore, Binding, BindingKind, SessionRef, StoreError};
use affinity_redis::{ConnectError, RedisStore, RedisStoreConfig};
use worker_id::{Incarnation, WorkerWithDpRank};

use crate::server::{self, soon, until};

const KEY: SessionRef<'static> = SessionRef::new("chat-17");
const WORKER: WorkerWithDpRank = WorkerWithDpRank::new(7, 0).with_incarnation(41);
const ENGINE: BindingKind = BindingKind::EngineBacked;

/// Every operation, as errors.
async fn errors(store: &RedisStore) -> Vec<StoreError> {
    let answers = [
        store.get(KEY).await.map(drop),
        store.peek(KEY).await.map(drop),
        store.bind(KEY, WORKER, ENGINE).await.map(drop),
        store.claim(KEY, WORKER, ENGINE).await.map(drop),
        store.refresh_if(KEY, WORKER).await.map(drop),
        store.rebind_if(KEY, 1, WORKER, ENGINE).await.map(drop),
        store.remove(KEY).await.map(drop),
        store.remove_if(KEY, 1).await.map(drop),
        store.sweep(usize::MAX, drop).await.map(drop),
    ];
    answers
        .into_iter()
        .map(|answer| answer.expect_err("there is no server"))
        .collect()
}

#[tokio::test]
async fn a_frozen_server_is_a_timeout_and_thaws() {
    let Some(server) = server::start().await else {
        return;
    };
    let after = Duration::from_millis(50);
    let store = server
        .store_with(RedisStoreConfig {
            timeout: after,
            ..server.config()
        })
        .await;
    server.freeze();
    for error in soon("operations on a frozen server", errors(&store)).await {
        assert!(
            matches!(error, StoreError::Timeout { after: said } if said == after),
            "{error:?}"
        );
    }
    // As many as there are, and not only the first ones, which lie in the socket's buffers.
    let many = (0..2_000).map(|_| {
        let store = store.clone();
        let long = "x".repeat(200);
        tokio::spawn(async move { store.get(SessionRef::from(&long)).await })
    });
    let many: Vec<_> = many.collect();
    for each in many {
        let answer = soon("one of many operations", each).await.unwrap();
        assert!(
            matches!(answer, Err(StoreError::Timeout { .. })),
            "{answer:?}"
        );
    }

    server.thaw();
    until("it answers again", async || store.get(KEY).await.is_ok()).await;
    let bound = store.bind(KEY, WORKER, ENGINE).await.unwrap();
    assert_eq!(
        store.get(KEY).await.unwrap(),
        bound.now,
        "answers belong to their questions"
    );
}

#[tokio::test]
async fn connecting_to_a_frozen_server_comes_to_an_end() {
    let Some(server) = server::start().await else {
        return;
    };
    server.freeze();
    let connected = soon(
        "connecting",
        RedisStore::connect(RedisStoreConfig::new(server.url())),
    )
    .await;
    let error = connected.expect_err("nobody answers");
    assert!(matches!(error, ConnectError::Store(_)), "{error:?}");
    server.thaw();
}

#[tokio::test]
async fn a_killed_server_is_unavailable_and_its_pins_are_absent_when_it_is_back() {
    let Some(mut server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    let bound = store.bind(KEY, WORKER, ENGINE).await.unwrap().now.unwrap();
    server.kill();
    for error in soon("operations without a server", errors(&store)).await {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    server.restart().await;
    until("the store is back", async || store.get(KEY).await.is_ok()).await;

    // Who observed the lost binding does not take a new one for it.
    assert_eq!(store.get(KEY).await.unwrap(), None);
    let new = store.claim(KEY, WORKER, ENGINE).await.unwrap().now.unwrap();
    assert!(new.generation > bound.generation, "{new:?} after {bound:?}");
    assert!(
        !store
            .remove_if(KEY, bound.generation)
            .await
            .unwrap()
            .applied
    );
    assert_eq!(store.sweep(usize::MAX, drop).await.unwrap().told, 0);
}

#[tokio::test]
async fn what_is_on_disk_is_back() {
    let disk = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = server::start_with(&disk).await else {
        return;
    };
    let store = server.store().await;
    let bound = store.bind(KEY, WORKER, ENGINE).await.unwrap();
    server.kill();
    server.restart().await;
    until("the store is back", async || store.get(KEY).await.is_ok()).await;
    let back = store.get(KEY).await.unwrap().unwrap();
    assert_eq!(Some(back), bound.now);
    assert!(back.worker.same_incarnation(&WORKER));
    server.elapse(server.config().ttl * 2).await;
    assert_eq!(store.sweep(usize::MAX, drop).await.unwrap().told, 1);
}

/// A generation is a time of the server's, or one more than the last.
#[tokio::test]
async fn generations_grow_where_the_servers_clock_is_set_back() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server
        .store_with(RedisStoreConfig {
            buckets: 1,
            ..server.config()
        })
        .await;
    let ahead = (server.now().await + 3_600_000) * 1_000;
    server
        .run::<()>(&["SET", "{affinity:0}:g", &ahead.to_string()])
        .await;
    for more in 1..4 {
        let bound = store.bind(KEY, WORKER, ENGINE).await.unwrap().now.unwrap();
        assert_eq!(bound.generation, ahead + more);
        assert_eq!(store.peek(KEY).await.unwrap(), Some(bound));
    }
}

#[tokio::test]
async fn a_password_that_was_wrong_for_a_while_is_forgotten() {
    let Some(mut server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    server.kill();
    server.restart_with(&["--requirepass", "other"]).await;
    for _ in 0..3 {
        let error = store.get(KEY).await.expect_err("it wants a password");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    server.kill();
    server.restart().await;
    until("the store is back", async || store.get(KEY).await.is_ok()).await;
}

/// With a password of its own, which the server changes and changes back.
#[tokio::test]
async fn a_password_that_is_set_right_again_is_taken() {
    let Some(mut server) = server::start_with(&["--requirepass", "ours"]).await else {
        return;
    };
    let url = server.url().replace("redis://", "redis://:ours@");
    let store = server
        .store_with(RedisStoreConfig {
            url,
            ..server.config()
        })
        .await;
    server.kill();
    server.restart_with(&["--requirepass", "other"]).await;
    for _ in 0..3 {
        let error = store.get(KEY).await.expect_err("the password is wrong");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    server.kill();
    server.restart().await;
    until("the store is back", async || store.get(KEY).await.is_ok()).await;
}

/// A session's workers are its own, so that a binding of another session's would be seen.
fn worker_of(session: u64, number: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(session * 100 + number).with_incarnation(session)
}

struct Load {
    stop: AtomicBool,
    answered: AtomicUsize,
    failed: AtomicUsize,
}

/// Operations one after the other. Within one task each session's generations never go back.
async fn load(store: RedisStore, load: Arc<Load>, task: u64) {
    const SESSIONS: u64 = 8;
    let mut last = [0_u64; 8];
    let mut turn = task;
    while !load.stop.load(Ordering::Relaxed) {
        turn += 1;
        let session = turn % SESSIONS;
        let name = format!("session {session}");
        let (key, worker) = (SessionRef::from(&name), worker_of(session, turn % 100));
        let index = usize::try_from(session).unwrap();
        let answer = soon("an operation under load", async {
            match turn / SESSIONS % 6 {
                0 | 1 => store
                    .claim(key, worker, ENGINE)
                    .await
                    .map(|written| written.now),
                2 => store.peek(key).await,
                3 => store
                    .rebind_if(key, last[index], worker, ENGINE)
                    .await
                    .map(|written| written.now),
                4 if turn.is_multiple_of(5) => store.remove(key).await.map(|written| written.now),
                _ => store.get(key).await,
            }
        })
        .await;
        let Ok(found) = answer else {
            load.failed.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            continue;
        };
        load.answered.fetch_add(1, Ordering::Relaxed);
        let Some(Binding {
            worker, generation, ..
        }) = found
        else {
            continue;
        };
        assert_eq!(
            worker.worker_id / 100,
            session,
            "{worker} was never pinned to session {session}"
        );
        assert_eq!(worker.incarnation(), Some(Incarnation::Opaque(session)));
        assert!(
            generation >= last[index],
            "{generation} after {}",
            last[index]
        );
        last[index] = generation;
    }
}

async fn killed_and_restarted_under_load(args: &[&str]) {
    let Some(mut server) = server::start_with(args).await else {
        return;
    };
    let counts = Arc::new(Load {
        stop: AtomicBool::new(false),
        answered: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
    });
    let mut tasks = Vec::new();
    for task in 0..4 {
        // Two stores, two tasks each.
        let store = server.store().await;
        tasks.push(tokio::spawn(load(
            store.clone(),
            Arc::clone(&counts),
            task * 1_000,
        )));
        tasks.push(tokio::spawn(load(
            store,
            Arc::clone(&counts),
            task * 1_000 + 500,
        )));
    }
    let more = async |count: &AtomicUsize, by: usize| {
        let before = count.load(Ordering::Relaxed);
        until("operations go on", async || {
            count.load(Ordering::Relaxed) >= before + by
        })
        .await;
    };
    for _ in 0..3 {
        more(&counts.answered, 500).await;
        server.kill();
        more(&counts.failed, 100).await;
        server.restart().await;
        more(&counts.answered, 500).await;
    }
    counts.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        soon("a task under load", task).await.expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_and_restarted_under_load_with_nothing_on_disk() {
    killed_and_restarted_under_load(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_and_restarted_under_load_with_everything_on_disk() {
    killed_and_restarted_under_load(&["--appendonly", "yes", "--appendfsync", "always"]).await;
}
