//! The answer to each kind of criterion, with its evidence in a sentence.

use std::fmt;

use semver::Version;

use crate::analysis::Estimate;
use crate::bottleneck::{Measured, Place};
use crate::criteria::{Candidate, Facts};
use crate::preconditions::Check;
use crate::states::State;
use crate::text::{count, grouped, listed, percent};

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

impl Answer {
    fn whether(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
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

pub(crate) type Evidence = (Answer, String);

pub(crate) fn not_evaluated(why: impl Into<String>) -> Evidence {
    (Answer::NotEvaluated, why.into())
}

pub(crate) fn crate_version(candidate: &Candidate, facts: &Facts, at_least: &Version) -> Evidence {
    let name = &candidate.crate_name;
    let all = facts.versions.get(name).map_or(&[][..], Vec::as_slice);
    // The newest decides: the question is whether such an API exists, not what else is in use.
    let versions = all.iter().filter_map(|text| Version::parse(text).ok());
    let Some(newest) = versions.max() else {
        return not_evaluated(format!("Cargo.lock has no version of the crate {name}"));
    };
    let mut evidence = format!("Cargo.lock has {name} {newest}, and {at_least} is asked for");
    if all.len() > 1 {
        evidence.push_str(&format!(" (of {})", listed(all)));
    }
    (Answer::whether(newest >= *at_least), evidence)
}

pub(crate) fn gauge(facts: &Facts, per_shard: u64) -> Evidence {
    let (Some(tracked), Some(shards)) = (facts.gauges.tracked, facts.gauges.shards) else {
        return not_evaluated("needs the gauge from production (--tracked N) and its shards");
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
    (Answer::whether(reached), evidence)
}

pub(crate) fn skew(facts: &Facts, at_most: f64) -> Evidence {
    let Some(skew) = facts.gauges.shard_skew else {
        return not_evaluated("the load of the shards was not measured");
    };
    let evidence =
        format!("the fullest shard holds {skew:.2} times the mean, and {at_most:.2} is still fine");
    (Answer::whether(skew > at_most), evidence)
}

pub(crate) fn bottleneck(measured: &Measured<'_>, candidate: &str) -> Evidence {
    let states: Vec<State> = measured.states().collect();
    let mut said: Vec<String> = measured.missing.iter().map(Check::sentence).collect();
    for state in State::ALL {
        let places: Vec<&Place> = measured.of_state(state).collect();
        if states.contains(&state) {
            let at = places
                .iter()
                .map(|place| sentence(place, candidate, measured));
            let (answer, at) = (measured.answer_in(candidate, state), Vec::from_iter(at));
            said.push(format!("{state}: {answer}, {}", at.join("; ")));
        } else if !places.is_empty() {
            said.push(format!("{state}: seen, undecided"));
        }
    }
    (measured.answer(candidate), said.join(". "))
}

/// `decode-step +1.2 % [0.1 to 2.2 %] in 9 blocks, below 10.0 %`.
fn sentence(place: &Place, candidate: &str, measured: &Measured<'_>) -> String {
    let comparison = place.of(candidate);
    let estimate = comparison.and_then(|each| each.estimate);
    let found = |each: Estimate| format!("{each} in {}", count(each.blocks, "block"));
    let found = estimate.map_or_else(|| "no pair".to_owned(), found);
    let gain = format!("{} {found}", place.scenario);
    let threshold = percent(measured.bottleneck.threshold);
    let (above, free) = (comparison.map(|each| each.above), &place.headroom);
    let side = match (above, free.above, free.estimate) {
        (Some(Answer::Yes), ..) => format!("above {threshold}"),
        (_, Answer::No, Some(free)) => {
            let most = percent(free.interval.upper);
            format!("where any map could gain at most {most}, below {threshold}")
        }
        (Some(Answer::No), ..) => format!("below {threshold}"),
        _ => format!("not clear of {threshold}"),
    };
    match place.failing() {
        Some(check) => format!("{gain}, {side}, but a precondition fails ({})", check.what),
        None => format!("{gain}, {side}"),
    }
}
