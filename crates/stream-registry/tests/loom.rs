//! The races of a stream, each in a scenario of two or three threads, on the kind map and on the adversarial one.
#![cfg(inflight_loom)]

#[path = "it/support.rs"]
mod support;

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};
use state_map::model::{AdversarialMap, ReferenceMap};
use stream_registry::{
    ClaimError, Registration, StreamEntry, StreamError, StreamId, StreamKind, StreamMap,
};
use support::{Ends as _, Watched, instance, poll, ready};

use StreamKind::{Request, Response};

/// Counts its owners, so that a scenario can tell that a value was dropped once.
type Value = Arc<()>;
type World<M> = support::World<Value, M>;
type Streams<M> = Arc<stream_registry::StreamRegistry<Value, Watched<M>>>;

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

fn spawn<M, T>(world: &World<M>, act: impl FnOnce(&Streams<M>) -> T + 'static) -> JoinHandle<T>
where
    M: StreamMap<Value> + 'static,
    T: 'static,
{
    let streams = Arc::clone(&world.streams);
    thread::spawn(move || act(&streams))
}

fn gone() -> StreamError {
    StreamError::InstanceGone {
        instance: instance(1),
    }
}

fn is_gone(error: ClaimError) -> bool {
    matches!(
        error,
        ClaimError::Unknown { .. } | ClaimError::Cancelled { .. }
    )
}

/// What a task does when it is woken, as far as this crate is concerned.
struct Task(AtomicUsize);

impl Task {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn halves<M: StreamMap<Value> + Default + 'static>(
    world: &World<M>,
) -> ([Registration<Value>; 2], [StreamId; 2]) {
    let halves = [Request, Response].map(|kind| world.streams.register(kind));
    let ids = halves.each_ref().map(Registration::id);
    (halves, ids)
}

/// Whole before it or whole after it: both halves end, counted by the cancellation or refused to the association.
fn associate_against_cancel_instance<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let (mut halves, ids) = halves(&world);
        let cancelling = spawn(&world, |streams| streams.cancel_instance(&instance(1)));
        let associated = world.streams.associate(&ids, &instance(1)).is_ok();
        let ended = cancelling.join().unwrap();
        assert_eq!(ended, if associated { 2 } else { 0 });
        for half in &mut halves {
            assert_eq!(ready(half).unwrap_err(), gone());
        }
        assert_eq!((world.streams.stats().tombstones, world.entries()), (1, 0));
    });
}

/// The instance is back at once. Both halves are tied to its old life and end, or to its new one and do not.
fn associate_against_cancel_and_clear<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let (mut halves, ids) = halves(&world);
        let returning = spawn(&world, |streams| {
            let ended = streams.cancel_instance(&instance(1));
            assert!(streams.clear_tombstone(&instance(1)));
            ended
        });
        let associated = world.streams.associate(&ids, &instance(1)).is_ok();
        let ended = returning.join().unwrap();
        let [request, response] = halves.each_mut().map(|half| poll(half).is_pending());
        assert_eq!(request, response, "half a session");
        assert_eq!(request, associated && ended == 0);
        assert_eq!(world.entries(), if request { 2 } else { 0 });
    });
}

/// A cancellation that is still looking for streams does not end those of an instance that has come back.
fn slow_cancel_instance_against_a_return<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let mut stream = world.streams.register(Response);
        let id = stream.id();
        let returning = spawn(&world, move |streams| {
            let cleared = streams.clear_tombstone(&instance(1));
            cleared && streams.associate(&[id], &instance(1)).is_ok()
        });
        assert_eq!(world.streams.cancel_instance(&instance(1)), 0);
        returning.join().unwrap();
        assert!(poll(&mut stream).is_pending());
        assert_eq!(world.entries(), 1);
    });
}

