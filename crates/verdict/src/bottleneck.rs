//! Whether the incumbent is the bottleneck: the one criterion that is measured.
//!
//! # Design
//!
//! A *place* is a gating scenario in a state of the machine. In each, a candidate's gain lies *above* the record's threshold,
//! *below* it, or neither can be said yet, by the e-values of the place's [sequence of blocks](crate::sequence):
//!
//! - **above** at 40 x candidates x scenarios x states, since *yes* needs one place, and one of them all may err;
//! - **below** at 40: *no* needs it of every place at once, so it errs only if the one place that is truly above errs (an
//!   intersection-union test), and no correction is due;
//! - **below** too where the [free map](crate::schema::Role::Free) is, by the same rule: no map could gain more than a lookup
//!   that costs nothing. That is the place's *headroom*.
//!
//! A state *counts* where some gating scenario has 8 blocks of it, the fewest that may settle anything, or where the record asks
//! for it. Another one that was seen is *seen, undecided*. Where a [precondition](crate::preconditions) of a place fails, the
//! place has no answer.
//!
//! - **yes** of a state: above in one of its places. **no**: below in every one. Else *open*.
//! - **yes** of the criterion: yes in one state that counts. **no**: no in every one, and there is one. Else *open*.
//!
//! # Invariants
//!
//! Two states are in the family of *above* wherever line travel is probed, also while only one was seen: else the bar for what
//! was already found would depend on what comes later.

use crate::analysis::{Analysis, Estimate, gains};
use crate::criteria::Bottleneck;
use crate::evidence::Answer;
use crate::preconditions::{Asked, Check, What, checks};
use crate::schema::{Results, Role};
use crate::sequence::{SETTLED, Sequence};
use crate::states::{Boundary, State};

/// The fewest blocks of which none speaking against it settles a claim.
pub const FEWEST: usize = 8;

/// The most blocks of one state. A scenario that has them is asked for no more.
pub const MOST: usize = 60;

/// A candidate against the incumbent in a gating scenario and a state.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The candidate.
    pub candidate: String,
    /// The scenario.
    pub scenario: String,
    /// The state of the machine.
    pub state: State,
    /// What was measured; `None` where no block gave a pair.
    pub estimate: Option<Estimate>,
    /// The share of the incumbent's time that it would have to save.
    pub threshold: f64,
    /// On which side of the threshold its gain lies.
    pub side: Side,
}

/// Where a gain lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Above the threshold, corrected for all candidates, scenarios and states.
    Above,
    /// Below the threshold.
    Below,
    /// Neither can be said.
    Unclear,
}

/// A gating scenario in a state of the machine.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Place {
    /// The scenario.
    pub scenario: String,
    /// The state.
    pub state: State,
    /// The blocks of it that are not void.
    pub blocks: usize,
    /// The state counts: what is below decides.
    pub counts: bool,
    /// The gain of the map that costs nothing; `None` without such an arm.
    pub headroom: Option<Estimate>,
    /// It is below the threshold: so is whatever any map could gain.
    pub headroom_is_below: bool,
    /// Every precondition.
    pub checks: Vec<Check>,
    /// Every candidate of the criterion.
    pub comparisons: Vec<Comparison>,
}

impl Place {
    pub(crate) fn failing(&self) -> Option<&Check> {
        self.checks.iter().find(|check| !check.holds)
    }

    /// The first precondition that fails for good.
    fn is_hopeless(&self) -> bool {
        let hopeless = |check: &Check| !check.holds && !check.may_mend;
        self.checks.iter().any(hopeless)
    }

    pub(crate) fn of(&self, candidate: &str) -> Option<&Comparison> {
        self.comparisons
            .iter()
            .find(|each| each.candidate == candidate)
    }

    /// Whether the candidate's gain is above the threshold here, so far as this place may say.
    pub(crate) fn answer(&self, candidate: &str) -> Answer {
        let side = self.of(candidate).map_or(Side::Unclear, |each| each.side);
        match (side, self.failing()) {
            (_, Some(_)) => Answer::Open,
            (Side::Above, None) => Answer::Yes,
            (Side::Below, None) => Answer::No,
            (Side::Unclear, None) if self.headroom_is_below => Answer::No,
            (Side::Unclear, None) => Answer::Open,
        }
    }

