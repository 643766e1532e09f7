//! The paths that run for every token allocate nothing, on every map.
#![cfg(not(inflight_loom))]

#[path = "it/backends.rs"]
mod backends;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use alloc_count::{CountingAllocator, assert_no_alloc};
use phase_state::{
    EntropySignal, Format, PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig, Registration,
    RequestKey, StartPhase, StepToken,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

backends::on_every_backend! { tokens_allocate_nothing, nor_do_they_under_contention }

const SAMPLE: EntropySignal = EntropySignal {
    token_entropy: 3.0,
    end_mass: 0.5,
};

fn tokens_allocate_nothing<M: PhaseMap + Default + 'static>() {
    let config = PhaseRouterConfig {
        min_think_tokens: 10,
        max_think_tokens: 100,
        formats: vec![
            Format::with_marker_ids([1], [2], [3]).named("first"),
            Format::with_marker_ids([1], [2], [3]).named("second"),
        ],
        ..PhaseRouterConfig::default()
    };
    let router = Arc::new(PhaseRouter::with_map(config, M::default()).unwrap());
    for id in 0..64 {
        let second = router.format(if id % 2 == 0 { "first" } else { "second" });
        let registration = Registration::from(StartPhase::ThinkDecode)
            .format(second.unwrap())
            .budget(50 + u32::try_from(id).unwrap());
        assert!(router.register_with(id, registration).is_ok());
    }
    let handle = router.track_with(1_000, StartPhase::ThinkDecode);
    let (mut handle, _) = handle.unwrap();
    let step: Vec<StepToken> = (0..64_u64)
        .map(|id| {
            let token = StepToken::new(id, 9);
            if id % 4 == 0 {
                token.with_sample(SAMPLE)
            } else {
                token
            }
        })
        .collect();
    let mut events = Vec::with_capacity(step.len());
    // A thread's first access may register it with the map's memory reclamation.
    router.on_step(&step, &mut events);

    // Long enough to pass the floor and the cap, so that budgets are forced, too.
    let mut forced = 0;
    assert_no_alloc(|| {
        for token in 0..200_u32 {
            router.on_step(&step, &mut events);
            forced += events
                .iter()
                .flatten()
                .filter(|event| is_forced(**event))
                .count();
            for id in 0..64_u64 {
                let sample = (token % 4 == 0).then_some(&SAMPLE);
                forced += usize::from(router.on_token(id, 9, sample).is_ok_and(is_forced));
                black_box((router.phase_of(id), router.phase_kind(id), router.touch(id)));
                let _ = black_box((router.state_of(id), router.set_budget(id, 60)));
                black_box(router.remaining_budget(id));
            }
            let _ = black_box(handle.on_token(9, Some(&SAMPLE)));
            let _ = black_box(handle.on_token(9, None));
        }
        for id in 0..64_u64 {
            assert!(matches!(
                router.on_token(id, 2, None),
                Ok(PhaseEvent::ExitThink { .. })
            ));
            assert_eq!(router.on_token(id, 3, None), Ok(PhaseEvent::Complete));
        }
        assert!(matches!(
            handle.on_token(2, None),
            Ok(PhaseEvent::ExitThink { .. })
        ));
    });
    assert!(forced > 0, "no budget was forced: the path was not taken");

    let planted = catch_unwind(AssertUnwindSafe(|| {
        assert_no_alloc(|| {
            let _ = black_box(router.on_token(7, 9, None));
            drop(black_box(Box::new(7)));
        });
    }));
    assert!(planted.is_err(), "a planted allocation goes unnoticed");
}

/// One request, fed by four threads at once, with a sample on each token: they wait for each other.
fn nor_do_they_under_contention<M: PhaseMap + Default + 'static>() {
    let config = PhaseRouterConfig::with_marker_ids([1], [2], [3]);
    let router = Arc::new(PhaseRouter::with_map(config, M::default()).unwrap());
    assert!(router.register_with(7, StartPhase::ThinkDecode).is_ok());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // A thread's first access may register it with the map's memory reclamation.
                let _ = router.on_token(7, 9, Some(&SAMPLE));
                assert_no_alloc(|| {
                    for _ in 0..20_000 {
                        let _ = black_box(router.on_token(7, 9, Some(&SAMPLE)));
                        black_box(router.phase_of(7));
                    }
                });
            });
        }
    });
    let summary = router.reap(7).unwrap();
    assert_eq!(summary.think_tokens, 4 * 20_001, "none was refused");
}

fn is_forced(event: PhaseEvent) -> bool {
    matches!(event, PhaseEvent::ForceBudget { .. })
}

#[test]
fn keys_are_copied_and_not_built() {
    let _key = assert_no_alloc(|| black_box(RequestKey::from((7, 1))));
}