/// Either it is claimed, and the claim hears of the cancellation, or there is nothing to claim.
fn claim_against_cancel<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let mut stream = world.streams.register(Response);
        let id = stream.id();
        let cancelling = spawn(&world, move |streams| streams.cancel(id));
        let claim = world.streams.claim(id, Response);
        assert!(cancelling.join().unwrap(), "nobody else ends it");
        match claim {
            Ok(mut claim) => {
                assert!(claim.has_ended());
                assert!(claim.establish(Arc::default()).is_err());
            }
            Err(error) => assert!(is_gone(error)),
        }
        assert_eq!(ready(&mut stream).unwrap_err(), StreamError::Cancelled);
        assert_eq!(world.entries(), 0);
    });
}

/// The registrant gets the value, or the value comes back to the claimant. Never both, never neither.
fn establish_against_cancel<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let mut stream = world.streams.register(Response);
        let id = stream.id();
        let claim = world.streams.claim(id, Response).unwrap();
        let value = Value::default();
        let own = Arc::clone(&value);
        let establishing = thread::spawn(move || claim.establish(own));
        assert!(world.streams.cancel(id));
        match establishing.join().unwrap() {
            Ok(mut established) => {
                assert!(Arc::ptr_eq(&ready(&mut stream).unwrap(), &value));
                assert!(established.has_ended());
            }
            Err(rejected) => {
                assert!(Arc::ptr_eq(&rejected.value, &value));
                assert_eq!(ready(&mut stream).unwrap_err(), StreamError::Cancelled);
            }
        }
        assert_eq!((Arc::strong_count(&value), world.entries()), (1, 0));
    });
}

/// Whoever waits for the end of its claim is told, however the wait and the end meet.
fn waiting_claim_against_cancel_instance<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let stream = world.streams.register(Response);
        world
            .streams
            .associate(&[stream.id()], &instance(1))
            .unwrap();
        let mut claim = world.streams.claim(stream.id(), Response).unwrap();
        let task = Task::new();
        let waker = Waker::from(Arc::clone(&task));
        let waiting = thread::spawn(move || {
            let polled = claim.poll_cancelled(&Context::from_waker(&waker));
            (claim, polled)
        });
        assert_eq!(world.streams.cancel_instance(&instance(1)), 1);
        let (mut claim, polled) = waiting.join().unwrap();
        assert_eq!(task.woken(), usize::from(polled.is_pending()));
        assert!(claim.has_ended());
    });
}

/// Whoever waits for an answer is told, whichever of several comes first; and is told one.
fn waiting_registrant_against_establish_and_cancel<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let mut stream = world.streams.register(Response);
        let id = stream.id();
        let claim = world.streams.claim(id, Response).unwrap();
        let task = Task::new();
        let waker = Waker::from(Arc::clone(&task));
        let waiting = thread::spawn(move || {
            let polled = Future::poll(
                std::pin::Pin::new(&mut stream),
                &mut Context::from_waker(&waker),
            );
            (stream, polled)
        });
        let cancelling = spawn(&world, move |streams| streams.cancel(id));
        let established = claim.establish(Value::default());
        assert!(cancelling.join().unwrap());
        let (mut stream, polled) = waiting.join().unwrap();
        assert_eq!(task.woken(), usize::from(polled.is_pending()));
        let answer = match polled {
            Poll::Ready(answer) => answer,
            Poll::Pending => ready(&mut stream),
        };
        assert_eq!(answer.is_ok(), established.is_ok());
        assert_eq!(ready(&mut stream).unwrap_err(), StreamError::Received);
    });
}

/// There is nothing to claim, or the claim learns that nobody waits; and the value is dropped once.
fn drop_against_claim<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let stream = world.streams.register(Response);
        let id = stream.id();
        let dropping = thread::spawn(move || drop(stream));
        let value = Value::default();
        let outcome = world
            .streams
            .claim(id, Response)
            .map(|claim| claim.establish(Arc::clone(&value)));
        dropping.join().unwrap();
        assert_eq!(world.entries(), 0, "while the handles are held");
        match outcome {
            Ok(Ok(mut established)) => {
                assert!(established.has_ended());
                assert_eq!(Arc::strong_count(&value), 1, "nobody will receive it");
            }
            Ok(Err(rejected)) => assert!(Arc::ptr_eq(&rejected.value, &value)),
            Err(error) => assert!(is_gone(error)),
        }
        assert_eq!(world.streams.stats(), Default::default());
    });
}

