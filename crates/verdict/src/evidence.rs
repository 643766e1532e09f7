//! The answer to each kind of criterion, with its evidence in a sentence.

use std::fmt;

use semver::Version;

use crate::bottleneck::{Measured, Place, Side};
use crate::criteria::{Facts, Record};
use crate::preconditions::Check;
use crate::states::State;
use crate::text::{count, grouped, interval, listed, percent};

/// What a criterion says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It was asked, and there is no answer yet.
    Open,
    /// It could not be asked: a fact is missing.
    NotEvaluated,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Open => "open",
            Self::NotEvaluated => "not evaluated",
        })
    }
}

type Evidence = (Answer, String);

pub(crate) fn crate_version(
    record: &Record,
    facts: &Facts,
    at_least: &Version,
    candidate: &str,
) -> Evidence {
    let mut candidates = record.candidates.iter();
    let Some(candidate) = candidates.find(|each| each.name == candidate) else {
        return (
            Answer::NotEvaluated,
            "there is no such candidate".to_owned(),
        );
    };
    let name = &candidate.crate_name;
    let all = facts.versions.get(name).map_or(&[][..], Vec::as_slice);
    // The newest decides: the question is whether such an API exists, not what else depends on an older one.
    let newest = all
        .iter()
        .filter_map(|text| text.parse::<Version>().ok())
        .max();
    let Some(newest) = newest else {
        let why = format!("Cargo.lock has no version of the crate {name}");
        return (Answer::NotEvaluated, why);
    };
    let mut evidence = format!("Cargo.lock has {name} {newest}, and {at_least} is asked for");
    if all.len() > 1 {
        evidence.push_str(&format!(" (of {})", listed(all)));
    }
    let answer = if newest >= *at_least {
        Answer::Yes
    } else {
        Answer::No
    };
    (answer, evidence)
}

pub(crate) fn gauge(facts: &Facts, per_shard: u64) -> Evidence {
    let (Some(tracked), Some(shards)) = (facts.gauges.tracked, facts.gauges.shards) else {
        let why = "needs the gauge from production (--tracked N) and the number of shards there";
        return (Answer::NotEvaluated, why.to_owned());
    };
    let ceiling = shards.saturating_mul(per_shard);
    let digits = |number: u64| grouped(&number.to_string());
    let reached = tracked >= ceiling;
    let evidence = format!(
        "{} tracked, {} the ceiling of {} x {} = {}",
        digits(tracked),
        if reached { "which reaches" } else { "below" },
        count(shards, "shard"),
        digits(per_shard),
        digits(ceiling)
    );
    (if reached { Answer::Yes } else { Answer::No }, evidence)
}

pub(crate) fn skew(facts: &Facts, at_most: f64) -> Evidence {
    let Some(skew) = facts.gauges.shard_skew else {
        return (
            Answer::NotEvaluated,
            "the load of the shards was not measured".to_owned(),
        );
    };
    let evidence =
        format!("the fullest shard holds {skew:.2} times the mean, and {at_most:.2} is still fine");
    (
        if skew > at_most {
            Answer::Yes
        } else {
            Answer::No
        },
        evidence,
    )
}

pub(crate) fn bottleneck(measured: &Measured<'_>, candidate: &str) -> Evidence {
    let states = measured.states();
    let mut said: Vec<String> = measured.missing.iter().map(Check::sentence).collect();
    for state in &states {
        let places = measured.of_state(*state);
        let at: Vec<String> = places.map(|place| sentence(place, candidate)).collect();
        let answer = measured.answer_in(candidate, *state);
        said.push(format!("{state}: {answer}, {}", at.join("; ")));
    }
    for state in State::ALL.iter().filter(|state| !states.contains(state)) {
        let blocks = measured.of_state(*state).map(|place| place.blocks).max();
        if let Some(blocks) = blocks {
            let blocks = count(blocks, "block");
            said.push(format!("{state}: seen in {blocks}, undecided"));
        }
    }
    if said.is_empty() {
        said.push("nothing was measured".to_owned());
    }
    (measured.answer(candidate), said.join(". "))
}

/// `decode-step gains 1.2 % (0.1 % to 2.2 %, 9 blocks), below 10.0 %`.
fn sentence(place: &Place, candidate: &str) -> String {
    let scenario = &place.scenario;
    let comparison = place.of(candidate);
    let threshold = comparison.map_or(0.0, |each| each.threshold);
    let estimate = comparison.and_then(|each| each.estimate);
    let gain = estimate.map_or_else(
        || format!("{scenario} gave no pair"),
        |estimate| {
            format!(
                "{scenario} gains {} ({}, {})",
                percent(estimate.gain()),
                interval(estimate.gain_interval()),
                count(estimate.blocks, "block")
            )
        },
    );
    let threshold = percent(threshold);
    let headroom = place.headroom.filter(|_| place.headroom_is_below);
    let side = match comparison.map(|each| each.side) {
        Some(Side::Above) => format!("above {threshold}"),
        _ if headroom.is_some() => {
            let most = headroom.map_or(0.0, |free| free.gain_interval().upper);
            format!(
                "where any map could gain at most {}, below {threshold}",
                percent(most)
            )
        }
        Some(Side::Below) => format!("below {threshold}"),
        Some(Side::Unclear) | None => format!("not clear of {threshold}"),
    };
    match place.failing() {
        Some(check) => format!("{gain}, {side}, but a precondition fails ({})", check.what),
        None => format!("{gain}, {side}"),
    }
}