    /// Early blocks lie on one side and late ones on the other: no further block settles that.
    fn contradicts(&self, candidate: &str) -> bool {
        let estimate = self.of(candidate).and_then(|each| each.estimate);
        estimate.is_some_and(|estimate| estimate.interval.is_empty())
    }
}

/// A bottleneck criterion on a set of results.
#[derive(Debug)]
pub(crate) struct Measured<'a> {
    pub(crate) bottleneck: &'a Bottleneck,
    pub(crate) places: Vec<Place>,
    /// What is missing before a place could be: a scenario without a run, or one with another incumbent.
    pub(crate) missing: Vec<Check>,
    /// Scenarios that have had all the blocks they may have.
    exhausted: Vec<String>,
}

impl<'a> Measured<'a> {
    pub(crate) fn new(results: &Results, bottleneck: &'a Bottleneck, cores: u32) -> Self {
        let boundary = Boundary::of(&results.pilots);
        let asked = Asked {
            cores,
            cores_here: results.machine.cores,
            threshold: bottleneck.threshold,
        };
        let states = if results.pilots.is_empty() {
            1
        } else {
            State::ALL.len()
        };
        let family = bottleneck.candidates.len() * bottleneck.gating.len() * states;
        let mut measured = Self {
            bottleneck,
            places: Vec::new(),
            missing: Vec::new(),
            exhausted: Vec::new(),
        };
        for scenario in &bottleneck.gating {
            let run = results.runs.iter().find(|run| run.scenario == *scenario);
            let Some(run) = run.filter(|run| !run.blocks.is_empty()) else {
                measured.missing.push(unmeasured(scenario, bottleneck));
                continue;
            };
            let analysis = Analysis::new(run, boundary);
            if analysis.incumbent().map(|arm| &arm.name) != Some(&bottleneck.incumbent) {
                let check = unmeasured(scenario, bottleneck).hopeless();
                measured.missing.push(check);
                continue;
            }
            let seen = analysis.states();
            let states = State::ALL.into_iter();
            for state in states.filter(|s| seen.contains(s) || bottleneck.states.contains(s)) {
                let place = place(&analysis, state, bottleneck, asked, family);
                measured.places.push(place);
            }
            let most = State::ALL.map(|state| analysis.blocks(state).count());
            if most.iter().any(|&blocks| blocks >= MOST) || run.blocks.len() >= 2 * MOST {
                measured.exhausted.push(scenario.clone());
            }
        }
        for state in State::ALL {
            let of_state = |place: &&mut Place| place.state == state;
            let places = || measured.places.iter().filter(|place| place.state == state);
            let counts =
                places().any(|place| place.blocks >= FEWEST) || bottleneck.states.contains(&state);
            let places = measured.places.iter_mut();
            places
                .filter(of_state)
                .for_each(|place| place.counts = counts);
        }
        measured
    }

    /// The states that count.
    pub(crate) fn states(&self) -> Vec<State> {
        let counts = |state: &State| {
            let mut places = self.places.iter();
            places.any(|place| place.state == *state && place.counts)
        };
        State::ALL.into_iter().filter(counts).collect()
    }

