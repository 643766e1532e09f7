//! Recorded histories of every map: what is done to one stream, by its id and by its handles, is linearizable.
//!
//! A call of `cancel_instance` raises a tombstone and then ends streams, each on its own. So in histories with
//! tombstones the streams are tied to their instances in the course of it, and it is not asked how many it ended; in the
//! others tombstones have no life, and it is.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::support::{World, instance};
use linearize::{Budget, Plan, Rng, Spec, check_by_key, concurrent_pairs};
use stream_registry::{
    Claim, ClaimError, Established, Registration, StreamError, StreamId, StreamKind, StreamMap,
    StreamRegistryConfig,
};

/// Whose claim it was sent by.
type Value = usize;

crate::backends::on_every_backend! { histories_of_streams_are_linearizable, histories_with_tombstones_are_linearizable }

const STREAMS: usize = 2;

/// What is done, to which stream, by which thread.
#[derive(Clone, Copy, Debug)]
struct Op {
    stream: usize,
    thread: usize,
    act: Act,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Claim,
    /// With the claim that the thread holds.
    Establish,
    /// The claim or the handle that the thread holds.
    LetGo,
    Cancel,
    Associate,
    CancelInstance,
    Receive,
    Leave,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ret {
    Done(bool),
    Count(usize),
    NothingHeld,
    Claimed,
    AlreadyClaimed,
    Gone,
    Received(Poll<Answer>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Value(usize),
    Cancelled,
    InstanceGone,
    ClaimDropped,
    Before,
}

impl From<Result<Value, StreamError>> for Answer {
    fn from(answer: Result<Value, StreamError>) -> Self {
        match answer {
            Ok(thread) => Self::Value(thread),
            Err(StreamError::Cancelled) => Self::Cancelled,
            Err(StreamError::InstanceGone { .. }) => Self::InstanceGone,
            Err(StreamError::ClaimDropped) => Self::ClaimDropped,
            Err(StreamError::Received) => Self::Before,
            Err(error) => panic!("nobody did this: {error}"),
        }
    }
}

/// Which handle each thread holds: none, a claim, an established stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Hand {
    Empty,
    Claim,
    Established,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Stream {
    claimed: bool,
    ended: bool,
    tied: bool,
    tombstone: bool,
    answer: Option<Answer>,
    received: bool,
    left: bool,
    hands: [Hand; 3],
}

impl Stream {
    fn end(&mut self, why: Answer) -> bool {
        let lived = !self.ended;
        self.ended = true;
        self.answer.get_or_insert(why);
        lived
    }
}

struct Histories {
    tombstones: bool,
}

impl Spec for Histories {
    type Op = Op;
    type Ret = Ret;
    type State = Stream;

    fn initial(&self) -> Stream {
        Stream {
            claimed: false,
            ended: false,
            tied: !self.tombstones,
            tombstone: false,
            answer: None,
            received: false,
            left: false,
            hands: [Hand::Empty; 3],
        }
    }

    fn step(&self, stream: &mut Stream, op: &Op) -> Ret {
        let hand = stream.hands[op.thread];
        match op.act {
            Act::Claim if stream.ended => Ret::Gone,
            Act::Claim if stream.claimed => Ret::AlreadyClaimed,
            Act::Claim => {
                stream.claimed = true;
                stream.hands[op.thread] = Hand::Claim;
                Ret::Claimed
            }
            Act::Establish if hand != Hand::Claim => Ret::NothingHeld,
            Act::Establish if stream.ended => {
                stream.hands[op.thread] = Hand::Empty;
                Ret::Done(false)
            }
            Act::Establish => {
                stream.answer = Some(Answer::Value(op.thread));
                stream.hands[op.thread] = Hand::Established;
                Ret::Done(true)
            }
            Act::LetGo if hand == Hand::Empty => Ret::NothingHeld,
            Act::LetGo => {
                stream.hands[op.thread] = Hand::Empty;
                stream.end(Answer::ClaimDropped);
                Ret::Done(true)
            }
            Act::Cancel => Ret::Done(stream.end(Answer::Cancelled)),
            Act::Associate if stream.tombstone => {
                stream.end(Answer::InstanceGone);
                Ret::Done(false)
            }
            Act::Associate => {
                stream.tied = true;
                Ret::Done(true)
            }
            Act::CancelInstance => {
                stream.tombstone = self.tombstones;
                let ended = stream.tied && stream.end(Answer::InstanceGone);
                Ret::Count(if self.tombstones {
                    0
                } else {
                    usize::from(ended)
                })
            }
            Act::Receive | Act::Leave if stream.left => Ret::NothingHeld,
            Act::Receive => match stream.answer {
                None => Ret::Received(Poll::Pending),
                Some(_) if stream.received => Ret::Received(Poll::Ready(Answer::Before)),
                Some(answer) => {
                    stream.received = true;
                    Ret::Received(Poll::Ready(answer))
                }
            },
            Act::Leave => {
                stream.left = true;
                if !stream.received {
                    stream.end(Answer::Cancelled);
                }
                Ret::Done(true)
            }
        }
    }
}

struct Subject<M> {
    world: World<Value, M>,
    ids: [StreamId; STREAMS],
    waiting: [Mutex<Option<Registration<Value>>>; STREAMS],
    /// What threads still held at the end of a history: it must not be dropped within it, where nobody records it.
    kept: Mutex<Vec<Held>>,
    tombstones: bool,
}

#[derive(Default)]
struct Held {
    claims: [Option<Claim<Value>>; STREAMS],
    established: [Option<Established<Value>>; STREAMS],
}

fn subject<M: StreamMap<Value> + Default + 'static>(tombstones: bool) -> Subject<M> {
    let tombstone_life = Duration::from_secs(if tombstones { 3_600 } else { 0 });
    let world = World::with_config(StreamRegistryConfig { tombstone_life });
    let streams = [(); STREAMS].map(|()| world.streams.register(StreamKind::Response));
    let ids = streams.each_ref().map(Registration::id);
    if !tombstones {
        for (number, id) in (0..).zip(ids) {
            world.streams.associate(&[id], &instance(number)).unwrap();
        }
    }
    Subject {
        world,
        ids,
        waiting: streams.map(|stream| Mutex::new(Some(stream))),
        kept: Mutex::default(),
        tombstones,
    }
}

fn run<M: StreamMap<Value> + Default + 'static>(
    subject: &Subject<M>,
    held: &mut Held,
    op: &Op,
) -> Ret {
    let (streams, id) = (&subject.world.streams, subject.ids[op.stream]);
    let (claim, established) = (
        &mut held.claims[op.stream],
        &mut held.established[op.stream],
    );
    let instance = instance(op.stream as u64);
    // Dropped and polled under this lock, as its owner would: a registrant is one.
    let waiting = || {
        let slot = &subject.waiting[op.stream];
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    };
    match op.act {
        Act::Claim => match streams.claim(id, StreamKind::Response) {
            Ok(new) => {
                *claim = Some(new);
                Ret::Claimed
            }
            Err(ClaimError::AlreadyClaimed { .. }) => Ret::AlreadyClaimed,
            Err(ClaimError::Unknown { .. } | ClaimError::Cancelled { .. }) => Ret::Gone,
            Err(error) => panic!("{error}"),
        },
        Act::Establish => match claim.take().map(|claim| claim.establish(op.thread)) {
            None => Ret::NothingHeld,
            Some(Ok(new)) => {
                *established = Some(new);
                Ret::Done(true)
            }
            Some(Err(_)) => Ret::Done(false),
        },
        Act::LetGo if claim.is_none() && established.is_none() => Ret::NothingHeld,
        Act::LetGo => {
            (*claim, *established) = (None, None);
            Ret::Done(true)
        }
        Act::Cancel => Ret::Done(streams.cancel(id)),
        Act::Associate => Ret::Done(streams.associate(&[id], &instance).is_ok()),
        Act::CancelInstance => {
            let count = streams.cancel_instance(&instance);
            Ret::Count(if subject.tombstones { 0 } else { count })
        }
        Act::Receive => match &mut *waiting() {
            None => Ret::NothingHeld,
            Some(stream) => {
                let polled = Pin::new(stream).poll(&mut Context::from_waker(Waker::noop()));
                Ret::Received(polled.map(Answer::from))
            }
        },
        Act::Leave => {
            let mut slot = waiting();
            let left = slot.is_none();
            *slot = None;
            if left {
                Ret::NothingHeld
            } else {
                Ret::Done(true)
            }
        }
    }
}

