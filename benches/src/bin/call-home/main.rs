//! The published experiment again: workers call home over real TCP for many requests at a time, and every access to the
//! registry of streams is timed. One arm a process.
//!
//! ```console
//! $ cargo run --release -p benches --bin call-home -- --arm papaya
//! ```
//!
//! Frontend and workers share a process and its runtime, so that the machine's cores are all there is. All arms but
//! `call-home` share one transport, which is as small as can be; `call-home` is the crate of that name, whole.
#![forbid(unsafe_code)]

mod arms;
mod transport;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use stream_registry::{DashMapStreams, PapayaStreams, RwLockStreams, SccStreams};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use worker_id::EndpointInstanceId;

use arms::{Arm, AsyncMutex, FourDashMaps, Ours, PlainMutex};

/// Runs the experiment with one arm, and prints a line of figures.
#[derive(Parser, Clone, Copy)]
struct Flags {
    /// What the streams are registered in.
    #[arg(long, value_enum)]
    arm: Name,
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

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Name {
    AsyncMutex,
    PlainMutex,
    FourDashmaps,
    Dashmap,
    Papaya,
    Scc,
    Rwlock,
    CallHome,
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
        match flags.arm {
            Name::AsyncMutex => alike(flags, AsyncMutex::default()).await,
            Name::PlainMutex => alike(flags, PlainMutex::default()).await,
            Name::FourDashmaps => alike(flags, FourDashMaps::default()).await,
            Name::Dashmap => alike(flags, Ours::<DashMapStreams<_>>::default()).await,
            Name::Papaya => alike(flags, Ours::<PapayaStreams<_>>::default()).await,
            Name::Scc => alike(flags, Ours::<SccStreams<_>>::default()).await,
            Name::Rwlock => alike(flags, Ours::<RwLockStreams<_>>::default()).await,
            Name::CallHome => whole(flags).await,
        }
    })
}

/// Over the transport that arms share.
async fn alike<A: Arm>(flags: Flags, arm: A) -> Result<()> {
    let arm = Arc::new(arm);
    let address = transport::serve(Arc::clone(&arm)).await?;
    run(flags, move |instance| {
        let arm = Arc::clone(&arm);
        async move {
            let start = Instant::now();
            let (id, pending) = arm.register(&instance).await;
            let register = nanos(start);
            let worker = tokio::spawn(transport::work(address, id, flags.tokens));
            let mut feed = pending.await.context("the stream was not established")?;
            let mut tokens = 0;
            while feed.pieces.recv().await.is_some() {
                tokens += 1;
            }
            ensure!(tokens == flags.tokens, "{tokens} tokens came");
            worker.await??;
            let claim = Some(feed.claim);
            Ok(Accesses { register, claim })
        }
    })
    .await
}

/// The crate as it is.
async fn whole(flags: Flags) -> Result<()> {
    let server = call_home::CallHomeServer::bind(call_home::CallHomeOptions::default()).await?;
    let server = Arc::new(server);
    let client = call_home::CallHomeClient::new(call_home::Limits::default())?;
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
                for _ in 0..flags.tokens {
                    response.send(transport::TOKEN).await?;
                    tokio::task::yield_now().await;
                }
                response.finish().await?;
                Ok::<_, anyhow::Error>(())
            });
            let mut reader = pending.await?;
            let mut tokens = 0;
            while reader.next().await?.is_some() {
                tokens += 1;
            }
            ensure!(tokens == flags.tokens, "{tokens} tokens came");
            worker.await??;
            let claim = None;
            Ok(Accesses { register, claim })
        }
    })
    .await
}

/// Runs the requests, and prints what they saw.
async fn run<F>(flags: Flags, request: impl Fn(EndpointInstanceId) -> F) -> Result<()>
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
        accesses
            .claim
            .map(|nanos| claim.record(nanos))
            .transpose()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let say = |name, accesses: &Histogram<u64>| {
        let micros = |nanos| nanos / 1e3;
        let at = |quantile| micros(accesses.value_at_quantile(quantile) as f64);
        let (mean, max) = (micros(accesses.mean()), micros(accesses.max() as f64));
        format!(
            "{name} {mean:.2} / {:.2} / {:.2} / {max:.0}",
            at(0.99),
            at(0.999)
        )
    };
    println!(
        "{:?}: {:.0} requests/s; mean / p99 / p99.9 / max in us: {}; {}",
        flags.arm,
        flags.requests as f64 / seconds,
        say("register", &register),
        say("claim", &claim),
    );
    Ok(())
}

pub(crate) fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
