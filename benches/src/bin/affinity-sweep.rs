//! A sweep of many sessions while lookups run: what lookups notice of it, and what it costs for each session that it ends.
//!
//! ```console
//! $ cargo run --release -p benches --bin affinity-sweep -- lookups --store dashmap --sweep own
//! ```
//!
//! Half of the sessions have run out. Lookups of the others come in an open loop, timed from when they should have begun,
//! until the sweep is over: of the same store, or of another one beside it, so that all that differs between the two is what
//! lookups and a sweep have in common, and not that a second core is busy. `count` sweeps once within `counted_sweep`, for
//! a simulator that counts instructions in the function of that name alone.
#![forbid(unsafe_code)]

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use affinity::{
    BindingKind, DashMapSessions, MemoryStore, MemoryStoreConfig, PapayaSessions, SccSessions,
    SessionMap,
};
use anyhow::{Result, ensure};
use benches::baselines::sessions::ReferenceSessions;
use benches::measure::pin;
use benches::sessions::ids;
use clap::{Parser, Subcommand, ValueEnum};
use hdrhistogram::Histogram;
use state_map::DefaultHashBuilder;
use worker_id::WorkerWithDpRank;

const TTL: Duration = Duration::from_secs(3_600);
/// When the second half of the sessions is bound, and when the first has run out and the second has not.
const HALF: Duration = Duration::from_secs(1_800);
const SWEPT: Duration = Duration::from_secs(4_000);
/// Between two lookups: far from saturation.
const GAP: Duration = Duration::from_micros(4);
/// What a sweep may look at before it is called again.
const BUDGET: usize = 4_096;

