//! `cargo xtask figures`: what the hot paths cost, counted, beside what they cost when somebody last looked.
//!
//! # Design
//!
//! The figures are those that `cargo xtask bench --full` counts, too ([`crate::bench::counts`]). `benches/baseline.json` keeps
//! them, with the toolchain and the processor that they are of: another compiler makes other instructions, and the C library
//! chooses its `memcpy` by the processor. They are counted on two cores, since DashMap has shards by the core.
//!
//! # Why
//!
//! Wall-clock time on a shared machine cannot hold a limit of some per cent; counts can, if the same is counted each time. A
//! change for the better is to be blessed, too: else the next one for the worse would hide in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::{env, fs, thread};

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use verdict::schema::{MapState, Role};

use crate::bench::counts::{Counter, OPS, each};
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
/// What is weighed on each of these maps, so many of it.
const KEPT: [&str; 5] = ["requests", "pairs", "sessions", "streams", "workers"];
const CHURNED: &str = "requests after churn";
const MAPS: [&str; 4] = ["dashmap", "papaya", "scc", RWLOCK];
const ENTRIES: u64 = 10_000;
const CORES: usize = 2;

/// What is counted, and by how much it may move, as a share of what it was. Random ids alone move the allocations of
/// `stream-life` on papaya, by 0.1 %: where nothing is allocated, nothing may be.
const KINDS: [(&str, f64); 3] = [
    ("allocations_per_operation", 0.002),
    ("bytes_per_entry", 0.01),
    (INSTRUCTIONS, 0.02),
];
const INSTRUCTIONS: &str = "instructions_per_operation";

