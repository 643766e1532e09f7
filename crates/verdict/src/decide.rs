//! From results, a record and the facts to a verdict per candidate.
//!
//! # Design
//!
//! A record's rule is "revisit where all of these hold". Each criterion answers yes, no, open or not evaluated, for each
//! candidate. All yes: **REVISIT**. One no: **KEEP**. Else: **INCONCLUSIVE**. Where a precondition of the measurement fails, the
//! measured criterion is open, and the verdict names the precondition; a *no* of another criterion stands all the same.
//!
//! The decision also says what to measure next ([`Decision::next`]): a block of each gating scenario that may still settle a
//! candidate. A candidate that another criterion has settled is measured along and waited for by nobody. So an engine needs no
//! statistics of its own: it measures, asks, and measures what is asked for.
//!
//! A `--quick` run never ends in a verdict. It says what it *would* say.
//!
//! # Invariants
//!
//! The same results, record and facts give the same decision. It costs some ten microseconds for each arm and block, so that
//! one may ask after every block.

use std::fmt;

use crate::analysis::Analysis;
use crate::bottleneck::{Measured, Place};
use crate::criteria::{Facts, Kind, Record};
use crate::evidence::{self, Answer};
use crate::next::Next;
use crate::preconditions::Check;
use crate::schema::{Mode, Results, ScenarioRun};
use crate::states::{Boundary, State};
use crate::stats::median;
use crate::text::{count, listed};

/// What a record's criteria come to, on one set of results.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The record.
    pub record: Record,
    /// Every gating scenario in every state that it was seen in, with its preconditions and comparisons.
    pub places: Vec<Place>,
    /// What kept a gating scenario from being a place.
    pub missing: Vec<Check>,
    /// The states of the machine that its gating scenarios were seen in, near first.
    pub states: Vec<Seen>,
    /// A verdict for each candidate, in the order of the record.
    pub candidates: Vec<CandidateVerdict>,
    /// The criteria that are only watched.
    pub watched: Vec<Answered>,
    /// What would have to be measured before this is the last word.
    pub next: Next,
}

/// A state of the machine, as the gating scenarios of a record saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// The state.
    pub state: State,
    /// How long a line travels in it, the median of the probes in nanoseconds; `None` where nothing was probed.
    pub travel: Option<f64>,
    /// The most blocks of it that a gating scenario has.
    pub blocks: usize,
    /// It counts: verdicts hold for it. Else it is seen, undecided.
    pub counts: bool,
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

