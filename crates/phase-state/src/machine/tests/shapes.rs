//! Traces of several shapes, made up after what thoughts look like: which of them the two rules end, at their defaults.

use super::{rules, with_format};
use crate::machine::{State, step_mut};
use crate::{
    BudgetForceReason, Converged, EntropySignal, Format, Overthinking, PhaseEvent,
    PhaseRouterConfig, StartPhase,
};

const LENGTH: usize = 6_000;
const CALM: f32 = 0.5;
const TURN: f32 = 4.0;

/// The rules as one gets them by asking for them, and everything else as it is by default.
fn both() -> PhaseRouterConfig {
    PhaseRouterConfig {
        converged: Some(Converged::default()),
        overthinking: Some(Overthinking::default()),
        formats: with_format(Format::with_marker_ids([1], [2], [3])).formats,
        ..PhaseRouterConfig::default()
    }
}

/// The token, from 1, that a trace is ended at, and why. `shape` has the entropy and the mass of each token.
fn ended(
    config: &PhaseRouterConfig,
    one_sample_in: usize,
    shape: impl Fn(usize) -> (f32, f32),
) -> Option<(usize, BudgetForceReason)> {
    let rules = rules(config).unwrap();
    let (mut state, _) = State::start(&rules, StartPhase::ThinkDecode, None);
    (1..=LENGTH).find_map(|n| {
        let (token_entropy, end_mass) = shape(n);
        let sample = EntropySignal {
            token_entropy,
            end_mass,
        };
        let sample = n.is_multiple_of(one_sample_in).then_some(&sample);
        match step_mut(&mut state, &rules, 9, sample) {
            PhaseEvent::ForceBudget { reason, .. } => Some((n, reason)),
            _ => None,
        }
    })
}

/// In mid-thought the mass sits near 0, with a small peak where the model considers to stop.
fn mid_thought(n: usize) -> (f32, f32) {
    (CALM, if n.is_multiple_of(25) { 0.08 } else { 1e-4 })
}

#[test]
fn a_thought_in_its_middle_goes_on() {
    for one_sample_in in [1, 4, 25] {
        assert_eq!(ended(&both(), one_sample_in, mid_thought), None);
    }
    assert_eq!(ended(&both(), 1, |_| (CALM, 0.0)), None, "no mass at all");
    let considers = |n: usize| (CALM, if n % 100 < 5 { 0.9 } else { 0.01 });
    assert_eq!(ended(&both(), 1, considers), None, "it considers to stop");
    let wavers = |n: usize| (CALM, if n.is_multiple_of(2) { 0.95 } else { 0.2 });
    assert_eq!(ended(&both(), 1, wavers), None, "it wavers");
}

#[test]
fn a_thought_that_has_made_up_its_mind_is_ended() {
    let settles = |n: usize| {
        if n < 2_000 {
            mid_thought(n)
        } else {
            (CALM, 0.97)
        }
    };
    let (at, reason) = ended(&both(), 1, settles).unwrap();
    assert_eq!(reason, BudgetForceReason::Converged);
    assert!((2_030..2_150).contains(&at), "{at}");
    let rises = |n: usize| (CALM, (n as f32 / 4_000.0).min(0.98));
    let (at, reason) = ended(&both(), 1, rises).unwrap();
    assert_eq!(reason, BudgetForceReason::Converged);
    assert!((1_900..3_000).contains(&at), "at half the mass: {at}");
}

#[test]
fn one_hard_token_is_no_loss_of_the_way() {
    for every in [40, 150, 700] {
        let rare = |n: usize| (if n.is_multiple_of(every) { TURN } else { CALM }, 1e-4);
        assert_eq!(ended(&both(), 1, rare), None, "one in {every}");
        // Two or three close together are a hard word.
        let words = |n: usize| (if n % every < 3 { TURN } else { CALM }, 1e-4);
        assert_eq!(ended(&both(), 1, words), None, "three in {every}");
    }
    let always = |_| (TURN, 1e-4);
    assert_eq!(ended(&both(), 1, always), None, "no more than ever");
}

#[test]
fn a_thought_that_turns_around_and_around_is_ended() {
    let lost = |n: usize| {
        let turns = n.is_multiple_of(if n < 3_000 { 50 } else { 3 });
        (if turns { TURN } else { CALM }, 1e-4)
    };
    let (at, reason) = ended(&both(), 1, lost).unwrap();
    assert_eq!(reason, BudgetForceReason::Overthinking);
    assert!((3_010..3_100).contains(&at), "{at}");
}

#[test]
fn neither_is_asked_unless_configured() {
    let off = PhaseRouterConfig {
        formats: both().formats,
        ..PhaseRouterConfig::default()
    };
    assert_eq!(ended(&off, 1, |_| (CALM, 0.97)), None);
    assert_eq!(
        ended(&off, 1, |n| (if n < 3_000 { CALM } else { TURN }, 0.0)),
        None
    );
}

#[test]
fn at_least_so_many_transitions_in_a_row() {
    for least in [1, 2, 5, 30] {
        let config = PhaseRouterConfig {
            min_think_tokens: 0,
            overthinking: Some(Overthinking {
                min_index: 0.0,
                min_transitions: least,
            }),
            ..both()
        };
        let turns = |count: usize| move |n: usize| (if n <= count { TURN } else { CALM }, 1e-4);
        let least = least as usize;
        assert_eq!(ended(&config, 1, turns(least - 1)), None, "{least}");
        let (at, _) = ended(&config, 1, turns(least)).unwrap();
        assert_eq!(at, least);
    }
}
