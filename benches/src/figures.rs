//! Figures that no neighbour disturbs: the bytes that a map holds, and the allocations of an operation.
//!
//! Both are counted on one thread by the crate `alloc-count`, so its allocator must be installed: the binary
//! `bench-figures` does. Bytes are those asked of the allocator, without what it rounds up to. They are those of a whole
//! router, of which a few hundred are no map, and include what a map's reclamation has not given back yet: it is held, too.
//!
//! Counts are exact, but not the same in every process: hashers are seeded at random, so that a shard may or may not have
//! doubled. Of scc a million entries mostly left less than 100 kB after a drain, and once in ten runs 54 MB.

use std::any::Any;

use alloc_count::{measure, thread_counts};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use phase_state::{
    DashMapPhases, PapayaPhases, PhaseMap, PhaseRouter, RequestKey, RwLockPhases, SccPhases,
    StartPhase,
};
use verdict::schema::{AllocationFigure, BytesFigure, MapState};

use crate::baselines::phases::ReferencePhases;
use crate::phase_state::config;
use crate::scenario::{Scenario, Share};
use crate::{loras, routers, sessions, streams};

/// What a router holds when it tracks so many requests; when as many again have come, each as the oldest went; and when all
/// were reaped. Each with a fresh process: what one router left to be reclaimed would be another's gain.
///
/// # Errors
///
/// If there is no such arm.
///
/// # Panics
///
/// If the counting allocator is not installed.
pub fn bytes(arm: &str, entries: u64) -> Result<Vec<BytesFigure>> {
    let before = thread_counts();
    let tracker = tracker(arm)?;
    let held = || (thread_counts() - before).live_bytes();

    for number in 0..entries {
        tracker.register(number.into());
    }
    let filled = held();
    for number in 0..entries {
        tracker.register((entries + number).into());
        tracker.reap(number.into());
    }
    let after_churn = held();
    for number in 0..entries {
        tracker.reap((entries + number).into());
    }
    let after_drain = held();

    // All readings were taken before the first figure is made, whose name would be counted.
    let figure = |(state, bytes)| {
        Ok(BytesFigure {
            arm: arm.to_owned(),
            entries,
            state,
            bytes: u64::try_from(bytes).context("more was freed than allocated")?,
        })
    };
    [
        (MapState::Filled, filled),
        (MapState::AfterChurn, after_churn),
        (MapState::AfterDrain, after_drain),
    ]
    .into_iter()
    .map(figure)
    .collect()
}

/// What a crate keeps, to be weighed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kept {
    /// Pairs of worker and adapter, loaded one event at a time: 100 of 1,000 adapters on a worker.
    Pairs,
    /// Pinned sessions with ids of 36 characters.
    Sessions,
    /// Streams that wait for their workers, and what waits for them.
    Streams,
    /// Workers of a fleet with two routers, four of a model.
    Workers,
}

/// What a design holds when it keeps so many. With a fresh process, as [`bytes()`].
///
/// # Errors
///
/// If there is no such arm.
///
/// # Panics
///
/// If the counting allocator is not installed.
pub fn kept_bytes(kept: Kept, arm: &str, entries: u64) -> Result<BytesFigure> {
    match kept {
        Kept::Pairs => held(arm, entries, || loras::filled(arm, entries)),
        Kept::Sessions => {
            let ids = sessions::ids(entries);
            held(arm, entries, || sessions::filled(arm, &ids))
        }
        Kept::Streams => held(arm, entries, || streams::filled(arm, entries)),
        Kept::Workers => held(arm, entries, || routers::filled(arm, entries)),
    }
}

/// What is held by what `fill` makes.
fn held(
    arm: &str,
    entries: u64,
    fill: impl FnOnce() -> Option<Box<dyn Any>>,
) -> Result<BytesFigure> {
    let before = thread_counts();
    let filled = fill().with_context(|| format!("there is no arm {arm}"))?;
    let held = (thread_counts() - before).live_bytes();
    drop(filled);
    Ok(BytesFigure {
        arm: arm.to_owned(),
        entries,
        state: MapState::Filled,
        bytes: u64::try_from(held).context("more was freed than allocated")?,
    })
}

/// Requests of the fullest shard over the mean, on DashMap as it comes here: the median of some routers, whose hashers are
/// seeded apart. `None` without requests.
#[must_use]
pub fn shard_skew(entries: u64) -> Option<f64> {
    const ROUTERS: usize = 31;
    let mut skews: Vec<f64> = (0..ROUTERS)
        .filter_map(|_| {
            let router = PhaseRouter::with_map(config(), DashMapPhases::new()).ok()?;
            for number in 0..entries {
                router.register_with(number, StartPhase::ThinkDecode).ok()?;
            }
            router.occupancy().shards?.skew()
        })
        .collect();
    verdict::stats::median(&mut skews)
}

/// What tracks requests.
trait Tracker {
    fn register(&self, key: RequestKey);
    fn reap(&self, key: RequestKey);
}

impl<M: PhaseMap> Tracker for PhaseRouter<M> {
    fn register(&self, key: RequestKey) {
        let begun = self.register_with(key, StartPhase::ThinkDecode);
        assert!(begun.is_ok(), "a fresh key");
    }

    fn reap(&self, key: RequestKey) {
        assert!(self.reap(key).is_some(), "a tracked key");
    }
}

impl Tracker for ReferencePhases {
    fn register(&self, key: RequestKey) {
        self.register(key);
    }

    fn reap(&self, key: RequestKey) {
        assert!(self.reap(key), "a tracked key");
    }
}

fn tracker(arm: &str) -> Result<Box<dyn Tracker>> {
    Ok(match arm {
        "dashmap" => router(DashMapPhases::new()),
        "papaya" => router(PapayaPhases::new()),
        "scc" => router(SccPhases::new()),
        "rwlock" => router(RwLockPhases::new()),
        "reference" => Box::new(ReferencePhases::new(config())),
        _ => bail!("no map is called {arm}"),
    })
}

fn router<M: PhaseMap + 'static>(map: M) -> Box<dyn Tracker> {
    Box::new(PhaseRouter::with_map(config(), map).expect("a valid configuration"))
}

/// How often one thread of an arm asks for memory in so many operations, after as many to warm up. Growing a block counts,
/// too. Rounds are not cut short, so it may be a few more.
///
/// # Errors
///
/// If the scenario has no such arm, or has more threads than one.
///
/// # Panics
///
/// If the counting allocator is not installed.
pub fn allocations(
    scenario: &Scenario,
    arm: &str,
    seed: u64,
    ops: u64,
) -> Result<AllocationFigure> {
    let mut shares = scenario.shares(arm, seed)?;
    let [share] = &mut shares[..] else {
        bail!("{} has more threads than one", scenario.name);
    };
    work(&mut **share, ops);
    let (ops, counts) = measure(|| work(&mut **share, ops));
    Ok(AllocationFigure {
        scenario: scenario.name.clone(),
        arm: arm.to_owned(),
        ops,
        allocations: counts.allocations + counts.reallocations,
    })
}

fn work(share: &mut dyn Share, at_least: u64) -> u64 {
    let mut ops = 0;
    while ops < at_least {
        ops += share.round();
    }
    ops
}
