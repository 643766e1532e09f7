//! The serving loop without its network: the same calls of the five crates in the same order, and call-home's frames.
//!
//! # Design
//!
//! An operation is a token: encoded as a worker encodes it, decoded, followed and fed as the frontend does. Now and then one is
//! the last, and its request's release and the next one's whole way in are part of it. Both ends are one thread,
//! the frames go through a buffer instead of a socket, and nothing is awaited.
//!
//! What keeps state is a [`House`]: [ours](Crates), or the [reference designs](References) in the places of the five crates. All
//! else is the same for both.
//!
//! # Why
//!
//! Over TCP a token is microseconds of the system's, which vary by more than any map takes. Without the system, what is left is
//! what these crates and their maps take, which is *more* than their share of a real token: a map that makes no
//! difference here makes none there.
//!
//! *One crate on another map* is a scenario of its own, which decides nothing: the whole on one map is what somebody
//! would adopt, and this says of which crate its difference is.

mod crates;
mod reference;

use std::sync::Arc;

use anyhow::Result;
use bytes::{Buf, Bytes, BytesMut};
use call_home::wire::Frame;
use phase_state::{NotFed, PhaseEvent};
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use self::crates::Crates;
use self::reference::References;
use super::backends::{Backends, Part, Swap};
use super::workload::{Fed, Follower, Request, Workload};
use crate::any_map::Backend;
use crate::scenario::{AGAIN, Scenario, Share, Shares, map_of, maps, more_shards};

/// Requests in flight, over all threads.
const REQUESTS: usize = 1_024;
/// Requests whose tokens make a round.
const STEP: usize = 64;
const WORKERS: u64 = 4;

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let what = "a token's way through all five crates, with its share of its request's way in and out, and no network";
    let mut arms = maps();
    arms.push(Arm::new("reference", Role::Reference));
    arms.push(Arm::new("handle", Role::Free));
    let scenario = |name: &str, what: &str, threads, arms: &[Arm]| Scenario {
        name: name.to_owned(),
        adr: "0003",
        gating: name == "serving-loop",
        what: what.to_owned(),
        threads,
        arms: arms.to_vec(),
        build: Arc::new(move |arm, seed| shares(arm, threads, REQUESTS, seed)),
    };
    let mut scenarios = vec![scenario("serving-loop", what, cores, &arms)];
    if cores > 1 {
        scenarios.push(scenario("serving-loop/threads=1", what, 1, &arms));
    }
    let what = format!("{what}; one crate at a time on another map");
    scenarios.push(scenario("serving-loop/swapped", &what, cores, &swapped()));
    scenarios
}

/// All on the incumbent, and each crate alone on each candidate.
fn swapped() -> Vec<Arm> {
    let mut arms = vec![
        Arm::new("dashmap", Role::Incumbent),
        Arm::new(AGAIN, Role::IncumbentAgain),
    ];
    for part in Part::ALL {
        arms.extend([Backend::Papaya, Backend::Scc].map(|backend| {
            let swap = Swap { part, backend };
            Arm::new(swap.to_string(), Role::Swapped)
        }));
    }
    arms
}

/// The shares of all threads of an arm: `reference`, or `handle`, with which a token needs no map, or the map of all crates, or
/// that of one.
fn shares(arm: &str, threads: u32, requests: usize, seed: u64) -> Result<Shares> {
    let fleet = (0..WORKERS).map(WorkerWithDpRank::from_worker_id);
    let usual = Backends::all(Backend::DashMap);
    let backends = match arm {
        "reference" => return Ok(in_house(References::new(fleet)?, threads, requests, seed)),
        "handle" => usual,
        _ => match arm.parse() {
            Ok(swap) => usual.with(swap),
            Err(_) => Backends::all(map_of(arm).parse()?),
        },
    };
    let crates = Crates::new(&backends, more_shards(arm), arm == "handle", fleet)?;
    Ok(in_house(crates, threads, requests, seed))
}

