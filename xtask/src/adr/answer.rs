//! A record, answered from a results file and its criteria alone.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use verdict::schema::Results;
use verdict::{Decision, Facts, Known, Record, decide};

use crate::adr::section;

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) results: Results,
    pub(super) decision: Decision,
}

impl Answer {
    /// `results` is the text of the file that is kept, so that a check computes from the very same figures.
    pub(super) fn new(number: &str, criteria: &str, results: &str) -> Result<Self> {
        let results = Results::from_json(results)?;
        let runs = &results.runs;
        let scenarios: Vec<&str> = runs.iter().map(|run| run.scenario.as_str()).collect();
        let arms = runs.iter().flat_map(|run| &run.arms);
        let arms: Vec<&str> = arms.map(|arm| arm.name.as_str()).collect();
        // What was not measured cannot be asked for: it is an error here, and not an open answer.
        let known = Known {
            scenarios: &scenarios,
            arms: &arms,
        };
        let record = parsed(number, criteria, known)?;
        let decision = decide(&results, &record, &facts(&results));
        Ok(Self { results, decision })
    }

    pub(super) fn section(&self, file: &str) -> String {
        section::write(file, &self.results, &self.decision)
    }

    /// `papaya: KEEP, scc: INCONCLUSIVE`.
    pub(super) fn in_short(&self) -> String {
        let candidates = self.decision.candidates.iter();
        let each = candidates.map(|each| format!("{}: {}", each.candidate, each.ruling));
        each.collect::<Vec<_>>().join(", ")
    }
}

/// Checks criteria that nobody has measured for yet.
///
/// Which scenarios and arms exist is known to the worker, and to ask it takes a release build. So every name that the
/// file quotes is taken for known here; `cargo xtask bench` is stricter.
pub(super) fn shape(number: &str, criteria: &str) -> Result<()> {
    let quoted: Vec<&str> = criteria.split(['"', '\'']).collect();
    let known = Known {
        scenarios: &quoted,
        arms: &quoted,
    };
    parsed(number, criteria, known).map(|_| ())
}

pub(super) fn criteria_path(number: &str) -> String {
    format!("adr/{number}-criteria.toml")
}

fn parsed(number: &str, criteria: &str, known: Known<'_>) -> Result<Record> {
    let path = criteria_path(number);
    let record = Record::parse(&path, criteria, known)?;
    ensure!(
        record.number == number,
        "{path}: says that it is about record {}; one of the two numbers is wrong",
        record.number
    );
    Ok(record)
}

/// The facts of the day it was measured, not of today: a dependency that has moved on does not make an old table false.
fn facts(results: &Results) -> Facts {
    // A crate that is locked twice is recorded as `1.0.0, 2.0.0`.
    let versions = results.versions.iter().map(|(name, versions)| {
        let versions = versions.split(", ").map(str::to_owned).collect();
        (name.clone(), versions)
    });
    let said = |flag: &str| {
        let mut words = results.command.split_whitespace();
        words.find(|word| *word == flag)?;
        words.next()?.parse::<u64>().ok()
    };
    // DashMap's own default, which the benchmark takes for production's where it is told nothing else.
    let shards = u64::from(results.machine.cores) * 4;
    Facts {
        versions: versions.collect::<BTreeMap<_, _>>(),
        tracked: said("--tracked"),
        shards: said("--shards").or_else(|| shards.checked_next_power_of_two()),
        shard_skew: None,
    }
}
