//! The serving loop without its network: the same calls of the five crates in the same order, and
//! call-home's frames.
//!
//! # Design
//!
//! An operation is a token: encoded as a worker encodes it, decoded, followed and fed as the
//! frontend does. Now and then one is the last, and its request's release and the next one's whole
//! way in are part of it. Both ends are one thread, the frames go through a buffer instead of a
//! socket, and nothing is awaited.
//!
//! What keeps state is a [`House`]: [ours](Crates), or the [reference designs](References) in the
//! places of the five crates. All else is the same for both.
//!
//! The arm `free` drives each request by a handle, and so leaves out what it takes to find the
//! request of a token, and the compare-and-swap that a token by key needs: more than any map could
//! gain. The maps of streams and of workers cost it next to nothing. Those of requests and of
//! sessions, which threads share, stay: a few accesses a request, which has some 270 tokens.
//!
//! # Why
//!
//! Over TCP a token is microseconds of the system's, which vary by more than any map takes. Without
//! the system, what is left is what these crates and their maps take, which is *more* than their
//! share of a real token: a map that makes no difference here makes none there.
//!
//! *One crate on another map* is a scenario of its own, which decides nothing: the whole on one map
//! is what somebody would adopt, and this says of which crate its difference is.

mod crates;
mod reference;

use std::sync::Arc;

use anyhow::Result;
use bytes::{Buf, Bytes, BytesMut};
use call_home::wire::Frame;
use phase_state::PhaseEvent;
use verdict::schema::{Arm, Role};
use worker_id::WorkerWithDpRank;

use self::crates::Crates;
use self::reference::References;
use super::backends::{Backends, CRATES};
use super::workload::{Fed, Follower, Request, Workload};
use crate::any_map::Backend;
use crate::scenario::{AGAIN, FREE, Scenario, Share, Shares, deciding};
use crate::threads::{Operation, Threads, beside};

const TOKEN: Operation = Operation {
    adr: "0003",
    name: "serving-loop",
    what: "a token's way through all five crates, with its share of its request's way in and out, \
        and no network",
};

/// Requests in flight, over all threads.
const REQUESTS: usize = 1_024;
/// Requests whose tokens make a round.
const STEP: usize = 64;
const WORKERS: u64 = 4;

/// The scenarios, on a machine with so many cores.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let scenario = |variation, threads, arms| {
        TOKEN.scenario(variation, threads, arms, |threads| {
            shares(threads, REQUESTS)
        })
    };
    let arms = beside(deciding(), ["reference"]);
    let mut all = vec![scenario("", cores, arms.clone())];
    if cores > 1 {
        all.push(scenario("threads=1", 1, arms));
    }
    // One crate at a time on another map.
    all.push(scenario("swapped", cores, swapped()));
    all
}

/// All on the incumbent, and each crate alone on each candidate.
fn swapped() -> Vec<Arm> {
    let mut arms = vec![
        Arm::new("dashmap", Role::Incumbent),
        Arm::new(AGAIN, Role::IncumbentAgain),
    ];
    for name in CRATES {
        let swap = |map| Arm::new(format!("{name}={map}"), Role::Swapped);
        arms.extend(["papaya", "scc"].map(swap));
    }
    arms
}

/// The shares of all threads of an arm: the reference designs, or the five crates on its maps.
fn shares(threads: Threads<'_>, requests: usize) -> Result<Shares> {
    let fleet = (0..WORKERS).map(WorkerWithDpRank::from_worker_id);
    if threads.arm == "reference" {
        return Ok(in_house(References::new(fleet)?, threads, requests));
    }
    let mut backends = Backends::of_arm(threads.arm)?;
    if threads.arm == FREE {
        (backends.phases, backends.sessions) = (Backend::DashMap, Backend::DashMap);
    }
    let by_handle = threads.arm == FREE;
    let crates = Crates::new(&backends, by_handle, fleet)?;
    Ok(in_house(crates, threads, requests))
}

fn in_house<H: House>(house: H, threads: Threads<'_>, requests: usize) -> Shares {
    let house = Arc::new(house);
    let stride = threads.count as usize;
    threads.each(|thread, rng| {
        let mut gateway = Gateway {
            house: Arc::clone(&house),
            workload: Workload::new(rng),
            in_flight: Vec::with_capacity(requests / stride),
            first: 0,
            next_number: thread as u64,
            stride: stride as u64,
            wire: BytesMut::new(),
        };
        for _ in 0..(requests / stride).max(1) {
            gateway.open();
        }
        gateway
    })
}

/// What the threads share: all that keeps state of workers and requests. It checks what its parts
/// answer.
trait House: Send + Sync + 'static {
    /// What a request in flight holds of it.
    type Held: Send;

    /// A request's whole way in, to the moment at which its answer begins.
    fn admit(&self, request: &Request, wire: &mut BytesMut) -> Self::Held;

    /// What there is to be said of a token.
    fn on_token(&self, held: &mut Self::Held, request: &Request, fed: &Fed) -> Option<PhaseEvent>;

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
    /// A request that has had some of its tokens: a gateway has requests of every age.
    fn open(&mut self) {
        let mut admitted = self.admit();
        let age = fastrand::Rng::with_seed(self.next_number).u32(..admitted.request.output());
        for sequence in 0..age {
            self.token(&mut admitted, sequence);
        }
        self.in_flight.push(admitted);
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
            Some(fed.event),
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

/// What the frontend says to whoever has called home for a stream that waits, and the prologue that
/// it is answered with.
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
        let shares = |arm, count| {
            shares(
                Threads {
                    arm,
                    count,
                    seed: 1,
                },
                128,
            )
        };
        for arm in names.into_iter().chain(["dashmap-shards=64"]) {
            let mut shares = shares(arm, 2).expect(arm);
            for _ in 0..600 {
                let tokens: u64 = shares.iter_mut().map(|share| share.round()).sum();
                assert_eq!(tokens, 128);
            }
        }
        for wrong in [
            "abacus",
            "affinity=abacus",
            "abacus=scc",
            "dashmap-shards=3",
        ] {
            assert!(shares(wrong, 2).is_err(), "{wrong}");
        }
    }
}
