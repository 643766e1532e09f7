//! `verdict.md`, and the part of it that goes into a decision record.

use super::{tables, words};
use crate::analysis::Analysis;
use crate::decide::Decision;
use crate::schema::Results;
use crate::states::Boundary;
use crate::text::one_line;

/// The verdicts with their evidence, what was measured, and what it does not show.
#[must_use]
pub fn markdown(results: &Results, decisions: &[Decision]) -> String {
    let headline = escaped(&words::headline(decisions));
    let mut out = format!("# {headline}\n\n{}\n\n", escaped(&words::travel(results)));
    out.push_str(&table(&tables::verdicts(decisions)));
    for decision in decisions {
        let record = &decision.record;
        let title = escaped(&format!("ADR-{}: {}", record.number, record.title));
        out.push_str(&format!("\n## {title}\n\n"));
        out.push_str(&section(results, decision));
        out.push_str("\n### Preconditions\n\n");
        out.push_str(&table(&tables::checks(decision)));
    }
    out.push_str("\n## What this run could not see\n\n");
    for sentence in words::limits(results).iter().chain(&results.notes) {
        out.push_str(&format!("- {}\n", escaped(sentence)));
    }
    out.push_str("\n## How to repeat it\n\n");
    for (label, value) in words::circumstances(results) {
        out.push_str(&format!("- {label}: {}\n", code(&value)));
    }
    out
}

/// What goes into the record itself: verdicts, evidence, the measured table, and the command that made them. The same
/// results and decision always give the same bytes.
#[must_use]
pub fn section(results: &Results, decision: &Decision) -> String {
    let mut out = table(&tables::verdicts(std::slice::from_ref(decision)));
    for each in &decision.candidates {
        let head = format!(
            "{}: {}. {}",
            each.candidate,
            each.ruling,
            words::sentence(&each.why)
        );
        out.push_str(&format!("\n{}\n\n", escaped(&head)));
        for answered in &each.criteria {
            out.push_str(&item(answered));
        }
    }
    if !decision.watched.is_empty() {
        out.push_str("\nWatched:\n\n");
        for watched in &decision.watched {
            out.push_str(&item(watched));
        }
    }
    out.push_str(&format!("\n{}\n", escaped(&words::preconditions(decision))));
    let boundary = Boundary::of(&results.pilots);
    let gating = decision.record.gating();
    let runs = results.runs.iter();
    for run in runs.filter(|run| gating.contains(&run.scenario.as_str())) {
        let analysis = Analysis::new(run, boundary);
        for state in analysis.states() {
            out.push_str(&format!(
                "\n**{}, {state}**: {} Gains are shares of the time of {} that are saved.\n\n",
                escaped(&run.scenario),
                escaped(&words::sentence(&run.what)),
                escaped(
                    analysis
                        .incumbent()
                        .map_or("the incumbent", |arm| &arm.name)
                ),
            ));
            out.push_str(&table(&tables::arms(&analysis, state)));
        }
    }
    out.push_str(&format!(
        "\nMeasured with {} at revision {}, {}, on {} ({} cores), seed {}. {}\n",
        code(&results.command),
        code(&results.revision),
        escaped(&results.started),
        escaped(&results.machine.model),
        results.machine.cores,
        results.seed,
        escaped(&words::travel(results))
    ));
    out
}

fn item(answered: &crate::decide::Answered) -> String {
    let evidence = words::sentence(&answered.evidence);
    format!(
        "- {}: **{}**. {}\n",
        escaped(&answered.label),
        answered.answer,
        escaped(&evidence)
    )
}

fn table(table: &tables::Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut out = line(&table.head);
    out.push_str(&format!("|{}\n", " --- |".repeat(table.head.len())));
    for row in &table.rows {
        out.push_str(&line(row));
    }
    out
}

/// Text as text: what Markdown, a table or HTML inside it would take for its own is escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// Text as code, in a fence that it does not hold itself.
fn code(text: &str) -> String {
    let text = one_line(text);
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') || text.is_empty() {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{text}{space}{fence}")
}
