//! What must hold before a measurement may decide anything.
//!
//! # Design
//!
//! Each is a [`Check`] of one gating scenario in one state of the machine, with a sentence that says what was found, what is
//! asked, and, where it fails, the way out. They rest on the same sequence of blocks as the answers, so that they too may be
//! looked at after every block. They guard against an answer that is wrong with confidence:
//!
//! | check | what it would catch |
//! |---|---|
//! | measured | a record whose question nobody put |
//! | cores | an answer about contention from a machine that has none |
//! | void | the survivors of a candidate that crashes when it is slow |
//! | dirty | neighbours |
//! | A/A' | a difference where there is none, or noise that would hide one |
//! | control | a harness that cannot see what it is there to see |
//!
//! # Why
//!
//! No difference, and the size that was planted, are asked for within half the threshold and not exactly: with enough blocks no
//! interval contains either of them, since nothing is ever alike to the last per mille.

use std::fmt;

use crate::analysis::{Analysis, Estimate};
use crate::schema::Role;
use crate::states::State;
use crate::stats::Interval;
use crate::text::{count, interval, percent};

/// The largest share of dirty slices, and of blocks in which an arm crashed.
pub const DIRTY_AT_MOST: f64 = 0.25;

/// So many crashes are a habit, which no further block mends.
const HABIT: usize = 8;

/// One precondition, and whether it holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// Which it is.
    pub what: What,
    /// The gating scenario.
    pub scenario: String,
    /// The state of the machine; `None` of a scenario that has not been measured.
    pub state: Option<State>,
    /// Whether it holds.
    pub holds: bool,
    /// What was found and what is asked, in a sentence without its full stop.
    pub evidence: String,
    /// It fails, and more blocks may mend it.
    pub may_mend: bool,
}

impl Check {
    pub(crate) fn new(what: What, scenario: &str, state: Option<State>) -> Self {
        Self {
            what,
            scenario: scenario.to_owned(),
            state,
            holds: true,
            evidence: String::new(),
            may_mend: true,
        }
    }

    /// With a finding, and what to do about it where it is a bad one.
    pub(crate) fn found(self, holds: bool, evidence: String, way_out: &str) -> Self {
        let evidence = if holds {
            evidence
        } else {
            format!("{evidence}; {way_out}")
        };
        Self {
            holds,
            evidence,
            ..self
        }
    }

    /// More blocks are of no use where it fails.
    pub(crate) fn hopeless(self) -> Self {
        let may_mend = false;
        Self { may_mend, ..self }
    }

    /// Where it was checked and what was found: `decode-step, near, dirty slices: ...`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let state = self
            .state
            .map_or(String::new(), |state| format!(", {state}"));
        let (scenario, what, evidence) = (&self.scenario, self.what, &self.evidence);
        format!("{scenario}{state}, {what}: {evidence}")
    }
}

/// What a [`Check`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The scenario was run with the record's incumbent.
    Measured,
    /// The machine has the cores.
    Cores,
    /// In few blocks an arm crashed.
    Void,
    /// Few slices are dirty.
    Dirty,
    /// The incumbent equals itself.
    Aa,
    /// A planted delay is seen.
    Control,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Measured => "measured",
            Self::Cores => "cores",
            Self::Void => "crashed blocks",
            Self::Dirty => "dirty slices",
            Self::Aa => "A/A'",
            Self::Control => "positive control",
        })
    }
}

/// What the checks are held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) cores: u32,
    pub(crate) cores_here: u32,
    pub(crate) threshold: f64,
}

/// All checks of a scenario in a state but [`What::Measured`].
pub(crate) fn checks(analysis: &Analysis<'_>, state: State, asked: Asked) -> Vec<Check> {
    let new = |what| Check::new(what, &analysis.run().scenario, Some(state));
    vec![
        cores(new(What::Cores), analysis, asked),
        void(new(What::Void), analysis),
        dirty(new(What::Dirty), analysis, state),
        aa(new(What::Aa), analysis, state, asked.threshold),
        control(new(What::Control), analysis, state, asked.threshold),
    ]
}

fn cores(check: Check, analysis: &Analysis<'_>, asked: Asked) -> Check {
    let run = analysis.run();
    let needed = if run.oversubscribed {
        asked.cores
    } else {
        asked.cores.max(run.cores_needed)
    };
    let here = asked.cores_here;
    let evidence = format!("{} asked for, {here} here", count(needed, "core"));
    let check = check.found(here >= needed, evidence, "run it on a larger machine");
    check.hopeless()
}

