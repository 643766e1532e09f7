//! What the store adds to the wire: `cargo run --release -p affinity-redis --example throughput URL [SECONDS]` measures
//! `get` with 64 in flight against the same command and against the same script, pipelined by hand, 64 at a time.

use std::error::Error;
use std::time::Duration;

use affinity::{AffinityStore, BindingKind, SessionRef};
use affinity_redis::{RedisStore, RedisStoreConfig};
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

const IN_FLIGHT: usize = 64;

/// `get` as a script: what refreshing would be without a native command for it.
const SCRIPT: &str = "local held = redis.call('GET', KEYS[1]) if held then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return held";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("the URL of a server")?;
    let seconds = args.next().map_or(Ok(2), |text| text.parse())?;
    let config = RedisStoreConfig {
        prefix: "throughput-example".to_owned(),
        timeout: Duration::from_secs(5),
        ..RedisStoreConfig::new(&url)
    };
    let store = RedisStore::connect(config).await?;
    let sessions: Vec<String> = (0..IN_FLIGHT)
        .map(|number| format!("c4b7a2f0-51d3-4e0f-9d55-{number:012}"))
        .collect();
    for session in &sessions {
        let _ = store
            .bind(SessionRef::from(session), 7.into(), BindingKind::RouterOnly)
            .await?;
    }
    let client = redis::Client::open(url)?;
    let mut by_hand = client.get_multiplexed_async_connection().await?;
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("{throughput-example:*}:s:*")
        .query_async(&mut by_hand)
        .await?;
    let sha: String = redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(SCRIPT)
        .query_async(&mut by_hand)
        .await?;

    // In turns, so that what else the machine does falls on all alike.
    let turn = Duration::from_secs(seconds) / 8;
    let mut best = [0.0_f64; 3];
    for _ in 0..8 {
        let rates = [
            through_the_store(&store, &sessions, turn).await?,
            pipelined(&mut by_hand, turn, || command(&keys)).await?,
            pipelined(&mut by_hand, turn, || script(&keys, &sha)).await?,
        ];
        for (best, rate) in best.iter_mut().zip(rates) {
            *best = best.max(rate);
        }
    }
    let [store, command, script] = best;
    println!("the store's get           {store:>9.0} a second");
    println!(
        "bare GETEX, by hand       {command:>9.0} a second: the store has {:.2} of it",
        store / command
    );
    println!(
        "bare script, by hand      {script:>9.0} a second: the store has {:.2} of it",
        store / script
    );
    Ok(())
}

async fn through_the_store(
    store: &RedisStore,
    sessions: &[String],
    turn: Duration,
) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let tasks = sessions.iter().cloned().map(|session| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < turn {
                let found = store.get(SessionRef::from(&session)).await?;
                done += u32::from(found.is_some());
            }
            Ok::<_, affinity::StoreError>(done)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

fn command(keys: &[Vec<u8>]) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.cmd("GETEX").arg(key).arg("PX").arg(300_000);
    }
    pipeline
}

fn script(keys: &[Vec<u8>], sha: &str) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline
            .cmd("EVALSHA")
            .arg(sha)
            .arg(1)
            .arg(key)
            .arg(300_000);
    }
    pipeline
}

async fn pipelined(
    connection: &mut MultiplexedConnection,
    turn: Duration,
    pipeline: impl Fn() -> redis::Pipeline,
) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let mut done = 0_u32;
    while begun.elapsed() < turn {
        let found: Vec<Option<Vec<u8>>> = pipeline().query_async(connection).await?;
        done += u32::try_from(found.iter().flatten().count())?;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}
