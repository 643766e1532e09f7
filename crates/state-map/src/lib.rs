//! One contract over four concurrent maps, for state that many threads read and a few change.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! [`StateMap`] is a map, [`MapSession`] has its operations, [`Retire`] says what a value gives up when it leaves. The
//! backends are in one file each. What the contract promises and why stands at the top of its module, and in the
//! documentation of each method: what is atomic, how often a closure may run, what may block, what it costs.
//!
//! A crate on top defines a trait of its own over the maps it can use, and gets it for every `StateMap` by one
//! blanket implementation. Its method names should differ from those here, since both traits may be in scope.
//!
//! # Why
//!
//! A generic cache or an enum of maps would have been shorter. The one hides what the backends differ in, which
//! is what one chooses them by; the other compiles all of them into everybody's build.
//!
//! # Invariants
//!
//! Only this crate names dashmap, papaya and scc; the workspace's `clippy.toml` keeps it so.
#![forbid(unsafe_code)]

mod backends;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod default;
#[cfg(feature = "model")]
pub mod model;
mod retire;
#[cfg(any(
    feature = "dashmap",
    feature = "model",
    feature = "rwlock",
    feature = "scc"
))]
mod session;
#[doc(hidden)]
pub mod sync;

#[cfg(feature = "dashmap")]
pub use backends::DashMapBackend;
#[cfg(feature = "rwlock")]
pub use backends::RwLockBackend;
#[cfg(feature = "scc")]
pub use backends::SccBackend;
#[cfg(feature = "papaya")]
pub use backends::{PapayaBackend, PapayaSession};
pub use config::{ConfigError, MAX_CAPACITY, MAX_SHARDS};
pub use contract::{MapSession, Occupied, Shrink, StateMap};
pub use default::DefaultMap;
#[cfg(not(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
)))]
pub use default::NoBackend;
pub use retire::{Retire, TakeOnce};
#[cfg(any(
    feature = "dashmap",
    feature = "model",
    feature = "rwlock",
    feature = "scc"
))]
pub use session::LocalSession;

/// The hasher of every backend unless another is named: foldhash's fast one, seeded at random for each map.
///
/// It costs about what an unseeded hash does, and holds against keys that collide by accident. Where an attacker
/// chooses the keys, use as keys what a keyed cryptographic hash makes of them.
#[cfg(not(inflight_fixed_seeds))]
pub type DefaultHashBuilder = foldhash::fast::RandomState;
/// The hasher of every backend where instructions and bytes are counted: seeded alike in every process.
#[cfg(inflight_fixed_seeds)]
pub type DefaultHashBuilder = foldhash::fast::FixedState;
