//! Whether the incumbent is the bottleneck: the one criterion that is measured.
//!
//! A *place* is a gating scenario in a state of the machine. In each, a candidate's gain lies
//! *above* the record's threshold, *below* it, or neither can be said yet, by the e-values of the
//! place's [sequence of blocks](crate::sequence):
//!
//! - **above** at 40 x candidates x scenarios x states, since *yes* needs one place, and one of
//!   them all may err;
//! - **below** at 40: *no* needs it of every place at once, so it errs only if the one place that
//!   is truly above errs (an intersection-union test), and no correction is due;
//! - **below** too where the [free map](Role::Free) is, by the same rule: no map could gain more
//!   than a lookup that costs nothing. That is the place's *headroom*.
//!
//! A state *counts* where it has a quarter of the blocks, where every gating scenario has 8 blocks
//! of it, the fewest that may settle anything, or where the record asks for it. Another one that
//! was seen is *seen, undecided*: nobody waits for it. Where a [precondition](crate::preconditions)
//! of a place fails, the place is open.
//!
//! - **yes** of a state: above in one of its places. **no**: below in every one. Else *open*.
//! - **yes** of the criterion: yes in one state that counts. **no**: no in every one, and there is
//!   one. Else *open*.
//!
//! # Invariants
//!
//! Two states are in the family of *above* wherever line travel is probed, also while only one was
//! seen: else the bar for what was already found would depend on what comes later.

use crate::analysis::{Analysis, Estimate};
use crate::criteria::Bottleneck;
use crate::evidence::Answer;
use crate::preconditions::{Check, checks};
use crate::schema::{Arm, Results, Role};
use crate::sequence::{SETTLED, Sequence};
use crate::states::{Boundary, State};

/// The fewest blocks of which none speaking against it settles a claim.
pub const FEWEST: usize = 8;

/// A state that has less than one block in so many is rare.
const RARE_ONE_IN: usize = 4;

/// The most blocks of one state that are asked for; of a scenario, void ones included, twice as
/// many.
pub const MOST: usize = 60;

/// A candidate against the incumbent in a place.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The candidate's arm.
    pub candidate: String,
    /// What was measured; `None` where no block gave a pair.
    pub estimate: Option<Estimate>,
    /// Whether its gain is above the threshold, whatever the preconditions and the headroom say.
    pub above: Answer,
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
    /// No further block would bring an answer: a precondition fails for good, or there are as many
    /// as may be.
    pub lost: bool,
    /// The map that costs nothing in a candidate's place: where its gain is below the threshold, so
    /// is any map's.
    pub headroom: Comparison,
    /// Every precondition.
    pub checks: Vec<Check>,
    /// Every candidate of the criterion.
    pub comparisons: Vec<Comparison>,
}

impl Place {
    fn new(
        analysis: &Analysis<'_>,
        state: State,
        bottleneck: &Bottleneck,
        cores: [u32; 2],
        family: f64,
    ) -> Self {
        let (run, threshold) = (analysis.run, bottleneck.threshold);
        let compared = |arm: Option<usize>, candidate: &str| {
            let sequence = arm.map(|arm| analysis.sequence(arm, state));
            let sequence = sequence.unwrap_or_default();
            Comparison {
                candidate: candidate.to_owned(),
                estimate: Estimate::of(&sequence),
                above: above(&sequence, threshold, family),
            }
        };
        let comparison = |name: &String| {
            let own = |arm: &Arm| arm.role == Role::Candidate && arm.name == *name;
            compared(run.arms.iter().position(own), name)
        };
        let checks = checks(analysis, state, cores, threshold);
        let (own, all) = (analysis.blocks(state).len(), run.blocks.len());
        let hopeless = checks.iter().any(|check| !check.holds && !check.may_mend);
        Self {
            scenario: run.scenario.clone(),
            state,
            blocks: own,
            counts: false,
            lost: hopeless || own >= MOST || all >= 2 * MOST,
            headroom: compared(analysis.with_role(Role::Free), "any map"),
            checks,
            comparisons: bottleneck.candidates.iter().map(comparison).collect(),
        }
    }

    pub(crate) fn of(&self, candidate: &str) -> Option<&Comparison> {
        let mut all = self.comparisons.iter();
        all.find(|each| each.candidate == candidate)
    }

    pub(crate) fn failing(&self) -> Option<&Check> {
        self.checks.iter().find(|check| !check.holds)
    }

    fn answer(&self, candidate: &str) -> Answer {
        let own = self.of(candidate).map_or(Answer::Open, |each| each.above);
        if self.failing().is_some() {
            Answer::Open
        } else if own == Answer::Open && self.headroom.above == Answer::No {
            Answer::No
        } else {
            own
        }
    }

    /// Whether another block may bring an answer. Not where early blocks contradict late ones.
    fn is_open(&self, candidate: &str) -> bool {
        let estimate = self.of(candidate).and_then(|each| each.estimate);
        let torn = estimate.is_some_and(|estimate| estimate.interval.is_empty());
        self.answer(candidate) == Answer::Open && !self.lost && !torn
    }
}

fn above(gains: &Sequence, threshold: f64, family: f64) -> Answer {
    let interval = gains.interval(SETTLED);
    let corrected = || gains.interval(SETTLED * family);
    if interval.is_empty() {
        Answer::Open
    } else if interval.upper < threshold {
        Answer::No
    } else if interval.lower > threshold && corrected().lower > threshold {
        Answer::Yes
    } else {
        Answer::Open
    }
}

