//! What samples do: the averages, what is judged by them and when, and what goes before what.

use super::{END, Fed, START, config, exit, forced, output, plain, run, thinking};
use crate::{
    BudgetForceReason::{self, Converged, HardCap, Overthinking},
    EntropySignal, PhaseEvent, PhaseKind, PhaseRouterConfig,
    StartPhase::{self, ThinkDecode},
    ThinkPhase,
    machine::{Rules, State, step, step_mut},
};

const fn sample(token_entropy: f32, eat: f32) -> Option<EntropySignal> {
    Some(EntropySignal { token_entropy, eat })
}

/// A transition, with a mass that moves.
const WAVERING: Option<EntropySignal> = sample(3.0, 1.0);
/// No transition, and the mass that the averages begin with.
const SETTLED: Option<EntropySignal> = sample(1.0, 0.5);

/// No transition, and a mass that swings: nothing is due.
fn calm(at: usize) -> Option<EntropySignal> {
    sample(1.0, if at.is_multiple_of(2) { 0.0 } else { 1.0 })
}

/// Calm up to one transition on the `n`th token: then `rpdi_local` is 1/2, `rpdi_global` 1/n.
fn turns_at(n: usize) -> impl Fn(usize) -> Option<EntropySignal> {
    move |at| if at == n { WAVERING } else { calm(at) }
}

fn with(change: impl FnOnce(&mut PhaseRouterConfig)) -> PhaseRouterConfig {
    let mut config = config();
    change(&mut config);
    config
}

/// Feeds ordinary tokens with the samples of their numbers, from 1, to a request that thinks. The
/// number of the token that forces the end, and why.
fn first_force(
    config: &PhaseRouterConfig,
    tokens: usize,
    sample_of: impl Fn(usize) -> Option<EntropySignal>,
) -> Option<(usize, BudgetForceReason)> {
    let tokens: Vec<Fed> = (1..=tokens).map(|at| (9, sample_of(at))).collect();
    let (events, _) = run(config, ThinkDecode, &tokens);
    assert!(events.len() <= 1, "{events:?}");
    events.first().map(|&(at, event)| match event {
        PhaseEvent::ForceBudget { reason, .. } => (at, reason),
        other => panic!("{other:?}"),
    })
}

#[test]
fn convergence() {
    let settled = |config: &PhaseRouterConfig| first_force(config, 9, |_| SETTLED);
    assert_eq!(settled(&config()), Some((1, Converged)));
    assert_eq!(first_force(&config(), 9, |_| None), None, "no samples");

    let floor = with(|config| config.min_think_tokens = 4);
    assert_eq!(settled(&floor), Some((5, Converged)), "past the floor");
    let sampled = |at| if at == 1 || at == 7 { SETTLED } else { None };
    let outcome = first_force(&floor, 9, sampled);
    assert_eq!(outcome, Some((7, Converged)), "on a token with a sample");

    // One sample of 1: the averages are 3/4 and 5/8, the variance 1/16.
    let once = |threshold| {
        let config = with(|config| config.eat_ema_variance_threshold = threshold);
        first_force(&config, 1, |_| sample(1.0, 1.0))
    };
    assert_eq!(once(0.0625), None, "at the threshold");
    assert_eq!(once(0.062_500_01), Some((1, Converged)), "below it");

    let never = with(|config| config.eat_ema_variance_threshold = 0.0);
    assert_eq!(settled(&never), None, "at 0 nothing converges");
}

/// The variance of equal samples of 0.3 comes out as -7e-9 on the 259th, and is taken as 0: that is
/// below the smallest threshold, and not below none.
#[test]
fn a_variance_is_never_negative() {
    let equal = |threshold| {
        let config = with(|config| {
            config.ema_alpha = 0.05;
            config.eat_ema_variance_threshold = threshold;
            config.min_think_tokens = 258;
        });
        first_force(&config, 300, |_| sample(1.0, 0.3))
    };
    assert_eq!(equal(f32::MIN_POSITIVE), Some((259, Converged)));
    assert_eq!(equal(0.0), None);
}

