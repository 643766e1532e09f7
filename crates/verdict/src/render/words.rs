//! What a report says in words: the headline, what the run could not see, and how to repeat it.

use crate::decide::{Decision, Outcome, Ruling};
use crate::preconditions::Check;
use crate::schema::{Results, ScenarioRun};
use crate::states::{self, Boundary, State};
use crate::text::{count, listed};

/// `5 records, 10 of 10 KEEP`.
pub(super) fn headline(decisions: &[Decision]) -> String {
    let candidates = decisions.iter().flat_map(|decision| &decision.candidates);
    let rulings: Vec<Ruling> = candidates.map(|each| each.ruling).collect();
    let mut text = count(decisions.len(), "record");
    for outcome in [Outcome::Revisit, Outcome::Inconclusive, Outcome::Keep] {
        let [says, would] = [Ruling::Says(outcome), Ruling::WouldSay(outcome)];
        let own = rulings
            .iter()
            .filter(|ruling| [says, would].contains(ruling));
        let (number, all) = (own.count(), rulings.len());
        let would = ["", "would say "][usize::from(rulings.contains(&would))];
        if number > 0 {
            text.push_str(&format!(", {number} of {all} {would}{outcome}"));
        }
    }
    text
}

/// `Lines travel in 21 ns (near); far not seen.`: of all blocks of the run.
pub(super) fn travel(results: &Results) -> String {
    let boundary = Boundary::of(&results.pilots);
    let of = |state| states::travel(results.runs.iter(), boundary, state);
    match State::ALL.map(of) {
        [None, None] => "How long a line travels between cores was not probed.".to_owned(),
        [Some(near), None] => format!("Lines travel in {near}; far not seen."),
        [None, Some(far)] => format!("Lines travel in {far}; near not seen."),
        [Some(near), Some(far)] => format!("Lines travel in {near} and {far}."),
    }
}

/// `dashmap 6.2.1, papaya 0.2.5`.
pub(super) fn versions(results: &Results) -> String {
    let versions = results.versions.iter();
    let versions = versions.map(|(name, version)| format!("{name} {version}"));
    Vec::from_iter(versions).join(", ")
}

/// What the run could not see, a sentence each: nothing of it is extrapolated.
#[must_use]
pub fn limits(results: &Results) -> Vec<String> {
    let (cores, travel) = (results.machine.cores, travel(results));
    let named = |wanted: fn(&ScenarioRun, u32) -> bool| {
        let runs = results.runs.iter().filter(|run| wanted(run, cores));
        let names: Vec<&str> = runs.map(|run| run.scenario.as_str()).collect();
        (!names.is_empty()).then(|| listed(&names))
    };
    let over = named(|run, _| run.oversubscribed);
    let lacking = named(|run, cores| !run.oversubscribed && run.cores_needed > cores);
    let (more, cores_here) = (cores.saturating_add(1), count(cores, "core"));
    let virtualised = results.machine.virtualised.as_ref();
    let threads = format!("Contention between {more} threads or more: there are {cores} cores.");
    let travel = format!("Other line travel, between sockets, say. {travel}");
    let limits = [
        (cores < 2).then(|| "Contention: no two threads ran at once on one core.".to_owned()),
        (cores > 1).then_some(threads),
        (cores > 1).then_some(travel),
        Some(format!(
            "Maps sized to a larger machine, in shards, say: here to {cores_here}."
        )),
        over.map(|names| format!("How {names} would scale: preempted lock holders show there.")),
        lacking.map(|names| format!("What {names} is about: it needs more cores.")),
        virtualised.map(|host| format!("What neighbours on the same host ({host}) do.")),
    ];
    limits.into_iter().flatten().collect()
}

/// A clause as a sentence: with a capital, where it begins with a letter, and one full stop.
pub(super) fn sentence(clause: &str) -> String {
    let mut characters = clause.trim_end_matches('.').chars();
    let first = characters.next().map(char::to_uppercase);
    let first = first.map(|first| format!("{first}{}.", characters.as_str()));
    first.unwrap_or_default()
}

/// Every precondition of a record, where it counts.
pub(super) fn checks(decision: &Decision) -> Vec<&Check> {
    let places = decision.places.iter().filter(|place| place.counts);
    let checks = places.flat_map(|place| &place.checks);
    decision.missing.iter().chain(checks).collect()
}

/// Which preconditions fail, or that none does.
pub(super) fn preconditions(decision: &Decision) -> String {
    let checks = checks(decision);
    let failing = checks.iter().filter(|check| !check.holds);
    let failing: Vec<String> = failing.map(|check| check.sentence()).collect();
    let (number, all) = (failing.len(), count(checks.len(), "precondition"));
    match (number, checks.len()) {
        (_, 0) => "Nothing that decides was measured, and no precondition checked.".to_owned(),
        (0, _) => format!("All {all} hold."),
        _ => format!("{number} of {all} not met. {}.", failing.join(". ")),
    }
}

/// Where and what was measured, label and value.
pub(super) fn circumstances(results: &Results) -> Vec<(&'static str, String)> {
    let machine = &results.machine;
    let unknown = || "not known".to_owned();
    let gibibytes = |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let memory = machine.memory_bytes.map_or_else(unknown, gibibytes);
    let virtualised = machine.virtualised.clone();
    vec![
        ("Command", results.command.clone()),
        ("Seed", results.seed.to_string()),
        ("Revision", results.revision.clone()),
        ("Started", results.started.clone()),
        ("Line travel", travel(results)),
        ("Processor", machine.model.clone()),
        ("Cores", machine.cores.to_string()),
        ("Memory", memory),
        ("System", machine.kernel.clone()),
        ("Virtualised", virtualised.unwrap_or_else(unknown)),
        ("Compiler", machine.compiler.clone()),
        ("Crates", versions(results)),
    ]
}
