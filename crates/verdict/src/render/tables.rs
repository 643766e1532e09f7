//! The figures as rows of text, for every format alike.

use super::rows::{headroom, rows, signed};
use crate::analysis::{Analysis, Estimate};
use crate::decide::Decision;
use crate::schema::{Arm, BytesFigure, Cell, Figures, MapState, Results, Role};
use crate::states::State;
use crate::text::{grouped, interval, one_line};

/// A table of texts. The first column names the row.
pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|&text| text.to_owned()).collect(),
            rows: Vec::new(),
        }
    }
}

/// A row per candidate: the verdict, and the best and the worst gating scenario.
pub(super) fn verdicts(decisions: &[Decision]) -> Table {
    let mut table = Table::new(&[
        "record",
        "candidate",
        "verdict",
        "best gating scenario",
        "worst gating scenario",
        "any map could gain",
    ]);
    for row in rows(decisions) {
        let free = headroom(&row.decision.places);
        let most = free
            .iter()
            .max_by(|(_, a), (_, b)| a.gain().total_cmp(&b.gain()));
        table.rows.push(vec![
            one_line(&row.decision.record.number),
            one_line(&row.verdict.candidate),
            row.verdict(),
            row.best().unwrap_or_else(nothing),
            row.worst().unwrap_or_else(nothing),
            most.map_or_else(nothing, |(_, free)| signed(free.gain())),
        ]);
    }
    table
}

/// What an arm is there for.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Incumbent => "incumbent",
        Role::IncumbentAgain => "incumbent again (A/A')",
        Role::Planted { .. } => "incumbent, slowed on purpose",
        Role::Candidate => "candidate",
        Role::Baseline => "rejected baseline",
        Role::Reference => "reference design",
        Role::Free => "a map that costs nothing",
        Role::Swapped => "one map swapped",
    }
}

/// A row per arm of a scenario in a state.
pub(super) fn arms(analysis: &Analysis<'_>, state: State) -> Table {
    let mut table = Table::new(&[
        "arm",
        "what it is",
        "ns/op",
        "gain",
        "95 % interval",
        "blocks",
    ]);
    let incumbent = analysis.nanos_per_op(state);
    for (index, Arm { name, role: own }) in analysis.run().arms.iter().enumerate() {
        let estimate = analysis.estimate(index, state);
        let shown = estimate.filter(|_| *own != Role::Incumbent);
        let nanos = incumbent
            .zip(estimate)
            .map(|(nanos, estimate)| nanos * estimate.ratio());
        table.rows.push(vec![
            one_line(name),
            role(*own).to_owned(),
            nanos.map_or_else(nothing, |value| format!("{value:.1}")),
            shown.map_or_else(nothing, |estimate| signed(estimate.gain())),
            shown.map_or_else(nothing, |estimate| interval(estimate.gain_interval())),
            estimate
                .map_or(0, |Estimate { blocks, .. }| blocks)
                .to_string(),
        ]);
    }
    table
}

/// A row per block of a scenario, with the median figure of each arm.
pub(super) fn blocks(analysis: &Analysis<'_>) -> Table {
    let run = analysis.run();
    let mut table = Table::new(&["block", "build", "state"]);
    table
        .head
        .extend(run.arms.iter().map(|arm| one_line(&arm.name)));
    for block in &run.blocks {
        let state = analysis.state(block);
        let mut row = vec![
            block.number.to_string(),
            block.build.to_string(),
            state.map_or_else(|| "changed: void".to_owned(), |state| state.to_string()),
        ];
        row.extend(block.cells.iter().map(|cell| match cell {
            Cell::Void { reason, seed } => format!("void: {} (seed {seed})", one_line(reason)),
            Cell::Measured { .. } => cell.nanos_per_op(run.oversubscribed).map_or_else(
                || "no clean slice".to_owned(),
                |value| format!("{value:.1}"),
            ),
        }));
        table.rows.push(row);
    }
    table
}

pub(super) fn checks(decision: &Decision) -> Table {
    let mut table = Table::new(&[
        "precondition",
        "scenario",
        "state",
        "holds",
        "what was found",
    ]);
    let places = decision.places.iter().flat_map(|place| &place.checks);
    for check in decision.missing.iter().chain(places) {
        table.rows.push(vec![
            check.what.to_string(),
            one_line(&check.scenario),
            check.state.map_or_else(nothing, |state| state.to_string()),
            if check.holds { "yes" } else { "NO" }.to_owned(),
            one_line(&check.evidence),
        ]);
    }
    table
}

/// A row per arm and size, with the bytes per entry in each state.
pub(super) fn bytes(results: &Results) -> Table {
    let states = [MapState::Filled, MapState::AfterChurn, MapState::AfterDrain];
    let mut table = Table::new(&["arm", "entries", "filled", "after churn", "after a drain"]);
    let mut seen: Vec<(&str, u64)> = Vec::new();
    for figure in &results.bytes {
        let row = (figure.arm.as_str(), figure.entries);
        if seen.contains(&row) {
            continue;
        }
        seen.push(row);
        let mut cells = vec![one_line(row.0), grouped(&row.1.to_string())];
        cells.extend(states.map(|state| {
            let same = |other: &&BytesFigure| {
                (other.arm.as_str(), other.entries) == row && other.state == state
            };
            let found = results.bytes.iter().find(same);
            let per_entry = found.and_then(BytesFigure::per_entry);
            per_entry.map_or_else(nothing, |value| format!("{value:.1}"))
        }));
        table.rows.push(cells);
    }
    table
}

/// The exact counts, or the sentence that says why there are none.
pub(super) fn allocations(results: &Results) -> Result<Table, String> {
    let figures = measured(&results.allocations, "Allocations")?;
    let head = [
        "scenario",
        "arm",
        "allocations",
        "operations",
        "per operation",
    ];
    let mut table = Table::new(&head);
    for figure in figures {
        let per_op = (figure.ops > 0).then(|| figure.allocations as f64 / figure.ops as f64);
        table.rows.push(vec![
            one_line(&figure.scenario),
            one_line(&figure.arm),
            grouped(&figure.allocations.to_string()),
            grouped(&figure.ops.to_string()),
            per_op.map_or_else(nothing, |value| format!("{value:.3}")),
        ]);
    }
    Ok(table)
}

pub(super) fn instructions(results: &Results) -> Result<Table, String> {
    let figures = measured(&results.instructions, "Instructions")?;
    let mut table = Table::new(&["scenario", "arm", "instructions per operation"]);
    for figure in figures {
        table.rows.push(vec![
            one_line(&figure.scenario),
            one_line(&figure.arm),
            format!("{:.1}", figure.per_op),
        ]);
    }
    Ok(table)
}

fn measured<'a, T>(figures: &'a Figures<T>, what: &str) -> Result<&'a [T], String> {
    match figures {
        Figures::Measured(figures) if figures.is_empty() => {
            Err(format!("{what} were not asked for."))
        }
        Figures::Measured(figures) => Ok(figures),
        Figures::NotMeasured { why, command } => Err(format!(
            "{what} were not measured: {}. To have them: {}",
            one_line(why),
            one_line(command)
        )),
    }
}

fn nothing() -> String {
    "–".to_owned()
}