/// A bottleneck criterion on a set of results.
#[derive(Debug)]
pub(crate) struct Measured<'a> {
    pub(crate) bottleneck: &'a Bottleneck,
    pub(crate) places: Vec<Place>,
    /// Of a gating scenario that is no place yet: why.
    pub(crate) missing: Vec<Check>,
}

impl<'a> Measured<'a> {
    pub(crate) fn new(results: &Results, bottleneck: &'a Bottleneck, cores: u32) -> Self {
        let boundary = Boundary::of(&results.pilots);
        let cores = [cores, results.machine.cores];
        let states = if results.pilots.is_empty() { 1 } else { 2 };
        let family = bottleneck.candidates.len() * bottleneck.gating.len() * states;
        let (mut places, mut missing) = (Vec::new(), Vec::new());
        for scenario in &bottleneck.gating {
            let run = results.runs.iter().find(|run| run.scenario == *scenario);
            let analysis = run.map(|run| Analysis::new(run, boundary));
            let own = |a: &&Analysis<'_>| a.incumbent() == bottleneck.incumbent;
            let Some(analysis) = analysis.as_ref().filter(own) else {
                let found = format!("there is no run of it against {}", bottleneck.incumbent);
                missing.push(Check::unmeasured(scenario, &found, run.is_none()));
                continue;
            };
            if analysis.states().next().is_none() {
                let blocks = analysis.run.blocks.len();
                let found = format!("there is no block of it in {blocks} that is not void");
                missing.push(Check::unmeasured(scenario, &found, blocks < 2 * MOST));
            }
            let asked = |state: &State| bottleneck.states.contains(state);
            let seen = |state: &State| !analysis.blocks(*state).is_empty();
            let mut states = State::ALL.to_vec();
            states.retain(|state| seen(state) || asked(state));
            let place = |state| Place::new(analysis, state, bottleneck, cores, family as f64);
            places.extend(states.into_iter().map(place));
        }
        let all: usize = places.iter().map(|place| place.blocks).sum();
        for state in State::ALL {
            let of = places.iter().filter(|place| place.state == state);
            let blocks: Vec<usize> = of.map(|place| place.blocks).collect();
            let enough = blocks.iter().filter(|blocks| **blocks >= FEWEST).count();
            let counts = enough == bottleneck.gating.len()
                || blocks.iter().sum::<usize>() * RARE_ONE_IN > all
                || bottleneck.states.contains(&state);
            let places = places.iter_mut().filter(|place| place.state == state);
            places.for_each(|place| place.counts = counts);
        }
        Self {
            bottleneck,
            places,
            missing,
        }
    }

    pub(crate) fn of_state(&self, state: State) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| place.state == state)
    }

    /// The states that count.
    pub(crate) fn states(&self) -> impl Iterator<Item = State> {
        let counts = |state: &State| self.of_state(*state).any(|place| place.counts);
        State::ALL.into_iter().filter(counts)
    }

    /// The first precondition that fails where it counts.
    pub(crate) fn failing(&self) -> Option<&Check> {
        let counting = self.places.iter().filter(|place| place.counts);
        let failing = counting.filter_map(Place::failing);
        self.missing.iter().chain(failing).next()
    }

    /// The answer for a candidate in one state.
    pub(crate) fn answer_in(&self, candidate: &str, state: State) -> Answer {
        let answers = self.of_state(state).map(|place| place.answer(candidate));
        let mut answers: Vec<Answer> = answers.collect();
        answers.resize(self.bottleneck.gating.len(), Answer::Open);
        together(&answers)
    }

    /// The answer for a candidate.
    pub(crate) fn answer(&self, candidate: &str) -> Answer {
        let answers = self.states().map(|state| self.answer_in(candidate, state));
        together(&answers.collect::<Vec<_>>())
    }

    /// The scenarios of which one more block may settle the candidate.
    pub(crate) fn wanted(&self, candidate: &str) -> Vec<&'a str> {
        let states: Vec<State> = self.states().collect();
        let open = self.answer(candidate) == Answer::Open;
        self.scenarios(|places| {
            let lost = !places.is_empty() && places.iter().all(|place| place.lost);
            // A state that counts, and that the scenario has not met yet, is open as well.
            let unmet = |state: &State| !places.iter().any(|place| place.state == *state);
            let unmet = states.is_empty() || states.iter().any(unmet);
            let mut counting = places.iter().filter(|place| place.counts);
            open && !lost && (unmet || counting.any(|place| place.is_open(candidate)))
        })
    }

    /// The scenarios without the blocks that a report needs, whatever is settled.
    pub(crate) fn unshown(&self) -> Vec<&'a str> {
        let shown = |place: &&Place| place.blocks >= FEWEST || place.lost;
        self.scenarios(|places| !places.iter().any(shown))
    }

    /// The gating scenarios whose places are such, and that are not missing for good.
    fn scenarios(&self, such: impl Fn(&[&Place]) -> bool) -> Vec<&'a str> {
        let gating = self.bottleneck.gating.iter().map(String::as_str);
        let may = |scenario: &&str| {
            let mut own = Vec::from_iter(&self.places);
            own.retain(|place| place.scenario == *scenario);
            let lost = |check: &Check| check.scenario == *scenario && !check.may_mend;
            !self.missing.iter().any(lost) && such(&own)
        };
        gating.filter(may).collect()
    }
}

/// One yes is a yes; all no, of at least one, is a no.
fn together(answers: &[Answer]) -> Answer {
    if answers.contains(&Answer::Yes) {
        Answer::Yes
    } else if !answers.is_empty() && answers.iter().all(|answer| *answer == Answer::No) {
        Answer::No
    } else {
        Answer::Open
    }
}
