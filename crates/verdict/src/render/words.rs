//! What a report says in words: the headline, what the run could not see, and how to repeat it.

use crate::decide::{Decision, Outcome, Ruling};
use crate::schema::{Mode, Results};
use crate::states::{Boundary, State};
use crate::stats::median;
use crate::text::{count, grouped, listed};

/// `5 records, 10 of 10 KEEP`.
pub(super) fn headline(decisions: &[Decision]) -> String {
    let rulings: Vec<Ruling> = decisions
        .iter()
        .flat_map(|decision| decision.candidates.iter().map(|each| each.ruling))
        .collect();
    let outcomes = [Outcome::Revisit, Outcome::Inconclusive, Outcome::Keep];
    let of = |outcome| {
        let says = |ruling: &&Ruling| match ruling {
            Ruling::Says(own) | Ruling::WouldSay(own) => *own == outcome,
        };
        rulings.iter().filter(says).count()
    };
    let would = if rulings.iter().any(|ruling| ruling.verdict().is_none()) {
        "would say "
    } else {
        ""
    };
    let counts = outcomes.map(|outcome| (of(outcome), outcome));
    let counts = counts.iter().filter(|(number, _)| *number > 0);
    let counts: Vec<String> = counts
        .map(|(number, outcome)| format!("{number} of {} {would}{outcome}", rulings.len()))
        .collect();
    if counts.is_empty() {
        return "No record was answered".to_owned();
    }
    format!(
        "{}, {}",
        count(decisions.len(), "record"),
        counts.join(", ")
    )
}

/// `Lines travel in 21 ns (near); far not seen.`: of all blocks of the run.
pub(super) fn travel(results: &Results) -> String {
    let boundary = Boundary::of(&results.pilots);
    let mut seen = Vec::new();
    let mut unseen = String::new();
    for state in State::ALL {
        let blocks = results.runs.iter().flat_map(|run| &run.blocks);
        let own = blocks.filter(|block| block.state(&boundary) == Some(state));
        let probes = own.flat_map(|block| block.travel.iter().map(|nanos| f64::from(*nanos)));
        let mut probes: Vec<f64> = probes.collect();
        match median(&mut probes) {
            Some(median) => {
                // One block in ten aside, so that a stray probe does not make a range.
                let tenth = probes.len() / 10;
                let (low, high) = (probes[tenth], probes[probes.len() - 1 - tenth]);
                seen.push(if high / low > 1.5 {
                    format!("{low:.0} to {high:.0} ns ({state})")
                } else {
                    format!("{median:.0} ns ({state})")
                });
            }
            None => unseen.push_str(&format!("; {state} not seen")),
        }
    }
    if seen.is_empty() {
        return "How long a line travels between cores was not probed.".to_owned();
    }
    format!("Lines travel in {}{unseen}.", listed(&seen))
}

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
    if cores > 1 {
        limits.push(format!(
            "{} Across sockets or core complexes it takes other times, and gains differ with it.",
            travel(results)
        ));
    }
    limits.push(format!(
        "Structures that size themselves to the machine (a number of shards, say) were sized for {} here, and will be \
         larger on a larger one.",
        count(cores, "core")
    ));
    let named = |wanted: &dyn Fn(&crate::schema::ScenarioRun) -> bool| -> Vec<&str> {
        let runs = results.runs.iter().filter(|run| wanted(run));
        runs.map(|run| run.scenario.as_str()).collect()
    };
    let over = named(&|run| run.oversubscribed);
    if !over.is_empty() {
        limits.push(format!(
            "More threads than cores ran in {}: those figures show what a lock does when its holder is preempted, not \
             how a map scales.",
            listed(&over)
        ));
    }
    let lacking = named(&|run| !run.oversubscribed && run.cores_needed > cores);
    if !lacking.is_empty() {
        limits.push(format!(
            "{} would need more cores than there are; their figures mean something else here.",
            listed(&lacking)
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
    let places = decision.places.iter().filter(|place| place.counts);
    let checks = decision
        .missing
        .iter()
        .chain(places.flat_map(|place| &place.checks));
    let (holding, failing): (Vec<_>, Vec<_>) = checks.partition(|check| check.holds);
    match (failing.is_empty(), holding.len()) {
        (true, 0) => {
            "No precondition was checked, since nothing that decides was measured.".to_owned()
        }
        (true, all) => format!("All {} hold.", count(all, "precondition")),
        (false, _) => {
            let sentences: Vec<String> = failing.iter().map(|check| check.sentence()).collect();
            let failing = count(failing.len(), "precondition");
            format!("Not met: {failing}: {}.", sentences.join("; "))
        }
    }
}

/// Where and what was measured, label and value.
pub(super) fn circumstances(results: &Results) -> Vec<(&'static str, String)> {
    let machine = &results.machine;
    let memory = machine.memory_bytes.map_or_else(
        || "not known".to_owned(),
        |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    );
    let versions = results.versions.iter();
    let versions: Vec<String> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let mode = match results.mode {
        Mode::Quick => "quick: no verdict comes from it",
        Mode::Default => "default",
        Mode::Full => "full",
    };
    let blocks: usize = results.runs.iter().map(|run| run.blocks.len()).sum();
    let virtualised = machine.virtualised.clone();
    vec![
        ("Command", results.command.clone()),
        ("Seed", results.seed.to_string()),
        ("Revision", results.revision.clone()),
        ("Started", results.started.clone()),
        ("Mode", mode.to_owned()),
        ("Blocks", grouped(&blocks.to_string())),
        ("Line travel", travel(results)),
        ("Processor", machine.model.clone()),
        ("Cores", machine.cores.to_string()),
        ("Memory", memory),
        ("System", machine.kernel.clone()),
        (
            "Virtualised",
            virtualised.unwrap_or_else(|| "not that one could see".to_owned()),
        ),
        ("Compiler", machine.compiler.clone()),
        ("Crates", versions.join(", ")),
    ]
}
