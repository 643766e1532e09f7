//! Wakers and values that use the registry while they run, or panic: nothing of the user's runs under a lock.
//!
//! Run under one, a call from within would wait for its own thread, and these tests would not end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use crate::support::{Ends as _, Woken, World, instance, ready};
use stream_registry::{Claim, Registration, StreamError, StreamKind, StreamMap};

use StreamKind::Response;

/// Calls back when it is dropped.
struct Value(Arc<dyn Fn() + Send + Sync>);

impl Drop for Value {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A waker that calls back when it is woken, and when the last of it is dropped.
struct Task(Arc<dyn Fn() + Send + Sync>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        (self.0)();
    }
}

crate::backends::on_every_backend! { callbacks_may_use_the_registry, a_callback_that_panics_leaves_nobody_behind }

fn wait(stream: &mut Registration<Value>, waker: &Waker) {
    let polled = Future::poll(Pin::new(stream), &mut Context::from_waker(waker));
    assert!(polled.is_pending());
}

fn hold(claim: &mut Claim<Value>, waker: &Waker) {
    assert!(
        claim
            .poll_cancelled(&Context::from_waker(waker))
            .is_pending()
    );
}

fn callbacks_may_use_the_registry<M: StreamMap<Value> + Default + 'static>() {
    let world = World::<Value, M>::new();
    let calls = Arc::new(AtomicUsize::new(0));
    // Weak, for the callbacks are in the streams.
    let (streams, counter) = (Arc::downgrade(&world.streams), Arc::clone(&calls));
    let call: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
        let Some(streams) = streams.upgrade() else {
            return;
        };
        let stream = streams.register(Response);
        let _ = streams.associate(&[stream.id()], &instance(9));
        assert!(streams.stats().pending >= 1);
        streams.cancel_instance(&instance(8));
        streams.clear_tombstone(&instance(8));
        assert!(streams.cancel(stream.id()));
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let waker = || Waker::from(Arc::new(Task(Arc::clone(&call))));
    let value = || Value(Arc::clone(&call));
    let mut expected = 0;
    let mut assert_called = |more: usize, by: &str| {
        expected += more;
        assert_eq!(calls.load(Ordering::SeqCst), expected, "by {by}");
    };

    // A stream whose registrant and claimant wait, each with a waker that is nobody else's: woken, and dropped.
    let waiting = || {
        let mut stream = world.streams.register(Response);
        wait(&mut stream, &waker());
        let mut claim = world.streams.claim(stream.id(), Response).unwrap();
        hold(&mut claim, &waker());
        world
            .streams
            .associate(&[stream.id()], &instance(1))
            .unwrap();
        (stream, claim)
    };
    let both = |ended: bool, by: &str| assert!(ended, "by {by}");

    let (stream, claim) = waiting();
    both(world.streams.cancel(stream.id()), "cancel");
    assert_called(4, "cancel");
    drop((stream, claim));

    let (stream, claim) = waiting();
    both(
        world.streams.cancel_instance(&instance(1)) == 1,
        "cancel_instance",
    );
    assert_called(4, "cancel_instance");
    drop((stream, claim));
    let mut refused = world.streams.register(Response);
    wait(&mut refused, &waker());
    assert!(
        world
            .streams
            .associate(&[refused.id()], &instance(1))
            .is_err()
    );
    assert_called(2, "associate");
    world.streams.clear_tombstone(&instance(1));

    let (stream, claim) = waiting();
    both(world.streams.cancel_all() == 1, "cancel_all");
    assert_called(4, "cancel_all");
    drop((stream, claim));

    let (stream, claim) = waiting();
    claim.fail("on purpose");
    // The registrant's is woken and dropped, the claimant's is dropped.
    assert_called(3, "fail");
    drop(stream);

    let (stream, claim) = waiting();
    drop(claim);
    assert_called(3, "a dropped claim");
    drop(stream);

    let (stream, claim) = waiting();
    drop(stream);
    // The claimant's is woken and dropped, the registrant's is dropped.
    assert_called(3, "a dropped registration");
    drop(claim.establish(value()).unwrap_err());
    assert_called(1, "a rejected value");

    let (mut stream, mut claim) = waiting();
    wait(&mut stream, &waker());
    hold(&mut claim, &waker());
    assert_called(2, "wakers that others take the place of");
    let established = claim.establish(value()).unwrap();
    assert_called(2, "establish");
    drop(stream);
    // The value, and the claimant's waker.
    assert_called(3, "a dropped registration of an established stream");
    drop(established);
    assert_called(0, "a handle of an ended stream");

    let (mut stream, claim) = waiting();
    let established = claim.establish(value()).unwrap();
    assert_called(2, "establish");
    drop(ready(&mut stream).ok());
    assert_called(1, "a received value");
    drop((established, stream));
    assert_called(1, "the handle of a stream in use");

    assert_eq!(calls.load(Ordering::SeqCst), expected);
    world.streams.clear_tombstone(&instance(9));
    assert_eq!(world.entries(), 0);
}

fn a_callback_that_panics_leaves_nobody_behind<M: StreamMap<Value> + Default + 'static>() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("planted");
        }
    }
    let silent: Arc<dyn Fn() + Send + Sync> = Arc::new(|| {});
    let world = World::<Value, M>::new();
    let task = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&task));
    let bomb = Waker::from(Arc::new(Bomb));

    let mut streams: Vec<_> = (0..6).map(|_| world.streams.register(Response)).collect();
    let mut claims = Vec::new();
    for (at, stream) in streams.iter_mut().enumerate() {
        wait(stream, if at == 2 { &bomb } else { &waker });
        world
            .streams
            .associate(&[stream.id()], &instance(1))
            .unwrap();
        let mut claim = world.streams.claim(stream.id(), Response).unwrap();
        hold(&mut claim, &waker);
        claims.push(claim);
    }
    let cancelled = catch_unwind(AssertUnwindSafe(|| {
        world.streams.cancel_instance(&instance(1))
    }));
    assert!(cancelled.is_err(), "it panicked");
    assert_eq!(task.times(), 11, "everybody else was woken");
    for stream in &mut streams {
        let answer = ready(stream).map(|_| ()).unwrap_err();
        let instance = instance(1);
        assert_eq!(answer, StreamError::InstanceGone { instance });
    }
    assert!(claims.iter_mut().all(crate::support::Ends::has_ended));
    world.assert_empty();

    // One that panics while its stream is established: the stream is established.
    let mut stream = world.streams.register(Response);
    wait(&mut stream, &bomb);
    let claim = world.streams.claim(stream.id(), Response).unwrap();
    let established = catch_unwind(AssertUnwindSafe(|| {
        claim.establish(Value(Arc::clone(&silent)))
    }));
    assert!(established.is_err());
    assert!(ready(&mut stream).is_ok());
    world.assert_empty();

    // A value that panics when it is dropped with its registration.
    let stream = world.streams.register(Response);
    let claim = world.streams.claim(stream.id(), Response).unwrap();
    let mut established = claim
        .establish(Value(Arc::new(|| panic!("planted"))))
        .unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(stream))).is_err());
    assert!(established.has_ended());
    world.assert_empty();
}
