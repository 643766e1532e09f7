//! `cargo xtask bench`: measures what the decision records ask for, and answers them.
//!
//! Measuring is [`passes`]'s, deciding is the crate `verdict`'s. Here the two take turns, until the records need no more.

mod aa;
pub(crate) mod figures;
pub(crate) mod machine;
mod passes;
mod records;
mod report;
mod turns;
mod worker;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use verdict::schema::{Arm, Figures, Gauges, Mode, Plan, Results, Role, SCHEMA};
use verdict::{Decision, Facts, Next, Outcome, Record, decide};

use crate::bench::passes::{Passes, Stopped};
use crate::bench::worker::{Scenario, Worker};
use crate::flags::{Bench, FailOn};
use crate::workspace::Workspace;

/// Says whether the run ended as it was asked to.
pub(crate) fn run(workspace: &Workspace, flags: &Bench) -> Result<bool> {
    let worker = Worker::build(&workspace.root)?;
    if flags.list {
        for scenario in worker.scenarios() {
            println!("{:28} {}", scenario.name, scenario.what);
        }
        println!(
            "{:28} the incumbent against itself, through the whole rule: can it be believed here?",
            aa::NAME
        );
        return Ok(true);
    }
    if flags.test {
        return worker.test(&chosen(&worker, &[], flags)?);
    }

    if flags.scenario == [aa::NAME] {
        return aa::run(&worker, &begun(workspace, flags, &[])?, flags.seed);
    }
    let mut records = records::load(&workspace.root, &worker, flags)?;
    let mut scenarios = chosen(&worker, &records, flags)?;
    ensure!(
        !scenarios.is_empty(),
        "nothing to measure: no record asks for it, and no --scenario names it"
    );

    let out = workspace.root.join(&flags.out);
    fs::create_dir_all(&out)
        .with_context(|| format!("cannot make the output folder {}", flags.out.display()))?;
    let results = if flags.resume {
        resumed(&out, flags)?
    } else {
        begun(workspace, flags, &scenarios)?
    };
    add_more_shards(&mut records, &mut scenarios, &results.gauges);
    let mut passes = Passes::new(&worker, results, &out, flags.seed)?;
    let decisions = match measured(&mut passes, &scenarios, &records)? {
        Ok(decisions) => decisions,
        Err(Stopped) => {
            println!(
                "stopped; what was measured is kept: go on with `{} --resume`",
                passes.results.command
            );
            return Ok(false);
        }
    };
    if !flags.quick {
        figures::fill(&workspace.root, worker.scenarios(), &mut passes.results);
        passes.save()?;
    }
    report::write(&out, &passes.results, &decisions)?;
    let revisits = decisions.iter().any(says_revisit);
    Ok(!(flags.fail_on == Some(FailOn::Revisit) && revisits))
}

/// Takes turns with `decide` until nothing is left to measure.
fn measured(
    passes: &mut Passes<'_>,
    scenarios: &[Scenario],
    records: &[Record],
) -> Result<Result<Vec<Decision>, Stopped>> {
    let blocks = passes.results.plan.blocks;
    if let Err(stopped) = passes.measure(scenarios, 1, blocks)? {
        return Ok(Err(stopped));
    }
    loop {
        let decisions: Vec<Decision> = records
            .iter()
            .map(|record| decide(&passes.results, record, &Facts::of(&passes.results)))
            .collect();
        let Some(next) = decisions
            .iter()
            .map(|decision| &decision.next)
            .find(|next| **next != Next::Done)
        else {
            return Ok(Ok(decisions));
        };
        let (names, pass, blocks) = match next {
            Next::Extend { pass, scenarios } => (scenarios, *pass, passes.results.plan.extended),
            Next::Confirm { scenarios } => (scenarios, 2, blocks),
            Next::Done => return Ok(Ok(decisions)),
        };
        let why = if matches!(next, Next::Confirm { .. }) {
            "to confirm"
        } else {
            "the intervals are still too wide"
        };
        passes.say(&format!(
            "{}: pass {pass} to {blocks} blocks, {why}",
            names.join(", ")
        ));
        let again: Vec<Scenario> = scenarios
            .iter()
            .filter(|each| names.contains(&each.name))
            .cloned()
            .collect();
        if let Err(stopped) = passes.measure(&again, pass, blocks)? {
            return Ok(Err(stopped));
        }
    }
}

