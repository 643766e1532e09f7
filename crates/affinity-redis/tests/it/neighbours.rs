//! What the store shares its server with: other data, a full memory, a cluster's slots.

use affinity::{AffinityStore, BindingKind, SessionRef, StoreError};
use affinity_redis::RedisStoreConfig;
use worker_id::WorkerWithDpRank;

use crate::server::{self, until};

const KEY: SessionRef<'static> = SessionRef::new("chat-17");
const WORKER: WorkerWithDpRank = WorkerWithDpRank::new(7, 0).with_incarnation(41);

#[tokio::test]
async fn data_of_others_is_an_error_and_no_pin() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    assert!(
        store
            .bind(KEY, WORKER, BindingKind::RouterOnly)
            .await
            .unwrap()
            .applied
    );
    let keys: Vec<String> = server.run(&["KEYS", "*:s:*"]).await;
    let [pin] = &keys[..] else { panic!("{keys:?}") };

    for foreign in ["", "garbage", "1 e", "1 e 7:0 more", "\u{1F980}"] {
        server.run::<()>(&["SET", pin, foreign]).await;
        let error = store.get(KEY).await.expect_err(foreign);
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(error.to_string().contains("its own prefix"), "{error}");
        let error = store
            .claim(KEY, WORKER, BindingKind::RouterOnly)
            .await
            .expect_err(foreign);
        assert!(error.to_string().contains("its own prefix"), "{error}");
    }
    server.run::<()>(&["DEL", pin]).await;
    server.run::<()>(&["SADD", pin, "a set"]).await;
    for answer in [
        store.get(KEY).await.map(drop),
        store.peek(KEY).await.map(drop),
        store
            .bind(KEY, WORKER, BindingKind::RouterOnly)
            .await
            .map(drop),
        store.remove(KEY).await.map(drop),
    ] {
        let error = answer.expect_err("it is a set");
        assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    }
    server.run::<()>(&["DEL", pin]).await;
    assert!(
        store
            .claim(KEY, WORKER, BindingKind::RouterOnly)
            .await
            .unwrap()
            .applied
    );
}

#[tokio::test]
async fn deployments_with_their_own_prefix_are_strangers() {
    let Some(server) = server::start().await else {
        return;
    };
    let ours = server.store().await;
    let theirs = server
        .store_with(RedisStoreConfig {
            prefix: "affinity2".to_owned(),
            ..server.config()
        })
        .await;
    assert!(
        ours.claim(KEY, WORKER, BindingKind::RouterOnly)
            .await
            .unwrap()
            .applied
    );
    assert_eq!(theirs.get(KEY).await.unwrap(), None);
    assert!(
        theirs
            .claim(KEY, WORKER, BindingKind::RouterOnly)
            .await
            .unwrap()
            .applied
    );
    assert!(ours.remove(KEY).await.unwrap().applied);
    assert!(theirs.get(KEY).await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_server_keeps_pins_and_takes_no_new_ones() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    let bound = store
        .bind(KEY, WORKER, BindingKind::EngineBacked)
        .await
        .unwrap();
    server.run::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;

    let new = SessionRef::from("chat-18");
    let error = store
        .claim(new, WORKER, BindingKind::EngineBacked)
        .await
        .expect_err("full");
    assert!(error.to_string().contains("OOM"), "{error}");
    assert_eq!(store.get(KEY).await.unwrap(), bound.now);
    assert!(store.refresh_if(KEY, WORKER).await.unwrap().applied);
    assert_eq!(store.get(new).await.unwrap(), None);
    assert!(store.remove(KEY).await.unwrap().applied);

    server.run::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(
        store
            .claim(new, WORKER, BindingKind::EngineBacked)
            .await
            .unwrap()
            .applied
    );
}

/// A cluster refuses a script whose keys lie in different slots. This one has a single node, which has them all.
#[tokio::test]
async fn what_a_script_touches_lies_in_one_slot() {
    let Some(server) = server::start_with(&["--cluster-enabled", "yes"]).await else {
        return;
    };
    let slots: Vec<String> = (0..16_384).map(|slot| slot.to_string()).collect();
    let mut words = vec!["CLUSTER", "ADDSLOTS"];
    words.extend(slots.iter().map(String::as_str));
    server.run::<()>(&words).await;
    until("the cluster is whole", async || {
        let info: String = server.run(&["CLUSTER", "INFO"]).await;
        info.contains("cluster_state:ok")
    })
    .await;

    let store = server.store().await;
    for number in 0..50_u64 {
        let session = format!("{{{number}}} chat");
        let key = SessionRef::from(&session);
        let bound = store
            .claim(key, number.into(), BindingKind::EngineBacked)
            .await
            .unwrap();
        assert!(bound.applied);
        assert_eq!(store.get(key).await.unwrap(), bound.now);
    }
    server.elapse(server.config().ttl * 2).await;
    assert_eq!(store.sweep(usize::MAX, drop).await.unwrap().told, 50);
}

/// The connection is the store's: with its last clone it is closed.
#[tokio::test]
async fn a_store_that_is_dropped_leaves_no_connection() {
    let Some(server) = server::start().await else {
        return;
    };
    let connected = async || {
        let clients: String = server.run(&["CLIENT", "LIST"]).await;
        clients.lines().count()
    };
    let alone = connected().await;
    let store = server.store().await;
    let clone = store.clone();
    drop(store);
    assert!(clone.get(KEY).await.unwrap().is_none());
    assert_eq!(connected().await, alone + 1);
    drop(clone);
    until("it is closed", async || connected().await == alone).await;
}