/// Measures a sweep, and prints a line of figures.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The latency of lookups during a sweep.
    Lookups {
        /// What holds the sessions.
        #[arg(long, value_enum)]
        store: Name,
        /// How many there are.
        #[arg(long, default_value_t = 1_000_000)]
        sessions: u64,
        /// What is swept meanwhile.
        #[arg(long, value_enum)]
        sweep: Swept,
    },
    /// Sweeps a memory store within `counted_sweep`, and prints how many sessions that ended.
    Count {
        /// How many there are, half of which end.
        #[arg(long)]
        sessions: u64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// `affinity`'s, on DashMap.
    Dashmap,
    /// `affinity`'s, on a DashMap with 128 shards, which it has by itself on 32 cores.
    Dashmap128,
    /// `affinity`'s, on papaya.
    Papaya,
    /// `affinity`'s, on scc.
    Scc,
    /// The published design.
    Reference,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Swept {
    /// The store that lookups go to.
    Own,
    /// Another one.
    Another,
}

/// What holds sessions: lookups and sweeps.
trait Sessions: Sync {
    fn look_up(&self, id: &str) -> bool;
    /// Ends everything that has run out.
    fn sweep(&self) -> usize;
}

impl<M: SessionMap> Sessions for MemoryStore<M> {
    fn look_up(&self, id: &str) -> bool {
        self.get(id).is_ok_and(|binding| binding.is_some())
    }

    fn sweep(&self) -> usize {
        let mut ended = 0;
        loop {
            let swept = MemoryStore::sweep(self, SWEPT, BUDGET);
            ended += swept.ended;
            if !swept.more {
                return ended;
            }
        }
    }
}

impl Sessions for ReferenceSessions {
    fn look_up(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    fn sweep(&self) -> usize {
        let before = self.len();
        self.reap();
        before - self.len()
    }
}

fn main() -> Result<()> {
    match Flags::parse().task {
        Task::Lookups {
            store,
            sessions,
            sweep,
        } => {
            let ids = ids(sessions);
            match store {
                Name::Dashmap => of_maps(DashMapSessions::new, &ids, sweep),
                Name::Dashmap128 => of_maps(with_128_shards, &ids, sweep),
                Name::Papaya => of_maps(PapayaSessions::new, &ids, sweep),
                Name::Scc => of_maps(SccSessions::new, &ids, sweep),
                Name::Reference => lookups(&reference(&ids), &reference(&ids), &ids, sweep),
            }
        }
        Task::Count { sessions } => {
            // Kept until the end: a million texts given back to the allocator are tidied up in the middle of what is counted.
            let ids = ids(sessions);
            let store = memory(&ids, DashMapSessions::new())?;
            println!("{}", counted_sweep(&store));
            Ok(())
        }
    }
}

#[inline(never)]
fn counted_sweep(store: &MemoryStore<DashMapSessions>) -> usize {
    Sessions::sweep(store)
}

fn with_128_shards() -> DashMapSessions {
    let hasher = DefaultHashBuilder::default();
    DashMapSessions::with_capacity_hasher_and_shards(0, hasher, 128).expect("a power of two")
}

fn of_maps<M: SessionMap>(map: fn() -> M, ids: &[String], sweep: Swept) -> Result<()> {
    let (store, another) = (memory(ids, map())?, memory(ids, map())?);
    lookups(&store, &another, ids, sweep)
}

/// Of which the first half has run out at `SWEPT`.
fn memory<M: SessionMap>(ids: &[String], map: M) -> Result<MemoryStore<M>> {
    let config = MemoryStoreConfig {
        ttl: TTL,
        capacity: ids.len(),
        ..MemoryStoreConfig::default()
    };
    let store = MemoryStore::with_map(config, map)?;
    for (number, id) in ids.iter().enumerate() {
        if number == ids.len() / 2 {
            store.advance_to(HALF);
        }
        let _ = store.claim(id, worker(number), BindingKind::RouterOnly)?;
    }
    store.advance_to(SWEPT);
    Ok(store)
}

fn reference(ids: &[String]) -> ReferenceSessions {
    let store = ReferenceSessions::default();
    for (number, id) in ids.iter().enumerate() {
        let ttl = if number < ids.len() / 2 {
            Duration::ZERO
        } else {
            TTL
        };
        store.put(id, worker(number), ttl);
    }
    store
}

fn worker(number: usize) -> WorkerWithDpRank {
    WorkerWithDpRank::from(number as u64 % 16)
}

fn lookups<S: Sessions>(store: &S, another: &S, ids: &[String], sweep: Swept) -> Result<()> {
    let live = &ids[ids.len() / 2..];
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (latencies, swept) = thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            pin(1);
            while !begun.load(Ordering::Acquire) {
                spin_loop();
            }
            let start = Instant::now();
            let ended = match sweep {
                Swept::Own => store.sweep(),
                Swept::Another => another.sweep(),
            };
            over.store(true, Ordering::Release);
            (ended, start.elapsed())
        });
        pin(0);
        let latencies = in_an_open_loop(store, live, &begun, &over);
        let swept = sweeper
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (latencies, swept)
    });
    let latencies = latencies?;
    let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    let (ended, took) = swept;
    println!(
        "{} lookups; p50 / p99 / p99.9 / max in us: {:.2} / {:.2} / {:.2} / {:.0}; {ended} ended in {} ms",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        took.as_millis()
    );
    ensure!(
        ended == ids.len() / 2,
        "{ended} sessions ended, of {}",
        ids.len()
    );
    Ok(())
}

fn in_an_open_loop(
    store: &impl Sessions,
    live: &[String],
    begun: &AtomicBool,
    over: &AtomicBool,
) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new(3)?;
    let mut rng = fastrand::Rng::with_seed(1);
    begun.store(true, Ordering::Release);
    let mut due = Instant::now();
    while !over.load(Ordering::Acquire) {
        due += GAP;
        while Instant::now() < due {
            spin_loop();
        }
        ensure!(
            store.look_up(&live[rng.usize(..live.len())]),
            "a live session was not found"
        );
        latencies.record(u64::try_from(due.elapsed().as_nanos())?)?;
    }
    Ok(latencies)
}
