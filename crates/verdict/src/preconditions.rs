//! What must hold before a measurement may decide anything.
//!
//! Each is a [`Check`] of one gating scenario in one state of the machine, with a sentence that
//! says what was found, what is asked, and, where it fails, the way out. They rest on the same
//! sequence of blocks as the answers, so that they too may be looked at after every block. They
//! guard against an answer that is wrong with confidence:
//!
//! | check | what it would catch |
//! |---|---|
//! | measured | a record whose question nobody put |
//! | blocks | an answer before there can be one |
//! | cores | an answer about contention from a machine that has none |
//! | crashed blocks | the survivors of a candidate that crashes when it is slow |
//! | dirty slices | neighbours |
//! | A/A' | a difference where there is none, or noise that would hide one |
//! | positive control | a harness that cannot see what it is there to see |
//!
//! No difference, and the size that was planted, are asked for within half the threshold and not
//! exactly: with enough blocks no interval contains either of them, since nothing is alike to the
//! last per mille.

use crate::analysis::Analysis;
use crate::bottleneck::FEWEST;
use crate::schema::Role;
use crate::states::State;
use crate::stats::Interval;
use crate::text::{count, percent};

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
    /// What was found and what is asked, and the way out where it fails, in a sentence without its
    /// full stop.
    pub evidence: String,
}

impl Check {
    /// Where it was checked and what was found: `decode-step, near, dirty slices: ...`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self {
            scenario,
            what,
            evidence,
            ..
        } = self;
        match self.state {
            Some(state) => format!("{scenario}, {state}, {what}: {evidence}"),
            None => format!("{scenario}, {what}: {evidence}"),
        }
    }

    /// What fails where there is nothing to check: of a scenario without a block that is not void.
    pub(crate) fn unmeasured(scenario: &str, found: &str, may_mend: bool) -> Self {
        Self {
            what: "measured",
            scenario: scenario.to_owned(),
            state: None,
            holds: false,
            may_mend,
            evidence: format!("{found}; run `cargo xtask bench --scenario {scenario}`"),
        }
    }
}

/// Whether it holds, whether more blocks may mend it, and what was found.
type Found = (bool, bool, String);

/// All checks of a scenario in a state but the first; `cores` are those that the record asks for
/// and those of the machine.
pub(crate) fn checks(
    analysis: &Analysis<'_>,
    state: State,
    cores: [u32; 2],
    threshold: f64,
) -> Vec<Check> {
    let half = threshold / 2.0;
    let found = [
        ("blocks", blocks(analysis, state)),
        ("cores", enough_cores(analysis, cores)),
        ("crashed blocks", crashed(analysis)),
        ("dirty slices", dirty(analysis, state)),
        ("A/A'", aa(analysis, state, half)),
        ("positive control", control(analysis, state, half)),
    ];
    let check = |(what, (holds, may_mend, mut evidence)): (_, Found)| {
        if !holds {
            evidence.push_str(way_out(what));
        }
        Check {
            what,
            scenario: analysis.run.scenario.clone(),
            state: Some(state),
            holds,
            may_mend,
            evidence,
        }
    };
    found.into_iter().map(check).collect()
}

fn way_out(what: &str) -> &'static str {
    match what {
        "blocks" => "; go on with `--resume`",
        "cores" => "; run it on a larger machine",
        "crashed blocks" => "; in a quarter one may, so find out why first",
        "dirty slices" => "; the machine is busy, so run again when it is quiet",
        "A/A'" => "; the machine is too noisy, or the arms are not run alike",
        _ => "; that has to be a loss, and its size inside, or half the threshold away at most",
    }
}

fn blocks(analysis: &Analysis<'_>, state: State) -> Found {
    let blocks = analysis.blocks(state).len();
    let found = count(blocks, "block");
    let found = format!("{found}, and no answer has fewer than {FEWEST}");
    (blocks >= FEWEST, true, found)
}

fn enough_cores(analysis: &Analysis<'_>, [asked, here]: [u32; 2]) -> Found {
    let run = analysis.run;
    let own = u32::from(!run.oversubscribed) * run.cores_needed;
    let needed = own.max(asked);
    let found = format!("{} asked for, {here} here", count(needed, "core"));
    (here >= needed, false, found)
}

fn crashed(analysis: &Analysis<'_>) -> Found {
    let (crashed, all) = (&analysis.crashed, analysis.run.blocks.len());
    let (number, blocks) = (crashed.len(), count(all, "block"));
    let first = crashed.first().map_or("none", String::as_str);
    let found = format!("in {number} of {blocks} an arm crashed, first: {first}");
    (share(number, all) <= DIRTY_AT_MOST, number < HABIT, found)
}

fn dirty(analysis: &Analysis<'_>, state: State) -> Found {
    let (slices, dirty) = analysis.slices(state);
    let (part, most) = (share(dirty, slices), percent(DIRTY_AT_MOST));
    let (dirty, slices) = (percent(part), count(slices, "slice"));
    let found = format!("{dirty} of {slices} are dirty, and at most {most} may be");
    (part <= DIRTY_AT_MOST, true, found)
}

fn aa(analysis: &Analysis<'_>, state: State, half: f64) -> Found {
    let arm = analysis.with_role(Role::IncumbentAgain);
    let Some(seen) = arm.and_then(|arm| analysis.estimate(arm, state)) else {
        let found = "the incumbent was not paired with itself".to_owned();
        return (false, arm.is_some(), found);
    };
    let (near, gain) = (around(0.0, half), seen.interval);
    let allowed = percent(half);
    let found = format!("the incumbent's gain over itself is {seen}, and has to lie within");
    let found = format!("{found} {allowed} either way, half the threshold");
    (gain.is_within(near), gain.meets(near), found)
}

/// Seen: the delay costs something, and its size lies in the interval, or the interval within half
/// the threshold of it.
fn control(analysis: &Analysis<'_>, state: State, half: f64) -> Found {
    let mut arms = analysis.run.arms.iter().enumerate();
    let planted = arms.find_map(|(arm, each)| match each.role {
        Role::Planted { extra } => Some((arm, extra)),
        _ => None,
    });
    let seen = planted.and_then(|(arm, extra)| Some((extra, analysis.estimate(arm, state)?)));
    let Some((extra, seen)) = seen else {
        let found = "no arm with a planted delay gave a pair".to_owned();
        return (false, planted.is_some(), found);
    };
    let (near, gain) = (around(-extra, half), seen.interval);
    let inside = gain.contains(-extra) || gain.is_within(near);
    let may_mend = gain.lower < 0.0 && gain.meets(near);
    let found = format!("a planted {} shows as a gain of {seen}", percent(extra));
    (gain.upper < 0.0 && inside, may_mend, found)
}

fn around(value: f64, distance: f64) -> Interval {
    let (lower, upper) = (value - distance, value + distance);
    Interval { lower, upper }
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
