//! What every format says of a candidate: its verdict, and its best and worst gating scenario.

use crate::analysis::Estimate;
use crate::bottleneck::{Comparison, Place};
use crate::decide::{CandidateVerdict, Decision, Ruling};
use crate::states::State;
use crate::text::{interval, one_line, percent};

/// A candidate of a record.
pub(super) struct Row<'a> {
    pub(super) decision: &'a Decision,
    pub(super) verdict: &'a CandidateVerdict,
    /// The comparisons of the states that count (where none does, of all), the largest gain first.
    pub(super) comparisons: Vec<(&'a Comparison, Estimate)>,
}

impl<'a> Row<'a> {
    pub(super) fn of(decision: &'a Decision, verdict: &'a CandidateVerdict) -> Self {
        let any_counts = decision.places.iter().any(|place| place.counts);
        let places = decision.places.iter();
        let places = places.filter(|place| place.counts == any_counts);
        let own = places.filter_map(|place| place.of(&verdict.candidate));
        let measured = own.filter_map(|each| Some((each, each.estimate?)));
        let mut comparisons: Vec<_> = measured.collect();
        comparisons.sort_by(|(_, a), (_, b)| b.gain().total_cmp(&a.gain()));
        Self {
            decision,
            verdict,
            comparisons,
        }
    }

    /// `KEEP`, or what a quick run would say; with the states it holds for, where they differ.
    pub(super) fn verdict(&self) -> String {
        let word = match self.verdict.ruling {
            Ruling::Says(outcome) => outcome.to_string(),
            Ruling::WouldSay(outcome) => format!("would say {outcome}"),
        };
        let states = &self.verdict.states;
        let differ = states.iter().any(|(_, answer)| *answer != states[0].1);
        if !differ {
            return word;
        }
        let each = states
            .iter()
            .map(|(state, answer)| format!("{state} {answer}"));
        format!("{word} ({})", each.collect::<Vec<_>>().join(", "))
    }

    pub(super) fn best(&self) -> Option<String> {
        self.comparisons.first().map(|each| self.gain(each))
    }

    /// `None` where the best is all there is.
    pub(super) fn worst(&self) -> Option<String> {
        let worst = self
            .comparisons
            .last()
            .filter(|_| self.comparisons.len() > 1);
        worst.map(|each| self.gain(each))
    }

    /// `+2.5 % router-lookup (1.9 to 3.1)`.
    fn gain(&self, (comparison, estimate): &(&Comparison, Estimate)) -> String {
        format!(
            "{} {} [{}]",
            signed(estimate.gain()),
            self.place(&comparison.scenario, comparison.state),
            interval(estimate.gain_interval())
        )
    }

    /// The scenario, with the state where there is more than one.
    fn place(&self, scenario: &str, state: State) -> String {
        let places = &self.decision.places;
        let several = places
            .iter()
            .any(|place| place.counts && place.state != state);
        if several {
            one_line(&format!("{scenario}, {state}"))
        } else {
            one_line(scenario)
        }
    }
}

/// All candidates of all records.
pub(super) fn rows(decisions: &[Decision]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for decision in decisions {
        rows.extend(
            decision
                .candidates
                .iter()
                .map(|each| Row::of(decision, each)),
        );
    }
    rows
}

/// The headroom of each place that counts.
pub(super) fn headroom(places: &[Place]) -> Vec<(&Place, Estimate)> {
    let measured = places.iter().filter(|place| place.counts);
    measured
        .filter_map(|place| Some((place, place.headroom?)))
        .collect()
}

/// A gain with its sign, so that a saving is not taken for a cost.
pub(super) fn signed(gain: f64) -> String {
    if gain > 0.0 {
        format!("+{}", percent(gain))
    } else {
        percent(gain)
    }
}
