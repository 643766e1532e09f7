//! `verdict.md`, and the part of it that goes into a decision record.

use super::tables::{self, Table};
use super::words;
use crate::analysis::Analysis;
use crate::decide::{Answered, Decision};
use crate::schema::{Results, ScenarioRun};
use crate::states::Boundary;
use crate::text::one_line;

/// The verdicts with their evidence, what was measured, and what the run could not see.
#[must_use]
pub fn markdown(results: &Results, decisions: &[Decision]) -> String {
    let (headline, travel) = (words::headline(decisions), words::travel(results));
    let verdicts = table(&tables::verdicts(decisions));
    let mut out = format!(
        "# {}\n\n{}\n\n{verdicts}",
        escaped(&headline),
        escaped(&travel)
    );
    for decision in decisions {
        let title = format!("ADR-{}: {}", decision.record.number, decision.record.title);
        out.push_str(&format!(
            "\n## {}\n\n{}",
            escaped(&title),
            section(results, decision)
        ));
    }
    out.push_str("\n## What this run could not see\n\n");
    for sentence in words::limits(results).iter().chain(&results.notes) {
        out.push_str(&format!("- {}\n", escaped(sentence)));
    }
    out
}

/// What goes into the record itself: verdicts, evidence, the measured tables, and the command that
/// made them. The same results and decision always give the same bytes.
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
        out.push_str(&format!(
            "\n{}\n\n{}",
            escaped(&head),
            items(&each.criteria)
        ));
    }
    if !decision.watched.is_empty() {
        out.push_str(&format!("\nWatched:\n\n{}", items(&decision.watched)));
    }
    out.push_str(&format!("\n{}\n", escaped(&words::preconditions(decision))));
    let boundary = Boundary::of(&results.pilots);
    let gating = decision.record.gating();
    let gates = |run: &&ScenarioRun| gating.contains(&run.scenario.as_str());
    for run in results.runs.iter().filter(gates) {
        let analysis = Analysis::new(run, boundary);
        let (what, incumbent) = (words::sentence(&run.what), analysis.incumbent());
        let about = format!("{what} Gains are shares of the time of {incumbent} that are saved.");
        for state in analysis.states() {
            let (name, about) = (escaped(&run.scenario), escaped(&about));
            let arms = table(&tables::arms(&analysis, state));
            out.push_str(&format!("\n**{name}, {state}**: {about}\n\n{arms}"));
        }
    }
    let (command, revision) = (code(&results.command), code(&results.revision));
    let (started, model) = (escaped(&results.started), escaped(&results.machine.model));
    let (cores, seed, travel) = (results.machine.cores, results.seed, words::travel(results));
    let how = format!("Measured with {command} at revision {revision}, {started}");
    out + &format!("\n{how}, on {model} ({cores} cores), seed {seed}. {travel}\n")
}

fn items(all: &[Answered]) -> String {
    let item = |each: &Answered| {
        let (label, evidence) = (
            escaped(&each.label),
            escaped(&words::sentence(&each.evidence)),
        );
        format!("- {label}: **{}**. {evidence}\n", each.answer)
    };
    all.iter().map(item).collect()
}

fn table(table: &Table) -> String {
    let line = |cells: &Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = format!("|{}\n", " --- |".repeat(table.head.len()));
    let rows: String = table.rows.iter().map(line).collect();
    line(&table.head) + &rule + &rows
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
    let longest = text.split(|c| c != '`').map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or_default() + 1);
    let bare = text.is_empty() || text.starts_with('`') || text.ends_with('`');
    let space = if bare { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}
