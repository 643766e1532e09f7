//! The figures as rows of text, for every format alike. A gain is a share of the incumbent's time
//! that is saved.

use crate::analysis::Analysis;
use crate::bottleneck::Place;
use crate::decide::{CandidateVerdict, Decision, Ruling};
use crate::schema::Role;
use crate::states::State;
use crate::text::one_line;

/// A table of texts. The first column names the row.
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    fn new<const N: usize>(head: [&str; N]) -> Self {
        let head = head.map(str::to_owned).to_vec();
        let rows = Vec::new();
        Self { head, rows }
    }

    fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(one_line).to_vec());
    }
}

/// A row per candidate: the verdict, and the best and the worst gating scenario.
pub(super) fn verdicts(decisions: &[Decision]) -> Table {
    let mut table = Table::new(["candidate", "verdict", "best gating scenario", "worst"]);
    for decision in decisions {
        for each in &decision.candidates {
            let [best, worst] = best_and_worst(decision, each);
            let name = format!("{} {}", decision.record.number, each.candidate);
            table.row([&name, &verdict(each), &best, &worst]);
        }
    }
    table
}

/// `KEEP`, or what a quick run would say; with the states, where they differ.
pub(super) fn verdict(verdict: &CandidateVerdict) -> String {
    let word = match verdict.ruling {
        Ruling::Says(outcome) => outcome.to_string(),
        Ruling::WouldSay(outcome) => format!("would say {outcome}"),
    };
    match verdict.states.as_slice() {
        [(near, one), (far, other)] if one != other => {
            format!("{word} ({near}: {one}, {far}: {other})")
        }
        _ => word,
    }
}

/// Where a candidate gains most and least, of the places that count.
pub(super) fn best_and_worst(decision: &Decision, verdict: &CandidateVerdict) -> [String; 2] {
    let places: Vec<&Place> = decision
        .places
        .iter()
        .filter(|place| place.counts)
        .collect();
    let several = places.iter().any(|place| place.state != places[0].state);
    let mut gains: Vec<(f64, String)> = Vec::new();
    for place in places {
        if let Some(estimate) = place.of(&verdict.candidate).and_then(|each| each.estimate) {
            let mut cell = format!("{estimate} {}", place.scenario);
            if several {
                cell = format!("{cell}, {}", place.state);
            }
            gains.push((estimate.gain, cell));
        }
    }
    gains.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let worst = gains.last().filter(|_| gains.len() > 1);
    [gains.first(), worst].map(|at| at.map_or_else(nothing, |(_, cell)| cell.clone()))
}

/// What an arm is there for.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Incumbent => "incumbent",
        Role::IncumbentAgain => "incumbent again",
        Role::Planted { .. } => "slowed on purpose",
        Role::Candidate => "candidate",
        Role::Baseline => "rejected baseline",
        Role::Reference => "reference design",
        Role::Free => "a map that costs nothing",
        Role::Swapped => "one map swapped",
    }
}

/// A row per arm of a scenario in a state. The times are the incumbent's times each arm's ratio, so
/// that the columns agree.
pub(super) fn arms(analysis: &Analysis<'_>, state: State) -> Table {
    let mut table = Table::new(["arm", "role", "ns/op", "gain [95 % interval]", "blocks"]);
    let incumbent = analysis.nanos_per_op(state);
    for (index, arm) in analysis.run.arms.iter().enumerate() {
        let estimate = analysis.estimate(index, state);
        let compared = estimate.filter(|_| arm.role != Role::Incumbent);
        let nanos = incumbent
            .zip(estimate)
            .map(|(nanos, each)| nanos * (1.0 - each.gain));
        let nanos = nanos.map_or_else(nothing, |value| format!("{value:.1}"));
        let gain = compared.map_or_else(nothing, |each| each.to_string());
        let blocks = estimate.map_or(0, |each| each.blocks).to_string();
        table.row([&arm.name, role(arm.role), &nanos, &gain, &blocks]);
    }
    table
}

fn nothing() -> String {
    "–".to_owned()
}
