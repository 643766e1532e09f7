//! The phase of every request in flight, updated on every decoded token.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! - The state machine is a pure function of a state, the rules and a token, in a file of its own.
//! - A cell keeps one request's state, what most tokens need of it in one cache line, so that they are one atomic operation.
//! - The router finds cells by key, in a map that is a type parameter; a handle has its cell in hand.
//!
//! # Why
//!
//! Each module says what was tried. In short: state mutated in place under a shard's lock makes a lock of each token, and a
//! counter that all tokens bump makes them take turns; idle time needs neither it nor a clock, if sweeps remember what they saw.
//!
//! # Invariants
//!
//! - A request's state is in its cell and nowhere else.
//! - A request ends once, by one caller, whatever races with it.

#![forbid(unsafe_code)]

mod cell;
mod config;
mod counts;
mod error;
mod format;
mod handle;
mod key;
mod machine;
mod map;
mod marker;
mod occupancy;
mod patience;
mod phase;
mod presets;
mod registration;
mod router;
mod rules;
mod saved;
mod summary;
mod telemetry;
#[cfg(feature = "text")]
pub mod text;
mod word;

#[cfg(feature = "dashmap")]
pub use crate::map::DashMapPhases;
#[cfg(feature = "papaya")]
pub use crate::map::PapayaPhases;
#[cfg(feature = "rwlock")]
pub use crate::map::RwLockPhases;
#[cfg(feature = "scc")]
pub use crate::map::SccPhases;
pub use crate::{
    config::{Converged, Overthinking, PhaseRouterConfig},
    error::{ConfigError, MarkerKind, NotFed, ParsePhaseKindError, ThresholdField, TrackError},
    format::{Format, Spans},
    handle::RequestHandle,
    key::RequestKey,
    map::{DefaultPhaseMap, PhaseEntry, PhaseMap, PhaseSession, StateMapSession},
    occupancy::{Occupancy, ShardLoads},
    phase::{
        BudgetForceReason, EntropySignal, FormatId, Injection, PhaseEvent, PhaseKind, StartPhase,
        ThinkPhase,
    },
    registration::Registration,
    router::{PhaseCounts, PhaseRouter, StepToken},
    saved::RequestState,
    summary::{Forced, Summary},
};
/// What [`PhaseRouter::shrink`] did.
pub use state_map::Shrink;

/// So that the oracle, which integration tests share, names this crate the same way in unit tests.
#[cfg(test)]
extern crate self as phase_state;
