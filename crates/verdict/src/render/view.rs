//! The results with everything computed that more than one part of a report shows.

use crate::analysis::{Analysis, Estimate};
use crate::decide::Decision;
use crate::schema::{Arm, Results, Role, ScenarioRun};
use crate::text::ordinal;

pub(super) struct View<'a> {
    pub(super) results: &'a Results,
    pub(super) decisions: &'a [Decision],
    /// Gating ones first, each group in the order of the results.
    pub(super) runs: Vec<RunView<'a>>,
}

pub(super) struct RunView<'a> {
    pub(super) analysis: Analysis<'a>,
    pub(super) arms: Vec<ArmView<'a>>,
    /// It decides a record.
    pub(super) decides: bool,
    /// The threshold of the record it decides, raised where noise asks for it.
    pub(super) threshold: Option<f64>,
}

pub(super) struct ArmView<'a> {
    pub(super) index: usize,
    pub(super) arm: &'a Arm,
    pub(super) nanos: Option<f64>,
    /// Against the incumbent; `None` for itself.
    pub(super) estimate: Option<Estimate>,
}

impl<'a> View<'a> {
    pub(super) fn new(results: &'a Results, decisions: &'a [Decision]) -> Self {
        let view = |run| RunView::new(run, results, decisions);
        let mut runs: Vec<RunView<'_>> = results.runs.iter().map(view).collect();
        runs.sort_by_key(|run| !run.decides);
        Self {
            results,
            decisions,
            runs,
        }
    }
}

impl<'a> RunView<'a> {
    fn new(run: &'a ScenarioRun, results: &Results, decisions: &[Decision]) -> Self {
        let analysis = Analysis::new(run, results.seed);
        let arm = |(index, arm): (usize, &'a Arm)| ArmView {
            index,
            arm,
            nanos: analysis.nanos_per_op(index),
            estimate: if arm.role == Role::Incumbent {
                None
            } else {
                analysis.estimate(index)
            },
        };
        let arms = run.arms.iter().enumerate().map(arm).collect();
        let mut comparisons = decisions.iter().flat_map(|decision| &decision.comparisons);
        let own = comparisons.find(|c| c.scenario == run.scenario && c.pass == run.pass);
        Self {
            analysis,
            arms,
            decides: own.is_some(),
            threshold: own.map(|comparison| comparison.effective),
        }
    }

    pub(super) fn run(&self) -> &'a ScenarioRun {
        self.analysis.run()
    }

    /// `decode-step, first pass`.
    pub(super) fn name(&self) -> String {
        format!("{}, {} pass", self.run().scenario, ordinal(self.run().pass))
    }

    pub(super) fn incumbent(&self) -> &'a str {
        let arm = self.analysis.incumbent();
        arm.map_or("the incumbent", |arm| &self.run().arms[arm].name)
    }

    /// The incumbent against itself.
    pub(super) fn aa(&self) -> Option<Estimate> {
        let again = |arm: &&ArmView<'_>| arm.arm.role == Role::IncumbentAgain;
        self.arms.iter().find(again).and_then(|arm| arm.estimate)
    }
}

/// What an arm is there for.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Incumbent => "incumbent",
        Role::IncumbentAgain => "incumbent again (A/A')",
        Role::Planted { .. } => "incumbent, slowed on purpose",
        Role::Candidate => "candidate",
        Role::Baseline => "rejected baseline",
        Role::Reference => "reference design",
        Role::Free => "map that costs nothing",
        Role::Swapped => "one map swapped",
    }
}
