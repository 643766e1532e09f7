//! The figures beside the timings: latency under an open loop, bytes, allocations, instructions.
//!
//! Each is a fresh process for each arm. What goes wrong with one is a note in the results: no verdict waits for it.
//! Counts do not mind the neighbours and run as many at a time as there are cores; latency runs alone.

mod counts;
mod process;

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use verdict::schema::{
    Figures, InstructionFigure, LatencyCurve, LatencyPoint, Results, Role, ScenarioRun,
};

use self::counts::json;
use self::process::Interrupted;
pub(crate) use self::process::{Programs, each};
use crate::bench::worker::Scenario;

/// The record of phases: its maps are weighed, for what `bench-figures bytes` fills is a router of phases, and its operations
/// are tokens.
const PHASES: &str = "0003";
/// Entries of the maps that are weighed.
const ENTRIES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// The requests that scenarios track unless they say otherwise, of which the skew of the shards is taken.
const REQUESTS: u64 = 1_024;
/// Operations that allocations are counted over.
const OPS: u64 = 100_000;
/// The same where they are tokens: requests come and go in a decode step about twice within so many.
const TOKENS: u64 = 1_000_000;
/// The loads of latency, as shares of saturation.
const LOADS: [f64; 2] = [0.5, 0.8];

/// Measures them all, of the scenarios that were timed, and notes what could not be. Of a record's fleets, all sizes are
/// counted: what does not grow with them shows in instructions, to the last one.
pub(crate) fn fill(root: &Path, scenarios: &[Scenario], results: &mut Results) {
    let about = |each: &&Scenario| {
        let is_sized = each.name.contains("/workers=");
        results.runs.iter().any(|run| {
            run.scenario == each.name || is_sized && run.adr.as_deref() == Some(&each.adr)
        })
    };
    let scenarios: &[Scenario] = &scenarios.iter().filter(about).cloned().collect::<Vec<_>>();
    let programs = match Programs::build(root) {
        Ok(programs) => programs,
        Err(error) => {
            note(results, format!("no figures beside the timings: {error:#}"));
            return;
        }
    };
    for figures in [latency, bytes, allocations, instructions] {
        let Err(error) = figures(&programs, scenarios, results) else {
            continue;
        };
        note(
            results,
            format!("figures beside the timings are missing: {error:#}"),
        );
        if error.is::<Interrupted>() {
            return;
        }
    }
}

/// How uneven the incumbent's shards are. `None` where it cannot be measured: no verdict waits for it.
pub(crate) fn shard_skew(root: &Path) -> Option<f64> {
    let programs = Programs::build(root).ok()?;
    let entries = REQUESTS.to_string();
    json(programs.figures("skew").args(["--entries", &entries])).ok()
}

fn latency(programs: &Programs, _: &[Scenario], results: &mut Results) -> Result<()> {
    let (mut jobs, mut unknown) = (Vec::new(), Vec::new());
    for run in results
        .runs
        .iter()
        .filter(|run| run.gating && run.pass == 1)
    {
        for (number, arm) in run.arms.iter().enumerate() {
            if !matches!(arm.role, Role::Incumbent | Role::Candidate) {
                continue;
            }
            let (scenario, arm) = (&run.scenario, &arm.name);
            if let Some(saturation) = saturation(run, number) {
                jobs.extend(LOADS.map(|load| (scenario, arm, load, saturation * load)));
            } else {
                unknown.push(format!(
                    "no latency of {arm} in {scenario}: without a clean slice its saturation is not known"
                ));
            }
        }
    }
    if !jobs.is_empty() {
        println!("latency in an open loop, {} runs", jobs.len());
    }
    let curves = each(&jobs, 1, |&(scenario, arm, load, rate)| {
        let latencies: Latencies = json(
            programs
                .worker("latency")
                .args(["--scenario", scenario, "--arm", arm])
                .args(["--seed", &results.seed.to_string()])
                .args(["--rate", &rate.to_string()]),
        )?;
        Ok(LatencyCurve {
            scenario: scenario.clone(),
            arm: arm.clone(),
            load,
            rate,
            samples: latencies.samples,
            run_delay: latencies.run_delay,
            points: latencies.points,
        })
    });
    results.latency = kept(results, curves)?;
    for sentence in unknown {
        note(results, sentence);
    }
    Ok(())
}

/// What the worker says of a latency run.
#[derive(Deserialize)]
struct Latencies {
    samples: u64,
    run_delay: f64,
    points: Vec<LatencyPoint>,
}

/// Operations a second of an arm that is not held back: the median over blocks.
fn saturation(run: &ScenarioRun, arm: usize) -> Option<f64> {
    let mut nanos_per_op: Vec<f64> = run
        .blocks
        .iter()
        .filter_map(|block| block.cells.get(arm)?.nanos_per_op(run.oversubscribed))
        .collect();
    Some(1e9 / verdict::stats::median(&mut nanos_per_op)?)
}

fn bytes(programs: &Programs, scenarios: &[Scenario], results: &mut Results) -> Result<()> {
    let mut jobs = Vec::new();
    // No map is what costs nothing, and no other than is weighed anyhow what is swapped.
    let is_weighed = |role| is_measured(role) && !matches!(role, Role::Free | Role::Swapped);
    for arm in arms(scenarios, is_weighed) {
        jobs.extend(ENTRIES.map(|entries| (arm, entries)));
    }
    if jobs.is_empty() {
        return Ok(());
    }
    println!("bytes per entry, to {} entries", ENTRIES[ENTRIES.len() - 1]);
    let figures = each(&jobs, programs.cores, |(arm, entries)| {
        programs.bytes(arm, *entries)
    });
    results.bytes = kept(results, figures)?.into_iter().flatten().collect();
    Ok(())
}

