//! What samples do: the averages, what is judged by them and when, and what goes before what.

use super::oracle::Event;
use super::{END, Fed, START, exit, forced, output, plain, rules, run, thinking};
use crate::machine::{State, step, step_mut};
use crate::{
    BudgetForceReason::{self, HardCap, Overthinking},
    Converged, EntropySignal, Forced, Format, PhaseEvent, PhaseKind, PhaseRouterConfig, Spans,
    StartPhase::{self, ThinkDecode},
    ThinkPhase,
};

const CONVERGED: BudgetForceReason = BudgetForceReason::Converged;

/// With both rules, at thresholds that are exact in binary, and one transition enough.
fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        converged: Some(Converged {
            max_variance: 0.001,
            min_mass: 0.25,
        }),
        overthinking: Some(crate::Overthinking {
            min_index: 3.0,
            min_transitions: 1,
        }),
        ..super::config()
    }
}

fn start(config: &PhaseRouterConfig, start: StartPhase) -> State {
    State::start(&rules(config).unwrap(), start, None).0
}

const fn sample(token_entropy: f32, end_mass: f32) -> Option<EntropySignal> {
    Some(EntropySignal {
        token_entropy,
        end_mass,
    })
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
    events.first().map(|(at, event)| match event {
        Event::Force(_, reason) => (*at, *reason),
        other => panic!("{other:?}"),
    })
}

#[test]
fn convergence() {
    let settled = |config: &PhaseRouterConfig| first_force(config, 9, |_| SETTLED);
    assert_eq!(settled(&config()), Some((1, CONVERGED)));
    assert_eq!(first_force(&config(), 9, |_| None), None, "no samples");

    let floor = with(|config| config.min_think_tokens = 4);
    assert_eq!(settled(&floor), Some((5, CONVERGED)), "past the floor");
    let sampled = |at| if at == 1 || at == 7 { SETTLED } else { None };
    let outcome = first_force(&floor, 9, sampled);
    assert_eq!(outcome, Some((7, CONVERGED)), "on a token with a sample");

    // One sample of 1: the averages are 3/4 and 5/8, the variance 1/16.
    let once = |threshold| {
        let config = with(|config| {
            config.converged = Some(Converged {
                max_variance: threshold,
                min_mass: 0.25,
            });
        });
        first_force(&config, 1, |_| sample(1.0, 1.0))
    };
    assert_eq!(once(0.0625), None, "at the threshold");
    assert_eq!(once(0.062_500_01), Some((1, CONVERGED)), "below it");

    let massive = |least| {
        let config = with(|config| {
            config.converged = Some(Converged {
                max_variance: 1.0,
                min_mass: least,
            });
        });
        first_force(&config, 1, |_| sample(1.0, 1.0))
    };
    assert_eq!(massive(0.75), Some((1, CONVERGED)), "of that mass");
    assert_eq!(massive(0.750_001), None, "of less");

    let never = with(|config| config.converged = None);
    assert_eq!(settled(&never), None, "without the rule");
    assert_eq!(settled(&super::config()), None, "by default");
}

/// The variance of equal samples of 0.3 comes out as -7e-9 on the 259th, and is taken as 0: that is
/// below the smallest threshold.
#[test]
fn a_variance_is_never_negative() {
    let equal = |threshold| {
        let config = with(|config| {
            config.ema_alpha = 0.05;
            config.converged = Some(Converged {
                max_variance: threshold,
                min_mass: 0.25,
            });
            config.min_think_tokens = 258;
        });
        first_force(&config, 300, |_| sample(1.0, 0.3))
    };
    assert_eq!(equal(f32::MIN_POSITIVE), Some((259, CONVERGED)));
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
    let both = with(|config| {
        config.converged = Some(Converged {
            max_variance: 1.0,
            min_mass: 0.0,
        });
    });
    let last = |n, sample| move |at| if at == n { sample } else { None };
    let outcome = first_force(&both, 9, last(9, WAVERING));
    assert_eq!(outcome, Some((9, CONVERGED)));

    let capped = |max| with(|config| config.max_think_tokens = max);
    let outcome = first_force(&capped(3), 3, last(3, SETTLED));
    assert_eq!(outcome, Some((3, CONVERGED)));
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
        config.formats = vec![Format::default()];
        config.max_think_tokens = 2;
    });
    assert_eq!(first_force(&endless, 4, |_| SETTLED), None);
    let outcome = run(&endless, ThinkDecode, &plain(&[9, 9, 9]));
    assert_eq!(outcome, (vec![], thinking(3, false)));
}

