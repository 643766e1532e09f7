//! What goes wrong with streams in production, one test each, on every map.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

use crate::support::{Ends as _, Woken, World, instance, poll, ready};
use stream_registry::{
    ClaimError, Registration, Rejected, StreamError, StreamId, StreamKind, StreamMap, StreamStats,
};

use StreamKind::{Request, Response};

/// Counts its owners, so that a test can tell when a value was dropped.
type Value = Arc<&'static str>;

crate::backends::on_every_backend! {
    a_stream_is_claimed_and_received,
    cancel_between_register_and_associate,
    cancel_after_claim,
    cancel_before_prologue,
    double_claim,
    claim_of_an_unknown_id,
    claim_as_the_wrong_kind,
    a_claim_that_fails,
    receiver_dropped_first,
    parts_keep_their_stream,
    worker_done_before_the_registrant_looks,
    everything_is_cancelled_at_shutdown,
    the_registry_goes_with_its_last_stream,
    the_last_waker_is_woken_once,
    drops_on_another_thread,
}

fn value() -> (Value, Value) {
    let value = Arc::new("connection");
    (Arc::clone(&value), value)
}

fn gone(number: u64) -> StreamError {
    StreamError::InstanceGone {
        instance: instance(number),
    }
}

fn a_stream_is_claimed_and_received<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    for kind in [Request, Response] {
        let mut stream = world.streams.register(kind);
        assert_eq!(stream.kind(), kind);
        assert!(poll(&mut stream).is_pending());
        world
            .streams
            .associate(&[stream.id()], &instance(1))
            .unwrap();
        let claim = world.streams.claim(stream.id(), kind).unwrap();
        assert_eq!((claim.id(), claim.kind()), (stream.id(), kind));
        assert!(poll(&mut stream).is_pending());
        let established = claim.establish(value().0).unwrap();
        assert_eq!((established.id(), established.kind()), (stream.id(), kind));
        assert_eq!(*ready(&mut stream).unwrap(), "connection");
        assert_eq!(ready(&mut stream).unwrap_err(), StreamError::Received);
        drop(stream);
        let stats = world.streams.stats();
        assert_eq!(
            (stats.established, stats.instances),
            (1, 1),
            "in use until its handle goes"
        );
        drop(established);
        assert_eq!(world.streams.stats(), StreamStats::default());
    }
    world.assert_empty();
}

fn cancel_between_register_and_associate<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let (mut request, mut response) = (
        world.streams.register(Request),
        world.streams.register(Response),
    );
    assert!(world.streams.cancel(request.id()));
    assert!(!world.streams.cancel(request.id()), "once");
    world
        .streams
        .associate(&[request.id(), response.id()], &instance(1))
        .unwrap();
    assert_eq!(world.entries(), 1, "an association brings nothing back");
    assert_eq!(ready(&mut request).unwrap_err(), StreamError::Cancelled);
    assert!(
        poll(&mut response).is_pending(),
        "each stream is cancelled on its own"
    );
    assert_eq!(world.streams.cancel_instance(&instance(1)), 1);
    assert_eq!(ready(&mut response).unwrap_err(), gone(1));
    world.assert_empty();
}

/// The window in which 24 of 1,536 requests hung: claimed, and never established.
fn cancel_after_claim<M: StreamMap<Value> + Default + 'static>() {
    for by_instance in [false, true] {
        let world = World::<Value, M>::new();
        let mut stream = world.streams.register(Response);
        world
            .streams
            .associate(&[stream.id()], &instance(1))
            .unwrap();
        let mut claim = world.streams.claim(stream.id(), Response).unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(
            claim
                .poll_cancelled(&Context::from_waker(&waker))
                .is_pending()
        );
        let expected = if by_instance {
            assert_eq!(world.streams.cancel_instance(&instance(1)), 1);
            gone(1)
        } else {
            assert!(world.streams.cancel(stream.id()));
            StreamError::Cancelled
        };
        assert_eq!(woken.times(), 1);
        assert!(claim.has_ended());
        let (late, kept) = value();
        let Rejected { id, value } = claim.establish(late).unwrap_err();
        assert_eq!(id, stream.id());
        assert!(Arc::ptr_eq(&value, &kept), "the value comes back");
        assert_eq!(ready(&mut stream).unwrap_err(), expected);
        world.assert_empty();
    }
}

