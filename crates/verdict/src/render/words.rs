//! What a report says in words about the machine, and about what its figures do not show.

use crate::decide::{Decision, Ruling};
use crate::schema::{Mode, Results};
use crate::text::{count, listed};

/// What the machine at hand cannot show, a sentence each: nothing here is extrapolated.
#[must_use]
pub fn limits(results: &Results) -> Vec<String> {
    let cores = results.machine.cores;
    let mut limits = vec![match cores {
        0 | 1 => "This machine has one core: no two threads ever ran at once here, so nothing below says anything \
                  about contention."
            .to_owned(),
        _ => format!(
            "This machine has {cores} cores: contention between up to {cores} threads is real here. How the same maps \
             behave between {} threads or more was not seen, and is not extrapolated: with so few counts of threads, no \
             scalability law can be fitted.",
            cores.saturating_add(1)
        ),
    }];
    limits.push(format!(
        "Structures that size themselves to the machine (a number of shards, say) were sized for {} here, and will be \
         larger on a larger one.",
        count(cores, "core")
    ));
    let over: Vec<&str> = unique(
        results
            .runs
            .iter()
            .filter(|run| run.oversubscribed)
            .map(|run| run.scenario.as_str()),
    );
    if !over.is_empty() {
        limits.push(format!(
            "More threads than cores ran in {}: those figures show what a lock does when its holder is preempted, not \
             how a map scales.",
            listed(&over)
        ));
    }
    let lacking: Vec<&str> = unique(
        results
            .runs
            .iter()
            .filter(|run| !run.oversubscribed && run.cores_needed > cores)
            .map(|run| run.scenario.as_str()),
    );
    if !lacking.is_empty() {
        limits.push(format!(
            "{} would need more cores than there are; their figures mean something else here.",
            listed(&lacking)
        ));
    }
    if !results.latency.is_empty() {
        limits.push(format!(
            "Above the 99th percentile, latency on {} is that of the scheduler rather than of a map.",
            count(cores, "core")
        ));
    }
    if let Some(hypervisor) = &results.machine.virtualised {
        limits.push(format!(
            "The machine is virtual ({hypervisor}): neighbours share its caches and its memory, in ways that clean \
             slices do not exclude."
        ));
    }
    limits
}

/// One sentence that comes before everything else: of a candidate, what the run says.
pub(super) fn headline(decision: &Decision) -> Vec<String> {
    let line = |each: &crate::decide::CandidateVerdict| match each.ruling {
        Ruling::Says(outcome) => format!("{}: {outcome}. {}", each.candidate, sentence(&each.why)),
        Ruling::WouldSay(outcome) => format!(
            "{}: no verdict, since this was a quick run. A whole one that saw the same would say {outcome}. {}",
            each.candidate,
            sentence(&each.why)
        ),
    };
    decision.candidates.iter().map(line).collect()
}

/// A clause as a sentence: with a capital, where it begins with a letter, and one full stop.
pub(super) fn sentence(clause: &str) -> String {
    let mut characters = clause.trim_end_matches('.').chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    format!("{}{}.", first.to_uppercase(), characters.as_str())
}

/// Which preconditions fail, or that none does.
pub(super) fn preconditions(decision: &Decision) -> String {
    let failing: Vec<String> = decision
        .checks
        .iter()
        .filter(|check| !check.holds)
        .map(crate::preconditions::Check::sentence)
        .collect();
    match (failing.is_empty(), decision.checks.len()) {
        (_, 0) => "No precondition was checked, since no criterion is measured.".to_owned(),
        (true, all) => format!("All {} hold.", count(all, "precondition")),
        (false, _) => format!(
            "Of the preconditions, {} fail: {}.",
            failing.len(),
            failing.join("; ")
        ),
    }
}

/// Where and what was measured, label and value.
pub(super) fn circumstances(results: &Results) -> Vec<(&'static str, String)> {
    let machine = &results.machine;
    let memory = machine.memory_bytes.map_or_else(
        || "not known".to_owned(),
        |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    );
    let versions: Vec<String> = results
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let mode = match results.mode {
        Mode::Quick => "quick: no verdict comes from it",
        Mode::Default => "default",
        Mode::Full => "full",
    };
    vec![
        ("Command", results.command.clone()),
        ("Seed", results.seed.to_string()),
        ("Revision", results.revision.clone()),
        ("Started", results.started.clone()),
        ("Mode", mode.to_owned()),
        (
            "Plan",
            format!(
                "{} blocks, at most {}",
                results.plan.blocks, results.plan.extended
            ),
        ),
        ("Processor", machine.model.clone()),
        ("Cores", machine.cores.to_string()),
        ("Memory", memory),
        ("System", machine.kernel.clone()),
        (
            "Virtualised",
            machine
                .virtualised
                .clone()
                .unwrap_or_else(|| "not that one could see".to_owned()),
        ),
        ("Compiler", machine.compiler.clone()),
        ("Crates", versions.join(", ")),
    ]
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}
