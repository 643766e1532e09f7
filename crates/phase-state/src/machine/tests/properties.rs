//! What holds for every config and every sequence of tokens.

use std::collections::BTreeMap;

use proptest::{
    collection::vec, option, prelude::*, sample::select, strategy::ValueTree,
    test_runner::TestRunner,
};

use super::oracle::{Event, NaiveRequest};
use super::rules;
use crate::machine::{State, step, step_mut};
use crate::{
    Converged, EntropySignal, Format, Overthinking, PhaseKind, PhaseRouterConfig, Spans,
    StartPhase, ThinkPhase,
};

type Fed = (u32, Option<EntropySignal>);

#[derive(Debug, Clone)]
struct Case {
    config: PhaseRouterConfig,
    start: StartPhase,
    budget: Option<u32>,
    tokens: Vec<Fed>,
}

/// So few different tokens that markers come up, break off and overlap.
fn any_token() -> impl Strategy<Value = u32> {
    0..7u32
}

fn any_format() -> impl Strategy<Value = Format> {
    let marker = || vec(any_token(), 1..4);
    let markers = (
        option::weighted(0.9, marker()),
        vec((0..5u8, marker()), 0..8),
    );
    let spans = select(vec![Spans::First, Spans::Once, Spans::Any]);
    let skipped = vec(any_token().prop_map(|token| vec![token]), 0..2);
    (markers, spans, skipped).prop_map(|((end, others), spans, skipped)| {
        let mut format = Format {
            spans,
            skipped,
            ..Format::default()
        };
        format.think_end.extend(end);
        // Those that a format may have beside the ones before them. A start may need an end that comes later.
        for (kind, marker) in others.into_iter().rev() {
            let mut with = format.clone();
            let (markers, end) = match kind {
                0 => (&mut with.think_start, None),
                1 => (&mut with.think_end, None),
                2 => (&mut with.tool_start, Some(&mut with.tool_end)),
                3 => (&mut with.tool_end, None),
                _ => (&mut with.eos, None),
            };
            markers.push(marker);
            if let Some(ends) = end
                && ends.is_empty()
            {
                ends.push(vec![6]);
            }
            if with.validate().is_ok() {
                format = with;
            }
        }
        format
    })
}

fn any_config() -> impl Strategy<Value = PhaseRouterConfig> {
    let thresholds = (
        select(vec![0.05f32, 0.5, 0.75]),
        select(vec![0.0f32, 1.5, 2.5]),
        option::of((select(vec![0.0f32, 1.5, 3.0]), 1..4u32)),
        option::of((
            select(vec![1e-9f32, 0.001, 0.1]),
            select(vec![0.0f32, 0.25, 0.5]),
        )),
    );
    let limits = (0..6u32, 0..12u32);
    (any_format(), thresholds, limits).prop_map(|(format, thresholds, (min, more))| {
        PhaseRouterConfig {
            ema_alpha: thresholds.0,
            transition_entropy_threshold: thresholds.1,
            overthinking: thresholds
                .2
                .map(|(min_index, min_transitions)| Overthinking {
                    min_index,
                    min_transitions,
                }),
            converged: thresholds.3.map(|(max_variance, min_mass)| Converged {
                max_variance,
                min_mass,
            }),
            min_think_tokens: min,
            max_think_tokens: min + more,
            formats: vec![format],
        }
    })
}