/// A worker that was stopped after it had claimed: its claim is held, and nobody waits for it.
fn cancel_before_prologue<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let (mut request, mut response) = (
        world.streams.register(Request),
        world.streams.register(Response),
    );
    let ids = [request.id(), response.id()];
    world.streams.associate(&ids, &instance(1)).unwrap();
    let frozen = world.streams.claim(ids[1], Response).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let waits = std::pin::Pin::new(&mut response);
    assert!(Future::poll(waits, &mut Context::from_waker(&waker)).is_pending());
    assert_eq!(
        world.streams.cancel_instance(&instance(1)),
        2,
        "both halves"
    );
    assert_eq!(woken.times(), 1, "at once");
    assert_eq!(ready(&mut response).unwrap_err(), gone(1));
    assert_eq!(ready(&mut request).unwrap_err(), gone(1));
    assert_eq!(world.entries(), 0, "whoever holds the claim holds no entry");
    assert!(frozen.establish(value().0).is_err());
    world.assert_empty();
}

fn double_claim<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let mut stream = world.streams.register(Response);
    let id = stream.id();
    let claim = world.streams.claim(id, Response).unwrap();
    let taken = ClaimError::AlreadyClaimed { id };
    assert_eq!(world.streams.claim(id, Response).unwrap_err(), taken);
    let established = claim.establish(value().0).unwrap();
    assert_eq!(world.streams.claim(id, Response).unwrap_err(), taken);
    assert!(
        ready(&mut stream).is_ok(),
        "the first claim is not disturbed"
    );
    drop(established);
    assert_eq!(
        world.streams.claim(id, Response).unwrap_err(),
        ClaimError::Unknown { id },
        "nothing is remembered of a stream that has ended"
    );
    world.assert_empty();
}

fn claim_of_an_unknown_id<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let id = StreamId::from_bytes([7; 16]);
    let unknown = ClaimError::Unknown { id };
    assert_eq!(world.streams.claim(id, Response).unwrap_err(), unknown);
    assert!(!world.streams.cancel(id));
    world.streams.associate(&[id], &instance(1)).unwrap();
    assert_eq!(world.streams.cancel_instance(&instance(1)), 0);
    assert!(
        !unknown.to_string().contains(&id.to_string()),
        "errors show no whole id"
    );
    world.assert_empty();
}

fn claim_as_the_wrong_kind<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let mut stream = world.streams.register(Response);
    let id = stream.id();
    let wrong = ClaimError::WrongKind {
        id,
        registered: Response,
    };
    assert_eq!(world.streams.claim(id, Request).unwrap_err(), wrong);
    let _established = world
        .streams
        .claim(id, Response)
        .unwrap()
        .establish(value().0)
        .unwrap();
    assert!(ready(&mut stream).is_ok(), "the stream was as it had been");
}

fn a_claim_that_fails<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let (mut told, mut not_told) = (
        world.streams.register(Response),
        world.streams.register(Response),
    );
    let claim = |id| world.streams.claim(id, Response).unwrap();
    claim(told.id()).fail("no such model");
    let reason = "no such model".to_owned();
    assert_eq!(
        ready(&mut told).unwrap_err(),
        StreamError::Failed { reason }
    );
    drop(claim(not_told.id()));
    assert_eq!(ready(&mut not_told).unwrap_err(), StreamError::ClaimDropped);
    world.assert_empty();
}

fn receiver_dropped_first<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    // Before the claim.
    let stream = world.streams.register(Response);
    let id = stream.id();
    drop(stream);
    assert_eq!(world.entries(), 0, "on the spot");
    assert_eq!(
        world.streams.claim(id, Response).unwrap_err(),
        ClaimError::Unknown { id }
    );

    // Before it is established.
    let stream = world.streams.register(Response);
    let mut claim = world.streams.claim(stream.id(), Response).unwrap();
    assert!(!claim.has_ended());
    drop(stream);
    assert!(claim.has_ended());
    let (late, kept) = value();
    let rejected = claim.establish(late).unwrap_err();
    assert!(Arc::ptr_eq(&rejected.value, &kept));

    // Before it is received.
    let stream = world.streams.register(Response);
    let claim = world.streams.claim(stream.id(), Response).unwrap();
    let (sent, kept) = value();
    let mut established = claim.establish(sent).unwrap();
    assert!(!established.has_ended());
    drop(stream);
    assert_eq!(
        Arc::strong_count(&kept),
        1,
        "what nobody received is dropped"
    );
    assert!(established.has_ended());
    world.assert_empty();

    // After that, it is the value that the two ends have in common.
    let mut stream = world.streams.register(Response);
    let claim = world.streams.claim(stream.id(), Response).unwrap();
    let mut established = claim.establish(value().0).unwrap();
    assert!(ready(&mut stream).is_ok());
    drop(stream);
    assert!(!established.has_ended());
    drop(established);
    world.assert_empty();
}

