//! `cargo xtask bench`: measures what the decision records ask for, and answers them.
//!
//! Deciding is the crate `verdict`'s. It is asked after every block, and says of which scenario it wants another; so
//! measuring needs no plan. Record by record, since the first verdict is then there soonest.

mod aa;
mod cores;
pub(crate) mod counts;
mod engine;
pub(crate) mod machine;
mod records;
mod session;
mod turns;
mod worker;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use verdict::schema::{Figures, Mode, Results, SCHEMA};
use verdict::{Decision, Facts, Next, Outcome, Record, decide, render};

use crate::bench::cores::Travel;
use crate::bench::engine::Engine;
use crate::bench::session::{End, Session};
use crate::bench::worker::{Scenario, Worker};
use crate::flags::{Bench, FailOn};
use crate::workspace::Workspace;

/// How long is measured for a record, or for a scenario that no record asks for.
const LIMIT: Duration = Duration::from_secs(90);
/// How long for all of them in a quick run.
const QUICK: Duration = Duration::from_secs(45);
/// The blocks of a scenario that no record asks for.
const BLOCKS: usize = 12;
/// The requests of which the skew of the shards is taken: so many are tracked in most scenarios.
const REQUESTS: u64 = 1_024;

/// Says whether the run ended as it was asked to.
pub(crate) fn run(workspace: &Workspace, flags: &Bench) -> Result<bool> {
    let mut worker = Worker::build(&workspace.root)?;
    if flags.list || flags.test {
        let cores = cores::allowed().len();
        let scenarios = worker.scenarios(cores)?;
        if flags.test {
            let all = flags.scenario.is_empty();
            return worker.test(&chosen(&scenarios, flags, |_| all)?, cores);
        }
        for Scenario { name, what, .. } in scenarios {
            println!("{name:28} {what}");
        }
        let what = "the incumbent against itself, through the whole rule: can it be believed here?";
        println!("{:28} {what}", aa::NAME);
        return Ok(true);
    }

    let stop = Arc::new(AtomicBool::new(false));
    let pressed = Arc::clone(&stop);
    ctrlc::set_handler(move || pressed.store(true, Ordering::Relaxed))
        .context("cannot listen for Ctrl-C")?;
    let shuffled = worker.shuffle(&workspace.root)?;
    let mut travel = Travel::start(&worker)?;
    let mut results = begun(workspace, &worker, flags)?;
    let out = workspace.root.join(&flags.out);
    let mut placements = Vec::new();
    if flags.resume {
        placements = resume(&mut results, &out, flags)?;
    }
    if placements.is_empty() {
        placements = travel.placements(&flags.cores)?;
        results.pilots = travel.pilots(&placements)?;
    }
    let mut note = |sentence: &str| results.notes.push(sentence.to_owned());
    if !shuffled {
        note(
            "One build: the linker here shuffles no sections, so other layouts of the code are not in the spread",
        );
    }
    if placements.len() > 1 {
        note(
            "Measured on two cores at a time, the nearest and the farthest from the first: more threads at once are not in this run",
        );
    }
    let scenarios = worker.scenarios(placements[0].len())?;
    let mut engine = Engine {
        worker,
        travel,
        placements,
        stop,
    };
    if flags.scenario == [aa::NAME] {
        return aa::run(&mut engine, &results);
    }

    let mut records = records::load(&workspace.root, &scenarios, flags)?;
    let is_gating = |scenario: &Scenario| {
        let mut gating = records.iter().flat_map(Record::gating);
        flags.full || flags.scenario.is_empty() && gating.any(|name| name == scenario.name)
    };
    let mut scenarios = chosen(&scenarios, flags, is_gating)?;
    ensure!(
        !scenarios.is_empty(),
        "nothing to measure: no record asks for it, and no --scenario names it"
    );
    records::add_more_shards(&mut records, &mut scenarios, &results.gauges);
    fs::create_dir_all(&out)
        .with_context(|| format!("cannot make the output folder {}", flags.out.display()))?;
    let mut session = Session::new(engine, results, &out)?;
    let end = measured(&mut session, &records, &scenarios)?;
    if flags.full && end == End::Done {
        counts::fill(
            workspace,
            &session.engine.stop,
            &scenarios,
            &mut session.results,
        );
        session.save()?;
    }
    let results = &session.results;
    let decisions: Vec<Decision> = records.iter().map(|each| decided(results, each)).collect();
    report(&out, results, &decisions)?;
    if end == End::Stopped {
        println!(
            "stopped; what was measured is kept: go on with `{} --resume`",
            results.command
        );
    }
    let revisits = decisions.iter().any(says_revisit);
    Ok(end == End::Done && !(flags.fail_on == Some(FailOn::Revisit) && revisits))
}

