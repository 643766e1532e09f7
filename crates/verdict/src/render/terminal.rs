//! Lines for a terminal: one as soon as a candidate is settled, and a summary of one line each at the end.

use super::rows::{Row, rows};
use super::words;
use crate::decide::{CandidateVerdict, Decision, Outcome};
use crate::schema::Results;
use crate::text::one_line;

/// Sentences are broken here; a table is as wide as it is.
const WIDTH: usize = 100;

/// The verdict on one candidate in one line, without its newline: `0003 papaya: KEEP. (a) stable-api says no, ...`.
#[must_use]
pub fn line(decision: &Decision, verdict: &CandidateVerdict) -> String {
    let row = Row::of(decision, verdict);
    let why = words::sentence(&verdict.why);
    let gains = [row.best(), row.worst()].into_iter().flatten();
    let gains: Vec<String> = gains.collect();
    let head = format!(
        "{} {}: {}. {why}",
        decision.record.number,
        verdict.candidate,
        row.verdict()
    );
    one_line(format!("{head} {}", gains.join(", ")).trim_end())
}

/// The summary: what is not a plain KEEP with its reasons, then a line for each candidate. Plain text without colours; ends with
/// a newline.
#[must_use]
pub fn terminal(decisions: &[Decision], results: &Results) -> String {
    let mut out = String::new();
    let rows = rows(decisions);
    let keep = |row: &&Row<'_>| row.verdict.ruling.verdict() != Some(Outcome::Keep);
    for row in rows.iter().filter(keep) {
        let (record, verdict) = (&row.decision.record, row.verdict);
        let head = format!(
            "{} {}: {}",
            record.number,
            verdict.candidate,
            words::sentence(&verdict.why)
        );
        out.push_str(&wrapped(&head, "", "  "));
        for answered in &verdict.criteria {
            let evidence = words::sentence(&answered.evidence);
            let text = format!("{}: {}. {evidence}", answered.label, answered.answer);
            out.push_str(&wrapped(&text, "  ", "    "));
        }
    }
    for decision in decisions {
        for watched in &decision.watched {
            let evidence = words::sentence(&watched.evidence);
            let text = format!(
                "{} watches {}: {evidence}",
                decision.record.number, watched.label
            );
            out.push_str(&wrapped(&text, "", "  "));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let headline = format!("{}. {}", words::headline(decisions), words::travel(results));
    out.push_str(&wrapped(&headline, "", ""));
    let nothing = || "–".to_owned();
    let cells = rows.iter().map(|row| {
        [
            one_line(&row.decision.record.number),
            one_line(&row.verdict.candidate),
            row.verdict(),
            row.best().unwrap_or_else(nothing),
            row.worst().unwrap_or_else(nothing),
        ]
    });
    let head = [
        "record",
        "candidate",
        "verdict",
        "best gating scenario",
        "worst",
    ];
    let cells: Vec<[String; 5]> = std::iter::once(head.map(str::to_owned))
        .chain(cells)
        .collect();
    out.push_str(&aligned(&cells));
    out
}

/// Columns two spaces apart.
fn aligned(rows: &[[String; 5]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn wrapped(text: &str, first: &str, rest: &str) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    // A number and its unit stay together.
    for word in one_line(text).replace(" %", "\u{a0}%").split(' ') {
        let longer = line.chars().count() + 1 + word.chars().count();
        if !empty && longer > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = rest.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(&line);
    out.push('\n');
    out.replace('\u{a0}', " ")
}
