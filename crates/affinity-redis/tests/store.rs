//! The store on a real server, operation by operation.

mod server;

use affinity::{AffinityStore, BindingKind, SessionRef};
use worker_id::WorkerWithDpRank;

#[tokio::test]
async fn a_slice() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    let key = SessionRef::from("chat-17");
    assert_eq!(store.get(key).await.unwrap(), None);
    let worker = WorkerWithDpRank::new(7, 1).with_incarnation(3);
    let bound = store
        .claim(key, worker, BindingKind::EngineBacked)
        .await
        .unwrap();
    assert!(bound.applied);
    assert_eq!(store.get(key).await.unwrap(), bound.now);
    println!("{bound:?}");
}