/// Takes turns with `decide`, record by record; then what no record asks for.
fn measured(session: &mut Session, records: &[Record], scenarios: &[Scenario]) -> Result<End> {
    let of_records: BTreeSet<&str> = records.iter().flat_map(Record::gating).collect();
    let (_, others): (Vec<&Scenario>, Vec<&Scenario>) = scenarios
        .iter()
        .partition(|each| of_records.contains(&*each.name));
    let parts = u32::try_from(records.len() + others.len())?;
    let limit = match session.results.mode {
        Mode::Quick => QUICK / parts.max(1),
        Mode::Default | Mode::Full => LIMIT,
    };
    for (number, record) in records.iter().enumerate() {
        let mut told = BTreeSet::new();
        let next = |session: &Session| {
            let decision = decided(&session.results, record);
            for verdict in decision.candidates.iter().filter(|each| each.settled) {
                if told.insert(verdict.candidate.clone()) {
                    session.say(&render::line(&decision, verdict));
                }
            }
            let wanted = match decision.next {
                Next::Measure { scenarios } => scenarios,
                Next::Done => Vec::new(),
            };
            let wanted = wanted
                .iter()
                .map(|name| scenarios.iter().find(|each| each.name == *name));
            wanted.flatten().cloned().collect()
        };
        let left = format!("then {} more records", records.len() - number - 1);
        match session.measure(&record.number, &left, limit, next)? {
            End::Stopped => return Ok(End::Stopped),
            End::OutOfTime if session.results.mode != Mode::Quick => {
                let number = &record.number;
                let why = format!(
                    "{number} was measured for {} s, and has candidates that are open: `--resume` goes on",
                    LIMIT.as_secs()
                );
                session.say(&why);
                session.results.notes.push(why);
            }
            End::OutOfTime | End::Done => {}
        }
    }
    let next = |session: &Session| {
        let blocks = |name: &str| {
            let mut runs = session.results.runs.iter();
            runs.find(|run| run.scenario == name)
                .map_or(0, |run| run.blocks.len())
        };
        let unmeasured = others.iter().filter(|each| blocks(&each.name) < BLOCKS);
        unmeasured.map(|each| Scenario::clone(each)).collect()
    };
    let limit = limit * u32::try_from(others.len())?;
    match session.measure("other scenarios", "then nothing", limit, next)? {
        End::Stopped => Ok(End::Stopped),
        End::OutOfTime | End::Done => Ok(End::Done),
    }
}

fn decided(results: &Results, record: &Record) -> Decision {
    decide(results, record, &Facts::of(results))
}

fn says_revisit(decision: &Decision) -> bool {
    let mut candidates = decision.candidates.iter();
    candidates.any(|each| each.ruling.verdict() == Some(Outcome::Revisit))
}

/// What a run leaves behind: `verdict.md`, `report.html`, and the verdicts on the terminal.
fn report(out: &Path, results: &Results, decisions: &[Decision]) -> Result<()> {
    let put = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    put("verdict.md", render::markdown(results, decisions))?;
    put("report.html", render::html(results, decisions))?;
    println!("\n{}", render::terminal(decisions, results).trim_end());
    println!("report: {}", out.join("report.html").display());
    Ok(())
}

