//! A registry against a naive one: random calls, on every map, compared after each.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;
use std::time::Duration;

use crate::support::{Ends as _, World, instance, poll};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stream_registry::{
    Claim, ClaimError, Established, Registration, StreamError, StreamId, StreamKind, StreamMap,
    StreamReceiver, StreamStats,
};

use StreamKind::{Request, Response};

/// Which stream it was sent for.
type Value = usize;

crate::backends::on_every_backend! { matches_the_naive_registry }

const LIFE: Duration = Duration::from_secs(5);

/// Streams by their place in the order of registration, instances by number.
#[derive(Debug, Clone)]
enum Call {
    Register(StreamKind),
    Split(usize),
    Receive(usize),
    Leave(usize),
    Claim(usize, StreamKind),
    Establish(usize),
    Fail(usize),
    LetGo(usize),
    Associate(Vec<usize>, u64),
    Cancel(usize),
    CancelInstance(u64),
    ClearTombstone(u64),
    CancelAll,
    Later(Duration),
}

fn any_kind() -> impl Strategy<Value = StreamKind> {
    prop_oneof![Just(Request), Just(Response)]
}

/// Few streams and instances at a time, so that calls meet.
fn any_call() -> impl Strategy<Value = Call> {
    let stream = || 0..8_usize;
    let instance = || 0..3_u64;
    prop_oneof![
        6 => any_kind().prop_map(Call::Register),
        1 => stream().prop_map(Call::Split),
        4 => stream().prop_map(Call::Receive),
        2 => stream().prop_map(Call::Leave),
        6 => (stream(), any_kind()).prop_map(|(stream, kind)| Call::Claim(stream, kind)),
        4 => stream().prop_map(Call::Establish),
        1 => stream().prop_map(Call::Fail),
        2 => stream().prop_map(Call::LetGo),
        6 => (vec(stream(), 0..3), instance()).prop_map(|(streams, number)| Call::Associate(streams, number)),
        1 => stream().prop_map(Call::Cancel),
        3 => instance().prop_map(Call::CancelInstance),
        1 => instance().prop_map(Call::ClearTombstone),
        1 => Just(Call::CancelAll),
        2 => (0..6_000_u64).prop_map(|millis| Call::Later(Duration::from_millis(millis))),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Pending,
    Claimed,
    Established,
    Ended,
}

/// What a naive registry keeps of a stream.
#[derive(Debug)]
struct Tracked {
    kind: StreamKind,
    stage: Stage,
    tied: Option<u64>,
    /// Nothing yet, an answer to be received, or that it was received.
    answer: Option<Result<Value, StreamError>>,
    received: bool,
}

impl Tracked {
    fn end(&mut self, why: StreamError) -> bool {
        let lived = self.stage != Stage::Ended;
        if lived && self.answer.is_none() {
            self.answer = Some(Err(why));
        }
        self.stage = Stage::Ended;
        lived
    }
}

#[derive(Default)]
struct Naive {
    streams: Vec<Tracked>,
    tombstones: BTreeMap<u64, Duration>,
    now: Duration,
}

impl Naive {
    fn end_those(&mut self, why: &StreamError, which: impl Fn(&Tracked) -> bool) -> usize {
        let streams = self.streams.iter_mut().filter(|stream| which(stream));
        streams
            .map(|stream| usize::from(stream.end(why.clone())))
            .sum()
    }

    fn remaining(&self, number: u64) -> Option<Duration> {
        let since = self.tombstones.get(&number)?;
        Some((*since + LIFE).saturating_sub(self.now)).filter(|left| !left.is_zero())
    }

    fn stats(&self) -> [usize; 5] {
        let at = |stage| {
            self.streams
                .iter()
                .filter(|stream| stream.stage == stage)
                .count()
        };
        let live = self
            .streams
            .iter()
            .filter(|stream| stream.stage != Stage::Ended);
        let instances: BTreeSet<u64> = live.filter_map(|stream| stream.tied).collect();
        let tombstones = self
            .tombstones
            .keys()
            .filter(|number| self.remaining(**number).is_some());
        [
            at(Stage::Pending),
            at(Stage::Claimed),
            at(Stage::Established),
            instances.len(),
            tombstones.count(),
        ]
    }
}

enum Waits {
    Whole(Registration<Value>),
    Part(StreamReceiver<Value>),
}

/// What the test holds of a stream.
struct Held {
    id: StreamId,
    waits: Option<Waits>,
    claim: Option<Claim<Value>>,
    established: Option<Established<Value>>,
}

fn numbers(stats: StreamStats) -> [usize; 5] {
    let StreamStats {
        pending,
        claimed,
        established,
        instances,
        tombstones,
        ..
    } = stats;
    [pending, claimed, established, instances, tombstones]
}

fn gone(number: u64) -> StreamError {
    StreamError::InstanceGone {
        instance: instance(number),
    }
}

fn matches_the_naive_registry<M: StreamMap<Value> + Default + 'static>() {
    let runner = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(runner).run(&vec(any_call(), 0..80), |calls| {
        let world = World::<Value, M>::new();
        let mut naive = Naive::default();
        let mut held: Vec<Held> = Vec::new();
        for call in calls {
            step(&world, &mut naive, &mut held, call)?;
            prop_assert_eq!(numbers(world.streams.stats()), naive.stats());
            let live = naive
                .streams
                .iter()
                .filter(|stream| stream.stage != Stage::Ended);
            prop_assert_eq!(
                world.entries(),
                live.count(),
                "an ended stream is left in the map"
            );
            for (stream, tracked) in held.iter_mut().zip(&naive.streams) {
                let ended = tracked.stage == Stage::Ended;
                let claim = stream
                    .claim
                    .as_mut()
                    .is_none_or(|claim| claim.has_ended() == ended);
                let handle = stream.established.as_mut();
                prop_assert!(claim && handle.is_none_or(|handle| handle.has_ended() == ended));
            }
        }
        drop(held);
        prop_assert_eq!(world.entries(), 0);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("the registry and the naive one disagree: {failure}");
    }
}

fn step<M: StreamMap<Value> + Default + 'static>(
    world: &World<Value, M>,
    naive: &mut Naive,
    held: &mut Vec<Held>,
    call: Call,
) -> Result<(), TestCaseError> {
    // The latest eight.
    let from = held.len().saturating_sub(8);
    let place = |at: usize| (from + at < held.len()).then_some(from + at);
    match call {
        Call::Register(kind) => {
            let registration = world.streams.register(kind);
            held.push(Held {
                id: registration.id(),
                waits: Some(Waits::Whole(registration)),
                claim: None,
                established: None,
            });
            naive.streams.push(Tracked {
                kind,
                stage: Stage::Pending,
                tied: None,
                answer: None,
                received: false,
            });
        }
        Call::Associate(places, number) => {
            let places: Vec<usize> = places.into_iter().filter_map(place).collect();
            let ids: Vec<StreamId> = places.iter().map(|at| held[*at].id).collect();
            let outcome = world.streams.associate(&ids, &instance(number));
            let remaining = naive.remaining(number);
            prop_assert_eq!(outcome.map_err(|error| error.remaining).err(), remaining);
            for at in places {
                let stream = &mut naive.streams[at];
                if remaining.is_some() {
                    stream.end(gone(number));
                } else {
                    stream.tied = Some(number);
                }
            }
        }
        Call::CancelInstance(number) => {
            let expected = naive.end_those(&gone(number), |stream| stream.tied == Some(number));
            naive.tombstones.insert(number, naive.now);
            prop_assert_eq!(world.streams.cancel_instance(&instance(number)), expected);
        }
        Call::ClearTombstone(number) => {
            let expected = naive.remaining(number).is_some();
            naive.tombstones.remove(&number);
            prop_assert_eq!(world.streams.clear_tombstone(&instance(number)), expected);
        }
        Call::CancelAll => {
            let expected = naive.end_those(&StreamError::Cancelled, |_| true);
            prop_assert_eq!(world.streams.cancel_all(), expected);
        }
        Call::Later(later) => {
            world.time.increment(later);
            naive.now += later;
        }
        Call::Split(at)
        | Call::Receive(at)
        | Call::Leave(at)
        | Call::Claim(at, _)
        | Call::Establish(at)
        | Call::Fail(at)
        | Call::LetGo(at)
        | Call::Cancel(at) => {
            if let Some(at) = place(at) {
                step_one(world, &mut naive.streams[at], &mut held[at], at, &call)?;
            }
        }
    }
    Ok(())
}