    pub(crate) fn of_state(&self, state: State) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| place.state == state)
    }

    /// The first precondition that fails in a state that counts.
    pub(crate) fn failing(&self) -> Option<&Check> {
        let places = self.places.iter().filter(|place| place.counts);
        let failing = self.missing.first();
        failing.or_else(|| places.into_iter().find_map(Place::failing))
    }

    /// The answer for a candidate in one state.
    pub(crate) fn answer_in(&self, candidate: &str, state: State) -> Answer {
        let answers: Vec<Answer> = self
            .of_state(state)
            .map(|place| place.answer(candidate))
            .collect();
        if answers.contains(&Answer::Yes) {
            Answer::Yes
        } else if answers.len() == self.bottleneck.gating.len()
            && answers.iter().all(|answer| *answer == Answer::No)
        {
            Answer::No
        } else {
            Answer::Open
        }
    }

    /// The answer for a candidate.
    pub(crate) fn answer(&self, candidate: &str) -> Answer {
        let states = self.states();
        let answers: Vec<Answer> = states
            .iter()
            .map(|state| self.answer_in(candidate, *state))
            .collect();
        if answers.contains(&Answer::Yes) {
            Answer::Yes
        } else if !answers.is_empty() && answers.iter().all(|answer| *answer == Answer::No) {
            Answer::No
        } else {
            Answer::Open
        }
    }

    /// The scenarios of which one more block may settle the candidate.
    pub(crate) fn wanted(&self, candidate: &str) -> Vec<&str> {
        if self.answer(candidate) != Answer::Open {
            return Vec::new();
        }
        let states = self.states();
        let wanted = |scenario: &&String| {
            let places = self
                .places
                .iter()
                .filter(|place| place.scenario == **scenario);
            let open = |place: &Place| {
                place.counts
                    && place.answer(candidate) == Answer::Open
                    && !place.is_hopeless()
                    && !place.contradicts(candidate)
            };
            let hopeless = places.clone().count() > 0 && places.clone().all(Place::is_hopeless);
            // A state that counts elsewhere, and was not met here yet, or no state at all.
            let counted = places.clone().filter(|place| place.counts).count();
            !hopeless && (counted < states.len().max(1) || places.clone().any(open))
        };
        self.may_be_measured()
            .filter(wanted)
            .map(String::as_str)
            .collect()
    }

    /// The scenarios without the blocks that a report needs, whatever else is settled.
    pub(crate) fn unshown(&self) -> Vec<&str> {
        let shown = |scenario: &String| {
            let mut places = self.places.iter();
            places.any(|place| {
                place.scenario == *scenario && (place.blocks >= FEWEST || place.is_hopeless())
            })
        };
        let scenarios = self.may_be_measured();
        scenarios
            .filter(|scenario| !shown(scenario))
            .map(String::as_str)
            .collect()
    }

    fn may_be_measured(&self) -> impl Iterator<Item = &'a String> {
        let hopeless = |scenario: &String| {
            let mut missing = self.missing.iter();
            missing.any(|check| check.scenario == *scenario && !check.may_mend)
        };
        let may =
            move |scenario: &&String| !self.exhausted.contains(scenario) && !hopeless(scenario);
        self.bottleneck.gating.iter().filter(may)
    }
}

fn place(
    analysis: &Analysis<'_>,
    state: State,
    bottleneck: &Bottleneck,
    asked: Asked,
    family: usize,
) -> Place {
    let scenario = &analysis.run().scenario;
    let free = analysis.with_role(|role| role == Role::Free);
    let free = free.map(|arm| analysis.sequence(arm, state));
    let side = |sequence: &Sequence| side(sequence, bottleneck.threshold, family);
    let comparison = |candidate: &String| {
        let arm = analysis.candidate(candidate);
        let sequence = arm.map_or_else(Sequence::default, |arm| analysis.sequence(arm, state));
        Comparison {
            candidate: candidate.clone(),
            scenario: scenario.clone(),
            state,
            estimate: Estimate::of(&sequence),
            threshold: bottleneck.threshold,
            side: side(&sequence),
        }
    };
    Place {
        scenario: scenario.clone(),
        state,
        blocks: analysis.blocks(state).count(),
        counts: false,
        headroom: free.as_ref().and_then(Estimate::of),
        headroom_is_below: free.is_some_and(|free| side(&free) == Side::Below),
        checks: checks(analysis, state, asked),
        comparisons: bottleneck.candidates.iter().map(comparison).collect(),
    }
}

fn side(sequence: &Sequence, threshold: f64, family: usize) -> Side {
    let gain = gains(sequence.interval(SETTLED));
    let corrected = gains(sequence.interval(SETTLED * family as f64));
    if gain.is_empty() {
        Side::Unclear
    } else if corrected.lower > threshold {
        Side::Above
    } else if gain.upper < threshold {
        Side::Below
    } else {
        Side::Unclear
    }
}

fn unmeasured(scenario: &str, bottleneck: &Bottleneck) -> Check {
    let evidence = format!("there is no run of it against {}", bottleneck.incumbent);
    let way_out = format!("run `cargo xtask bench --scenario {scenario}`");
    Check::new(What::Measured, scenario, None).found(false, evidence, &way_out)
}
