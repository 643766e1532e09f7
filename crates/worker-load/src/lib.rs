//! How much each worker has in flight, exactly, and a choice that reserves what it chooses.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! - A counter is one worker's, or one [`Budget`]'s: one word decides admissions. A [`Reservation`]
//!   holds the counters that it incremented.
//! - [`WorkerLoads`] knows which workers are there, in a map that is a type parameter.
//! - A [`Policy`] names one of several [`Candidates`], and [`WorkerLoads::pick`] reserves on it.
//!
//! # Why
//!
//! A count that is decremented by the worker's name leaks when the worker has gone, sinks below
//! zero when it has come back, and then somebody writes a reaper that wipes it. A guard that holds
//! its counter can do none of that. A choice that is not yet a reservation is made by many at once,
//! of the same idle worker.
//!
//! # Invariants
//!
//! - A request counts in a counter exactly as long as its reservation exists, and for what that
//!   says.
//! - No request is admitted over a cap, nor after its worker has begun to drain or has left.

#![forbid(unsafe_code)]

mod budget;
mod candidates;
mod cost;
#[cfg(any(feature = "http-body", feature = "stream"))]
mod counted;
mod counter;
mod drain;
mod error;
mod fleet;
#[cfg(feature = "metrics")]
mod gauges;
#[cfg(feature = "tower")]
mod layer;
mod loads;
mod map;
mod policy;
mod reservation;
mod snapshot;
mod sync;
mod word;
mod worker;

#[cfg(any(feature = "http-body", feature = "stream"))]
pub use crate::counted::Counted;
#[cfg(feature = "metrics")]
pub use crate::gauges::LoadGauges;
#[cfg(feature = "tower")]
pub use crate::layer::{Reserve, ReserveError, ReserveLayer};
#[cfg(feature = "dashmap")]
pub use crate::map::DashMapLoads;
#[cfg(feature = "papaya")]
pub use crate::map::PapayaLoads;
#[cfg(feature = "rwlock")]
pub use crate::map::RwLockLoads;
#[cfg(feature = "scc")]
pub use crate::map::SccLoads;
pub use crate::{
    budget::Budget,
    candidates::{Among, Candidates},
    cost::{Admission, Ask, Capacity, Cost, Limit},
    drain::{Draining, PinnedTurns},
    error::{Holder, Refused},
    fleet::Joined,
    loads::WorkerLoads,
    map::{DefaultLoadMap, LoadMap, LoadSession, StateMapSession},
    policy::{LeastLoaded, Mix, Policy, PowerOfTwo, Prefer, Random, RoundRobin, WeightedRandom},
    reservation::{Outcome, Reservation},
    snapshot::{Load, Snapshot, Totals},
    worker::WorkerLoad,
};
