//! What an engine should measure before the decision is the last word.

use crate::bottleneck::{Measured, Pass, Side};
use crate::schema::{Mode, Results};

/// What to measure next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: more blocks are not planned, or would not help.
    Done,
    /// Go on with this pass of these scenarios, up to [`Plan::extended`](crate::schema::Plan::extended) blocks.
    Extend {
        /// The pass.
        pass: u8,
        /// The scenarios whose interval is too wide.
        scenarios: Vec<String>,
    },
    /// Run a second pass of these scenarios, all arms, with other orders and key streams.
    Confirm {
        /// The scenarios in which a candidate was found above the threshold.
        scenarios: Vec<String>,
    },
}

/// First the extension of the first pass, then the second pass, then its extension; for a quick run nothing.
pub(crate) fn next(measured: &[(&str, Measured)], results: &Results) -> Next {
    if results.mode == Mode::Quick {
        return Next::Done;
    }
    let extensions = |pass: fn(&Measured) -> &Pass, number: u8| {
        let all = measured.iter();
        unique(all.flat_map(|(_, m)| too_wide(pass(m), &candidates(m, number))))
    };
    let first = extensions(|m| &m.first, 1);
    if !first.is_empty() {
        return Next::Extend {
            pass: 1,
            scenarios: first,
        };
    }
    let unconfirmed = unique(measured.iter().flat_map(|(_, m)| unconfirmed(m)));
    if !unconfirmed.is_empty() {
        return Next::Confirm {
            scenarios: unconfirmed,
        };
    }
    let second = extensions(|m| &m.second, 2);
    if second.is_empty() {
        return Next::Done;
    }
    Next::Extend {
        pass: 2,
        scenarios: second,
    }
}

/// The candidates that a pass is about: in the second, those that the first found.
fn candidates(measured: &Measured, pass: u8) -> Vec<&str> {
    let all = measured.first.comparisons.iter();
    let mut names: Vec<&str> = all.map(|each| each.candidate.as_str()).collect();
    names.dedup();
    names.retain(|name| pass == 1 || measured.first.is_above(name));
    names
}

/// The scenarios where more blocks may bring an answer that is missing.
fn too_wide(pass: &Pass, candidates: &[&str]) -> Vec<String> {
    if pass.is_hopeless() {
        return Vec::new();
    }
    let may = |scenario: &String| pass.extendable.contains(scenario);
    let failing = pass.checks.iter().filter(|check| !check.holds);
    let of_checks = failing.map(|check| &check.scenario);
    let undecided = candidates.iter().filter(|name| !pass.is_above(name));
    let unclear = undecided.flat_map(|name| pass.of(name)).filter(|each| {
        // Without an estimate there is nothing that blocks would narrow.
        each.side == Side::Unclear
            && each.estimate.is_some()
            && (each.pass == 1 || each.adjusted_p.is_some())
    });
    let of_comparisons = unclear.map(|each| &each.scenario);
    of_checks
        .chain(of_comparisons)
        .filter(|scenario| may(scenario))
        .cloned()
        .collect()
}

/// The scenarios in which the first pass found a candidate above, and that have no second pass.
fn unconfirmed(measured: &Measured) -> Vec<String> {
    if measured.first.checks.iter().any(|check| !check.holds) {
        return Vec::new();
    }
    let above = measured
        .first
        .comparisons
        .iter()
        .filter(|each| each.side == Side::Above);
    let missing = above.filter(|each| !measured.second.has(&each.scenario));
    missing.map(|each| each.scenario.clone()).collect()
}

fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}
