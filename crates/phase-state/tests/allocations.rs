//! The paths that run for every token allocate nothing, on every map.
#![cfg(not(inflight_loom))]

#[path = "it/backends.rs"]
mod backends;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use alloc_count::{CountingAllocator, assert_no_alloc};
use phase_state::{
    EntropySignal, PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig, RequestKey, StartPhase,
    StepToken,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

backends::on_every_backend! { tokens_allocate_nothing }

const SAMPLE: EntropySignal = EntropySignal {
    token_entropy: 3.0,
    eat: 0.5,
};

fn tokens_allocate_nothing<M: PhaseMap + Default + 'static>() {
    let config = PhaseRouterConfig {
        min_think_tokens: 10,
        max_think_tokens: 100,
        ..PhaseRouterConfig::with_marker_ids([1], [2], [3])
    };
    let router = Arc::new(PhaseRouter::with_map(config, M::default()).unwrap());
    for id in 0..64 {
        assert!(router.register_in(id, StartPhase::ThinkDecode));
    }
    let mut handle = router.track_in(1_000, StartPhase::ThinkDecode).unwrap();
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
                forced += usize::from(router.on_token(id, 9, sample).is_some_and(is_forced));
                black_box((router.phase_of(id), router.phase_kind(id), router.touch(id)));
            }
            black_box(handle.on_token(9, Some(&SAMPLE)));
            black_box(handle.on_token(9, None));
        }
        for id in 0..64_u64 {
            assert!(matches!(
                router.on_token(id, 2, None),
                Some(PhaseEvent::ExitThink { .. })
            ));
            assert_eq!(router.on_token(id, 3, None), Some(PhaseEvent::Complete));
        }
        assert!(matches!(
            handle.on_token(2, None),
            Some(PhaseEvent::ExitThink { .. })
        ));
    });
    assert!(forced > 0, "no budget was forced: the path was not taken");

    let planted = catch_unwind(AssertUnwindSafe(|| {
        assert_no_alloc(|| {
            black_box(router.on_token(7, 9, None));
            drop(black_box(Box::new(7)));
        });
    }));
    assert!(planted.is_err(), "a planted allocation goes unnoticed");
}

fn is_forced(event: PhaseEvent) -> bool {
    matches!(event, PhaseEvent::ForceBudget { .. })
}

#[test]
fn keys_are_copied_and_not_built() {
    let _key = assert_no_alloc(|| black_box(RequestKey::from((7, 1))));
}
