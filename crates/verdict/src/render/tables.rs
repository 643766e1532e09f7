//! The figures as rows of text, for every format alike. A gain is a share of the incumbent's time that is saved.

use crate::analysis::{Analysis, Estimate};
use crate::bottleneck::Place;
use crate::decide::{CandidateVerdict, Decision, Ruling};
use crate::schema::{Figures, Results, Role};
use crate::states::State;
use crate::text::{grouped, interval, one_line, signed};

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
    let mut table = Table::new([
        "record",
        "candidate",
        "verdict",
        "best gating scenario",
        "worst",
    ]);
    for decision in decisions {
        for each in &decision.candidates {
            let (record, [best, worst]) = (&decision.record, best_and_worst(decision, each));
            table.row([
                &record.number,
                &each.candidate,
                &verdict(each),
                &best,
                &worst,
            ]);
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

/// Where a candidate gains most and least, of the places that count, or where none does, of all.
pub(super) fn best_and_worst<'a>(
    decision: &'a Decision,
    verdict: &CandidateVerdict,
) -> [String; 2] {
    let any_counts = decision.places.iter().any(|place| place.counts);
    let shown = |place: &&Place| place.counts == any_counts;
    let places: Vec<&Place> = decision.places.iter().filter(shown).collect();
    let gain = |place: &'a Place| Some((place, place.of(&verdict.candidate)?.estimate?));
    let mut gains: Vec<(&Place, Estimate)> = places.iter().copied().filter_map(gain).collect();
    gains.sort_by(|(_, one), (_, other)| other.gain().total_cmp(&one.gain()));
    let several = places.iter().any(|place| place.state != places[0].state);
    let cell = |(place, estimate): &(&Place, Estimate)| {
        let (gain, range) = (signed(estimate.gain()), interval(estimate.gain_interval()));
        let state = if several {
            format!(", {}", place.state)
        } else {
            String::new()
        };
        format!("{gain} {}{state} [{range}]", place.scenario)
    };
    let worst = gains.last().filter(|_| gains.len() > 1);
    [gains.first(), worst].map(|at| at.map_or_else(nothing, cell))
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

/// A row per arm of a scenario in a state. The times are the incumbent's times each arm's ratio, so that the columns agree.
pub(super) fn arms(analysis: &Analysis<'_>, state: State) -> Table {
    let mut table = Table::new([
        "arm",
        "what it is",
        "ns/op",
        "gain",
        "95 % interval",
        "blocks",
    ]);
    let incumbent = analysis.nanos_per_op(state);
    for (index, arm) in analysis.run().arms.iter().enumerate() {
        let estimate = analysis.estimate(index, state);
        let compared = estimate.filter(|_| arm.role != Role::Incumbent);
        let nanos = incumbent
            .zip(estimate)
            .map(|(nanos, each)| nanos * each.ratio());
        let nanos = nanos.map_or_else(nothing, |value| format!("{value:.1}"));
        let gain = compared.map_or_else(nothing, |each| signed(each.gain()));
        let range = compared.map_or_else(nothing, |each| interval(each.gain_interval()));
        let blocks = estimate.map_or(0, |each| each.blocks).to_string();
        table.row([&arm.name, role(arm.role), &nanos, &gain, &range, &blocks]);
    }
    table
}

/// What was counted rather than timed, a figure a row; and why what is missing is.
pub(super) fn figures(results: &Results) -> (Table, Vec<String>) {
    let mut table = Table::new(["arm", "of what", "figure"]);
    for each in &results.bytes {
        let of = format!(
            "bytes an entry, {} {:?}",
            grouped(&each.entries.to_string()),
            each.state
        );
        let value = each
            .per_entry()
            .map_or_else(nothing, |value| format!("{value:.1}"));
        table.row([&each.arm, &of, &value]);
    }
    let (mut why, mut counted) = (Vec::new(), Vec::new());
    match &results.allocations {
        Figures::Measured(all) => counted.extend(all.iter().map(|each| {
            let per_op = each.allocations as f64 / each.ops.max(1) as f64;
            (&each.arm, &each.scenario, "allocations", per_op)
        })),
        Figures::NotMeasured {
            why: reason,
            command,
        } => why.push(("Allocations", reason, command)),
    }
    match &results.instructions {
        Figures::Measured(all) => counted.extend(
            all.iter()
                .map(|each| (&each.arm, &each.scenario, "instructions", each.per_op)),
        ),
        Figures::NotMeasured {
            why: reason,
            command,
        } => why.push(("Instructions", reason, command)),
    }
    for (arm, scenario, what, per_op) in counted {
        table.row([
            arm,
            &format!("{what} an operation, {scenario}"),
            &format!("{per_op:.3}"),
        ]);
    }
    let why = why.into_iter();
    let why =
        why.map(|(what, why, command)| format!("{what} were not measured: {why} ({command})."));
    (table, why.collect())
}

fn nothing() -> String {
    "–".to_owned()
}