/// Where a gauge has reached a record's ceiling, the incumbent with more shards is one of the record's candidates.
fn add_more_shards(records: &mut [Record], scenarios: &mut [Scenario], gauges: &Gauges) {
    for record in records {
        let Some(name) = record.add_more_shards(gauges) else {
            continue;
        };
        println!(
            "{}: the gauge has reached the ceiling, so {name} is a candidate",
            record.number
        );
        let gating = record.gating();
        for scenario in scenarios.iter_mut() {
            if gating.contains(&scenario.name.as_str()) {
                scenario.arms.push(Arm::new(&name, Role::Candidate));
            }
        }
    }
}

fn says_revisit(decision: &Decision) -> bool {
    decision
        .candidates
        .iter()
        .any(|each| each.ruling.verdict() == Some(Outcome::Revisit))
}

/// The scenarios to measure: those named, else those that gate the records, at most two of each.
fn chosen(worker: &Worker, records: &[Record], flags: &Bench) -> Result<Vec<Scenario>> {
    for name in &flags.scenario {
        if !worker.scenarios().iter().any(|each| each.name == *name) {
            bail!("no scenario is called `{name}`: `cargo xtask bench --list` names them");
        }
    }
    let gating: Vec<&str> = records
        .iter()
        .flat_map(|record| record.gating().into_iter().take(2))
        .collect();
    let wanted = |scenario: &&Scenario| match (&flags.scenario[..], flags.full || flags.test) {
        ([], true) => true,
        ([], false) => gating.contains(&scenario.name.as_str()),
        (named, _) => named.contains(&scenario.name),
    };
    Ok(worker.scenarios().iter().filter(wanted).cloned().collect())
}

fn plan(flags: &Bench, scenarios: &[Scenario]) -> (Mode, Plan) {
    if flags.quick {
        // What fits a minute, at a third of a second for each arm and some for its start.
        let arms: usize = scenarios.iter().map(|each| each.arms.len()).sum();
        let blocks = u32::try_from(144 / arms.max(1)).unwrap_or(1).max(1);
        return (
            Mode::Quick,
            Plan {
                blocks,
                extended: blocks,
            },
        );
    }
    let mode = if flags.full {
        Mode::Full
    } else {
        Mode::Default
    };
    (
        mode,
        Plan {
            blocks: 30,
            extended: 60,
        },
    )
}

fn begun(workspace: &Workspace, flags: &Bench, scenarios: &[Scenario]) -> Result<Results> {
    let (mode, plan) = plan(flags, scenarios);
    let mut gauges = records::gauges(flags);
    if mode != Mode::Quick {
        gauges.shard_skew = figures::shard_skew(&workspace.root);
    }
    Ok(Results {
        schema: SCHEMA.to_owned(),
        started: machine::now(),
        command: command_line(flags),
        seed: flags.seed,
        revision: machine::revision(&workspace.root),
        machine: machine::describe(),
        versions: records::measured_versions(&workspace.root)?,
        mode,
        plan,
        runs: Vec::new(),
        latency: Vec::new(),
        bytes: Vec::new(),
        allocations: not_measured(),
        instructions: not_measured(),
        gauges,
        notes: Vec::new(),
    })
}

/// What a quick run says of the figures beside the timings.
fn not_measured<T>() -> Figures<T> {
    let why = String::from("they come after the timings, and a quick run has none");
    Figures::NotMeasured {
        why,
        command: String::from("cargo xtask bench"),
    }
}

fn resumed(out: &Path, flags: &Bench) -> Result<Results> {
    let path = out.join("results.json");
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "nothing to resume: cannot read {}",
            flags.out.join("results.json").display()
        )
    })?;
    let results = Results::from_json(&text)?;
    ensure!(
        results.seed == flags.seed,
        "the run to resume has the seed {}, not {}: give --seed {}",
        results.seed,
        flags.seed,
        results.seed
    );
    Ok(results)
}

/// The command that repeats the run.
fn command_line(flags: &Bench) -> String {
    let mut words = vec!["cargo xtask bench".to_owned()];
    words.extend(flags.crates.iter().map(|name| format!("--crate {name}")));
    words.extend(flags.adr.iter().map(|number| format!("--adr {number}")));
    words.extend(
        flags
            .scenario
            .iter()
            .map(|name| format!("--scenario {name}")),
    );
    words.extend(flags.quick.then(|| "--quick".to_owned()));
    words.extend(flags.full.then(|| "--full".to_owned()));
    words.extend(
        flags
            .tracked
            .iter()
            .map(|tracked| format!("--tracked {tracked}")),
    );
    words.extend(
        flags
            .shards
            .iter()
            .map(|shards| format!("--shards {shards}")),
    );
    words.push(format!("--seed {}", flags.seed));
    words.join(" ")
}
