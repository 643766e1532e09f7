//! From results, a record and the facts to a verdict per candidate.
//!
//! # Design
//!
//! A record's rule is "revisit where all of these hold". Each criterion answers yes, no, open or not evaluated, for each
//! candidate. All yes: **REVISIT**. One no: **KEEP**. Else: **INCONCLUSIVE**. Where a precondition of the measurement fails, the
//! verdict is INCONCLUSIVE whatever the criteria say, and names the precondition; where another criterion already says no, it says
//! that too.
//!
//! A `--quick` run never ends in a verdict. It says what it *would* say, taking a first pass for confirmed.
//!
//! # Why
//!
//! The decision also says what to measure next ([`Decision::next`]), so that an engine needs no statistics of its own:
//! it measures, asks, and measures what is asked for, until there is nothing more to ask.

use std::fmt;

use crate::bottleneck::{Comparison, Measured};
use crate::criteria::{Facts, Kind, Record};
use crate::evidence::{self, Answer};
use crate::next::{Next, next};
use crate::preconditions::Check;
use crate::schema::{Mode, Results};
use crate::text::listed;

/// What a record's criteria come to, on one set of results.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The record.
    pub record: Record,
    /// The preconditions of every gating scenario and pass.
    pub checks: Vec<Check>,
    /// Every candidate in every gating scenario and pass.
    pub comparisons: Vec<Comparison>,
    /// A verdict for each candidate, in the order of the record.
    pub candidates: Vec<CandidateVerdict>,
    /// The criteria that are only watched.
    pub watched: Vec<Answered>,
    /// What would have to be measured before this is the last word.
    pub next: Next,
}

/// The verdict on one candidate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CandidateVerdict {
    /// The candidate.
    pub candidate: String,
    /// The verdict.
    pub ruling: Ruling,
    /// Why, in a sentence without its full stop.
    pub why: String,
    /// Each criterion of the rule, in its order, with its evidence.
    pub criteria: Vec<Answered>,
}

/// A criterion, answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answered {
    /// Its name with its letter, such as `(a) stable-api`.
    pub label: String,
    /// The answer.
    pub answer: Answer,
    /// The evidence, in a sentence without its full stop.
    pub evidence: String,
}

/// What a record's rule comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A criterion says no: the decision stands.
    Keep,
    /// All criteria say yes: decide anew.
    Revisit,
    /// Neither, or the measurement may not decide.
    Inconclusive,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "KEEP",
            Self::Revisit => "REVISIT",
            Self::Inconclusive => "INCONCLUSIVE",
        })
    }
}

/// A verdict, or what one would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// The verdict.
    Says(Outcome),
    /// Of a quick run: what a whole one would say if it saw the same.
    WouldSay(Outcome),
}

impl Ruling {
    /// The verdict; `None` of a quick run, which has none.
    #[must_use]
    pub fn verdict(self) -> Option<Outcome> {
        match self {
            Self::Says(outcome) => Some(outcome),
            Self::WouldSay(_) => None,
        }
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Says(outcome) => outcome.fmt(f),
            Self::WouldSay(outcome) => write!(f, "no verdict (quick), would say {outcome}"),
        }
    }
}

/// Decides a record.
///
/// Pure: the same results, record and facts give the same decision, bootstrap included. Costs a bootstrap for each arm that
/// is compared, some milliseconds each.
#[must_use]
pub fn decide(results: &Results, record: &Record, facts: &Facts) -> Decision {
    let quick = results.mode == Mode::Quick;
    let measured: Vec<(&str, Measured)> = record
        .criteria
        .iter()
        .filter_map(|criterion| match &criterion.kind {
            Kind::Bottleneck(bottleneck) => {
                let measured = Measured::new(results, bottleneck, record.cores);
                Some((criterion.name.as_str(), measured))
            }
            _ => None,
        })
        .collect();
    let case = Case {
        record,
        facts,
        measured: &measured,
        quick,
    };
    let passes = || measured.iter().flat_map(|(_, m)| [&m.first, &m.second]);
    let candidates = record.candidates.iter();
    let watched = record.watch.iter();
    Decision {
        checks: passes().flat_map(|pass| pass.checks.clone()).collect(),
        comparisons: passes().flat_map(|pass| pass.comparisons.clone()).collect(),
        candidates: candidates.map(|each| case.verdict(&each.name)).collect(),
        watched: watched.map(|name| case.answer(name, None)).collect(),
        next: next(&measured, results),
        record: record.clone(),
    }
}

