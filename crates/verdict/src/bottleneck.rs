//! Whether the incumbent is the bottleneck: the one criterion that is measured.
//!
//! # Design
//!
//! *Yes* for a candidate needs a gating scenario in which its gain lies above the effective threshold, in the first pass
//! and again, in the same scenario, in the second. *No* needs every gating scenario's gain below the record's threshold.
//! Anything else is *open*; so is everything while a [precondition](crate::preconditions) fails.
//!
//! - **Effective threshold**: the record's, and never under three times the A/A' half-width of the pass. It raises the bar
//!   for a yes only; a no is held against the record's own threshold, so that noise never makes a no easier.
//! - **Above**, with Holm: the null hypothesis "the gain is at most the effective threshold" has the one-sided p-value of
//!   [`Sample::p_at_least`](crate::stats::Sample::p_at_least) (bootstrap and sign test, the larger), adjusted over all
//!   candidates and gating scenarios of the pass, and is rejected at 2.5 %. With a single comparison that is the same as: the lower
//!   end of the cautious 95 % interval is above the threshold. In the second pass the family is what the first pass found
//!   above, and nothing else: the other questions are not asked again.
//! - **Below**: the upper end of the 95 % interval is below the threshold. *No* claims this of every scenario at once, so it
//!   errs only if the one that is truly above errs: no correction is due (an intersection-union test).
//!
//! # Why
//!
//! - *Extension.* 30 blocks are looked at, and then perhaps 60. A second look adds to the error of the first; what that
//!   amounts to is measured (`tests/it/rates.rs`), and a yes is guarded by the second pass.
//! - *The second pass.* What one run of a machine has in common (a neighbour's habits, a page's colour) is in all its blocks.

use crate::analysis::{Analysis, Estimate};
use crate::criteria::Bottleneck;
use crate::preconditions::{Asked, Check, HALF_WIDTHS, What, checks, half_width};
use crate::schema::{Results, Role};
use crate::stats::{ONE_SIDED, adjusted};

/// A candidate against the incumbent in one pass of a gating scenario.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The candidate.
    pub candidate: String,
    /// The scenario.
    pub scenario: String,
    /// The pass.
    pub pass: u8,
    /// What was measured; `None` where no block gave a pair.
    pub estimate: Option<Estimate>,
    /// The record's threshold.
    pub threshold: f64,
    /// The threshold that a yes has to exceed.
    pub effective: f64,
    /// The p-value of "the gain is at most the effective threshold", adjusted by Holm; `None` where the question is not
    /// asked (of a second pass, what the first did not find).
    pub adjusted_p: Option<f64>,
    /// On which side of the threshold it lies.
    pub side: Side,
}

/// Where a gain lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Above the effective threshold, after Holm's correction.
    Above,
    /// The whole interval is below the record's threshold.
    Below,
    /// Neither can be said.
    Unclear,
}

impl Comparison {
    /// Whether the interval alone is above the effective threshold, before any correction.
    pub(crate) fn is_alone_above(&self) -> bool {
        let lower = self.estimate.map(|estimate| estimate.gain_interval().lower);
        lower.is_some_and(|lower| lower > self.effective)
    }
}

/// One pass of the gating scenarios, checked and compared.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    pub(crate) checks: Vec<Check>,
    pub(crate) comparisons: Vec<Comparison>,
    /// Scenarios with all planned blocks and room for the extension.
    pub(crate) extendable: Vec<String>,
}

impl Pass {
    pub(crate) fn of<'a>(&'a self, candidate: &'a str) -> impl Iterator<Item = &'a Comparison> {
        let own = move |each: &&Comparison| each.candidate == candidate;
        self.comparisons.iter().filter(own)
    }

    pub(crate) fn is_above(&self, candidate: &str) -> bool {
        self.of(candidate).any(|each| each.side == Side::Above)
    }

    /// Fails in a way that no number of blocks mends.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.checks.iter().any(|check| !check.holds && !check.wide)
    }

    pub(crate) fn has(&self, scenario: &str) -> bool {
        self.checks
            .iter()
            .any(|check| check.scenario == scenario && check.what != What::Measured)
    }
}

/// Both passes of a bottleneck criterion.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) first: Pass,
    pub(crate) second: Pass,
}

impl Measured {
    pub(crate) fn new(results: &Results, bottleneck: &Bottleneck, cores: u32) -> Self {
        let asked = Asked {
            cores,
            cores_here: results.machine.cores,
            plan: results.plan,
            threshold: bottleneck.threshold,
        };
        let first = pass(results, bottleneck, asked, 1, |_, _| true);
        let found = |candidate: &str, scenario: &str| {
            let of_first = |each: &Comparison| each.scenario == scenario;
            let mut of_candidate = first.of(candidate).filter(|each| of_first(each));
            of_candidate.any(|each| each.side == Side::Above)
        };
        let second = pass(results, bottleneck, asked, 2, found);
        Self { first, second }
    }

