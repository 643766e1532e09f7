//! What must hold before a measurement may decide anything.
//!
//! # Design
//!
//! Each is a [`Check`] of one pass of one gating scenario, with a sentence that says what was found, what is asked, and,
//! where it fails, the way out. They guard against an answer that is wrong with confidence:
//!
//! | check | what it would catch |
//! |---|---|
//! | measured | a record whose question nobody put |
//! | cores | an answer about contention from a machine that has none |
//! | finished | a run that somebody stopped when its numbers looked right |
//! | void | the survivors of a candidate that crashes when it is slow |
//! | dirty | neighbours |
//! | A/A | a difference where there is none, or noise that would hide one |
//! | control | a harness that cannot see what it is there to see |

use std::fmt;

use crate::analysis::{Analysis, Estimate};
use crate::schema::{Plan, Role};
use crate::text::{count, ordinal, percent};

/// The largest share of dirty slices, and of void blocks.
pub const DIRTY_AT_MOST: f64 = 0.25;

/// How far the median of A/A' may lie from no difference.
pub const AA_MEDIAN_AT_MOST: f64 = 0.01;

/// The threshold is never under this many half-widths of the A/A' interval.
pub const HALF_WIDTHS: f64 = 3.0;

/// One precondition, and whether it holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// Which it is.
    pub what: What,
    /// The gating scenario.
    pub scenario: String,
    /// The pass.
    pub pass: u8,
    /// Whether it holds.
    pub holds: bool,
    /// What was found and what is asked, in a sentence without its full stop.
    pub evidence: String,
    /// It fails for lack of blocks, so an extension may mend it.
    pub wide: bool,
}

impl Check {
    /// Where it was checked and what was found: `decode-step, first pass, dirty slices: ...`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let pass = ordinal(self.pass);
        let Self {
            scenario,
            what,
            evidence,
            ..
        } = self;
        format!("{scenario}, {pass} pass, {what}: {evidence}")
    }
}

/// What a [`Check`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// There is a pass with the record's incumbent.
    Measured,
    /// The machine has the cores.
    Cores,
    /// All planned blocks ran.
    Finished,
    /// Few blocks are void.
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
            Self::Finished => "finished",
            Self::Void => "void blocks",
            Self::Dirty => "dirty slices",
            Self::Aa => "A/A",
            Self::Control => "positive control",
        })
    }
}

/// What the checks of a pass are held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) cores: u32,
    pub(crate) cores_here: u32,
    pub(crate) plan: Plan,
    pub(crate) threshold: f64,
}

/// The half-width of an A/A' interval as a share of the time, which thresholds are compared with.
pub(crate) fn half_width(aa: &Estimate) -> f64 {
    aa.ratio_interval().half_width()
}

/// All checks of a pass but [`What::Measured`]; `aa` is its A/A' estimate, where there is one.
pub(crate) fn checks(analysis: &Analysis<'_>, aa: Option<&Estimate>, asked: Asked) -> Vec<Check> {
    let mut checks = vec![
        cores(analysis, asked),
        finished(analysis, asked.plan),
        void(analysis),
        dirty(analysis),
        aa_check(analysis, aa, asked.threshold),
    ];
    checks.extend(control(analysis));
    checks
}

pub(crate) fn check(analysis: &Analysis<'_>, what: What, holds: bool, evidence: String) -> Check {
    let run = analysis.run();
    Check {
        what,
        scenario: run.scenario.clone(),
        pass: run.pass,
        holds,
        evidence,
        wide: false,
    }
}

fn cores(analysis: &Analysis<'_>, asked: Asked) -> Check {
    let run = analysis.run();
    let needed = if run.oversubscribed {
        asked.cores
    } else {
        asked.cores.max(run.cores_needed)
    };
    let holds = asked.cores_here >= needed;
    let mut evidence = format!(
        "{} asked for, {} here",
        count(needed, "core"),
        asked.cores_here
    );
    if !holds {
        evidence.push_str("; run it on a larger machine");
    }
    check(analysis, What::Cores, holds, evidence)
}