/// Decides a record.
#[must_use]
pub fn decide(results: &Results, record: &Record, facts: &Facts) -> Decision {
    let measured = record.bottleneck();
    let measured = measured.map(|bottleneck| Measured::new(results, bottleneck, record.cores));
    let case = Case {
        results,
        record,
        facts,
        states: measured
            .as_ref()
            .map_or_else(Vec::new, |m| seen(m, results)),
        measured: measured.as_ref(),
    };
    let candidates = record.candidates.iter();
    let candidates: Vec<CandidateVerdict> =
        candidates.map(|each| case.verdict(&each.name)).collect();
    let watched = record.watch.iter();
    let watched = watched.map(|name| case.answer(name, None)).collect();
    let next = case.next(&candidates);
    let states = case.states;
    let (places, missing) = measured.map_or_else(Default::default, |m| (m.places, m.missing));
    Decision {
        record: record.clone(),
        places,
        missing,
        states,
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
    states: Vec<Seen>,
}

impl Case<'_> {
    fn verdict(&self, candidate: &str) -> CandidateVerdict {
        let rule = self.record.revisit.iter();
        let criteria: Vec<Answered> = rule
            .map(|name| self.answer(name, Some(candidate)))
            .collect();
        let compared = self.measured.filter(|m| m.bottleneck.compares(candidate));
        let (outcome, mut why) = rule_of(&criteria);
        let states = compared.map_or_else(Vec::new, |measured| {
            let counting = measured.states().into_iter();
            let answer = |state| (state, measured.answer_in(candidate, state));
            counting.map(answer).collect::<Vec<_>>()
        });
        let open = outcome == Outcome::Inconclusive;
        let failing = compared.and_then(Measured::failing).filter(|_| open);
        if let Some(check) = failing {
            why = format!("the measurement may not decide: {}", check.sentence());
        } else if let Some(answer) = compared.map(|m| m.answer(candidate)) {
            let of = states.iter().filter(|(_, own)| *own == answer);
            let of: Vec<State> = of.map(|(state, _)| *state).collect();
            if answer != Answer::Open {
                why.push_str(&format!(", {}", holds_for(&of, &self.states)));
            }
        }
        let wanted = compared.map_or(0, |measured| measured.wanted(candidate).len());
        CandidateVerdict {
            candidate: candidate.to_owned(),
            ruling: if self.results.mode == Mode::Quick {
                Ruling::WouldSay(outcome)
            } else {
                Ruling::Says(outcome)
            },
            settled: !open || wanted == 0,
            why,
            criteria,
            states,
        }
    }

    fn answer(&self, name: &str, candidate: Option<&str>) -> Answered {
        let kind = self.record.criterion(name).map(|each| &each.kind);
        let (answer, evidence) = match (kind, candidate) {
            (Some(Kind::CrateVersion { at_least }), Some(candidate)) => {
                evidence::crate_version(self.record, self.facts, at_least, candidate)
            }
            (Some(Kind::Bottleneck(_)), Some(candidate)) => {
                let compared = self.measured.filter(|m| m.bottleneck.compares(candidate));
                compared.map_or_else(
                    || {
                        let why = "it does not compare this candidate".to_owned();
                        (Answer::NotEvaluated, why)
                    },
                    |measured| evidence::bottleneck(measured, candidate),
                )
            }
            (Some(Kind::GaugeAgainstCeiling { per_shard }), _) => {
                evidence::gauge(self.facts, per_shard.get())
            }
            (Some(Kind::ShardSkew { at_most }), _) => evidence::skew(self.facts, *at_most),
            (Some(Kind::CrateVersion { .. } | Kind::Bottleneck(_)), None) | (None, _) => {
                let why = "it is answered for each candidate, and there is none here";
                (Answer::NotEvaluated, why.to_owned())
            }
        };
        Answered {
            label: self.record.label(name),
            answer,
            evidence,
        }
    }

    /// What may settle a candidate; and where all are settled already, what a report needs to show anything.
    fn next(&self, candidates: &[CandidateVerdict]) -> Next {
        let Some(measured) = self.measured else {
            return Next::Done;
        };
        let unsettled = candidates.iter().filter(|each| !each.settled);
        let mut wanted: Vec<&str> = unsettled
            .flat_map(|each| measured.wanted(&each.candidate))
            .chain(measured.unshown())
            .collect();
        let order = |name: &&str| {
            let mut gating = measured.bottleneck.gating.iter();
            gating.position(|each| each == name)
        };
        wanted.sort_by_key(order);
        wanted.dedup();
        if wanted.is_empty() {
            return Next::Done;
        }
        Next::Measure {
            scenarios: wanted.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// The record's rule on its answers.
fn rule_of(criteria: &[Answered]) -> (Outcome, String) {
    let labels = |wanted: &[Answer]| -> Vec<&str> {
        let of = criteria.iter().filter(|each| wanted.contains(&each.answer));
        of.map(|each| each.label.as_str()).collect()
    };
    let holds = |labels: &[&str], one: &str, more: &str| {
        let verb = if labels.len() == 1 { one } else { more };
        format!("{} {verb}", listed(labels))
    };
    let (no, yes) = (labels(&[Answer::No]), labels(&[Answer::Yes]));
    let missing = labels(&[Answer::Open, Answer::NotEvaluated]);
    if !no.is_empty() {
        let mut why = holds(&no, "says no", "say no");
        if !yes.is_empty() {
            let yes = holds(&yes, "says yes", "say yes");
            why.push_str(&format!(", although {yes}"));
        }
        (Outcome::Keep, why)
    } else if missing.is_empty() && !criteria.is_empty() {
        (Outcome::Revisit, holds(&yes, "says yes", "say yes"))
    } else {
        let why = holds(&missing, "has no answer yet", "have no answer yet");
        (Outcome::Inconclusive, why)
    }
}

fn seen(measured: &Measured<'_>, results: &Results) -> Vec<Seen> {
    let boundary = Boundary::of(&results.pilots);
    let gating = |run: &&ScenarioRun| measured.bottleneck.gating.contains(&run.scenario);
    let seen = |state: State| {
        let blocks = measured.of_state(state).map(|place| place.blocks).max()?;
        let runs = results.runs.iter().filter(gating);
        let travel = runs.flat_map(|run| Analysis::new(run, boundary).blocks(state));
        let travel = travel.flat_map(|block| block.travel.iter().map(|nanos| f64::from(*nanos)));
        (blocks > 0).then(|| Seen {
            state,
            travel: median(&mut travel.collect::<Vec<_>>()),
            blocks,
            counts: measured.states().contains(&state),
        })
    };
    State::ALL.into_iter().filter_map(seen).collect()
}

/// `for lines that travel in 21 ns (near); far not seen`: of which states of those seen an answer holds.
fn holds_for(states: &[State], seen: &[Seen]) -> String {
    let of = seen.iter().filter(|each| states.contains(&each.state));
    let travels = of.map(|each| match each.travel {
        Some(travel) => format!("{travel:.0} ns ({})", each.state),
        None => "a time that was not probed".to_owned(),
    });
    let mut text = format!(
        "for lines that travel in {}",
        listed(&travels.collect::<Vec<_>>())
    );
    for state in State::ALL
        .into_iter()
        .filter(|state| !states.contains(state))
    {
        text.push_str(&match seen.iter().find(|each| each.state == state) {
            None => format!("; {state} not seen"),
            Some(each) if !each.counts => {
                format!(
                    "; {state} seen in {}, undecided",
                    count(each.blocks, "block")
                )
            }
            Some(_) => String::new(),
        });
    }
    text
}
