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
use lora_tracker::{
    DashMapLoras, LoraEvent, LoraInfo, LoraMap, LoraTracker, PapayaLoras, RwLockLoras, SccLoras,
};
use phase_state::{
    DashMapPhases, PapayaPhases, PhaseMap, PhaseRouter, RequestKey, RwLockPhases, SccPhases,
    StartPhase,
};
use verdict::schema::{AllocationFigure, BytesFigure, MapState};
use worker_id::WorkerWithDpRank;

use crate::baselines::loras::FourMaps;
use crate::baselines::phases::ReferencePhases;
use crate::phase_state::config;
use crate::scenario::{Scenario, Share};
use crate::sessions;

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

/// What a tracker of adapters holds when so many pairs of worker and adapter have been loaded, one event for each: 100 of
/// 1,000 adapters on a worker. With a fresh process, as [`bytes()`].
///
/// # Errors
///
/// If there is no such arm.
///
/// # Panics
///
/// If the counting allocator is not installed.
pub fn pair_bytes(arm: &str, pairs: u64) -> Result<BytesFigure> {
    fn filled<M: LoraMap + 'static>(pairs: u64, tracker: LoraTracker<M>) -> Box<dyn Any> {
        let is_new = |event| tracker.apply(event) == Ok(true);
        assert!(loads(pairs).all(is_new), "pairs are fresh");
        Box::new(tracker)
    }
    held(arm, pairs, || match arm {
        "dashmap" => Some(filled(pairs, LoraTracker::<DashMapLoras>::default())),
        "papaya" => Some(filled(pairs, LoraTracker::<PapayaLoras>::default())),
        "scc" => Some(filled(pairs, LoraTracker::<SccLoras>::default())),
        "rwlock" => Some(filled(pairs, LoraTracker::<RwLockLoras>::default())),
        "reference" => {
            let maps = FourMaps::default();
            loads(pairs).for_each(|event| maps.apply(event));
            Some(Box::new(maps))
        }
        _ => None,
    })
}

/// What a store holds of so many sessions with ids of 36 characters. With a fresh process, as [`bytes()`].
///
/// # Errors
///
/// If there is no such arm.
///
/// # Panics
///
/// If the counting allocator is not installed.
pub fn session_bytes(arm: &str, sessions: u64) -> Result<BytesFigure> {
    let ids = sessions::ids(sessions);
    held(arm, sessions, || sessions::filled(arm, &ids))
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

/// Each with a name of its own, as a decoded event has.
fn loads(pairs: u64) -> impl Iterator<Item = LoraEvent> {
    (0..pairs).map(|number| {
        let (worker, at) = (number / 100, number % 100);
        let name = format!("acme/support-assistant-{}", (worker * 7 + at * 10) % 1_000);
        LoraEvent::Loaded {
            worker: WorkerWithDpRank::from_worker_id(worker),
            lora: LoraInfo::new(name, Some(128)),
        }
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
                router.register_in(number, StartPhase::ThinkDecode);
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
        assert!(
            self.register_in(key, StartPhase::ThinkDecode),
            "a fresh key"
        );
    }

    fn reap(&self, key: RequestKey) {
        assert!(self.reap(key), "a tracked key");
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