/// Of all blocks, since one that crashed before its probes were whole is of no state.
fn void(check: Check, analysis: &Analysis<'_>) -> Check {
    let (crashed, all) = (analysis.crashed(), analysis.run().blocks.len());
    let mut evidence = format!(
        "in {} of {} an arm crashed",
        crashed.len(),
        count(all, "block")
    );
    if let Some(first) = crashed.first() {
        evidence.push_str(&format!(
            ", the first because {} {} (block {}, seed {})",
            first.arm, first.reason, first.block, first.seed
        ));
    }
    let way_out = format!(
        "at most {} may, so find out why first",
        percent(DIRTY_AT_MOST)
    );
    let check = check.found(
        share(crashed.len(), all) <= DIRTY_AT_MOST,
        evidence,
        &way_out,
    );
    if crashed.len() >= HABIT {
        check.hopeless()
    } else {
        check
    }
}

fn dirty(check: Check, analysis: &Analysis<'_>, state: State) -> Check {
    let (slices, dirty) = analysis.slices(state);
    let share = share(dirty, slices);
    let evidence = format!(
        "{} of {} are dirty, and at most {} may be",
        percent(share),
        count(slices, "slice"),
        percent(DIRTY_AT_MOST)
    );
    let way_out = "the machine is busy with something else, so run again when it is quiet";
    check.found(share <= DIRTY_AT_MOST, evidence, way_out)
}

fn aa(check: Check, analysis: &Analysis<'_>, state: State, threshold: f64) -> Check {
    let Some(again) = analysis.with_role(|role| role == Role::IncumbentAgain) else {
        let evidence = "the incumbent is in no second arm".to_owned();
        let check = check.found(false, evidence, "so nothing shows the noise");
        return check.hopeless();
    };
    let Some(seen) = analysis.estimate(again, state) else {
        let evidence = "the incumbent was not paired with itself".to_owned();
        return check.found(false, evidence, "find out why");
    };
    let (gain, allowed) = (seen.gain_interval(), around(0.0, threshold / 2.0));
    let evidence = format!(
        "the incumbent's gain over itself is {}, and has to lie within {} either way, half the threshold",
        words(&seen),
        percent(threshold / 2.0)
    );
    let way_out = "the machine is too noisy, or the arms are not run alike";
    let check = check.found(gain.is_within(allowed), evidence, way_out);
    if gain.meets(allowed) {
        check
    } else {
        check.hopeless()
    }
}

/// Seen: the delay costs something, and what was planted lies in the interval, or the interval within half the threshold of it.
fn control(check: Check, analysis: &Analysis<'_>, state: State, threshold: f64) -> Check {
    let mut arms = analysis.run().arms.iter().enumerate();
    let planted = arms.find_map(|(arm, each)| match each.role {
        Role::Planted { extra } => Some((arm, extra)),
        _ => None,
    });
    let Some((arm, extra)) = planted else {
        let evidence = "no arm has a planted delay".to_owned();
        let check = check.found(false, evidence, "so nothing shows that one would be seen");
        return check.hopeless();
    };
    let Some(seen) = analysis.estimate(arm, state) else {
        let evidence = "the arm with the planted delay gave no pair".to_owned();
        return check.found(false, evidence, "find out why");
    };
    let gain = seen.gain_interval();
    let about = around(-extra, threshold / 2.0);
    let holds = gain.upper < 0.0 && (gain.contains(-extra) || gain.is_within(about));
    let evidence = format!(
        "a planted {} shows as a gain of {}",
        percent(extra),
        words(&seen)
    );
    let way_out = format!(
        "it has to be below 0 %, and contain {} or lie within {} of it",
        percent(-extra),
        percent(threshold / 2.0)
    );
    let check = check.found(holds, evidence, &way_out);
    if gain.lower < 0.0 && gain.meets(about) {
        check
    } else {
        check.hopeless()
    }
}

fn around(value: f64, distance: f64) -> Interval {
    Interval {
        lower: value - distance,
        upper: value + distance,
    }
}

fn words(estimate: &Estimate) -> String {
    format!(
        "{} ({})",
        percent(estimate.gain()),
        interval(estimate.gain_interval())
    )
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}
