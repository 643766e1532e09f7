//! The serving loop without its network: the same calls of the five crates in the same order, and call-home's frames.
//!
//! # Design
//!
//! An operation is a token: encoded as a worker encodes it, decoded, followed and fed as the frontend does. Now and then one is
//! the last, and its request's release and the next one's whole way in are part of it. Both ends are one thread,
//! the frames go through a buffer instead of a socket, and nothing is awaited.
//!
//! # Why
//!
//! Over TCP a token is microseconds of the system's, which vary by more than any map takes. Without the system, what is left is
//! what these crates and their maps take, which is *more* than their share of a real token: a map that makes no
//! difference here makes none there.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use affinity::Lease;
use anyhow::Result;
use bytes::{Buf, Bytes, BytesMut};
use call_home::wire::{Frame, Hello};
use call_home::{EndpointInstanceId, StreamId, StreamKind, StreamRegistryConfig};
use phase_state::{PhaseEvent, RequestHandle};
use state_map::{DashMapBackend, DefaultHashBuilder};
use stream_registry::{Established, StreamEntry, StreamRegistry};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use super::backends::Backends;
use super::front::Front;
use super::workload::{Fed, Follower, Request, Workload};
use crate::any_map::AnyMap;
use crate::scenario::{Scenario, Share, Shares, map_of, maps, more_shards};

/// Requests in flight, over all threads.
const REQUESTS: usize = 1_024;
/// Requests whose tokens make a round.
const STEP: usize = 64;
const WORKERS: u64 = 4;

type Streams = StreamRegistry<u64, AnyMap<StreamId, StreamEntry<u64>>>;

/// What the threads share.
struct House {
    front: Front,
    streams: Arc<Streams>,
    endpoint: EndpointInstanceId,
    handles: bool,
}

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let what = "a token's way through all five crates, with its share of its request's way in and out, and no network";
    let mut arms = maps();
    // No published design has all of this: what there is to compare with is a token that needs no map.
    arms.push(Arm::new("handle", Role::Free));
    let scenario = |name: &str, threads, gating| Scenario {
        name: name.to_owned(),
        adr: "0003",
        gating,
        what: what.to_owned(),
        threads,
        arms: arms.clone(),
        build: Arc::new(move |arm, seed| shares(arm, threads, REQUESTS, seed)),
    };
    let mut scenarios = vec![scenario("serving-loop", cores, true)];
    if cores > 1 {
        scenarios.push(scenario("serving-loop/threads=1", 1, false));
    }
    scenarios
}

/// The shares of all threads of an arm: a map's name, or `handle`, with which a token needs no map.
fn shares(arm: &str, threads: u32, requests: usize, seed: u64) -> Result<Shares> {
    let handles = arm == "handle";
    let map = if handles { "dashmap" } else { map_of(arm) };
    let backends = Backends::all(map.parse()?);
    let phases = match more_shards(arm) {
        // What ADR-0003 asks is whether more shards for the phases are enough.
        Some(shards) => AnyMap::DashMap(DashMapBackend::with_capacity_hasher_and_shards(
            0,
            DefaultHashBuilder::default(),
            shards,
        )?),
        None => backends.phases.map(),
    };
    let house = Arc::new(House {
        front: Front::with_phases(&backends, phases)?,
        streams: Arc::new(StreamRegistry::with_map(
            StreamRegistryConfig::default(),
            backends.streams.map(),
        )),
        endpoint: EndpointInstanceId::new("bench", "worker", "generate", 0)?,
        handles,
    });
    for number in 0..WORKERS {
        house.front.join(WorkerWithDpRank::from_worker_id(number))?;
    }
    let requests = (requests / threads as usize).max(1);
    let threads = u64::from(threads);
    let shares = (0..threads).map(|thread| {
        let house = Arc::clone(&house);
        let gateway = Gateway::new(house, requests, thread, threads, seed);
        Box::new(gateway) as Box<dyn Share>
    });
    Ok(shares.collect())
}

/// A request in flight, at both of its ends.
struct InFlight {
    request: Arc<Request>,
    follower: Follower,
    handle: Option<RequestHandle>,
    stream: Established<u64>,
    lease: Option<Lease>,
}

struct Gateway {
    house: Arc<House>,
    workload: Workload,
    in_flight: Vec<InFlight>,
    /// The first of the next step.
    first: usize,
    next_number: u64,
    stride: u64,
    wire: BytesMut,
}

impl Gateway {
    fn new(house: Arc<House>, requests: usize, thread: u64, threads: u64, seed: u64) -> Self {
        let mut gateway = Self {
            house,
            workload: Workload::new(seed.wrapping_add(thread)),
            in_flight: Vec::with_capacity(requests),
            first: 0,
            next_number: thread,
            stride: threads,
            wire: BytesMut::new(),
        };
        for _ in 0..requests {
            let mut admitted = gateway.admit();
            // Not all at their first token: a gateway has requests of every age.
            let age =
                fastrand::Rng::with_seed(gateway.next_number).u32(..admitted.request.output());
            for sequence in 0..age {
                gateway.token(&mut admitted, sequence);
            }
            gateway.in_flight.push(admitted);
        }
        gateway
    }

