//! Two routers that share their pins: `cargo run -p affinity-redis --example two_routers [URL]`, with a Redis at
//! `redis://127.0.0.1/` or there.

use std::error::Error;
use std::time::Duration;

use affinity::{Pin, SessionRef, StickySessionRouter};
use affinity_redis::{RedisStore, RedisStoreConfig};
use worker_id::WorkerWithDpRank;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = RedisStoreConfig {
        prefix: "two-routers-example".to_owned(),
        ttl: Duration::from_secs(2),
        ..RedisStoreConfig::default()
    };
    if let Some(url) = std::env::args().nth(1) {
        config.url = url;
    }
    // In earnest each is in a process of its own.
    let one = StickySessionRouter::new(RedisStore::connect(config.clone()).await?);
    let other = StickySessionRouter::new(RedisStore::connect(config.clone()).await?);
    let sweeper = one
        .store()
        .spawn_sweeper(Duration::from_millis(100), |expired| {
            println!(
                "{} has ended: its engine session is to be closed",
                expired.key
            );
        });

    // Each knows other workers, and both see the session's first turn at once.
    let key = SessionRef::new("chat-17").tenant("acme");
    let [seven, nine] = [7, 9].map(|id| WorkerWithDpRank::new(id, 0).with_incarnation(1));
    let (seven_known, nine_known) = ([seven], [nine]);
    let (by_one, by_other) = tokio::join!(
        one.resolve_or_assign(key, &seven_known, || async { Ok::<_, String>(seven) }),
        other.resolve_or_assign(key, &nine_known, || async { Ok::<_, String>(nine) }),
    );
    for (router, routed) in [("one", by_one?), ("the other", by_other?)] {
        let how = match routed.pin {
            Pin::Made(_) => "made the pin",
            Pin::Joined(_) => "followed the other's",
            Pin::Found(_) => "found it",
            _ => "did without a pin",
        };
        println!("{router} sends it to worker {}: {how}", routed.worker);
    }

    // The worker restarts under its id: its prefix is gone, and the pin is no hit.
    let again = seven.with_incarnation(2);
    let moved = other
        .resolve_or_assign(key, &[again, nine], || async { Ok::<_, String>(again) })
        .await?;
    println!("the next turn goes to worker {}", moved.worker);

    // A session that the engine holds open runs out, and one of the sweepers tells of it.
    let held = other.bind_engine_session("agent-3", nine).await?;
    println!("bound: {held:?}");
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while other.peek("agent-3").await?.is_some() {
        looks.tick().await;
    }
    looks.tick().await;
    looks.tick().await;

    let _ = one.unbind(key).await?;
    drop(one);
    sweeper.await?;
    Ok(())
}
