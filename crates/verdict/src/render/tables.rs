//! The figures as rows of text, for every format alike.

use super::view::{RunView, role};
use crate::analysis::Estimate;
use crate::bottleneck::Comparison;
use crate::decide::Decision;
use crate::schema::{BytesFigure, Figures, MapState, Results};
use crate::text::{grouped, nanos, one_line, percent};

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

/// A row per candidate: the criteria, the gain and the verdict.
pub(super) fn verdicts(decision: &Decision) -> Table {
    let record = &decision.record;
    let mut table = Table::new(&["candidate"]);
    let criteria = record.revisit.iter().map(|name| record.label(name));
    table.head.extend(criteria);
    table.head.extend([
        "gain".to_owned(),
        "95 % interval".to_owned(),
        "verdict".to_owned(),
    ]);
    for each in &decision.candidates {
        let mut row = vec![one_line(&each.candidate)];
        row.extend(
            each.criteria
                .iter()
                .map(|answered| answered.answer.to_string()),
        );
        let estimate = largest(decision, &each.candidate);
        row.extend([gain(estimate.as_ref()), gain_interval(estimate.as_ref())]);
        row.push(each.ruling.to_string());
        table.rows.push(row);
    }
    table
}

/// Of a candidate's gains in the first pass of the gating scenarios, the largest: what the bottleneck hangs on.
fn largest(decision: &Decision, candidate: &str) -> Option<Estimate> {
    let first = |each: &&Comparison| each.candidate == candidate && each.pass == 1;
    let estimates = decision
        .comparisons
        .iter()
        .filter(first)
        .filter_map(|each| each.estimate);
    estimates.max_by(|a, b| a.gain().total_cmp(&b.gain()))
}

/// A row per arm of a run.
pub(super) fn arms(run: &RunView<'_>) -> Table {
    let mut table = Table::new(&[
        "arm",
        "what it is",
        "ns/op",
        "gain",
        "95 % interval",
        "exact",
        "blocks",
    ]);
    for arm in &run.arms {
        let estimate = arm.estimate.as_ref();
        let exact = estimate.map(|estimate| Estimate {
            bootstrap: estimate.exact,
            ..*estimate
        });
        table.rows.push(vec![
            one_line(&arm.arm.name),
            role(arm.arm.role).to_owned(),
            arm.nanos
                .map_or_else(nothing, |value| format!("{value:.1}")),
            gain(estimate),
            gain_interval(estimate),
            gain_interval(exact.as_ref()),
            run.analysis.figures(arm.index).count().to_string(),
        ]);
    }
    table
}

/// A row per block of a run, with the figure of each arm.
pub(super) fn blocks(run: &RunView<'_>) -> Table {
    let mut table = Table::new(&["block"]);
    table
        .head
        .extend(run.arms.iter().map(|arm| one_line(&arm.arm.name)));
    for block in &run.run().blocks {
        let mut row = vec![block.number.to_string()];
        for cell in &block.cells {
            row.push(match cell {
                crate::schema::Cell::Void { reason, seed } => {
                    format!("void: {} (seed {seed})", one_line(reason))
                }
                crate::schema::Cell::Measured { .. } => {
                    cell.nanos_per_op(run.run().oversubscribed).map_or_else(
                        || "no clean slice".to_owned(),
                        |value| format!("{value:.1}"),
                    )
                }
            });
        }
        table.rows.push(row);
    }
    table
}

pub(super) fn checks(decision: &Decision) -> Table {
    let mut table = Table::new(&[
        "precondition",
        "scenario",
        "pass",
        "holds",
        "what was found",
    ]);
    for check in &decision.checks {
        table.rows.push(vec![
            check.what.to_string(),
            one_line(&check.scenario),
            check.pass.to_string(),
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

pub(super) fn latency(results: &Results) -> Table {
    let mut table = Table::new(&[
        "scenario", "arm", "load", "steps", "p50", "p90", "p99", "p99.9",
    ]);
    for curve in &results.latency {
        let at = |percentile: f64| {
            let near =
                |point: &&crate::schema::LatencyPoint| (point.percentile - percentile).abs() < 1e-9;
            let point = curve.points.iter().find(near);
            point.map_or_else(nothing, |point| nanos(point.nanos as f64))
        };
        table.rows.push(vec![
            one_line(&curve.scenario),
            one_line(&curve.arm),
            if curve.is_noisy() {
                format!("{:.0} %, noisy", curve.load * 100.0)
            } else {
                format!("{:.0} %", curve.load * 100.0)
            },
            grouped(&curve.samples.to_string()),
            at(50.0),
            at(90.0),
            at(99.0),
            at(99.9),
        ]);
    }
    table
}

/// The exact counts, or the sentence that says why there are none.
pub(super) fn allocations(results: &Results) -> Result<Table, String> {
    let figures = measured(&results.allocations, "Allocations")?;
    let mut table = Table::new(&[
        "scenario",
        "arm",
        "allocations",
        "operations",
        "per operation",
    ]);
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

fn gain(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(nothing, |estimate| percent(estimate.gain()))
}

fn gain_interval(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(nothing, |estimate| {
        let interval = estimate.gain_interval();
        format!("{} to {}", percent(interval.lower), percent(interval.upper))
    })
}

fn nothing() -> String {
    "–".to_owned()
}
