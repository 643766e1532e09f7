//! What holds for every config and every sequence of tokens.

use std::collections::BTreeMap;

use proptest::{
    collection::vec, option, prelude::*, sample::select, strategy::ValueTree,
    test_runner::TestRunner,
};

use super::oracle::NaiveRequest;
use crate::{
    EntropySignal, PhaseEvent, PhaseKind, PhaseRouterConfig, StartPhase, ThinkPhase,
    machine::{Rules, State, step, step_mut},
};

type Fed = (u32, Option<EntropySignal>);

#[derive(Debug, Clone)]
struct Case {
    config: PhaseRouterConfig,
    start: StartPhase,
    tokens: Vec<Fed>,
}

/// So few different tokens that markers come up, break off and overlap.
fn any_token() -> impl Strategy<Value = u32> {
    0..6u32
}

fn any_config() -> impl Strategy<Value = PhaseRouterConfig> {
    let marker = || vec(any_token(), 1..4);
    let markers = (
        option::weighted(0.9, marker()),
        vec((0..3u8, marker()), 0..8),
    );
    let thresholds = (
        select(vec![0.05f32, 0.5, 1.0]),
        select(vec![0.0f32, 1.5, 2.5]),
        select(vec![0.0f32, 1.5, 3.0]),
        select(vec![0.0f32, 0.001, 0.1]),
    );
    let limits = (0..6u32, 0..12u32, any::<bool>());
    (markers, thresholds, limits).prop_map(|(markers, thresholds, (min, more, reentry))| {
        let mut config = PhaseRouterConfig {
            ema_alpha: thresholds.0,
            transition_entropy_threshold: thresholds.1,
            rpdi_threshold: thresholds.2,
            eat_ema_variance_threshold: thresholds.3,
            min_think_tokens: min,
            max_think_tokens: min + more,
            reentry,
            ..PhaseRouterConfig::default()
        };
        let (end, others) = markers;
        config.think_end_markers.extend(end);
        // Those that a config may have beside the ones before them.
        for (kind, marker) in others {
            let mut with = config.clone();
            match kind {
                0 => with.think_start_markers.push(marker),
                1 => with.think_end_markers.push(marker),
                _ => with.eos_markers.push(marker),
            }
            if with.validate().is_ok() {
                config = with;
            }
        }
        config
    })
}

fn any_sample() -> impl Strategy<Value = EntropySignal> {
    let entropy = select(vec![0.0f32, 1.5, 2.0, 3.0, f32::NAN]);
    let eat = prop_oneof![
        4 => select(vec![0.0f32, 0.5, 1.0]),
        1 => 0.0..1.0f32,
        1 => Just(f32::INFINITY),
    ];
    (entropy, eat).prop_map(|(token_entropy, eat)| EntropySignal { token_entropy, eat })
}

fn any_case() -> impl Strategy<Value = Case> {
    let start = select(vec![StartPhase::Prefill, StartPhase::ThinkDecode]);
    let tokens = vec((any_token(), option::of(any_sample())), 0..60);
    (any_config(), start, tokens).prop_map(|(config, start, tokens)| Case {
        config,
        start,
        tokens,
    })
}

