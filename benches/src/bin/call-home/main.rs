//! The published experiment again: workers call home over real TCP for many requests at a time, and
//! every access to the registry of streams is timed. One arm a process.
//!
//! ```console
//! $ cargo run --release -p benches --bin call-home -- --arm papaya
//! ```
//!
//! Frontend and workers share a process and its runtime, so that the machine's cores are all there
//! is. All arms but `call-home` share one transport, which is as small as can be; `call-home` is
//! the crate of that name, whole.
#![forbid(unsafe_code)]

mod transport;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use benches::any_map::Backend;
use benches::baselines::streams::{AsyncMutex, FourMaps, OneMutex};
use benches::streams::{Streams, registry};
use call_home::{CallHomeClient, CallHomeOptions, CallHomeServer, Limits};
use clap::Parser;
use hdrhistogram::Histogram;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use worker_id::EndpointInstanceId;

use transport::{Feed, TOKEN};

/// Runs the experiment with one arm, and prints a line of figures.
#[derive(Parser, Clone)]
struct Flags {
    /// What the streams are registered in: async-mutex, plain-mutex, four-dashmaps; ours on
    /// dashmap, papaya, scc or rwlock; or call-home.
    #[arg(long)]
    arm: String,
    /// How many workers there are.
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// How many requests are under way at a time, over all workers. Each takes two descriptors.
    #[arg(long, default_value_t = 1_024)]
    in_flight: usize,
    /// How many tokens a response has.
    #[arg(long, default_value_t = 32)]
    tokens: usize,
    /// How many requests there are.
    #[arg(long, default_value_t = 50_000)]
    requests: usize,
}

/// What one request has seen of the registry, in nanoseconds.
#[derive(Clone, Copy, Default)]
struct Accesses {
    register: u64,
    /// Not seen from outside of the crate.
    claim: Option<u64>,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    ensure!(
        flags.workers > 0 && flags.in_flight > 0,
        "there must be a worker, and a request for it"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match &*flags.arm {
            "async-mutex" => alike(&flags, Arc::<AsyncMutex<_>>::default()).await,
            "plain-mutex" => alike(&flags, Arc::<OneMutex<_>>::default()).await,
            "four-dashmaps" => alike(&flags, Arc::<FourMaps<_>>::default()).await,
            "call-home" => whole(&flags).await,
            map => alike(&flags, registry(map.parse::<Backend>()?)).await,
        }
    })
}

/// One of the designs, over the transport that they share.
async fn alike<S: Streams<Feed>>(flags: &Flags, streams: S) -> Result<()> {
    let (address, tokens) = (transport::serve(streams.clone()).await?, flags.tokens);
    run(flags, move |instance| {
        let streams = streams.clone();
        async move {
            let start = Instant::now();
            let (id, waits) = streams.register().await;
            ensure!(streams.associate(&id, &instance).await, "nobody has gone");
            let register = nanos(start);
            let worker = tokio::spawn(transport::work(address, S::sent(&id), tokens));
            let feed = S::received(waits.await);
            let mut feed = feed.context("the stream was not established")?;
            let mut came = 0;
            while feed.pieces.recv().await.is_some() {
                came += 1;
            }
            ensure!(came == tokens, "{came} tokens came");
            worker.await??;
            let claim = Some(feed.claim);
            Ok(Accesses { register, claim })
        }
    })
    .await
}

/// The crate as it is.
async fn whole(flags: &Flags) -> Result<()> {
    let server = Arc::new(CallHomeServer::bind(CallHomeOptions::default()).await?);
    let (client, tokens) = (CallHomeClient::new(Limits::default())?, flags.tokens);
    run(flags, move |instance| {
        let (server, client) = (Arc::clone(&server), client.clone());
        async move {
            let start = Instant::now();
            let pending = server.register_response();
            server.associate(&[pending.id()], &instance)?;
            let register = nanos(start);
            let info = pending.info();
            let worker = tokio::spawn(async move {
                let response = client.response(&info).await?.start();
                for _ in 0..tokens {
                    response.send(TOKEN).await?;
                    tokio::task::yield_now().await;
                }
                response.finish().await?;
                Ok::<_, anyhow::Error>(())
            });
            let mut reader = pending.await?;
            let mut came = 0;
            while reader.next().await?.is_some() {
                came += 1;
            }
            ensure!(came == tokens, "{came} tokens came");
            worker.await??;
            let claim = None;
            Ok(Accesses { register, claim })
        }
    })
    .await
}

/// Runs the requests, and prints what they saw.
async fn run<F>(flags: &Flags, request: impl Fn(EndpointInstanceId) -> F) -> Result<()>
where
    F: Future<Output = Result<Accesses>> + Send + 'static,
{
    let worker = |number| EndpointInstanceId::new("bench", "decode", "generate", number);
    let instances = (0..flags.workers as u64)
        .map(worker)
        .collect::<Result<Vec<_>, _>>()?;
    let slots = Arc::new(Semaphore::new(flags.in_flight));
    let mut requests = JoinSet::new();
    let start = Instant::now();
    for number in 0..flags.requests {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let request = request(instances[number % instances.len()].clone());
        requests.spawn(async move {
            let accesses = request.await;
            drop(slot);
            accesses
        });
    }
    let (mut register, mut claim) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    while let Some(request) = requests.join_next().await {
        let accesses = request??;
        register.record(accesses.register)?;
        if let Some(nanos) = accesses.claim {
            claim.record(nanos)?;
        }
    }
    let per_second = flags.requests as f64 / start.elapsed().as_secs_f64();
    let say = |accesses: &Histogram<u64>| {
        let at = |quantile| accesses.value_at_quantile(quantile) as f64 / 1e3;
        let (mean, p99, p999, max) = (accesses.mean() / 1e3, at(0.99), at(0.999), at(1.0));
        format!("{mean:.2} / {p99:.2} / {p999:.2} / {max:.0}")
    };
    println!(
        "{}: {per_second:.0} requests/s; mean / p99 / p99.9 / max in us: register {}; claim {}",
        flags.arm,
        say(&register),
        say(&claim),
    );
    Ok(())
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