/// One of them ends the stream, and says so.
fn drop_against_cancel_instance<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let stream = world.streams.register(Response);
        world
            .streams
            .associate(&[stream.id()], &instance(1))
            .unwrap();
        let mut claim = world.streams.claim(stream.id(), Response).unwrap();
        let dropping = thread::spawn(move || drop(stream));
        assert!(world.streams.cancel_instance(&instance(1)) <= 1);
        dropping.join().unwrap();
        assert!(claim.has_ended());
        let stats = world.streams.stats();
        assert_eq!((stats.claimed, stats.instances, world.entries()), (0, 0, 0));
    });
}

/// A stream that is cancelled by its id and with its instance is counted once.
fn cancel_against_cancel_instance<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let mut stream = world.streams.register(Response);
        let id = stream.id();
        world.streams.associate(&[id], &instance(1)).unwrap();
        let cancelling = spawn(&world, move |streams| streams.cancel(id));
        let with_instance = world.streams.cancel_instance(&instance(1));
        let by_id = cancelling.join().unwrap();
        assert_eq!(with_instance + usize::from(by_id), 1);
        let expected = if by_id {
            StreamError::Cancelled
        } else {
            gone()
        };
        assert_eq!(ready(&mut stream).unwrap_err(), expected);
        assert_eq!(world.entries(), 0);
    });
}

/// One of them gets it.
fn two_claims<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let mut stream = world.streams.register(Response);
        let id = stream.id();
        let other = spawn(&world, move |streams| streams.claim(id, Response));
        let own = world.streams.claim(id, Response);
        let other = other.join().unwrap();
        let already = ClaimError::AlreadyClaimed { id };
        let (claim, refused) = match (own, other) {
            (Ok(claim), Err(error)) | (Err(error), Ok(claim)) => (claim, error),
            both => panic!("one of two: {both:?}"),
        };
        assert_eq!(refused, already);
        let established = claim.establish(Value::default()).unwrap();
        assert!(ready(&mut stream).is_ok());
        drop(established);
        assert_eq!(world.entries(), 0);
    });
}

/// A worker that is done at once: its value is received all the same.
fn end_of_use_against_receive<M: StreamMap<Value> + Default + 'static>() {
    model(|| {
        let world = World::<M>::new();
        let mut stream = world.streams.register(Response);
        let id = stream.id();
        let using = spawn(&world, move |streams| {
            let claim = streams.claim(id, Response).unwrap();
            drop(claim.establish(Value::default()).unwrap());
        });
        let polled = poll(&mut stream);
        using.join().unwrap();
        let answer = match polled {
            Poll::Ready(answer) => answer,
            Poll::Pending => ready(&mut stream),
        };
        assert!(answer.is_ok());
        assert_eq!(world.entries(), 0);
    });
}

macro_rules! races {
    ($map:ident: $($race:ident),+ $(,)?) => {
        type Map = super::$map<super::StreamId, super::StreamEntry<super::Value>>;
        $(
            #[test]
            fn $race() {
                super::$race::<Map>();
            }
        )+
    };
    ($map:ident) => {
        races!($map:
            associate_against_cancel_instance,
            associate_against_cancel_and_clear,
            slow_cancel_instance_against_a_return,
            claim_against_cancel,
            establish_against_cancel,
            waiting_claim_against_cancel_instance,
            waiting_registrant_against_establish_and_cancel,
            drop_against_claim,
            drop_against_cancel_instance,
            cancel_against_cancel_instance,
            two_claims,
            end_of_use_against_receive,
        );
    };
}

mod reference {
    races!(ReferenceMap);
}

mod adversarial {
    races!(AdversarialMap);
}