#[test]
fn overthinking() {
    let turn = |n| first_force(&config(), n, turns_at(n));
    assert_eq!(turn(6), None, "at the ratio of 3");
    assert_eq!(turn(7), Some((7, Overthinking)), "above it");
    assert_eq!(turn(999), Some((999, Overthinking)));
    assert_eq!(turn(1_001), None, "too few transitions to say");

    let floor = with(|config| config.min_think_tokens = 8);
    assert_eq!(first_force(&floor, 8, turns_at(8)), None);
    assert_eq!(first_force(&floor, 9, turns_at(9)), Some((9, Overthinking)));
    // Due from the seventh token on, which is not past the floor.
    let late = with(|config| config.min_think_tokens = 7);
    let unsampled = |at| if at == 7 { WAVERING } else { None };
    assert_eq!(first_force(&late, 9, unsampled), None, "without a sample");

    let strict = with(|config| config.transition_entropy_threshold = 3.0);
    let outcome = first_force(&strict, 8, turns_at(8));
    assert_eq!(outcome, None, "an entropy at its threshold");
}

#[test]
fn of_what_is_due_converged_goes_first_and_the_cap_last() {
    let both = with(|config| config.eat_ema_variance_threshold = 1.0);
    let last = |n, sample| move |at| if at == n { sample } else { None };
    let outcome = first_force(&both, 9, last(9, WAVERING));
    assert_eq!(outcome, Some((9, Converged)));

    let capped = |max| with(|config| config.max_think_tokens = max);
    let outcome = first_force(&capped(3), 3, last(3, SETTLED));
    assert_eq!(outcome, Some((3, Converged)));
    let outcome = first_force(&capped(8), 8, turns_at(8));
    assert_eq!(outcome, Some((8, Overthinking)));
    let outcome = first_force(&capped(3), 4, calm);
    assert_eq!(outcome, Some((3, HardCap)), "with samples, too");

    let outcome = run(&capped(1), ThinkDecode, &[(END, SETTLED)]);
    assert_eq!(outcome, (vec![(1, exit(1))], output(1)), "an end first");
}

#[test]
fn with_nothing_to_inject_nothing_is_forced() {
    let endless = with(|config| {
        config.think_start_markers.clear();
        config.think_end_markers.clear();
        config.max_think_tokens = 2;
    });
    assert_eq!(first_force(&endless, 4, |_| SETTLED), None);
    let outcome = run(&endless, ThinkDecode, &plain(&[9, 9, 9]));
    assert_eq!(outcome, (vec![], thinking(3, false)));
}

#[test]
fn what_is_injected_is_the_first_token_of_the_first_end() {
    let config = with(|config| {
        config.think_end_markers = vec![vec![7, 8], vec![END]];
        config.max_think_tokens = 1;
    });
    let (events, phase) = run(&config, ThinkDecode, &plain(&[9, 7, 8]));
    let inject = PhaseEvent::ForceBudget {
        inject_token: 7,
        reason: HardCap,
    };
    assert_eq!(events, [(1, inject), (3, exit(3))]);
    assert_eq!(phase, output(3));
}

#[test]
fn the_averages_are_those_of_the_formulas() {
    let config = with(|config| {
        config.min_think_tokens = 100;
        config.max_think_tokens = 100;
    });
    let fed = [
        (9, None),
        (9, sample(3.0, 1.0)),
        (9, sample(f32::NAN, 1.0)),
        (9, sample(1.0, 0.0)),
    ];
    let expected = ThinkPhase::ThinkDecode {
        tokens_so_far: 4,
        eat_ema: 0.375,     // 0 and (1 and 1/2)
        eat_ema_sq: 0.3125, // 0 and (1 and 1/4)
        rpdi_local: 0.25,   // 0 and (1 and 0)
        rpdi_global: 0.375, // half on the second token, and a quarter less on the fourth
        force_in_progress: false,
    };
    assert_eq!(run(&config, ThinkDecode, &fed), (vec![], expected));
}

