//! Lines for a terminal: one as soon as a candidate is settled, and a summary of one line each at
//! the end.

use super::{tables, words};
use crate::decide::{Answered, CandidateVerdict, Decision, Outcome, Ruling};
use crate::schema::Results;
use crate::text::one_line;

/// Sentences are broken here; a table is as wide as it is.
const WIDTH: usize = 100;

/// The verdict on one candidate in one line, without its newline: `0003 papaya: KEEP. (a)
/// stable-api says no, ...`.
#[must_use]
pub fn line(decision: &Decision, verdict: &CandidateVerdict) -> String {
    let (number, name) = (&decision.record.number, &verdict.candidate);
    let (ruling, why) = (tables::verdict(verdict), words::sentence(&verdict.why));
    let [best, _] = tables::best_and_worst(decision, verdict);
    one_line(&format!("{number} {name}: {ruling}. {why} At best {best}."))
}

/// The summary: what is not a plain KEEP with its reasons, then a line for each candidate. Plain
/// text without colours; ends with a newline.
#[must_use]
pub fn terminal(decisions: &[Decision], results: &Results) -> String {
    let mut out = String::new();
    for decision in decisions {
        let number = &decision.record.number;
        for each in &decision.candidates {
            if each.ruling != Ruling::Says(Outcome::Keep) {
                let (ruling, why) = (tables::verdict(each), words::sentence(&each.why));
                let head = format!("{number} {}: {ruling}. {why}", each.candidate);
                out.push_str(&wrapped(&head, ""));
                out.extend(each.criteria.iter().map(criterion));
            }
        }
        if !decision.watched.is_empty() {
            out.push_str(&wrapped(&format!("{number} watches:"), ""));
            out.extend(decision.watched.iter().map(criterion));
        }
    }
    let (headline, travel) = (words::headline(decisions), words::travel(results));
    let gap = if out.is_empty() { "" } else { "\n" };
    let summary = wrapped(&format!("{headline}. {travel}"), "");
    out + gap + &summary + &aligned(&tables::verdicts(decisions))
}

fn criterion(answered: &Answered) -> String {
    let evidence = words::sentence(&answered.evidence);
    let (label, answer) = (&answered.label, answered.answer);
    wrapped(&format!("{label}: {answer}. {evidence}"), "  ")
}

/// Columns two spaces apart.
fn aligned(table: &tables::Table) -> String {
    let rows = || std::iter::once(&table.head).chain(&table.rows);
    let width = |column: usize| rows().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..table.head.len()).filter_map(width).collect();
    let mut out = String::new();
    for row in rows() {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        out.push_str(&format!("{}\n", line.trim_end()));
    }
    out
}

/// Lines that begin with `indent`, all but the first by two more.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut out, mut line) = (String::new(), indent.to_owned());
    // A number and its unit stay together.
    for word in one_line(text).replace(" %", "\u{a0}%").split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&format!("{line}\n"));
            line = format!("{indent}  {word}");
        } else if line.trim().is_empty() {
            line.push_str(word);
        } else {
            line = format!("{line} {word}");
        }
    }
    format!("{out}{line}\n").replace('\u{a0}', " ")
}
