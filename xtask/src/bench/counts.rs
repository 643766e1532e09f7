//! What an operation costs, counted: instructions, allocations and bytes. Each figure is of a fresh process, on one thread.
//!
//! # Design
//!
//! What is counted is built with `--cfg inflight_fixed_seeds`, which seeds all hashers alike, so that nothing moves from one
//! process to the next but ids drawn at random. With seeds at random a figure on papaya moved by 28 % between five runs. The
//! compiler inlines otherwise in what is built so: the figures are to be compared with each other, not with the timings.
//!
//! `valgrind --tool=callgrind` counts instructions within the worker's function `counted_rounds` alone, so what comes before
//! it is left out. (gungraun, the usual driver of callgrind, wants a runner of the very same version installed beside it.)

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use verdict::schema::{AllocationFigure, BytesFigure, Figures, InstructionFigure, Results, Role};

use crate::bench::worker::{Scenario, built, listed};
use crate::workspace::Workspace;

/// The record of phases: of its arms the requests are weighed, and its operations are tokens.
const PHASES: &str = "0003";
/// Entries of the maps that are weighed.
const ENTRIES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Operations that allocations are counted over.
pub(crate) const OPS: u64 = 100_000;
/// The same where they are tokens: requests come and go in a decode step about twice within so many.
const TOKENS: u64 = 1_000_000;
/// Rounds that instructions are counted over, and those before: by then requests of a decode step begin to complete.
const ROUNDS: &str = "256";
const WARM_UP_ROUNDS: &str = "512";

/// The binaries of the package `benches` that count.
#[derive(Debug)]
pub(crate) struct Counter {
    worker: PathBuf,
    figures: PathBuf,
}

impl Counter {
    /// In a folder of their own: all else would be rebuilt, back and forth, for other `RUSTFLAGS`. Each crate is compiled in one
    /// piece, so that a new function does not move others into other pieces, where they are inlined or not.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
        let inherited = env::var("RUSTFLAGS").unwrap_or_default();
        let flags = format!("{inherited} --cfg inflight_fixed_seeds");
        let env = [
            ("RUSTFLAGS", flags.trim()),
            ("CARGO_TARGET_DIR", &workspace.counted_target_dir),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
        ];
        let built = |name| built(&workspace.root, name, &env, &[]);
        Ok(Self {
            worker: built("bench-worker")?,
            figures: built("bench-figures")?,
        })
    }

    /// The scenarios, as they are on one core.
    pub(crate) fn scenarios(&self) -> Result<Vec<Scenario>> {
        listed(Command::new(&self.worker).arg("list"), 1)
    }

    /// Whether valgrind, which counts instructions, is installed.
    pub(crate) fn counts_instructions() -> bool {
        Command::new("valgrind").arg("--version").output().is_ok()
    }

    /// Instructions per operation of an arm.
    pub(crate) fn instructions(&self, scenario: &str, arm: &str) -> Result<InstructionFigure> {
        let (out, err) = said(
            Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg("--toggle-collect=*counted_rounds*")
                .arg(&self.worker)
                .args(["count", "--scenario", scenario, "--arm", arm])
                .args(["--warm-up", WARM_UP_ROUNDS, "--rounds", ROUNDS]),
        )?;
        Ok(InstructionFigure {
            scenario: scenario.to_owned(),
            arm: arm.to_owned(),
            per_op: per_op(&out, &err)?,
        })
    }

    /// Allocations of so many operations of an arm.
    pub(crate) fn allocations(
        &self,
        scenario: &str,
        arm: &str,
        ops: u64,
    ) -> Result<AllocationFigure> {
        json(
            Command::new(&self.figures)
                .args(["allocations", "--scenario", scenario, "--arm", arm])
                .args(["--ops", &ops.to_string()]),
        )
    }

    /// What is held where so much of this is kept.
    pub(crate) fn bytes(&self, kept: &str, arm: &str, entries: u64) -> Result<Vec<BytesFigure>> {
        json(
            Command::new(&self.figures)
                .args(["bytes", "--kept", kept, "--arm", arm])
                .args(["--entries", &entries.to_string()]),
        )
    }
}

