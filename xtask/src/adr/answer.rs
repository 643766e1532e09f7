//! A record, answered from a results file and its criteria alone.

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
        let mut record = parsed(number, criteria, known)?;
        record.add_more_shards(&results.gauges);
        let decision = decide(&results, &record, &Facts::of(&results));
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