fn in_house<H: House>(house: H, threads: u32, requests: usize, seed: u64) -> Shares {
    let house = Arc::new(house);
    let requests = (requests / threads as usize).max(1);
    let threads = u64::from(threads);
    let shares = (0..threads).map(|thread| {
        let house = Arc::clone(&house);
        let gateway = Gateway::new(house, requests, thread, threads, seed);
        Box::new(gateway) as Box<dyn Share>
    });
    shares.collect()
}

/// What the threads share: all that keeps state of workers and requests. It checks what its parts answer.
trait House: Send + Sync + 'static {
    /// What a request in flight holds of it.
    type Held: Send;

    /// A request's whole way in, to the moment at which its answer begins.
    fn admit(&self, request: &Request, wire: &mut BytesMut) -> Self::Held;

    /// What there is to be said of a token.
    fn on_token(
        &self,
        held: &mut Self::Held,
        request: &Request,
        fed: &Fed,
    ) -> Result<PhaseEvent, NotFed>;

    /// The way out.
    fn release(&self, held: Self::Held, request: &Request);
}

/// A request in flight, at both of its ends.
struct InFlight<H: House> {
    request: Arc<Request>,
    follower: Follower,
    held: H::Held,
}

struct Gateway<H: House> {
    house: Arc<H>,
    workload: Workload,
    in_flight: Vec<InFlight<H>>,
    /// The first of the next step.
    first: usize,
    next_number: u64,
    stride: u64,
    wire: BytesMut,
}

impl<H: House> Gateway<H> {
    fn new(house: Arc<H>, requests: usize, thread: u64, threads: u64, seed: u64) -> Self {
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

    fn admit(&mut self) -> InFlight<H> {
        let request = self.workload.request(self.next_number);
        self.next_number += self.stride;
        InFlight {
            held: self.house.admit(&request, &mut self.wire),
            follower: Follower::new(Arc::clone(&request)),
            request,
        }
    }

    fn token(&mut self, of: &mut InFlight<H>, sequence: u32) {
        let piece = match travel(&mut self.wire, Frame::Data(of.request.piece(sequence))) {
            Frame::Data(piece) => piece,
            other => unreachable!("{other:?} was not sent"),
        };
        let fed = of.follower.take(piece).expect("it comes in order");
        assert_eq!(
            self.house.on_token(&mut of.held, &of.request, &fed),
            Ok(fed.event),
            "a token was not answered as it should be"
        );
    }

    fn release(&mut self, mut ended: InFlight<H>) {
        for _ in 0..2 {
            assert_eq!(travel(&mut self.wire, Frame::Sentinel), Frame::Sentinel);
        }
        self.house.release(ended.held, &ended.request);
        ended.follower.finish();
        assert_eq!(
            (ended.follower.lost, ended.follower.doubled),
            (0, 0),
            "the answer is whole"
        );
    }
}

impl<H: House> Share for Gateway<H> {
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

/// What the frontend says to whoever has called home for a stream that waits, and the prologue that it is answered with.
fn greet(wire: &mut BytesMut) {
    for frame in [Frame::Welcome, Frame::Ready] {
        assert_eq!(travel(wire, frame.clone()), frame);
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn requests_come_and_go_and_check_themselves_on_every_arm() {
        let scenarios = all(2);
        let arms = scenarios.iter().flat_map(|each| &each.arms);
        let names: BTreeSet<&str> = arms.map(|arm| &*arm.name).collect();
        assert_eq!(names.len(), 18, "{names:?}");
        for arm in names.into_iter().chain(["dashmap-shards=64"]) {
            let mut shares = shares(arm, 2, 128, 1).expect(arm);
            for _ in 0..600 {
                let tokens: u64 = shares.iter_mut().map(|share| share.round()).sum();
                assert_eq!(tokens, 128);
            }
        }
        for wrong in ["abacus", "affinity=abacus", "abacus=scc"] {
            assert!(shares(wrong, 2, 128, 1).is_err(), "{wrong}");
        }
    }
}