#[test]
fn a_forced_span_is_still_averaged() {
    let (events, phase) = run(&config(), ThinkDecode, &[(9, SETTLED), (9, WAVERING)]);
    assert_eq!(events, [(1, forced(Converged))]);
    let expected = ThinkPhase::ThinkDecode {
        tokens_so_far: 2,
        eat_ema: 0.75,
        eat_ema_sq: 0.625,
        rpdi_local: 0.5,
        rpdi_global: 0.5,
        force_in_progress: true,
    };
    assert_eq!(phase, expected);
}

#[test]
fn a_second_span_has_a_floor_and_averages_of_its_own() {
    let config = with(|config| {
        config.min_think_tokens = 2;
        config.reentry = true;
    });
    let mut fed = vec![(9, WAVERING), (9, WAVERING), (END, None), (START, WAVERING)];
    assert_eq!(run(&config, ThinkDecode, &fed).1, thinking(0, false));
    fed.extend([(9, SETTLED); 3]);
    let (events, _) = run(&config, ThinkDecode, &fed);
    let again = [(4, PhaseEvent::EnterThink), (7, forced(Converged))];
    assert_eq!(events, [&[(3, exit(3))], &again[..]].concat());
}

#[test]
fn a_sample_that_is_not_finite_is_none() {
    let none = (vec![], thinking(1, false));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for sample in [sample(bad, 0.5), sample(1.0, bad), sample(bad, bad)] {
            assert_eq!(run(&config(), ThinkDecode, &[(9, sample)]), none);
        }
    }
    // Finite itself, but not its square.
    let outcome = run(&config(), ThinkDecode, &[(9, sample(1.0, 1e20))]);
    assert_eq!(outcome, none);
}

/// With an infinite average of squares, an alpha of 1 would multiply it by 0.
#[test]
fn no_sample_makes_a_nan() {
    let wild = [1.8e19, 1e20, -1.8e19, f32::MAX, 1e18, -1.0, 0.0];
    for ema_alpha in [f32::MIN_POSITIVE, 0.05, 0.5, 1.0] {
        let config = with(|config| config.ema_alpha = ema_alpha);
        let rules = Rules::new(&config).unwrap();
        let mut state = State::start(ThinkDecode);
        for eat in wild.into_iter().cycle().take(50) {
            let _ = step_mut(&mut state, &rules, 9, sample(f32::MAX, eat).as_ref());
            let floats = [
                state.averages.eat_ema,
                state.averages.eat_ema_sq,
                state.averages.rpdi_local,
            ];
            assert!(!floats.iter().any(|float| float.is_nan()), "{state:?}");
        }
    }
}

#[test]
fn rules_come_of_valid_configs_only() {
    let invalid = with(|config| config.think_end_markers.clear());
    assert_eq!(
        Rules::new(&invalid).unwrap_err(),
        invalid.validate().unwrap_err()
    );
}

#[test]
fn counts_saturate() {
    let rules = Rules::new(&with(|config| config.reentry = true)).unwrap();
    let mut state = State {
        tokens: u32::MAX - 1,
        earlier: 5,
        forced: true,
        ..State::start(ThinkDecode)
    };
    let mut feed = |token, sample: Option<EntropySignal>| {
        let event = step_mut(&mut state, &rules, token, sample.as_ref());
        (event, state.phase())
    };
    for _ in 0..3 {
        assert_eq!(feed(9, None).0, PhaseEvent::Unchanged);
    }
    assert_eq!(feed(9, None).1, thinking(u32::MAX, true));
    assert_eq!(feed(END, None), (exit(u32::MAX), output(u32::MAX)));
    assert_eq!(feed(START, None).0, PhaseEvent::EnterThink);
    assert_eq!(feed(9, None).0, forced(HardCap));
}

#[test]
fn a_phase_is_entered_as_it_begins() {
    let rules = Rules::new(&config()).unwrap();
    let (state, event) = step(State::start(ThinkDecode), &rules, 9, SETTLED.as_ref());
    assert_eq!(event, forced(Converged));
    let (state, _) = step(state, &rules, 9, WAVERING.as_ref());
    let (state, _) = step(state, &rules, END, None);
    let expected = State {
        kind: PhaseKind::OutputDecode,
        earlier: 3,
        ..State::start(StartPhase::Prefill)
    };
    assert_eq!(state, expected);
}