    /// The whole way in, to the moment at which the answer begins.
    fn admit(&mut self) -> InFlight {
        let House {
            front,
            streams,
            endpoint,
            handles,
        } = &*self.house;
        let request = self.workload.request(self.next_number);
        self.next_number += self.stride;

        let routed = pollster::block_on(front.route(&request)).expect("a worker for everybody");
        let mut pending = pin!(streams.register(StreamKind::Response));
        let id = pending.id();
        let instance = endpoint.with_instance_id(routed.worker.worker_id);
        streams
            .associate(&[id], &instance)
            .expect("nobody has died");
        let handle = if *handles {
            Some(front.phases.track(request.number).expect("a fresh number"))
        } else {
            assert!(front.phases.register(request.number), "a fresh number");
            None
        };

        let kind = StreamKind::Response;
        let Frame::Hello(hello) = travel(&mut self.wire, Frame::Hello(Hello { kind, id })) else {
            unreachable!("it arrives as it left");
        };
        let claim = streams.claim(hello.id, hello.kind).expect("it waits");
        for frame in [Frame::Welcome, Frame::Ready] {
            assert_eq!(travel(&mut self.wire, frame.clone()), frame);
        }
        let stream = claim.establish(request.number).expect("it still waits");
        let mut context = Context::from_waker(Waker::noop());
        let answer = pending.as_mut().poll(&mut context);
        assert_eq!(answer, Poll::Ready(Ok(request.number)), "it is established");
        InFlight {
            follower: Follower::new(Arc::clone(&request)),
            request,
            handle,
            stream,
            lease: routed.lease,
        }
    }

    fn token(
        &mut self,
        InFlight {
            request,
            follower,
            handle,
            ..
        }: &mut InFlight,
        sequence: u32,
    ) {
        let piece = match travel(&mut self.wire, Frame::Data(request.piece(sequence))) {
            Frame::Data(piece) => piece,
            other => unreachable!("{other:?} was not sent"),
        };
        let Some(Fed {
            token,
            sample,
            event,
        }) = follower.take(piece)
        else {
            unreachable!("it comes in order");
        };
        let said: Option<PhaseEvent> = match handle {
            Some(handle) => handle.on_token(token, sample.as_ref()),
            None => self
                .house
                .front
                .phases
                .on_token(request.number, token, sample.as_ref()),
        };
        assert_eq!(
            said,
            Some(event),
            "a token was not answered as it should be"
        );
    }

    fn release(&mut self, ended: InFlight) {
        let InFlight {
            request,
            mut follower,
            handle,
            stream,
            lease,
        } = ended;
        for _ in 0..2 {
            assert_eq!(travel(&mut self.wire, Frame::Sentinel), Frame::Sentinel);
        }
        drop(stream);
        follower.finish();
        assert_eq!(
            (follower.lost, follower.doubled),
            (0, 0),
            "the answer is whole"
        );
        match handle {
            Some(handle) => drop(handle),
            None => assert!(
                self.house.front.phases.reap(request.number),
                "it is tracked"
            ),
        }
        drop(lease);
    }
}

impl Share for Gateway {
    fn round(&mut self) -> u64 {
        let end = (self.first + STEP).min(self.in_flight.len());
        let step = self.first..end;
        let tokens = step.len() as u64;
        self.first = if end == self.in_flight.len() { 0 } else { end };
        let mut in_flight = std::mem::take(&mut self.in_flight);
        for each in &mut in_flight[step] {
            let sequence = each.follower.came();
            self.token(each, sequence);
            if sequence + 1 == each.request.output() {
                let next = self.admit();
                self.release(std::mem::replace(each, next));
            }
        }
        self.in_flight = in_flight;
        tokens
    }
}

/// A frame as it leaves on the one side and comes in on the other.
fn travel(wire: &mut BytesMut, frame: Frame) -> Frame {
    let payload = frame.encode(wire);
    wire.extend_from_slice(&payload);
    let len = wire.get_u32();
    let body: Bytes = wire.split_to(len as usize).freeze();
    Frame::decode(body).expect("what was encoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_and_go_and_check_themselves_on_every_arm() {
        for arm in [
            "dashmap",
            "papaya",
            "scc",
            "rwlock",
            "handle",
            "dashmap-shards=64",
        ] {
            let mut shares = shares(arm, 2, 128, 1).expect("an arm");
            for _ in 0..600 {
                let tokens: u64 = shares.iter_mut().map(|share| share.round()).sum();
                assert_eq!(tokens, 128);
            }
        }
        assert!(shares("abacus", 2, 128, 1).is_err());
    }
}
