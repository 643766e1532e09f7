//! The answer to each kind of criterion, with its evidence in a sentence.

use std::fmt;

use crate::bottleneck::{Comparison, Measured, Pass, Side};
use crate::criteria::{Bottleneck, Facts, Record, Version};
use crate::text::{count, grouped, listed, ordinal, percent};

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
    candidate: Option<&str>,
) -> Evidence {
    let of_candidate = |name: &str| record.candidates.iter().find(|each| each.name == name);
    let Some(candidate) = candidate.and_then(of_candidate) else {
        let why = "it is answered per candidate, and here only watched".to_owned();
        return (Answer::NotEvaluated, why);
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

pub(crate) fn bottleneck(
    measured: &Measured,
    bottleneck: &Bottleneck,
    candidate: &str,
    quick: bool,
) -> Evidence {
    let sentences = |pass: &Pass, wanted: fn(&Comparison) -> bool| -> Vec<String> {
        let of = pass.of(candidate).filter(|each| wanted(each));
        of.map(|each| sentence(each, &bottleneck.incumbent))
            .collect()
    };
    let mut said = sentences(&measured.first, |_| true);
    let contradicts = |each: &Comparison| each.adjusted_p.is_none() && each.is_alone_above();
    let contradicted = measured.second.of(candidate).any(contradicts);
    if contradicted {
        said.extend(sentences(&measured.second, contradicts));
    } else {
        said.extend(sentences(&measured.second, |each| {
            each.adjusted_p.is_some()
        }));
    }

    let (answer, then) = if let Some(check) = measured.failing(candidate).first() {
        (
            Answer::Open,
            format!("but a precondition fails ({})", check.what),
        )
    } else if measured.first.is_above(candidate) {
        if quick {
            (
                Answer::Yes,
                "a second pass would have to confirm it".to_owned(),
            )
        } else if measured.second.is_above(candidate) {
            (Answer::Yes, "the second pass confirms it".to_owned())
        } else if measured.is_confirmable(candidate) {
            let then = "the second pass does not confirm it, so run again on a quieter machine";
            (Answer::Open, then.to_owned())
        } else {
            (Answer::Open, "a second pass has to confirm it".to_owned())
        }
    } else if let Some(unclear) = measured
        .first
        .of(candidate)
        .find(|c| c.side == Side::Unclear)
    {
        (Answer::Open, settles(unclear))
    } else if contradicted {
        (
            Answer::Open,
            "the second pass contradicts the first, so run again".to_owned(),
        )
    } else {
        // Every gating scenario was measured, or a precondition would fail.
        (Answer::No, String::new())
    };
    said.push(then);
    said.retain(|part| !part.is_empty());
    (answer, said.join("; "))
}

/// `in decode-step, first pass, papaya takes 12.3 % less time ...`.
fn sentence(comparison: &Comparison, incumbent: &str) -> String {
    let Comparison {
        candidate,
        scenario,
        pass,
        ..
    } = comparison;
    let place = format!("in {scenario}, {} pass", ordinal(*pass));
    let Some(estimate) = &comparison.estimate else {
        return format!("{place}, no block gave a pair for {candidate}");
    };
    let gain = estimate.gain();
    let more_or_less = if gain < 0.0 { "more" } else { "less" };
    let interval = estimate.gain_interval();
    let verdict = match comparison.side {
        Side::Above => "above",
        Side::Below => "below",
        Side::Unclear => "not clear of",
    };
    let mut text = format!(
        "{place}, {candidate} takes {} {more_or_less} time per operation than {incumbent} \
         (gain {}, 95 % interval {} to {}, {}), {verdict} the threshold of {}",
        percent(gain.abs()),
        percent(gain),
        percent(interval.lower),
        percent(interval.upper),
        count(estimate.blocks, "block"),
        percent(bar(comparison))
    );
    if comparison.side != Side::Below && comparison.effective > comparison.threshold {
        let record = percent(comparison.threshold);
        text.push_str(&format!(
            " (the record's {record}, raised to three half-widths of A/A')"
        ));
    }
    text
}

fn bar(comparison: &Comparison) -> f64 {
    match comparison.side {
        Side::Below => comparison.threshold,
        Side::Above | Side::Unclear => comparison.effective,
    }
}

/// What would settle an unclear comparison.
fn settles(comparison: &Comparison) -> String {
    const TOO_MANY: f64 = 500.0;
    let Some(estimate) = &comparison.estimate else {
        return format!("find out why {} gave no pair", comparison.candidate);
    };
    let interval = estimate.gain_interval();
    if !interval.is_bounded() {
        let blocks = count(estimate.blocks, "block");
        return format!("{blocks} bound no 95 % interval, at least 6 do");
    }
    if comparison.is_alone_above() {
        return "the interval alone is above, but not after the correction for several comparisons: more blocks would settle it".to_owned();
    }
    let gain = estimate.gain();
    let distance = if gain > comparison.effective {
        gain - comparison.effective
    } else {
        (comparison.threshold - gain).max(0.0)
    };
    // The width falls with the root of the blocks.
    let needed = estimate.blocks as f64 * (interval.half_width() / distance).powi(2);
    if needed <= TOO_MANY {
        format!(
            "at this spread about {:.0} blocks would settle it",
            needed.ceil()
        )
    } else {
        "the gain lies too near the threshold for blocks to settle it: a quieter machine might"
            .to_owned()
    }
}