#[test]
fn what_is_injected_is_the_first_end() {
    let config = with(|config| {
        config.formats[0].think_end = vec![vec![7, 8], vec![END]];
        config.max_think_tokens = 1;
    });
    let (events, phase) = run(&config, ThinkDecode, &plain(&[9, 7, 8]));
    let inject = Event::Force(vec![7, 8], HardCap);
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
        end_mass_ema: 0.375,     // 0 and (1 and 1/2)
        end_mass_sq_ema: 0.3125, // 0 and (1 and 1/4)
        rpdi_local: 0.25,        // 0 and (1 and 0)
        rpdi_global: 0.375,      // half on the second token, and a quarter less on the fourth
        force_in_progress: false,
    };
    assert_eq!(run(&config, ThinkDecode, &fed), (vec![], expected));
}

#[test]
fn a_forced_span_is_still_averaged() {
    let (events, phase) = run(&config(), ThinkDecode, &[(9, SETTLED), (9, WAVERING)]);
    assert_eq!(events, [(1, forced(CONVERGED))]);
    let expected = ThinkPhase::ThinkDecode {
        tokens_so_far: 2,
        end_mass_ema: 0.75,
        end_mass_sq_ema: 0.625,
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
        config.formats[0].spans = Spans::Any;
    });
    let mut fed = vec![(9, WAVERING), (9, WAVERING), (END, None), (START, WAVERING)];
    assert_eq!(run(&config, ThinkDecode, &fed).1, thinking(0, false));
    fed.extend([(9, SETTLED); 3]);
    let (events, _) = run(&config, ThinkDecode, &fed);
    let again = [(4, Event::EnterThink), (7, forced(CONVERGED))];
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
        let rules = rules(&config).unwrap();
        let mut state = start(&config, ThinkDecode);
        for mass in wild.into_iter().cycle().take(50) {
            let _ = step_mut(&mut state, &rules, 9, sample(f32::MAX, mass).as_ref());
            let floats = [
                state.averages.mass_ema,
                state.averages.mass_sq_ema,
                state.averages.rpdi_local,
            ];
            assert!(!floats.iter().any(|float| float.is_nan()), "{state:?}");
        }
    }
}

#[test]
fn rules_come_of_valid_configs_only() {
    let invalid = with(|config| config.formats[0].think_end.clear());
    assert_eq!(
        rules(&invalid).unwrap_err(),
        invalid.validate().unwrap_err()
    );
}

#[test]
fn counts_saturate() {
    let config = with(|config| {
        config.formats[0].spans = Spans::Any;
        config.converged = None;
    });
    let rules = rules(&config).unwrap();
    let mut state = start(&config, ThinkDecode);
    state.tokens = u32::MAX - 1;
    state.tally.think = 5;
    state.forced = true;
    let mut feed = |token, sample: Option<EntropySignal>| {
        let event = step_mut(&mut state, &rules, token, sample.as_ref());
        let event = Event::of(event, |injection| rules.tokens(injection).to_vec());
        (event, state.phase())
    };
    for _ in 0..3 {
        assert_eq!(feed(9, None).0, Event::Unchanged);
    }
    assert_eq!(feed(9, None).1, thinking(u32::MAX, true));
    assert_eq!(feed(END, None), (exit(u32::MAX), output(u32::MAX)));
    assert_eq!(feed(START, None).0, forced(HardCap), "nothing is left");
}

#[test]
fn a_phase_is_entered_as_it_begins() {
    let config = config();
    let rules = rules(&config).unwrap();
    let (state, event) = step(start(&config, ThinkDecode), &rules, 9, SETTLED.as_ref());
    assert!(matches!(
        event,
        PhaseEvent::ForceBudget {
            reason: CONVERGED,
            ..
        }
    ));
    let (state, _) = step(state, &rules, 9, WAVERING.as_ref());
    let (state, _) = step(state, &rules, END, None);
    let mut expected = State {
        kind: PhaseKind::OutputDecode,
        ..start(&config, StartPhase::Prefill)
    };
    expected.tally.think = 3;
    expected.tally.spans = 1;
    expected.tally.forced = Some(Forced {
        reason: CONVERGED,
        at_token: 1,
    });
    assert_eq!(state, expected);
}
