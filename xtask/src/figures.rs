//! `cargo xtask figures`: what the hot paths cost, counted, beside what they cost when somebody last looked.
//!
//! # Design
//!
//! The figures are those that `cargo xtask bench` counts ([`crate::bench::figures`]), of each operation on each map, on one
//! thread. `benches/baseline.json` keeps them, with the toolchain and the processor that they are of: another compiler makes
//! other instructions, and the C library chooses its `memcpy` by the processor.
//!
//! # Why
//!
//! Wall-clock time on a shared machine cannot hold a limit of some per cent; counts can, if the same is counted each time. So
//! what is counted is built with `--cfg inflight_fixed_seeds`, which seeds all hashers alike, and runs on two cores, since
//! DashMap has shards by the core. With seeds at random a figure on papaya moved by 28 % between five runs; pinned, those of
//! `stream-life` moved by up to 0.6 % (a stream's id is random still), and the others not at all.
//!
//! The compiler is free to inline otherwise in what is built so: `handle` has 108 instructions here and 79 in the binary that
//! is timed. These figures are to be compared with each other, from one revision to the next.
//!
//! A change for the better is to be blessed, too: else the next one for the worse would hide in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs, thread};

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use verdict::schema::{BytesFigure, MapState, Role};

use crate::bench::figures::{Programs, each};
use crate::bench::machine;
use crate::flags;
use crate::workspace::Workspace;

const PATH: &str = "benches/baseline.json";
const BLESS: &str = "cargo xtask figures --bless";

/// The hot paths, without what changes by the clock, and with tables that a simulator fills in a second.
const HOT: [&str; 11] = [
    "on-token",
    "on-step",
    "handle",
    "stream-life",
    "lora-candidates-of-8/idle",
    "lora-loaded-workers/idle",
    "lora-event-of-8",
    "affinity-hit/sessions=1000",
    "router-select",
    "router-select/models=1000",
    "router-lookup/idle",
];
/// The rejected baseline, which users may choose all the same.
const RWLOCK: &str = "rwlock";
/// What is weighed: the requests of `phase-state`, when they have come and when as many have gone, and what the other crates
/// keep, on each of these, so many of them.
const REQUESTS: &str = "requests";
const CHURNED_REQUESTS: &str = "requests after churn";
const KEPT: [&str; 4] = ["pairs", "sessions", "streams", "workers"];
const MAPS: [&str; 4] = ["dashmap", "papaya", "scc", RWLOCK];
const ENTRIES: u64 = 10_000;
/// Operations that allocations are counted over: with five decimals, one more in all of them is seen.
const OPS: u64 = 100_000;
const SEED: u64 = 1;
/// What runs at a time, and the cores that it believes there are.
const CORES: usize = 2;

/// By how much figures may move, as shares of what they were. Random ids alone move the allocations of `stream-life` on papaya,
/// by 0.1 %: where nothing is allocated, nothing may be.
const ALLOCATIONS: f64 = 0.002;
const BYTES: f64 = 0.01;
const INSTRUCTIONS: f64 = 0.02;

/// By scenario and arm.
type Figures = BTreeMap<String, BTreeMap<String, f64>>;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Baseline {
    toolchain: String,
    processor: String,
    #[serde(default)]
    allocations_per_operation: Figures,
    #[serde(default)]
    bytes_per_entry: Figures,
    #[serde(default)]
    instructions_per_operation: Figures,
}

impl Baseline {
    /// Of here and now, without figures.
    fn here() -> Self {
        let machine = machine::describe();
        Self {
            toolchain: machine.compiler,
            processor: machine.model,
            ..Self::default()
        }
    }

    /// Why figures of `other` are no measure for these.
    fn differs(&self, other: &Self) -> Option<String> {
        let parts = [
            (&self.toolchain, &other.toolchain),
            (&self.processor, &other.processor),
        ];
        let (here, there) = parts.into_iter().find(|(here, there)| here != there)?;
        Some(format!(
            "the baseline is of `{there}`, and this is `{here}`"
        ))
    }
}

