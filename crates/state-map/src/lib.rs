//! One contract over four concurrent maps, for state that many threads read and a few change.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! 1. [`StateMap`] is what a map implements, [`Access`] has its operations, and says what each
//!    promises.
//! 2. The backends are in one file each, which says what stands behind the promises.
//! 3. Only this crate names dashmap, papaya, scc and parking_lot; `cargo xtask test` keeps it so.
//!
//! Why it is this way, and what was tried: `adr/0002-the-map-seam.md`.

#![forbid(unsafe_code)]

mod access;
mod backends;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod default;
#[cfg(feature = "model")]
pub mod model;
mod shared;

pub use access::Access;
#[cfg(feature = "dashmap")]
pub use backends::DashMapBackend;
#[cfg(feature = "rwlock")]
pub use backends::RwLockBackend;
#[cfg(feature = "scc")]
pub use backends::SccBackend;
#[cfg(feature = "papaya")]
pub use backends::{PapayaBackend, PapayaGuard};
pub use config::{ConfigError, MAX_CAPACITY, MAX_SHARDS};
pub use contract::{Shrink, StateMap};
#[cfg(not(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
)))]
pub use default::none::NoBackend;
pub use default::{BackendEnabled, DefaultMap};

/// The hasher of every backend unless another is named: foldhash's fast one, seeded at random for
/// each map.
///
/// It costs about what an unseeded hash does, and holds against keys that collide by accident.
/// Where an attacker chooses the keys, use as keys what a keyed cryptographic hash makes of them.
#[cfg(not(inflight_fixed_seeds))]
pub type DefaultHashBuilder = foldhash::fast::RandomState;
/// The hasher of every backend where instructions and bytes are counted: seeded alike in every
/// process.
#[cfg(inflight_fixed_seeds)]
pub type DefaultHashBuilder = foldhash::fast::FixedState;