/// All that an answer may rest on.
struct Case<'a> {
    record: &'a Record,
    facts: &'a Facts,
    measured: &'a [(&'a str, Measured)],
    quick: bool,
}

impl Case<'_> {
    fn verdict(&self, candidate: &str) -> CandidateVerdict {
        let rule = self.record.revisit.iter();
        let criteria: Vec<Answered> = rule
            .map(|name| self.answer(name, Some(candidate)))
            .collect();
        let (outcome, why) = rule_of(&criteria, self.failing(candidate));
        CandidateVerdict {
            candidate: candidate.to_owned(),
            ruling: if self.quick {
                Ruling::WouldSay(outcome)
            } else {
                Ruling::Says(outcome)
            },
            why,
            criteria,
        }
    }

    /// The first failing precondition of what the rule rests on for this candidate.
    fn failing(&self, candidate: &str) -> Option<&Check> {
        let in_rule = |name: &str| self.record.revisit.iter().any(|each| each == name);
        let mut measured = self.measured.iter().filter(|(name, _)| in_rule(name));
        measured.find_map(|(_, measured)| measured.failing(candidate).into_iter().next())
    }

    fn answer(&self, name: &str, candidate: Option<&str>) -> Answered {
        let found = self.record.criterion(name).map(|each| &each.kind);
        let (answer, evidence) = match (found, candidate) {
            (Some(Kind::CrateVersion { at_least }), candidate) => {
                evidence::crate_version(self.record, self.facts, at_least, candidate)
            }
            (Some(Kind::Bottleneck(bottleneck)), Some(candidate)) => {
                let measured = self.measured.iter().find(|(own, _)| *own == name);
                match measured {
                    Some((_, measured)) if bottleneck.candidates.iter().any(|c| c == candidate) => {
                        evidence::bottleneck(measured, bottleneck, candidate, self.quick)
                    }
                    _ => (
                        Answer::NotEvaluated,
                        "it does not compare this candidate".to_owned(),
                    ),
                }
            }
            (Some(Kind::Bottleneck(_)), None) => {
                let why =
                    "see the comparisons: it is answered per candidate, and here only watched";
                (Answer::NotEvaluated, why.to_owned())
            }
            (Some(Kind::GaugeAgainstCeiling { per_shard }), _) => {
                evidence::gauge(self.facts, *per_shard)
            }
            (Some(Kind::ShardSkew { at_most }), _) => evidence::skew(self.facts, *at_most),
            (None, _) => (Answer::NotEvaluated, "no such criterion".to_owned()),
        };
        Answered {
            label: self.record.label(name),
            answer,
            evidence,
        }
    }
}

/// The record's rule on its answers.
fn rule_of(criteria: &[Answered], failing: Option<&Check>) -> (Outcome, String) {
    let labels = |wanted: fn(Answer) -> bool| -> Vec<&str> {
        let of = criteria.iter().filter(|each| wanted(each.answer));
        of.map(|each| each.label.as_str()).collect()
    };
    let holds = |labels: &[&str], one: &str, more: &str| {
        let verb = if labels.len() == 1 { one } else { more };
        format!("{} {verb}", listed(labels))
    };
    let no = labels(|answer| answer == Answer::No);
    let missing = labels(|answer| matches!(answer, Answer::Open | Answer::NotEvaluated));
    let yes = labels(|answer| answer == Answer::Yes);
    if let Some(check) = failing {
        let mut why = format!("the measurement may not decide: {}", check.sentence());
        if !no.is_empty() {
            let already = holds(&no, "already says no", "already say no");
            why.push_str(&format!(". Note that {already}"));
        }
        (Outcome::Inconclusive, why)
    } else if !no.is_empty() {
        let mut why = holds(&no, "says no", "say no");
        if !yes.is_empty() {
            why.push_str(&format!(
                ", although {}",
                holds(&yes, "says yes", "say yes")
            ));
        }
        (Outcome::Keep, why)
    } else if missing.is_empty() && !criteria.is_empty() {
        (Outcome::Revisit, holds(&yes, "says yes", "say yes"))
    } else {
        let why = holds(&missing, "has no answer yet", "have no answer yet");
        (Outcome::Inconclusive, why)
    }
}