/// Says whether every figure is as it was.
pub(crate) fn run(workspace: &Workspace, flags: &flags::Figures) -> Result<bool> {
    let path = workspace.root.join(PATH);
    let here = Baseline::here();
    let before = if flags.bless {
        Baseline::default()
    } else {
        let before = read(&path)?;
        if let Some(why) = here.differs(&before) {
            println!("not compared: {why}");
            return Ok(true);
        }
        before
    };
    let programs =
        Programs::build_with_fixed_seeds(&workspace.root, &workspace.counted_target_dir)?;
    if !run_on_two_cores() {
        println!("not compared: there are not {CORES} cores, by which DashMap has its shards");
        return Ok(true);
    }

    let jobs = jobs(&programs)?;
    let mut now = here;
    now.allocations_per_operation = allocations(&programs, &jobs)?;
    now.bytes_per_entry = bytes(&programs)?;
    let counts_instructions = Programs::can_count_instructions();
    if counts_instructions {
        now.instructions_per_operation = instructions(&programs, &jobs)?;
    }

    if flags.bless {
        if !counts_instructions {
            bail!("a baseline without instructions is none: apt-get install valgrind");
        }
        let text = serde_json::to_string_pretty(&now)?;
        fs::write(&path, text + "\n").with_context(|| format!("cannot write {PATH}"))?;
        println!("written: {PATH}");
        return Ok(true);
    }
    let moved = all_moved(&before, &now, counts_instructions);
    for sentence in &moved {
        println!("{sentence}");
    }
    if !moved.is_empty() {
        println!("if it is to be so: {BLESS}");
    }
    if !counts_instructions {
        println!("not run: instructions, for want of valgrind; apt-get install valgrind");
    }
    let is_enough = counts_instructions || env::var("CI").as_deref() != Ok("true");
    Ok(moved.is_empty() && is_enough)
}

fn read(path: &Path) -> Result<Baseline> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read {PATH}, which `{BLESS}` writes"))?;
    serde_json::from_str(&text).with_context(|| format!("{PATH} is not what `{BLESS}` writes"))
}

/// What starts from now on has as many cores everywhere. Says whether there are so many.
fn run_on_two_cores() -> bool {
    let Ok(all) = sched_getaffinity(None) else {
        return false;
    };
    let mut two = CpuSet::new();
    let there = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
    there.take(CORES).for_each(|core| two.set(core));
    sched_setaffinity(None, &two).is_ok()
        && thread::available_parallelism().is_ok_and(|cores| cores.get() == CORES)
}

/// Each hot path, with each map that it can be on.
fn jobs(programs: &Programs) -> Result<Vec<(String, String)>> {
    let scenarios = programs.scenarios()?;
    let mut jobs = Vec::new();
    for name in HOT {
        let scenario = scenarios.iter().find(|each| each.name == name);
        let scenario = scenario.with_context(|| format!("no scenario is called {name}"))?;
        let arms = scenario.arms.iter().filter(|arm| {
            matches!(arm.role, Role::Incumbent | Role::Candidate) || arm.name == RWLOCK
        });
        jobs.extend(arms.map(|arm| (name.to_owned(), arm.name.clone())));
    }
    Ok(jobs)
}

fn allocations(programs: &Programs, jobs: &[(String, String)]) -> Result<Figures> {
    gathered(jobs, |scenario, arm| {
        let counted = programs.allocations(scenario, arm, SEED, OPS)?;
        Ok(rounded(
            counted.allocations as f64 / counted.ops as f64,
            100_000.0,
        ))
    })
}

fn instructions(programs: &Programs, jobs: &[(String, String)]) -> Result<Figures> {
    gathered(jobs, |scenario, arm| {
        Ok(rounded(programs.instructions(scenario, arm, SEED)?, 100.0))
    })
}

fn bytes(programs: &Programs) -> Result<Figures> {
    let mut figures = Figures::new();
    let mut weighed = |what: &str, figure: &BytesFigure| {
        let per_entry = figure.bytes as f64 / ENTRIES as f64;
        let arms: &mut BTreeMap<_, _> = figures.entry(what.to_owned()).or_default();
        arms.insert(figure.arm.clone(), rounded(per_entry, 100.0));
    };
    for arm in MAPS {
        for figure in programs.bytes(arm, ENTRIES)? {
            match figure.state {
                MapState::Filled => weighed(REQUESTS, &figure),
                MapState::AfterChurn => weighed(CHURNED_REQUESTS, &figure),
                // What is left by then is of no entry.
                MapState::AfterDrain => {}
            }
        }
        for kept in KEPT {
            weighed(kept, &programs.kept_bytes(kept, arm, ENTRIES)?);
        }
    }
    Ok(figures)
}

/// Enough to see a change, and little enough to read.
fn rounded(figure: f64, parts: f64) -> f64 {
    (figure * parts).round() / parts
}

fn gathered(
    jobs: &[(String, String)],
    count: impl Fn(&str, &str) -> Result<f64> + Sync,
) -> Result<Figures> {
    let counted = each(jobs, CORES, |(scenario, arm)| count(scenario, arm));
    let mut figures = Figures::new();
    for ((scenario, arm), figure) in jobs.iter().zip(counted) {
        let arms = figures.entry(scenario.clone()).or_default();
        arms.insert(arm.clone(), figure?);
    }
    Ok(figures)
}

fn all_moved(before: &Baseline, now: &Baseline, with_instructions: bool) -> Vec<String> {
    let always = [
        (
            "allocations per operation",
            ALLOCATIONS,
            &before.allocations_per_operation,
            &now.allocations_per_operation,
        ),
        (
            "bytes per entry",
            BYTES,
            &before.bytes_per_entry,
            &now.bytes_per_entry,
        ),
    ];
    let instructions = with_instructions.then_some((
        "instructions per operation",
        INSTRUCTIONS,
        &before.instructions_per_operation,
        &now.instructions_per_operation,
    ));
    always
        .into_iter()
        .chain(instructions)
        .flat_map(|(what, tolerance, before, now)| moved(what, tolerance, before, now))
        .collect()
}