/// A call on one stream.
fn step_one<M: StreamMap<Value> + Default + 'static>(
    world: &World<Value, M>,
    tracked: &mut Tracked,
    held: &mut Held,
    at: usize,
    call: &Call,
) -> Result<(), TestCaseError> {
    match call {
        Call::Split(_) => {
            held.waits = held.waits.take().map(|waits| match waits {
                Waits::Whole(registration) => Waits::Part(registration.into_parts().1),
                Waits::Part(receiver) => Waits::Part(receiver),
            });
        }
        Call::Receive(_) => {
            let answer = match &mut held.waits {
                Some(Waits::Whole(registration)) => poll(registration),
                Some(Waits::Part(receiver)) => poll(receiver),
                None => return Ok(()),
            };
            let expected = match &tracked.answer {
                Some(_) if tracked.received => Poll::Ready(Err(StreamError::Received)),
                Some(answer) => Poll::Ready(answer.clone()),
                None => Poll::Pending,
            };
            tracked.received |= answer.is_ready();
            prop_assert_eq!(answer, expected);
        }
        Call::Leave(_) => {
            if held.waits.take().is_some() && !tracked.received {
                tracked.end(StreamError::Cancelled);
                tracked.received = true;
            }
        }
        Call::Claim(_, kind) => {
            let id = held.id;
            let registered = tracked.kind;
            let expected = match tracked.stage {
                Stage::Ended => Err(ClaimError::Unknown { id }),
                _ if *kind != registered => Err(ClaimError::WrongKind { id, registered }),
                Stage::Pending => Ok(()),
                Stage::Claimed | Stage::Established => Err(ClaimError::AlreadyClaimed { id }),
            };
            let outcome = world.streams.claim(id, *kind);
            prop_assert_eq!(
                outcome.as_ref().map(|_| ()).map_err(|error| *error),
                expected
            );
            if let Ok(claim) = outcome {
                tracked.stage = Stage::Claimed;
                held.claim = Some(claim);
            }
        }
        Call::Establish(_) => {
            let Some(claim) = held.claim.take() else {
                return Ok(());
            };
            match claim.establish(at) {
                Ok(established) => {
                    prop_assert_eq!(tracked.stage, Stage::Claimed);
                    tracked.stage = Stage::Established;
                    tracked.answer = Some(Ok(at));
                    held.established = Some(established);
                }
                Err(rejected) => {
                    prop_assert_eq!(tracked.stage, Stage::Ended);
                    prop_assert_eq!((rejected.id, rejected.value), (held.id, at));
                }
            }
        }
        Call::Fail(_) => {
            if let Some(claim) = held.claim.take() {
                claim.fail("no such model");
                let reason = "no such model".to_owned();
                tracked.end(StreamError::Failed { reason });
            }
        }
        Call::LetGo(_) => {
            if held.claim.take().is_some() || held.established.take().is_some() {
                tracked.end(StreamError::ClaimDropped);
            }
        }
        Call::Cancel(_) => {
            let expected = tracked.end(StreamError::Cancelled);
            prop_assert_eq!(world.streams.cancel(held.id), expected);
        }
        _ => unreachable!("calls on several streams are made by `step`"),
    }
    Ok(())
}
