//! From results, a record and the facts to a verdict per candidate.
//!
//! A record's rule is "revisit where all of these hold". Each criterion answers yes, no, open or
//! not evaluated, for each candidate. All yes: **REVISIT**. One no: **KEEP**. Else:
//! **INCONCLUSIVE**. Where a precondition of the measurement fails, the measured criterion is open,
//! and the verdict names the precondition; a *no* of another criterion stands all the same.
//!
//! The decision also says what to measure [next](Next): a block of each gating scenario that may
//! still settle a candidate. A candidate that another criterion has settled is measured along, and
//! nobody waits for it. So an engine needs no statistics of its own: it measures, asks, and
//! measures what is asked for.
//!
//! A `--quick` run never ends in a verdict. It says what it *would* say.
//!
//! # Invariants
//!
//! The same results, record and facts give the same decision. It costs some ten microseconds for
//! each arm and block, so that one may ask after every block.

use std::fmt;

use crate::bottleneck::{Measured, Place};
use crate::criteria::{Candidate, Criterion, Facts, Record};
use crate::evidence::{self, Answer};
use crate::preconditions::Check;
use crate::schema::{Mode, Results, ScenarioRun};
use crate::states::{Boundary, State, travel};
use crate::text::listed;

/// What a record's criteria come to, on one set of results.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The record.
    pub record: Record,
    /// Every gating scenario in every state that it was seen in, with its preconditions and
    /// comparisons.
    pub places: Vec<Place>,
    /// What kept a gating scenario from being a place.
    pub missing: Vec<Check>,
    /// A verdict for each candidate, in the order of their names.
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
    /// It has an answer that no further block is waited for: an engine may print it.
    pub settled: bool,
    /// Why, in a sentence without its full stop.
    pub why: String,
    /// Each criterion of the rule, in its order, with its evidence.
    pub criteria: Vec<Answered>,
    /// What the measured criterion says in each state that counts.
    pub states: Vec<(State, Answer)>,
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

/// What to measure next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: every candidate is settled, or no block would settle one.
    Done,
    /// One more block of each of these gating scenarios, in turn; then decide again.
    Measure {
        /// The scenarios, in the order of the record.
        scenarios: Vec<String>,
    },
}

/// Decides a record.
#[must_use]
pub fn decide(results: &Results, record: &Record, facts: &Facts) -> Decision {
    let cores = record.cores.get();
    let measured = record
        .bottleneck()
        .map(|own| Measured::new(results, own, cores));
    let case = Case {
        results,
        record,
        facts,
        measured: measured.as_ref(),
    };
    let candidates = record.candidates.iter();
    let candidates: Vec<_> = candidates
        .map(|(name, each)| case.verdict(name, each))
        .collect();
    let watched = record.rule.watch.iter();
    let watched = watched.map(|name| case.answer(name, None)).collect();
    let next = case.next(&candidates);
    let (places, missing) = measured.map_or_else(Default::default, |m| (m.places, m.missing));
    Decision {
        record: record.clone(),
        places,
        missing,
        candidates,
        watched,
        next,
    }
}

/// All that an answer may rest on.
struct Case<'a> {
    results: &'a Results,
    record: &'a Record,
    facts: &'a Facts,
    measured: Option<&'a Measured<'a>>,
}