fn allocations(programs: &Programs, scenarios: &[Scenario], results: &mut Results) -> Result<()> {
    println!("allocations per operation");
    let figures = each(&pairs(scenarios), programs.cores, |(scenario, arm)| {
        let ops = if scenario.adr == PHASES { TOKENS } else { OPS };
        programs.allocations(&scenario.name, arm, results.seed, ops)
    });
    results.allocations = measured(kept(results, figures), &results.command)?;
    Ok(())
}

fn instructions(programs: &Programs, scenarios: &[Scenario], results: &mut Results) -> Result<()> {
    if !Programs::can_count_instructions() {
        results.instructions = Figures::NotMeasured {
            why: "valgrind, which counts them, is not installed".to_owned(),
            command: "apt-get install valgrind".to_owned(),
        };
        return Ok(());
    }
    println!("instructions per operation");
    let figures = each(&pairs(scenarios), programs.cores, |(scenario, arm)| {
        Ok(InstructionFigure {
            scenario: scenario.name.clone(),
            arm: (*arm).to_owned(),
            per_op: programs.instructions(&scenario.name, arm, results.seed)?,
        })
    });
    results.instructions = measured(kept(results, figures), &results.command)?;
    Ok(())
}

/// Everything but the incumbent in disguise.
fn is_measured(role: Role) -> bool {
    !matches!(role, Role::IncumbentAgain | Role::Planted { .. })
}

/// The names of all arms of such a role whose maps are weighed, each once.
fn arms(scenarios: &[Scenario], wanted: impl Fn(Role) -> bool) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let weighed = scenarios.iter().filter(|each| each.adr == PHASES);
    for arm in weighed.flat_map(|each| &each.arms) {
        if wanted(arm.role) && !names.contains(&arm.name.as_str()) {
            names.push(&arm.name);
        }
    }
    names
}

/// Each operation with each of its arms.
fn pairs(scenarios: &[Scenario]) -> Vec<(&Scenario, &str)> {
    scenarios
        .iter()
        .flat_map(|each| {
            let arms = each.arms.iter().filter(|arm| is_measured(arm.role));
            arms.map(move |arm| (each, arm.name.as_str()))
        })
        .collect()
}

/// The figures that there are, and a note on each that there is not; an error if none is, or somebody pressed Ctrl-C.
fn kept<T>(results: &mut Results, figures: Vec<Result<T>>) -> Result<Vec<T>> {
    let (mut there, mut errors) = (Vec::new(), Vec::new());
    for figure in figures {
        match figure {
            Ok(figure) => there.push(figure),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => errors.push(error),
        }
    }
    if there.is_empty() && !errors.is_empty() {
        return Err(errors.swap_remove(0));
    }
    for error in errors {
        note(results, format!("a figure is missing: {error:#}"));
    }
    Ok(there)
}

/// What is kept, or why there is nothing and which command repeats the run.
fn measured<T>(kept: Result<Vec<T>>, command: &str) -> Result<Figures<T>> {
    match kept {
        Ok(figures) => Ok(Figures::Measured(figures)),
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => Ok(Figures::NotMeasured {
            why: format!("{error:#}"),
            command: command.to_owned(),
        }),
    }
}

fn note(results: &mut Results, sentence: String) {
    // A run that is resumed may have it already.
    if !results.notes.contains(&sentence) {
        results.notes.push(sentence);
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use verdict::schema::{Arm, Block, Cell, Figures, Role, ScenarioRun, Slice};

    use super::{Interrupted, measured, saturation};

    #[test]
    fn saturation_is_the_median_of_blocks() {
        let cell = |nanos| Cell::Measured {
            slices: vec![Slice {
                ops: 1_000,
                nanos,
                run_delay_nanos: 0,
                steal_ticks: 0,
            }],
        };
        let void = Cell::Void {
            reason: "crashed".to_owned(),
            seed: 1,
        };
        let block = |cells| Block {
            number: 1,
            order: vec![0, 1],
            cells,
        };
        let run = ScenarioRun {
            scenario: "decode-step".to_owned(),
            adr: None,
            gating: true,
            pass: 1,
            what: String::new(),
            threads: 2,
            cores_needed: 2,
            oversubscribed: false,
            arms: vec![
                Arm::new("dashmap", Role::Incumbent),
                Arm::new("papaya", Role::Candidate),
            ],
            blocks: vec![
                block(vec![cell(500_000), void.clone()]),
                block(vec![cell(250_000), void.clone()]),
                block(vec![cell(9_000_000), void]),
            ],
        };
        // 500 ns an operation.
        assert_eq!(saturation(&run, 0), Some(2e6));
        assert_eq!(saturation(&run, 1), None);
    }

    #[test]
    fn nothing_says_why_but_for_ctrl_c() {
        let none = measured::<u8>(Err(anyhow!("it broke")), "try this").unwrap();
        let expected = Figures::NotMeasured {
            why: "it broke".to_owned(),
            command: "try this".to_owned(),
        };
        assert_eq!(none, expected);
        let stopped = measured::<u8>(Err(Interrupted.into()), "");
        assert!(stopped.unwrap_err().is::<Interrupted>());
    }
}