/// Counts for the scenarios that were timed, and puts it into the results. What cannot be counted is a note there.
pub(crate) fn fill(
    workspace: &Workspace,
    stop: &AtomicBool,
    scenarios: &[Scenario],
    results: &mut Results,
) {
    println!("counting bytes, allocations and instructions");
    let counter = match Counter::build(workspace) {
        Ok(counter) => counter,
        Err(error) => {
            return results
                .notes
                .push(format!("nothing was counted: {error:#}"));
        }
    };
    let is_itself = |role| !matches!(role, Role::IncumbentAgain | Role::Planted { .. });
    let mut jobs = Vec::new();
    // No map is what costs nothing, and no other than is weighed anyhow what is swapped.
    let mut weighed = BTreeSet::new();
    for scenario in scenarios {
        for arm in scenario.arms.iter().filter(|arm| is_itself(arm.role)) {
            jobs.push((scenario, arm.name.as_str()));
            if scenario.adr == PHASES && !matches!(arm.role, Role::Free | Role::Swapped) {
                weighed.extend(ENTRIES.map(|entries| (arm.name.as_str(), entries)));
            }
        }
    }
    let weighed: Vec<(&str, u64)> = weighed.into_iter().collect();
    let bytes = each(&weighed, stop, |(arm, entries)| {
        counter.bytes("requests", arm, *entries)
    });
    let bytes: Vec<Vec<BytesFigure>> = kept(bytes, &mut results.notes);
    results.bytes = bytes.concat();
    let allocations = each(&jobs, stop, |(scenario, arm)| {
        let ops = if scenario.adr == PHASES { TOKENS } else { OPS };
        counter.allocations(&scenario.name, arm, ops)
    });
    results.allocations = Figures::Measured(kept(allocations, &mut results.notes));
    results.instructions = if Counter::counts_instructions() {
        let counted = each(&jobs, stop, |(scenario, arm)| {
            counter.instructions(&scenario.name, arm)
        });
        Figures::Measured(kept(counted, &mut results.notes))
    } else {
        Figures::NotMeasured {
            why: "valgrind, which counts them, is not installed".to_owned(),
            command: "apt-get install valgrind".to_owned(),
        }
    };
}

/// The figures that there are, and a note on each that there is not.
fn kept<T>(figures: Vec<Result<T>>, notes: &mut Vec<String>) -> Vec<T> {
    let mut kept = Vec::new();
    for figure in figures {
        match figure {
            Ok(figure) => kept.push(figure),
            Err(error) => notes.push(format!("a figure is missing: {error:#}")),
        }
    }
    kept
}

/// Does the jobs, one on each core, and answers in their order. None is begun after `stop`.
pub(crate) fn each<J: Sync, T: Send>(
    jobs: &[J],
    stop: &AtomicBool,
    run: impl Fn(&J) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed)
                    && let number = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(job) = jobs.get(number)
                {
                    let outcome = run(job);
                    done.lock().expect("no job panics").push((number, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no job panics");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// What a process says on its two pipes.
fn said(command: &mut Command) -> Result<(String, String)> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    if !output.status.success() {
        let last = err.lines().last().unwrap_or_default();
        bail!("{command:?} failed, {}: {last}", output.status);
    }
    Ok((out, err))
}

fn json<T: for<'de> Deserialize<'de>>(command: &mut Command) -> Result<T> {
    let (out, _) = said(command)?;
    serde_json::from_str(&out).with_context(|| format!("{command:?} brought back no figures"))
}

/// What callgrind collected, by the operations that the worker says they were.
fn per_op(out: &str, err: &str) -> Result<f64> {
    let ops: u64 = out
        .trim()
        .parse()
        .context("the worker did not say how many operations it did")?;
    // `==123== Collected : 7247606`
    let collected = err
        .lines()
        .find_map(|line| line.split_once("== Collected :")?.1.trim().parse().ok());
    let instructions: u64 = collected.context("callgrind collected nothing")?;
    ensure!(
        ops > 0 && instructions > 0,
        "callgrind saw {instructions} instructions in {ops} operations: are the worker's symbols stripped?"
    );
    Ok(instructions as f64 / ops as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_by_operations() {
        let callgrind = "==5194== Events    : Ir\n==5194== Collected : 26567059\n==5194==\n";
        let whole = per_op("1000\n", callgrind).unwrap();
        assert!((whole - 26_567.059).abs() < 1e-9, "{whole}");

        let why = |out, err| per_op(out, err).unwrap_err().to_string();
        assert!(why("", callgrind).contains("how many operations"));
        assert!(why("1000", "==1== Collected : \n").contains("collected nothing"));
        // Where its function is not found, callgrind collects nothing, and is content.
        assert!(why("1000", "==1== Collected : 0\n").contains("stripped"));
        assert!(why("0", callgrind).contains("in 0 operations"));
    }

    #[test]
    fn a_process_that_fails_says_why() {
        let sh = |script| said(Command::new("sh").args(["-c", script]));
        assert_eq!(
            sh("echo out; echo err >&2").unwrap(),
            ("out\n".to_owned(), "err\n".to_owned())
        );
        let told = sh("echo no such arm >&2; exit 3").unwrap_err().to_string();
        assert!(told.ends_with("exit status: 3: no such arm"), "{told}");
    }

    #[test]
    fn jobs_answer_in_their_order_and_none_is_begun_after_a_stop() {
        let stop = AtomicBool::new(false);
        let jobs: Vec<usize> = (0..100).collect();
        let answers = each(&jobs, &stop, |&job| Ok(job));
        let answers: Vec<usize> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, jobs);
        let begun = each(&[(); 10_000], &stop, |()| {
            stop.store(true, Ordering::Relaxed);
            Ok(())
        });
        assert!(begun.len() < 10_000);
    }
}