/// By what costs it, and the arm.
type Figures = BTreeMap<String, BTreeMap<String, f64>>;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Baseline {
    toolchain: String,
    processor: String,
    /// By the names in [`KINDS`].
    #[serde(flatten)]
    kinds: BTreeMap<String, Figures>,
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

    /// To so many parts of one: enough to see a change, and little enough to read.
    fn put(&mut self, kind: &str, what: &str, arm: &str, figure: f64, parts: f64) {
        let figures = self.kinds.entry(kind.to_owned()).or_default();
        let arms = figures.entry(what.to_owned()).or_default();
        arms.insert(arm.to_owned(), (figure * parts).round() / parts);
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
    let counter = Counter::build(workspace)?;
    if !run_on_two_cores() {
        println!("not compared: there are not {CORES} cores, by which DashMap has its shards");
        return Ok(true);
    }
    let counts_instructions = Counter::counts_instructions();
    let mut now = here;
    count(&counter, counts_instructions, &mut now)?;

    if flags.bless {
        if !counts_instructions {
            bail!("a baseline without instructions is none: apt-get install valgrind");
        }
        let text = serde_json::to_string_pretty(&now)?;
        fs::write(&path, text + "\n").with_context(|| format!("cannot write {PATH}"))?;
        println!("written: {PATH}");
        return Ok(true);
    }
    let moved = moved(&before, &now, counts_instructions);
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

/// Each hot path, with each map that it can be on, and what maps hold.
fn count(counter: &Counter, counts_instructions: bool, now: &mut Baseline) -> Result<()> {
    let scenarios = counter.scenarios()?;
    let mut jobs = Vec::new();
    for name in HOT {
        let scenario = scenarios.iter().find(|each| each.name == name);
        let scenario = scenario.with_context(|| format!("no scenario is called {name}"))?;
        let arms = scenario.arms.iter().filter(|arm| {
            matches!(arm.role, Role::Incumbent | Role::Candidate) || arm.name == RWLOCK
        });
        jobs.extend(arms.map(|arm| (name, arm.name.as_str())));
    }
    // Ctrl-C ends this process.
    let never = AtomicBool::new(false);
    let allocations = |(what, arm): &(&str, &str)| counter.allocations(what, arm, OPS);
    for counted in each(&jobs, &never, allocations) {
        let counted = counted?;
        let figure = counted.allocations as f64 / counted.ops as f64;
        now.put(
            KINDS[0].0,
            &counted.scenario,
            &counted.arm,
            figure,
            100_000.0,
        );
    }
    for kept in KEPT {
        for arm in MAPS {
            for counted in counter.bytes(kept, arm, ENTRIES)? {
                let what = match counted.state {
                    MapState::Filled => kept,
                    MapState::AfterChurn => CHURNED,
                    // What is left by then is of no entry.
                    MapState::AfterDrain => continue,
                };
                let figure = counted.bytes as f64 / ENTRIES as f64;
                now.put(KINDS[1].0, what, arm, figure, 100.0);
            }
        }
    }
    if counts_instructions {
        let instructions = |(what, arm): &(&str, &str)| counter.instructions(what, arm);
        for counted in each(&jobs, &never, instructions) {
            let counted = counted?;
            now.put(
                INSTRUCTIONS,
                &counted.scenario,
                &counted.arm,
                counted.per_op,
                100.0,
            );
        }
    }
    Ok(())
}

/// A sentence on each figure that moved by more than it may, came, or went.
fn moved(before: &Baseline, now: &Baseline, counts_instructions: bool) -> Vec<String> {
    let mut sentences = Vec::new();
    for (kind, tolerance) in KINDS {
        if kind == INSTRUCTIONS && !counts_instructions {
            continue;
        }
        let figures = |of: &Baseline| -> BTreeMap<(String, String), f64> {
            let all = of.kinds.get(kind).into_iter().flatten();
            let each = |(what, arms): (&String, &BTreeMap<String, f64>)| {
                let what = what.clone();
                let arms = arms.clone().into_iter();
                arms.map(move |(arm, figure)| ((what.clone(), arm), figure))
                    .collect::<Vec<_>>()
            };
            all.flat_map(each).collect()
        };
        let (before, now) = (figures(before), figures(now));
        let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
        for name in names {
            let told = match (before.get(name), now.get(name)) {
                (Some(old), Some(new)) if (new - old).abs() > tolerance * old => {
                    let share = if *old == 0.0 {
                        "from nothing".to_owned()
                    } else {
                        format!("{:+.1} %", (new / old - 1.0) * 100.0)
                    };
                    format!("{old} -> {new} ({share})")
                }
                (Some(old), None) => format!("{old} -> no longer counted"),
                (None, Some(new)) => format!("not in the baseline -> {new}"),
                _ => continue,
            };
            let kind = kind.replace('_', " ");
            sentences.push(format!("{kind}, {} on {}: {told}", name.0, name.1));
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(kind: &str, figures: &[(&str, f64)]) -> Baseline {
        let mut baseline = Baseline::default();
        for (arm, figure) in figures {
            baseline.put(kind, "on-token", arm, *figure, 100_000.0);
        }
        baseline
    }

    #[test]
    fn what_moved_is_told_and_what_stayed_is_not() {
        let before = [
            ("dashmap", 200.0),
            ("papaya", 200.0),
            ("scc", 200.0),
            ("old", 1.0),
        ];
        let now = [
            ("dashmap", 203.9),
            ("papaya", 204.2),
            ("scc", 150.0),
            ("new", 2.0),
        ];
        let (before, now) = (
            baseline(INSTRUCTIONS, &before),
            baseline(INSTRUCTIONS, &now),
        );
        assert_eq!(
            moved(&before, &now, true),
            [
                "instructions per operation, on-token on new: not in the baseline -> 2",
                "instructions per operation, on-token on old: 1 -> no longer counted",
                "instructions per operation, on-token on papaya: 200 -> 204.2 (+2.1 %)",
                "instructions per operation, on-token on scc: 200 -> 150 (-25.0 %)",
            ]
        );
        assert!(moved(&before, &now, false).is_empty());
    }

    #[test]
    fn where_nothing_was_allocated_one_is_one_too_many() {
        let of = |figure| baseline(KINDS[0].0, &[("dashmap", figure)]);
        assert_eq!(
            moved(&of(0.0), &of(0.00001), false),
            ["allocations per operation, on-token on dashmap: 0 -> 0.00001 (from nothing)"]
        );
        assert!(moved(&of(0.00001), &of(0.00001), true).is_empty());
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
        let names = |kind: &str| baseline.kinds[kind].keys().map(String::as_str).collect();
        assert_eq!(BTreeSet::from(HOT), names(KINDS[0].0));
        assert_eq!(BTreeSet::from(HOT), names(INSTRUCTIONS));
        let weighed = KEPT.into_iter().chain([CHURNED]).collect();
        assert_eq!(names(KINDS[1].0), weighed);
        assert_eq!(baseline.kinds.len(), KINDS.len());
    }
}