impl Case<'_> {
    fn verdict(&self, name: &str, candidate: &Candidate) -> CandidateVerdict {
        let rule = self.record.rule.revisit.iter();
        let candidate = Some((name, candidate));
        let criteria: Vec<_> = rule.map(|each| self.answer(each, candidate)).collect();
        let (outcome, mut why) = rule_of(&criteria);
        let open = outcome == Outcome::Inconclusive;
        let (mut states, mut settled) = (Vec::new(), !open);
        if let Some(measured) = self.measured {
            let answer_in = |state| (state, measured.answer_in(name, state));
            states.extend(measured.states().map(answer_in));
            settled |= measured.wanted(name).is_empty();
            if let Some(check) = measured.failing().filter(|_| open) {
                why = format!("the measurement may not decide: {}", check.sentence());
            } else if measured.answer(name) != Answer::Open {
                why = format!("{why}, {}", self.holds_for(measured, name));
            }
        }
        let quick = self.results.mode == Mode::Quick;
        let says = if quick {
            Ruling::WouldSay
        } else {
            Ruling::Says
        };
        CandidateVerdict {
            candidate: name.to_owned(),
            ruling: says(outcome),
            settled,
            why,
            criteria,
            states,
        }
    }

    /// `for lines that travel in 21 ns (near); far not seen`: the states of which the answer holds.
    fn holds_for(&self, measured: &Measured<'_>, candidate: &str) -> String {
        let boundary = Boundary::of(&self.results.pilots);
        let gating = |run: &&ScenarioRun| measured.bottleneck.gating.contains(&run.scenario);
        let (mut times, mut others) = (Vec::new(), String::new());
        for state in State::ALL {
            let runs = self.results.runs.iter().filter(gating);
            let counts = measured.states().any(|counting| counting == state);
            let own = measured.answer_in(candidate, state) == measured.answer(candidate);
            if !counts {
                let seen = measured.of_state(state).next().is_some();
                let how = if seen { "seen, undecided" } else { "not seen" };
                others.push_str(&format!("; {state} {how}"));
            } else if own {
                times.extend(travel(runs, boundary, state));
            }
        }
        if times.is_empty() {
            return "where line travel was not probed".to_owned();
        }
        format!("for lines that travel in {}{others}", listed(&times))
    }

    fn answer(&self, name: &str, candidate: Option<(&str, &Candidate)>) -> Answered {
        let criterion = self.record.criteria.get(name);
        let (answer, evidence) = match (criterion, candidate, self.measured) {
            (Some(Criterion::CrateVersion { at_least }), Some((_, candidate)), _) => {
                evidence::crate_version(candidate, self.facts, at_least)
            }
            (Some(Criterion::Bottleneck(_)), Some((candidate, _)), Some(measured)) => {
                evidence::bottleneck(measured, candidate)
            }
            (Some(Criterion::GaugeAgainstCeiling { per_shard }), ..) => {
                evidence::gauge(self.facts, per_shard.get())
            }
            (Some(Criterion::ShardSkew { at_most }), ..) => evidence::skew(self.facts, *at_most),
            _ => evidence::not_evaluated("it is answered for each candidate"),
        };
        Answered {
            label: self.record.label(name),
            answer,
            evidence,
        }
    }

    /// What may settle a candidate, and what a report needs to show anything.
    fn next(&self, candidates: &[CandidateVerdict]) -> Next {
        let Some(measured) = self.measured else {
            return Next::Done;
        };
        let unsettled = candidates.iter().filter(|each| !each.settled);
        let mut wanted = measured.unshown();
        wanted.extend(unsettled.flat_map(|each| measured.wanted(&each.candidate)));
        let gating = measured.bottleneck.gating.iter();
        let scenarios = gating.filter(|name| wanted.contains(&name.as_str()));
        let scenarios: Vec<String> = scenarios.cloned().collect();
        if scenarios.is_empty() {
            Next::Done
        } else {
            Next::Measure { scenarios }
        }
    }
}

/// The record's rule on its answers.
fn rule_of(criteria: &[Answered]) -> (Outcome, String) {
    let say = |wanted: &[Answer], one: &str, more: &str| {
        let of = criteria.iter().filter(|each| wanted.contains(&each.answer));
        let labels: Vec<&str> = of.map(|each| each.label.as_str()).collect();
        let verb = if labels.len() == 1 { one } else { more };
        (!labels.is_empty()).then(|| format!("{} {verb}", listed(&labels)))
    };
    let yes = say(&[Answer::Yes], "says yes", "say yes");
    let no = say(&[Answer::No], "says no", "say no");
    let missing = [Answer::Open, Answer::NotEvaluated];
    let missing = say(&missing, "has no answer yet", "have no answer yet");
    match (no, missing, yes) {
        (Some(no), _, Some(yes)) => (Outcome::Keep, format!("{no}, although {yes}")),
        (Some(no), _, None) => (Outcome::Keep, no),
        (None, None, Some(yes)) => (Outcome::Revisit, yes),
        (None, missing, _) => (Outcome::Inconclusive, missing.unwrap_or_default()),
    }
}