/// Every event, with the phase that the token left the request in.
fn run(case: &Case) -> Vec<(PhaseEvent, ThinkPhase)> {
    let rules = Rules::new(&case.config).unwrap();
    let mut state = State::start(case.start);
    let feed = |&(token, sample): &Fed| {
        let event = step_mut(&mut state, &rules, token, sample.as_ref());
        (event, state.phase())
    };
    case.tokens.iter().map(feed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_machine_equals_the_naive_model(case in any_case()) {
        let mut naive = NaiveRequest::new(case.start);
        prop_assert_eq!(State::start(case.start).phase(), naive.phase());
        for (at, (outcome, &(token, sample))) in run(&case).into_iter().zip(&case.tokens).enumerate() {
            let event = naive.feed(&case.config, token, sample);
            prop_assert_eq!(outcome, (event, naive.phase()), "token {}", at);
        }
    }

    #[test]
    fn phases_never_regress(case in any_case()) {
        let mut before = State::start(case.start).phase().kind();
        for (event, phase) in run(&case) {
            let again = case.config.reentry
                && event == PhaseEvent::EnterThink
                && before == PhaseKind::OutputDecode;
            prop_assert!(phase.kind() >= before || again, "{} to {}", before, phase.kind());
            before = phase.kind();
        }
    }

    #[test]
    fn a_span_is_forced_once_at_most_and_counts_its_tokens(case in any_case()) {
        let (mut tokens, mut total, mut forced) = (0, 0, false);
        for (event, phase) in run(&case) {
            tokens += 1;
            match event {
                PhaseEvent::EnterThink => (tokens, forced) = (0, false),
                PhaseEvent::ForceBudget { inject_token, .. } => {
                    prop_assert!(!forced);
                    prop_assert_eq!(inject_token, case.config.think_end_markers[0][0]);
                    forced = true;
                }
                PhaseEvent::ExitThink { tokens_used } => {
                    prop_assert_eq!(tokens_used, tokens);
                    total += tokens;
                }
                _ => {}
            }
            match phase {
                ThinkPhase::ThinkDecode { tokens_so_far, force_in_progress, .. } => {
                    prop_assert_eq!(tokens_so_far, tokens);
                    prop_assert_eq!(force_in_progress, forced);
                    let spent = tokens > 0 && total + tokens >= case.config.max_think_tokens;
                    prop_assert!(forced || !spent || case.config.think_end_markers.is_empty());
                }
                ThinkPhase::OutputDecode { think_tokens_used } => {
                    prop_assert_eq!(think_tokens_used, total);
                }
                _ => {}
            }
        }
    }

    /// What lies between two steps is a state, and nothing besides.
    #[test]
    fn cut_anywhere_the_events_are_the_same(case in any_case(), at in any::<prop::sample::Index>()) {
        let whole = run(&case);
        let cut = at.index(case.tokens.len() + 1);
        let mut state = State::start(case.start);
        let mut outcomes = Vec::new();
        for tokens in [&case.tokens[..cut], &case.tokens[cut..]] {
            // Rules of its own, so that nothing can be handed on in them.
            let rules = Rules::new(&case.config).unwrap();
            for (token, sample) in tokens {
                let (next, event) = step(state, &rules, *token, sample.as_ref());
                state = next;
                outcomes.push((event, state.phase()));
            }
        }
        prop_assert_eq!(outcomes, whole);
    }
}

/// A marker of several tokens, cut between any two of them, in each phase that looks for one.
#[test]
fn a_marker_may_be_cut_anywhere() {
    let config = PhaseRouterConfig {
        think_start_markers: vec![vec![1, 1, 2]],
        think_end_markers: vec![vec![3, 4, 3, 5]],
        eos_markers: vec![vec![6, 6, 6]],
        ..PhaseRouterConfig::default()
    };
    let tokens = [1, 1, 1, 2, 3, 4, 3, 4, 3, 5, 6, 6, 9, 6, 6, 6];
    let mut expected = [PhaseEvent::Unchanged; 16];
    expected[3] = PhaseEvent::EnterThink;
    expected[9] = PhaseEvent::ExitThink { tokens_used: 6 };
    expected[15] = PhaseEvent::Complete;
    for cut in 0..=tokens.len() {
        let mut state = State::start(StartPhase::Prefill);
        let mut events = Vec::new();
        for tokens in [&tokens[..cut], &tokens[cut..]] {
            let rules = Rules::new(&config).unwrap();
            for &token in tokens {
                events.push(step_mut(&mut state, &rules, token, None));
            }
        }
        assert_eq!(events, expected, "cut at {cut}");
    }
}

/// The properties say little if the cases seldom get anywhere.
#[test]
fn the_cases_reach_everything() {
    let mut runner = TestRunner::deterministic();
    let cases = any_case();
    let mut reached = BTreeMap::<String, u32>::new();
    let mut mark = |what: String| *reached.entry(what).or_default() += 1;
    for _ in 0..2_000 {
        let case = cases.new_tree(&mut runner).unwrap().current();
        let mut kind = State::start(case.start).phase().kind();
        let mut in_prefill = 0;
        for (event, phase) in run(&case) {
            in_prefill += u32::from(phase.kind() == PhaseKind::Prefill);
            match event {
                PhaseEvent::Unchanged if kind == phase.kind() => {}
                PhaseEvent::ForceBudget { reason, .. } => mark(reason.to_string()),
                _ => mark(format!("{kind} to {}", phase.kind())),
            }
            kind = phase.kind();
        }
        if in_prefill > 1 {
            mark("a long prefill".to_owned());
        }
    }
    let expected = [
        "a long prefill",
        "converged",
        "hard_cap",
        "output_decode to complete",
        "output_decode to think_decode",
        "overthinking",
        "prefill to complete",
        "prefill to output_decode",
        "prefill to think_decode",
        "think_decode to output_decode",
    ];
    let often = reached.iter().filter(|(_, times)| **times >= 50);
    let often: Vec<_> = often.map(|(what, _)| what.as_str()).collect();
    assert_eq!(often, expected, "{reached:?}");
}
