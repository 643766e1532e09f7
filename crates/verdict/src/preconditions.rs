//! What must hold before a measurement may decide anything.
//!
//! Each is a [`Check`] of one gating scenario in one state of the machine, with a sentence that says what was found, what is
//! asked, and, where it fails, the way out. They rest on the same sequence of blocks as the answers, so that they too may be
//! looked at after every block. They guard against an answer that is wrong with confidence:
//!
//! | check | what it would catch |
//! |---|---|
//! | measured | a record whose question nobody put |
//! | cores | an answer about contention from a machine that has none |
//! | crashed blocks | the survivors of a candidate that crashes when it is slow |
//! | dirty slices | neighbours |
//! | A/A' | a difference where there is none, or noise that would hide one |
//! | positive control | a harness that cannot see what it is there to see |
//!
//! No difference, and the size that was planted, are asked for within half the threshold and not exactly: with enough blocks
//! no interval contains either of them, since nothing is alike to the last per mille.

use crate::analysis::{Analysis, Estimate};
use crate::schema::Role;
use crate::states::State;
use crate::stats::Interval;
use crate::text::{count, interval, percent, signed};

/// The largest share of dirty slices, and of blocks in which an arm crashed.
pub const DIRTY_AT_MOST: f64 = 0.25;

/// So many crashes are a habit, which no further block mends.
const HABIT: usize = 8;

/// One precondition, and whether it holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// Which it is, as the table above names it.
    pub what: &'static str,
    /// The gating scenario.
    pub scenario: String,
    /// The state of the machine; `None` where it is of no state yet.
    pub state: Option<State>,
    /// Whether it holds.
    pub holds: bool,
    /// Whether more blocks may mend it, where it fails.
    pub may_mend: bool,
    /// What was found and what is asked, and the way out where it fails, in a sentence without its full stop.
    pub evidence: String,
}

impl Check {
    /// Where it was checked and what was found: `decode-step, near, dirty slices: ...`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let state = self
            .state
            .map_or(String::new(), |state| format!(", {state}"));
        format!("{}{state}, {}: {}", self.scenario, self.what, self.evidence)
    }
}

/// Whether it holds, whether more blocks may mend it, what was found, and the way out where it fails.
type Found = (bool, bool, String, String);

fn check(what: &'static str, scenario: &str, state: Option<State>, found: Found) -> Check {
    let (holds, may_mend, mut evidence, way_out) = found;
    if !holds {
        evidence = format!("{evidence}; {way_out}");
    }
    Check {
        what,
        scenario: scenario.to_owned(),
        state,
        holds,
        may_mend,
        evidence,
    }
}

/// What fails where there is nothing to check: of a scenario without a block that counts.
pub(crate) fn unmeasured(scenario: &str, found: String, may_mend: bool) -> Check {
    let way_out = format!("run `cargo xtask bench --scenario {scenario}`");
    check(
        "measured",
        scenario,
        None,
        (false, may_mend, found, way_out),
    )
}

/// All checks of a scenario in a state; `cores` are those that the record asks for and those of the machine.
pub(crate) fn checks(
    analysis: &Analysis<'_>,
    state: State,
    cores: [u32; 2],
    threshold: f64,
) -> Vec<Check> {
    let found = [
        ("cores", enough_cores(analysis, cores)),
        ("crashed blocks", crashed(analysis)),
        ("dirty slices", dirty(analysis, state)),
        ("A/A'", aa(analysis, state, threshold)),
        ("positive control", control(analysis, state, threshold)),
    ];
    let check = |(what, found)| check(what, &analysis.run().scenario, Some(state), found);
    found.into_iter().map(check).collect()
}

fn enough_cores(analysis: &Analysis<'_>, [asked, here]: [u32; 2]) -> Found {
    let run = analysis.run();
    let needed = if run.oversubscribed {
        1
    } else {
        run.cores_needed
    };
    let needed = needed.max(asked);
    let evidence = format!("{} asked for, {here} here", count(needed, "core"));
    (
        here >= needed,
        false,
        evidence,
        "run it on a larger machine".to_owned(),
    )
}

fn crashed(analysis: &Analysis<'_>) -> Found {
    let (crashed, all) = (&analysis.crashed, analysis.run().blocks.len());
    let mut evidence = format!(
        "in {} of {} an arm crashed",
        crashed.len(),
        count(all, "block")
    );
    if let Some(first) = crashed.first() {
        evidence = format!("{evidence}, the first because {first}");
    }
    let way_out = format!(
        "in at most {} one may, so find out why first",
        percent(DIRTY_AT_MOST)
    );
    let holds = share(crashed.len(), all) <= DIRTY_AT_MOST;
    (holds, crashed.len() < HABIT, evidence, way_out)
}

fn dirty(analysis: &Analysis<'_>, state: State) -> Found {
    let (slices, dirty) = analysis.slices(state);
    let (share, most) = (share(dirty, slices), percent(DIRTY_AT_MOST));
    let slices = count(slices, "slice");
    let evidence = format!(
        "{} of {slices} are dirty, and at most {most} may be",
        percent(share)
    );
    let way_out = "the machine is busy with something else, so run again when it is quiet";
    (share <= DIRTY_AT_MOST, true, evidence, way_out.to_owned())
}

fn aa(analysis: &Analysis<'_>, state: State, threshold: f64) -> Found {
    let arm = analysis.with_role(Role::IncumbentAgain);
    let Some(seen) = arm.and_then(|arm| analysis.estimate(arm, state)) else {
        let evidence = "the incumbent was not paired with itself".to_owned();
        return (
            false,
            arm.is_some(),
            evidence,
            "so nothing shows the noise".to_owned(),
        );
    };
    let (gain, near) = (seen.gain_interval(), around(0.0, threshold / 2.0));
    let evidence = format!(
        "the incumbent's gain over itself is {}, and has to lie within {} either way, half the threshold",
        words(&seen),
        percent(threshold / 2.0)
    );
    let way_out = "the machine is too noisy, or the arms are not run alike".to_owned();
    (gain.is_within(near), gain.meets(near), evidence, way_out)
}

/// Seen: the delay costs something, and its size lies in the interval, or the interval within half the threshold of it.
fn control(analysis: &Analysis<'_>, state: State, threshold: f64) -> Found {
    let mut arms = analysis.run().arms.iter().enumerate();
    let planted = arms.find_map(|(arm, each)| match each.role {
        Role::Planted { extra } => Some((arm, extra)),
        _ => None,
    });
    let seen = planted.and_then(|(arm, extra)| Some((extra, analysis.estimate(arm, state)?)));
    let Some((extra, seen)) = seen else {
        let evidence = "no arm with a planted delay gave a pair".to_owned();
        let way_out = "so nothing shows that a delay would be seen".to_owned();
        return (false, planted.is_some(), evidence, way_out);
    };
    let (gain, near) = (seen.gain_interval(), around(-extra, threshold / 2.0));
    let holds = gain.upper < 0.0 && (gain.contains(-extra) || gain.is_within(near));
    let evidence = format!(
        "a planted {} shows as a gain of {}",
        percent(extra),
        words(&seen)
    );
    let way_out = format!(
        "that has to be a loss, and to contain {} or lie within {} of it",
        percent(-extra),
        percent(threshold / 2.0)
    );
    (
        holds,
        gain.lower < 0.0 && gain.meets(near),
        evidence,
        way_out,
    )
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
        signed(estimate.gain()),
        interval(estimate.gain_interval())
    )
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