/// The scenarios that are named, and those that are `wanted`.
fn chosen(
    scenarios: &[Scenario],
    flags: &Bench,
    wanted: impl Fn(&Scenario) -> bool,
) -> Result<Vec<Scenario>> {
    for name in &flags.scenario {
        if !scenarios.iter().any(|each| each.name == *name) {
            bail!("no scenario is called `{name}`: `cargo xtask bench --list` names them");
        }
    }
    let named = |each: &&Scenario| flags.scenario.contains(&each.name) || wanted(each);
    Ok(scenarios.iter().filter(named).cloned().collect())
}

fn begun(workspace: &Workspace, worker: &Worker, flags: &Bench) -> Result<Results> {
    let mut gauges = records::gauges(flags);
    gauges.shard_skew = worker.shard_skew(REQUESTS);
    Ok(Results {
        schema: SCHEMA.to_owned(),
        started: machine::now(),
        command: command_line(flags),
        seed: flags.seed.unwrap_or(1),
        revision: machine::revision(&workspace.root),
        machine: machine::describe(),
        versions: records::measured_versions(&workspace.root)?,
        mode: match flags {
            Bench { quick: true, .. } => Mode::Quick,
            Bench { full: true, .. } => Mode::Full,
            _ => Mode::Default,
        },
        pilots: Vec::new(),
        runs: Vec::new(),
        bytes: Vec::new(),
        allocations: not_measured(),
        instructions: not_measured(),
        gauges,
        notes: Vec::new(),
    })
}

fn not_measured<T>() -> Figures<T> {
    Figures::NotMeasured {
        why: String::from("only --full counts"),
        command: String::from("cargo xtask bench --full"),
    }
}

/// Puts what an interrupted run measured into results that begin now, and answers with the cores that it was measured on. One
/// may go on as often as one likes: the rule holds whenever one looks.
fn resume(results: &mut Results, out: &Path, flags: &Bench) -> Result<Vec<Vec<u32>>> {
    let name = flags.out.join("results.json");
    let text = fs::read_to_string(out.join("results.json"))
        .with_context(|| format!("nothing to resume: cannot read {}", name.display()))?;
    let before = Results::from_json(&text)?;
    let seed = before.seed;
    ensure!(
        flags.seed.is_none_or(|asked| asked == seed),
        "the run to resume has the seed {seed}: leave --seed away"
    );
    let same = before.machine == results.machine
        && before.revision == results.revision
        && before.versions == results.versions;
    ensure!(
        same,
        "{} is of another machine or revision ({}): measure anew, without --resume",
        name.display(),
        before.revision
    );
    let mut placements: Vec<Vec<u32>> = Vec::new();
    for block in before.runs.iter().flat_map(|run| &run.blocks) {
        if !placements.contains(&block.cores) {
            placements.push(block.cores.clone());
        }
    }
    results.started = before.started;
    results.command = before.command;
    results.seed = seed;
    results.runs = before.runs;
    results.pilots = before.pilots;
    Ok(placements)
}

/// The command that repeats the run.
fn command_line(flags: &Bench) -> String {
    let mut words = vec!["cargo xtask bench".to_owned()];
    let mut add = |name: &str, values: Vec<String>| {
        words.extend(values.iter().map(|value| format!("--{name} {value}")));
    };
    add("crate", flags.crates.clone());
    add("adr", flags.adr.iter().cloned().collect());
    add("scenario", flags.scenario.clone());
    let text = |number: Option<u64>| number.iter().map(u64::to_string).collect();
    add("tracked", text(flags.tracked));
    add("shards", text(flags.shards));
    let cores: Vec<String> = flags.cores.iter().map(u32::to_string).collect();
    add(
        "cores",
        (!cores.is_empty())
            .then(|| cores.join(","))
            .into_iter()
            .collect(),
    );
    add("seed", text(Some(flags.seed.unwrap_or(1))));
    words.extend(flags.quick.then(|| "--quick".to_owned()));
    words.extend(flags.full.then(|| "--full".to_owned()));
    words.join(" ")
}