fn parts_keep_their_stream<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let stream = world.streams.register(Response);
    let expected = stream.id();
    let (id, mut receiver) = stream.into_parts();
    assert_eq!(
        (id, world.entries()),
        (expected, 1),
        "the registration is disarmed"
    );
    let established = world
        .streams
        .claim(id, Response)
        .unwrap()
        .establish(value().0)
        .unwrap();
    assert!(ready(&mut receiver).is_ok());
    drop((receiver, established));

    let (_, receiver) = world.streams.register(Response).into_parts();
    assert_eq!(world.entries(), 1);
    drop(receiver);
    world.assert_empty();
}

fn worker_done_before_the_registrant_looks<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let mut stream = world.streams.register(Response);
    let claim = world.streams.claim(stream.id(), Response).unwrap();
    drop(claim.establish(value().0).unwrap());
    assert_eq!(world.entries(), 0);
    assert_eq!(*ready(&mut stream).unwrap(), "connection");
    world.assert_empty();
}

fn everything_is_cancelled_at_shutdown<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let mut streams: Vec<_> = (0..10).map(|_| world.streams.register(Response)).collect();
    let mut claims: Vec<_> = streams[..5]
        .iter()
        .map(|stream| world.streams.claim(stream.id(), Response).unwrap())
        .collect();
    let mut established = claims.pop().unwrap().establish(value().0).unwrap();
    assert_eq!(world.streams.cancel_all(), 10);
    assert!(established.has_ended() && claims.iter_mut().all(crate::support::Ends::has_ended));
    let answers = streams.iter_mut().map(ready);
    assert_eq!(
        answers
            .filter(|answer| answer == &Err(StreamError::Cancelled))
            .count(),
        9
    );
    assert_eq!(world.streams.cancel_all(), 0);
    world.assert_empty();
}

/// Maps may free what was removed from them only when they are dropped themselves.
fn the_registry_goes_with_its_last_stream<M: StreamMap<Value> + Default + 'static>() {
    let World { streams, map, .. } = World::<Value, M>::new();
    let watch = Arc::downgrade(&streams);
    let (map_watch, stream) = (Arc::downgrade(&map), streams.register(Response));
    let received = {
        let mut stream = streams.register(Response);
        let claim = streams.claim(stream.id(), Response).unwrap();
        drop(claim.establish(value().0).unwrap());
        assert!(ready(&mut stream).is_ok());
        stream
    };
    drop((streams, map));
    let registry = watch.upgrade().expect("a stream is registered");
    assert!(registry.cancel(stream.id()));
    drop(registry);
    assert!(
        watch.upgrade().is_none(),
        "an ended stream keeps its registry"
    );
    assert!(map_watch.upgrade().is_none());
    drop((stream, received));
}

fn the_last_waker_is_woken_once<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let mut stream = world.streams.register(Response);
    let wakers = [Woken::default(), Woken::default()].map(Arc::new);
    for woken in &wakers {
        for _ in 0..2 {
            let waker = Waker::from(Arc::clone(woken));
            let waits = std::pin::Pin::new(&mut stream);
            assert!(Future::poll(waits, &mut Context::from_waker(&waker)).is_pending());
        }
    }
    assert_eq!(Arc::strong_count(&wakers[0]), 1, "the first one was let go");
    let claim = world.streams.claim(stream.id(), Response).unwrap();
    let established = claim.establish(value().0).unwrap();
    assert_eq!(wakers.each_ref().map(|woken| woken.times()), [0, 1]);
    assert!(world.streams.cancel(stream.id()));
    assert_eq!(wakers[1].times(), 1);
    assert_eq!(Arc::strong_count(&wakers[1]), 1);
    drop((stream, established));
    world.assert_empty();
}

fn drops_on_another_thread<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let streams = [(); 3].map(|()| world.streams.register(Response));
    let [_, second, third] = streams.each_ref().map(Registration::id);
    let claim = world.streams.claim(second, Response).unwrap();
    let established = world
        .streams
        .claim(third, Response)
        .unwrap()
        .establish(value().0)
        .unwrap();
    thread::spawn(move || drop((streams, claim, established)))
        .join()
        .unwrap();
    world.assert_empty();
}