fn any_sample() -> impl Strategy<Value = EntropySignal> {
    let entropy = select(vec![0.0f32, 1.5, 2.0, 3.0, f32::NAN]);
    let mass = prop_oneof![
        4 => select(vec![0.0f32, 0.5, 1.0]),
        1 => 0.0..1.0f32,
        1 => Just(f32::INFINITY),
    ];
    (entropy, mass).prop_map(|(token_entropy, end_mass)| EntropySignal {
        token_entropy,
        end_mass,
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    let start = select(vec![StartPhase::Prefill, StartPhase::ThinkDecode]);
    let tokens = vec((any_token(), option::of(any_sample())), 0..60);
    let budget = option::of(0..12u32);
    (any_config(), start, budget, tokens).prop_map(|(config, start, budget, tokens)| Case {
        config,
        start,
        budget,
        tokens,
    })
}

/// Every event, with the phase that the token left the request in, and what was left of the budget; the first is that of the
/// registration.
fn run(case: &Case) -> Vec<(Event, ThinkPhase, u32)> {
    let rules = rules(&case.config).unwrap();
    let inject = |injection| rules.tokens(injection).to_vec();
    let (mut state, due) = State::start(&rules, case.start, case.budget);
    let mut outcomes = vec![(Event::of(due, inject), state.phase(), state.remaining())];
    for &(token, sample) in &case.tokens {
        let event = step_mut(&mut state, &rules, token, sample.as_ref());
        outcomes.push((Event::of(event, inject), state.phase(), state.remaining()));
        let summary = state.summary();
        let all = summary.think_tokens + summary.tool_tokens + summary.output_tokens;
        assert!(state.kind == PhaseKind::Complete || all as usize == outcomes.len() - 1);
    }
    outcomes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_machine_equals_the_naive_model(case in any_case()) {
        let Case { config, start, budget, tokens } = &case;
        let (mut naive, due) = NaiveRequest::new(config, &config.formats[0], *start, *budget);
        let mut outcomes = run(&case).into_iter();
        let first = (due, naive.phase(config), naive.remaining());
        prop_assert_eq!(outcomes.next(), Some(first));
        for (at, (outcome, &(token, sample))) in outcomes.zip(tokens).enumerate() {
            let event = naive.feed(config, token, sample);
            let expected = (event, naive.phase(config), naive.remaining());
            prop_assert_eq!(outcome, expected, "token {}", at);
        }
    }

    /// Budgets that change on the way, and drafts that are taken back.
    #[test]
    fn budgets_and_rollbacks_equal_the_naive_model(
        case in any_case(),
        changes in vec((0..8u8, 0..12u32), 60),
    ) {
        let Case { config, start, budget, tokens } = &case;
        let rules = rules(config).unwrap();
        let inject = |injection| rules.tokens(injection).to_vec();
        let (mut naive, _) = NaiveRequest::new(config, &config.formats[0], *start, *budget);
        let (mut state, _) = State::start(&rules, *start, *budget);
        let mut saved = (state, naive.clone());
        for (&(token, sample), (change, budget)) in tokens.iter().zip(changes) {
            let (event, expected) = match change {
                0 => {
                    saved = (state, naive.clone());
                    continue;
                }
                1 => (state.roll_back(&rules, saved.0), naive.roll_back(&saved.1)),
                2 => (state.set_budget(&rules, budget), naive.set_budget(config, budget)),
                _ => (
                    step_mut(&mut state, &rules, token, sample.as_ref()),
                    naive.feed(config, token, sample),
                ),
            };
            prop_assert_eq!(Event::of(event, inject), expected);
            prop_assert_eq!(state.phase(), naive.phase(config));
            let forced = state.summary().forced;
            prop_assert_eq!(forced.map(|it| (it.reason, it.at_token)), naive.last_forced());
        }
    }

    #[test]
    fn a_span_is_forced_once_at_most_and_counts_its_tokens(case in any_case()) {
        let longest = case.config.formats[0].think_end.iter().map(Vec::len).max();
        let budget = case.budget.unwrap_or(u32::MAX).min(case.config.max_think_tokens);
        let (mut tokens, mut total, mut forced) = (0, 0, false);
        let mut kind = PhaseKind::Prefill;
        for (at, (event, phase, _)) in run(&case).into_iter().enumerate() {
            let began = phase.kind() == PhaseKind::ThinkDecode && kind != PhaseKind::ThinkDecode;
            tokens = if began { 0 } else { tokens + u32::from(at > 0) };
            forced &= !began;
            kind = phase.kind();
            match event {
                Event::Force(left, _) => {
                    prop_assert!(!forced && !left.is_empty());
                    forced = true;
                }
                Event::ExitThink(used) => {
                    prop_assert_eq!(used, tokens);
                    total += tokens;
                }
                _ => {}
            }
            match phase {
                ThinkPhase::ThinkDecode { tokens_so_far, force_in_progress, .. } => {
                    prop_assert_eq!(tokens_so_far, tokens);
                    prop_assert_eq!(force_in_progress, forced);
                    // At most by a marker's length over the budget.
                    if let Some(longest) = longest {
                        let over = (total + tokens).checked_sub(budget);
                        prop_assert!(forced || over.is_none_or(|over| (over as usize) < longest));
                    }
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
        let mut outcomes = Vec::new();
        let mut state = None;
        for tokens in [&case.tokens[..cut], &case.tokens[cut..]] {
            // Rules of its own, so that nothing can be handed on in them.
            let rules = rules(&case.config).unwrap();
            let inject = |injection| rules.tokens(injection).to_vec();
            let mut now = state.unwrap_or_else(|| {
                let (state, due) = State::start(&rules, case.start, case.budget);
                outcomes.push((Event::of(due, inject), state.phase(), state.remaining()));
                state
            });
            for (token, sample) in tokens {
                let (next, event) = step(now, &rules, *token, sample.as_ref());
                now = next;
                outcomes.push((Event::of(event, inject), now.phase(), now.remaining()));
            }
            state = Some(now);
        }
        prop_assert_eq!(outcomes, whole);
    }
}

/// A marker of several tokens, cut between any two of them, in each phase that looks for one.
#[test]
fn a_marker_may_be_cut_anywhere() {
    let config = PhaseRouterConfig::from(Format {
        think_start: vec![vec![1, 1, 2]],
        think_end: vec![vec![3, 4, 3, 5]],
        eos: vec![vec![6, 6, 6]],
        ..Format::default()
    });
    let tokens = [1, 1, 1, 2, 3, 4, 3, 4, 3, 5, 6, 6, 9, 6, 6, 6];
    let mut expected = vec![Event::Unchanged; 16];
    expected[3] = Event::EnterThink;
    expected[9] = Event::ExitThink(6);
    expected[15] = Event::Complete;
    for cut in 0..=tokens.len() {
        let (mut state, _) = State::start(&rules(&config).unwrap(), StartPhase::Prefill, None);
        let mut events = Vec::new();
        for tokens in [&tokens[..cut], &tokens[cut..]] {
            let rules = rules(&config).unwrap();
            for &token in tokens {
                let event = step_mut(&mut state, &rules, token, None);
                events.push(Event::of(event, |_| vec![]));
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
    for _ in 0..3_000 {
        let case = cases.new_tree(&mut runner).unwrap().current();
        let mut kind = PhaseKind::Prefill;
        let mut in_prefill = 0;
        for (event, phase, _) in run(&case) {
            in_prefill += u32::from(phase.kind() == PhaseKind::Prefill);
            if let Event::Force(_, reason) = event {
                mark(reason.to_string());
            }
            if kind != phase.kind() {
                mark(format!("{kind} to {}", phase.kind()));
            }
            kind = phase.kind();
        }
        if in_prefill > 2 {
            mark("a long prefill".to_owned());
        }
    }
    let expected = [
        "a long prefill",
        "converged",
        "hard_cap",
        "output_decode to complete",
        "output_decode to think_decode",
        "output_decode to tool_call",
        "overthinking",
        "prefill to complete",
        "prefill to output_decode",
        "prefill to think_decode",
        "prefill to tool_call",
        "think_decode to output_decode",
        "tool_call to complete",
        "tool_call to output_decode",
    ];
    let often = reached.iter().filter(|(_, times)| **times >= 25);
    let often: Vec<_> = often.map(|(what, _)| what.as_str()).collect();
    assert_eq!(often, expected, "{reached:?}");
}