fn finished(analysis: &Analysis<'_>, plan: Plan) -> Check {
    let have = analysis.run().blocks.len();
    let first = usize::try_from(plan.blocks).unwrap_or(usize::MAX);
    let extended = usize::try_from(plan.extended).unwrap_or(usize::MAX);
    // Any other number is a run that stopped for a reason which its numbers may have given.
    let holds = have == first || have == extended;
    let mut evidence = format!("{have} blocks ran of the {} planned", plan.blocks);
    if plan.extended > plan.blocks {
        evidence.push_str(&format!(", or {} with the extension", plan.extended));
    }
    if !holds {
        evidence.push_str("; go on with `--resume`");
    }
    check(analysis, What::Finished, holds, evidence)
}

fn void(analysis: &Analysis<'_>) -> Check {
    let (void, all) = (analysis.void_blocks(), analysis.run().blocks.len());
    let holds = share(void, all) <= DIRTY_AT_MOST;
    let mut evidence = format!("{void} of {} are void", count(all, "block"));
    if let Some(first) = analysis.void().first() {
        evidence.push_str(&format!(
            ", the first because {} {} (block {}, seed {})",
            first.arm, first.reason, first.block, first.seed
        ));
    }
    if !holds {
        let most = percent(DIRTY_AT_MOST);
        evidence.push_str(&format!("; at most {most} may be, so find out why first"));
    }
    check(analysis, What::Void, holds, evidence)
}

fn dirty(analysis: &Analysis<'_>) -> Check {
    let (slices, dirty) = analysis.slices();
    let holds = share(dirty, slices) <= DIRTY_AT_MOST;
    let mut evidence = format!(
        "{} of {} are dirty, and at most {} may be",
        percent(share(dirty, slices)),
        count(slices, "slice"),
        percent(DIRTY_AT_MOST)
    );
    if !holds {
        evidence
            .push_str("; the machine is busy with something else, so run again when it is quiet");
    }
    check(analysis, What::Dirty, holds, evidence)
}

fn aa_check(analysis: &Analysis<'_>, aa: Option<&Estimate>, threshold: f64) -> Check {
    let Some(aa) = aa else {
        let evidence = "the incumbent was not paired with itself, so nothing shows the noise";
        return check(analysis, What::Aa, false, evidence.to_owned());
    };
    let off = (aa.ratio() - 1.0).abs();
    let half = half_width(aa);
    let centred = off <= AA_MEDIAN_AT_MOST;
    let narrow = half <= threshold / 2.0;
    let mut evidence = format!(
        "the incumbent differs from itself by {} (at most {}), with a half-width of {} (at most {}, half the threshold)",
        percent(off),
        percent(AA_MEDIAN_AT_MOST),
        percent(half),
        percent(threshold / 2.0)
    );
    if !(centred && narrow) {
        evidence.push_str("; the machine is too noisy, or the arms are not run alike");
    }
    Check {
        // A median that is off although its interval excludes no difference is no matter of blocks.
        wide: !narrow || !centred && aa.interval().contains(0.0),
        ..check(analysis, What::Aa, centred && narrow, evidence)
    }
}

/// Detected: the interval lies above no difference, and reaches what is between half and twice the planted delay. More is
/// not asked, since a delay beside a contended operation is partly hidden by it, or adds to it.
fn control(analysis: &Analysis<'_>) -> Option<Check> {
    let arm = analysis.with_role(|role| matches!(role, Role::Planted { .. }))?;
    let Role::Planted { extra } = analysis.run().arms.get(arm)?.role else {
        return None;
    };
    let Some(estimate) = analysis.estimate(arm) else {
        let evidence = "the arm with the planted delay gave no pair".to_owned();
        return Some(check(analysis, What::Control, false, evidence));
    };
    let seen = estimate.ratio_interval();
    let (least, most) = (1.0 + extra / 2.0, 1.0 + extra * 2.0);
    let about_right = seen.lower <= most && seen.upper >= least;
    let holds = seen.lower > 1.0 && about_right;
    let mut evidence = format!(
        "a planted {} shows as {} ({} to {})",
        percent(extra),
        percent(estimate.ratio() - 1.0),
        percent(seen.lower - 1.0),
        percent(seen.upper - 1.0)
    );
    if !holds {
        evidence.push_str("; it has to be above 0 %, and between half and twice what was planted");
    }
    Some(Check {
        wide: !holds && about_right,
        ..check(analysis, What::Control, holds, evidence)
    })
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}