fn histories_of_streams_are_linearizable<M: StreamMap<Value> + Default + 'static>() {
    histories::<M>(
        false,
        &[
            Act::Claim,
            Act::Claim,
            Act::Establish,
            Act::Establish,
            Act::LetGo,
            Act::Cancel,
            Act::CancelInstance,
            Act::Receive,
            Act::Receive,
            Act::Leave,
        ],
    );
}

fn histories_with_tombstones_are_linearizable<M: StreamMap<Value> + Default + 'static>() {
    histories::<M>(
        true,
        &[
            Act::Claim,
            Act::Establish,
            Act::Associate,
            Act::Associate,
            Act::CancelInstance,
            Act::Receive,
        ],
    );
}

fn histories<M: StreamMap<Value> + Default + 'static>(tombstones: bool, acts: &[Act]) {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let mut overlapping = 0;
    let plan = Plan {
        threads: 3,
        calls: 6,
        histories: 2_000,
        seed: 6,
    };
    plan.record(
        || subject::<M>(tombstones),
        |rng: &mut Rng, thread| Op {
            stream: usize::from(rng.below(2) == 1),
            thread,
            act: *rng.pick(acts),
        },
        |subject, ops, recorder| {
            let mut held = Held::default();
            for (at, op) in ops.into_iter().enumerate() {
                recorder.call(op, |op| {
                    // Somewhere within a call, so that calls overlap however few cores there are.
                    if at % 3 == 0 {
                        thread::yield_now();
                    }
                    run(subject, &mut held, op)
                });
            }
            subject
                .kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(held);
        },
        |history| {
            overlapping += concurrent_pairs(history);
            check_by_key(
                &Histories { tombstones },
                history,
                |op| op.stream,
                Budget::default(),
            )
            .assert_linearizable();
        },
    );
    assert!(
        overlapping > 2_000,
        "only {overlapping} pairs of calls overlapped: nothing was tested"
    );
}
