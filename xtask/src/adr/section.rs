//! What stands between a record's markers: where it comes from, the verdicts, the figures.
//!
//! Everything in it is computed from the results file and the criteria, and nothing from today: a section that was true
//! stays true when a dependency, the machine or the date changes, and can be computed again to check it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use verdict::schema::{BytesFigure, MapState, Results};
use verdict::{Decision, render};

/// How a section begins, up to the name of its results file.
const FROM: &str = "From [`";

pub(super) fn write(file: &str, results: &Results, decision: &Decision) -> String {
    let number = &decision.record.number;
    let mut out = String::new();
    line(
        &mut out,
        format_args!(
            "\n{FROM}{file}`]({file}), by `cargo xtask adr update {number}`. Do not edit it: `cargo xtask adr check` \
             computes it again.\n"
        ),
    );
    out.push_str(&render::section(results, decision));
    memory(&mut out, &results.bytes);
    out.push('\n');
    out
}

/// The results file that a section says it comes from.
pub(super) fn named(section: &str) -> Option<&str> {
    let (name, _) = section.trim_start().strip_prefix(FROM)?.split_once('`')?;
    Some(name)
}

/// Bytes per entry: no criterion asks for them, and the records' own text refers to them.
fn memory(out: &mut String, figures: &[BytesFigure]) {
    const STATES: [MapState; 3] = [MapState::Filled, MapState::AfterChurn, MapState::AfterDrain];
    if figures.is_empty() {
        return;
    }
    let mut rows = BTreeMap::<(&str, u64), [String; 3]>::new();
    for figure in figures {
        let row = rows.entry((&figure.arm, figure.entries));
        let row = row.or_insert_with(|| STATES.map(|_| "–".to_owned()));
        for (cell, state) in row.iter_mut().zip(STATES) {
            if let Some(bytes) = figure.per_entry().filter(|_| state == figure.state) {
                *cell = format!("{bytes:.1}");
            }
        }
    }
    line(
        out,
        format_args!(
            "\nBytes per entry, after a drain of the entries that there were before:\n\n\
             | arm | entries | filled | after churn | after a drain |\n| --- | --: | --: | --: | --: |"
        ),
    );
    for ((arm, entries), cells) in rows {
        let (arm, cells) = (plain(arm), cells.join(" | "));
        line(out, format_args!("| {arm} | {entries} | {cells} |"));
    }
}

fn line(out: &mut String, text: fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes everything");
}

/// Text from a results file on one line, so that it can end neither a cell nor the section.
fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.chars().map(visible).collect();
    line.replace('<', "&lt;").replace('|', "\\|")
}