/// A sentence on each figure that moved by more than this share of what it was, came, or went.
fn moved(what: &str, tolerance: f64, before: &Figures, now: &Figures) -> Vec<String> {
    let names = |figures: &Figures| -> BTreeSet<(String, String)> {
        let each = figures.iter().flat_map(|(scenario, arms)| {
            arms.keys().map(move |arm| (scenario.clone(), arm.clone()))
        });
        each.collect()
    };
    let figure = |figures: &Figures, (scenario, arm): &(String, String)| {
        figures.get(scenario)?.get(arm).copied()
    };
    let sentence = |name: &(String, String)| {
        let told = match (figure(before, name), figure(now, name)) {
            (Some(old), Some(new)) if (new - old).abs() > tolerance * old => {
                let share = if old == 0.0 {
                    "from nothing".to_owned()
                } else {
                    format!("{:+.1} %", (new / old - 1.0) * 100.0)
                };
                format!("{old} -> {new} ({share})")
            }
            (Some(old), None) => format!("{old} -> no longer counted"),
            (None, Some(new)) => format!("not in the baseline -> {new}"),
            _ => return None,
        };
        Some(format!("{what}, {} on {}: {told}", name.0, name.1))
    };
    names(before)
        .union(&names(now))
        .filter_map(sentence)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(of: &[(&str, f64)]) -> Figures {
        let arms = of.iter().map(|(arm, figure)| ((*arm).to_owned(), *figure));
        Figures::from([("on-token".to_owned(), arms.collect())])
    }

    #[test]
    fn what_moved_is_told_and_what_stayed_is_not() {
        let before = figures(&[
            ("dashmap", 200.0),
            ("papaya", 200.0),
            ("scc", 200.0),
            ("old", 1.0),
        ]);
        let now = figures(&[
            ("dashmap", 203.9),
            ("papaya", 204.2),
            ("scc", 150.0),
            ("new", 2.0),
        ]);
        assert_eq!(
            moved("instructions per operation", INSTRUCTIONS, &before, &now),
            [
                "instructions per operation, on-token on new: not in the baseline -> 2",
                "instructions per operation, on-token on old: 1 -> no longer counted",
                "instructions per operation, on-token on papaya: 200 -> 204.2 (+2.1 %)",
                "instructions per operation, on-token on scc: 200 -> 150 (-25.0 %)",
            ]
        );
    }

    #[test]
    fn where_nothing_was_allocated_one_is_one_too_many() {
        let (before, now) = (
            figures(&[("dashmap", 0.0)]),
            figures(&[("dashmap", 0.00001)]),
        );
        assert_eq!(
            moved("allocations per operation", ALLOCATIONS, &before, &now),
            ["allocations per operation, on-token on dashmap: 0 -> 0.00001 (from nothing)"]
        );
        assert!(moved("allocations per operation", ALLOCATIONS, &now, &now).is_empty());
    }

    #[test]
    fn without_valgrind_the_rest_is_compared() {
        let before = Baseline {
            bytes_per_entry: figures(&[("scc", 100.0)]),
            instructions_per_operation: figures(&[("scc", 100.0)]),
            ..Baseline::default()
        };
        let now = Baseline {
            bytes_per_entry: figures(&[("scc", 102.0)]),
            ..Baseline::default()
        };
        assert_eq!(all_moved(&before, &now, false).len(), 1);
        assert_eq!(all_moved(&before, &now, true).len(), 2);
    }

    #[test]
    fn another_processor_is_no_measure() {
        let of = |toolchain: &str, processor: &str| Baseline {
            toolchain: toolchain.to_owned(),
            processor: processor.to_owned(),
            ..Baseline::default()
        };
        let here = of("rustc 1", "fast");
        assert_eq!(here.differs(&of("rustc 1", "fast")), None);
        assert_eq!(
            here.differs(&of("rustc 1", "slow")).as_deref(),
            Some("the baseline is of `slow`, and this is `fast`")
        );
        assert!(here.differs(&of("rustc 2", "fast")).is_some());
    }

    #[test]
    fn the_baseline_has_every_hot_path() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let baseline = read(&root.join(PATH)).unwrap();
        for figures in [
            &baseline.allocations_per_operation,
            &baseline.instructions_per_operation,
        ] {
            assert!(figures.keys().map(String::as_str).eq(BTreeSet::from(HOT)));
        }
        let weighed = BTreeSet::from([REQUESTS, CHURNED_REQUESTS].map(str::to_owned));
        let weighed = &weighed | &KEPT.map(str::to_owned).into();
        assert!(baseline.bytes_per_entry.keys().eq(&weighed));
    }
}
