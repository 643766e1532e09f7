//! `verdict.md`, and the part of it that goes into a decision record.

use super::view::{RunView, View};
use super::{tables, words};
use crate::decide::Decision;
use crate::schema::Results;
use crate::text::one_line;

/// The verdicts with their evidence, what was measured, and what it does not show.
#[must_use]
pub fn markdown(results: &Results, decisions: &[Decision]) -> String {
    let view = View::new(results, decisions);
    let mut out = String::from("# Verdict\n");
    for decision in decisions {
        let record = &decision.record;
        let title = escaped(&format!("ADR-{}: {}", record.number, record.title));
        out.push_str(&format!("\n## {title}\n\n"));
        out.push_str(&record_section(&view, decision));
        out.push_str("\n### Preconditions\n\n");
        out.push_str(&table(&tables::checks(decision)));
    }
    out.push_str("\n## What this machine cannot show\n\n");
    for limit in words::limits(results) {
        out.push_str(&format!("- {}\n", escaped(&limit)));
    }
    if !results.notes.is_empty() {
        out.push_str("\n## Notes\n\n");
        for note in &results.notes {
            out.push_str(&format!("- {}\n", escaped(note)));
        }
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
    let view = View::new(results, std::slice::from_ref(decision));
    record_section(&view, decision)
}

fn record_section(view: &View<'_>, decision: &Decision) -> String {
    let mut out = table(&tables::verdicts(decision));
    for (each, headline) in decision.candidates.iter().zip(words::headline(decision)) {
        out.push_str(&format!("\n{}\n\n", escaped(&headline)));
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
    let gating = decision.record.gating();
    let runs = view
        .runs
        .iter()
        .filter(|run| gating.contains(&run.run().scenario.as_str()));
    for run in runs {
        out.push_str(&format!(
            "\n**{}**: {}\n\n",
            escaped(&run.name()),
            escaped(&what(run))
        ));
        out.push_str(&table(&tables::arms(run)));
    }
    let results = view.results;
    out.push_str(&format!(
        "\nMeasured with {} at revision {}, {}, on {} ({} cores), seed {}.\n",
        code(&results.command),
        code(&results.revision),
        escaped(&results.started),
        escaped(&results.machine.model),
        results.machine.cores,
        results.seed
    ));
    out
}

fn what(run: &RunView<'_>) -> String {
    let what = words::sentence(&run.run().what);
    format!("{what} Gains are against {}.", run.incumbent())
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
