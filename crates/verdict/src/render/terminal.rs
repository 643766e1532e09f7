//! The table of verdicts for a terminal.

use super::{tables, words};
use crate::decide::Decision;
use crate::text::one_line;

/// Sentences are broken here; a table is as wide as it is.
const WIDTH: usize = 100;

/// A table of the verdicts and, below it, each criterion with its evidence. Plain text without colours, of lines of at most
/// 100 characters but for the table; ends with a newline.
#[must_use]
pub fn terminal(decisions: &[Decision]) -> String {
    let mut out = String::new();
    for decision in decisions {
        let record = &decision.record;
        let title = format!("ADR-{}: {}", record.number, record.title);
        out.push_str(&one_line(&title));
        out.push_str("\n\n");
        out.push_str(&aligned(&tables::verdicts(decision)));
        for (each, headline) in decision.candidates.iter().zip(words::headline(decision)) {
            out.push('\n');
            out.push_str(&wrapped(&headline, "  ", "  "));
            for answered in &each.criteria {
                out.push_str(&criterion(answered));
            }
        }
        out.push('\n');
        for watched in &decision.watched {
            out.push_str(&criterion(watched));
        }
        out.push_str(&wrapped(&words::preconditions(decision), "  ", "    "));
        out.push('\n');
    }
    out
}

fn criterion(answered: &crate::decide::Answered) -> String {
    let text = format!(
        "{}: {}. {}",
        answered.label,
        answered.answer,
        words::sentence(&answered.evidence)
    );
    wrapped(&text, "    ", "      ")
}

/// Columns two spaces apart.
fn aligned(table: &tables::Table) -> String {
    let rows = || std::iter::once(&table.head).chain(&table.rows);
    let width = |column: usize| {
        let cells = rows().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..table.head.len()).map(width).collect();
    let mut out = String::new();
    for row in rows() {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        out.push_str("  ");
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