    /// The failing preconditions of what is said about a candidate: those of the second pass only where it is asked.
    pub(crate) fn failing(&self, candidate: &str) -> Vec<&Check> {
        let second = if self.first.is_above(candidate) {
            self.second.checks.as_slice()
        } else {
            &[]
        };
        let checks = self.first.checks.iter().chain(second);
        checks.filter(|check| !check.holds).collect()
    }

    /// Whether the second pass has all that the first found for this candidate.
    pub(crate) fn is_confirmable(&self, candidate: &str) -> bool {
        let mut above = self
            .first
            .of(candidate)
            .filter(|each| each.side == Side::Above);
        above.all(|each| self.second.has(&each.scenario))
    }
}

/// `asks` says of which candidate and scenario the pass asks whether it is above.
fn pass(
    results: &Results,
    bottleneck: &Bottleneck,
    asked: Asked,
    number: u8,
    asks: impl Fn(&str, &str) -> bool,
) -> Pass {
    let mut pass = Pass::default();
    let mut p_values = Vec::new();
    for scenario in &bottleneck.gating {
        let mut runs = results.runs.iter();
        let run = runs.find(|run| run.scenario == *scenario && run.pass == number);
        let analysis = run.map(|run| Analysis::new(run, results.seed));
        let Some(analysis) = analysis.filter(|analysis| stands_on(analysis, bottleneck)) else {
            if number == 1 || run.is_some() {
                pass.checks.push(unmeasured(scenario, number, bottleneck));
            }
            continue;
        };
        let aa = analysis.with_role(|role| role == Role::IncumbentAgain);
        let aa = aa.and_then(|arm| analysis.estimate(arm));
        pass.checks.extend(checks(&analysis, aa.as_ref(), asked));
        if is_extendable(&analysis, asked) {
            pass.extendable.push(scenario.clone());
        }
        let effective = aa.map_or(0.0, |aa| HALF_WIDTHS * half_width(&aa));
        let effective = effective.max(bottleneck.threshold);
        for candidate in &bottleneck.candidates {
            let arm = analysis.candidate(candidate);
            let sample = arm.and_then(|arm| analysis.sample(arm));
            // Its time at the threshold. A threshold that noise has pushed to all of the time cannot be exceeded.
            let bar = (1.0 - effective).max(0.0).ln();
            if asks(candidate, scenario) {
                let p = sample.as_ref().map_or(1.0, |s| s.p_at_least(bar));
                p_values.push((pass.comparisons.len(), p));
            }
            pass.comparisons.push(Comparison {
                candidate: candidate.clone(),
                scenario: scenario.clone(),
                pass: number,
                estimate: sample.as_ref().map(Estimate::of),
                threshold: bottleneck.threshold,
                effective,
                adjusted_p: None,
                side: Side::Unclear,
            });
        }
    }
    let raw: Vec<f64> = p_values.iter().map(|(_, p)| *p).collect();
    for ((index, _), p) in p_values.iter().zip(adjusted(&raw)) {
        pass.comparisons[*index].adjusted_p = Some(p);
    }
    for comparison in &mut pass.comparisons {
        comparison.side = side(comparison);
    }
    if number == 1 {
        pass.checks.extend(uncontrolled(&pass.checks));
    }
    pass
}

fn side(comparison: &Comparison) -> Side {
    let upper = comparison.estimate.map(|each| each.gain_interval().upper);
    if comparison.adjusted_p.is_some_and(|p| p <= ONE_SIDED) {
        Side::Above
    } else if upper.is_some_and(|upper| upper < comparison.threshold) {
        Side::Below
    } else {
        Side::Unclear
    }
}

fn stands_on(analysis: &Analysis<'_>, bottleneck: &Bottleneck) -> bool {
    let arms = &analysis.run().arms;
    let incumbent = analysis.incumbent().and_then(|arm| arms.get(arm));
    incumbent.is_some_and(|arm| arm.name == bottleneck.incumbent)
}

fn is_extendable(analysis: &Analysis<'_>, asked: Asked) -> bool {
    let blocks = u32::try_from(analysis.run().blocks.len()).unwrap_or(u32::MAX);
    (asked.plan.blocks..asked.plan.extended).contains(&blocks)
}

fn unmeasured(scenario: &str, pass: u8, bottleneck: &Bottleneck) -> Check {
    Check {
        what: What::Measured,
        scenario: scenario.to_owned(),
        pass,
        holds: false,
        evidence: format!(
            "there is no run of it against {}; run `cargo xtask bench --scenario {scenario}`",
            bottleneck.incumbent
        ),
        wide: false,
    }
}

/// The control is run once a group of scenarios, so one of the gating ones has to have it.
fn uncontrolled(checks: &[Check]) -> Option<Check> {
    let mut measured = checks.iter().filter(|check| check.what == What::Cores);
    let first = measured.next()?;
    let controlled = checks.iter().any(|check| check.what == What::Control);
    (!controlled).then(|| Check {
        what: What::Control,
        scenario: first.scenario.clone(),
        pass: first.pass,
        holds: false,
        evidence: "no gating scenario has an arm with a planted delay, so nothing shows that one would be seen"
            .to_owned(),
        wide: false,
    })
}
