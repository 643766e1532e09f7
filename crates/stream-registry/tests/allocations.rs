//! What a stream's life allocates, on every map: at most three blocks, and nothing once it is registered.
#![cfg(not(inflight_loom))]

#[path = "it/backends.rs"]
mod backends;
#[path = "it/support.rs"]
mod support;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use alloc_count::{CountingAllocator, assert_no_alloc, measure};
use stream_registry::{
    Established, Registration, StreamError, StreamId, StreamKind, StreamMap, StreamRegistry,
    StreamRegistryConfig,
};
use support::{Ends as _, instance, poll, ready};
use worker_id::EndpointInstanceId;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

type Value = u64;

backends::on_every_backend! { a_life_allocates_three_blocks_at_most, a_registered_stream_allocates_nothing }

const LIVES: u64 = 10_000;

fn registry<M: StreamMap<Value> + Default + 'static>() -> Arc<StreamRegistry<Value, M>> {
    let config = StreamRegistryConfig::default();
    Arc::new(StreamRegistry::with_map(config, M::default()))
}

fn live<M: StreamMap<Value> + 'static>(
    streams: &StreamRegistry<Value, M>,
    stream: &mut Registration<Value>,
    instance: &EndpointInstanceId,
) -> Established<Value> {
    assert!(poll(stream).is_pending());
    streams.associate(&[stream.id()], instance).unwrap();
    let mut claim = streams.claim(stream.id(), StreamKind::Response).unwrap();
    assert!(!claim.has_ended());
    let mut established = claim.establish(7).unwrap();
    assert_eq!(ready(stream), Ok(7));
    assert!(!established.has_ended());
    established
}

fn a_life_allocates_three_blocks_at_most<M: StreamMap<Value> + Default + 'static>() {
    let streams = registry::<M>();
    let instance = instance(1);
    // Beside others, as in production: a map that runs empty may give its table back, and allocate it anew.
    let _others: Vec<_> = (0..1_024)
        .map(|_| streams.register(StreamKind::Request))
        .collect();
    let lives = |count| {
        for _ in 0..count {
            let mut stream = streams.register(StreamKind::Response);
            drop(live(&streams, &mut stream, &instance));
        }
    };
    // A thread's first access may register it with the map's memory reclamation, and seeds its random numbers.
    lives(LIVES);
    let ((), counts) = measure(|| lives(LIVES));
    let blocks = counts.allocations + counts.reallocations;
    assert!(blocks >= LIVES, "a stream is a block: {counts:?}");
    assert!(
        blocks <= 3 * LIVES,
        "more than three blocks a life: {counts:?}"
    );
}

fn a_registered_stream_allocates_nothing<M: StreamMap<Value> + Default + 'static>() {
    let streams = registry::<M>();
    let instance = instance(1);
    let mut warm = streams.register(StreamKind::Response);
    drop(live(&streams, &mut warm, &instance));
    let unknown = StreamId::from_bytes([7; 16]);
    let mut waiting: Vec<_> = (0..64)
        .map(|_| streams.register(StreamKind::Response))
        .collect();
    let mut in_use = Vec::with_capacity(waiting.len());
    assert_no_alloc(|| {
        for stream in &mut waiting {
            in_use.push(live(&streams, stream, &instance));
        }
        assert!(!streams.cancel(unknown));
        assert!(streams.claim(unknown, StreamKind::Response).is_err());
    });

    let planted = catch_unwind(AssertUnwindSafe(|| {
        assert_no_alloc(|| {
            assert_eq!(
                poll(&mut waiting[0]).map(Result::err),
                std::task::Poll::Ready(Some(StreamError::Received))
            );
            drop(black_box(Box::new(7)));
        });
    }));
    assert!(planted.is_err(), "a planted allocation goes unnoticed");
}
