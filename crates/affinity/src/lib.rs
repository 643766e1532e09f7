//! Turns of a session go to the worker that has its prefix warm.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! - [`AffinityStore`] is what a store of pins promises, in one process or shared by many; `conformance!` tests it.
//! - [`MemoryStore`] is the one in this process, over a map that is a type parameter.
//! - [`StickySessionRouter`] routes turns over any store.
//!
//! # Why
//!
//! Each module says what was tried. In short: a pin that is refreshed in place under a shard's lock makes a lock of each
//! turn, and a clock read of each lookup; one word that is compared and swapped does neither. A sweep over everything
//! stops the lookups; an order that refreshes need not touch finds what has run out by itself.
//!
//! # Invariants
//!
//! - A binding never changes: another one takes its place.
//! - A binding ends once, by one caller, whatever races with it.

#![forbid(unsafe_code)]

mod binding;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod entry;
mod error;
mod fingerprint;
mod flight;
mod key;
mod lease;
mod ledger;
mod map;
mod memory;
mod router;
mod store;
#[cfg(feature = "tokio")]
mod sweeper;
mod time;

#[cfg(feature = "dashmap")]
pub use crate::map::DashMapSessions;
#[cfg(feature = "papaya")]
pub use crate::map::PapayaSessions;
#[cfg(feature = "rwlock")]
pub use crate::map::RwLockSessions;
#[cfg(feature = "scc")]
pub use crate::map::SccSessions;
#[cfg(feature = "tokio")]
pub use crate::sweeper::FINEST_TICK;
pub use crate::{
    binding::{Binding, BindingKind, ExpireCause, Expired, Written},
    config::{ConfigError, MemoryStoreConfig, WhenFull},
    entry::SessionEntry,
    error::StoreError,
    fingerprint::SessionFingerprint,
    key::{Leg, SessionKey, SessionRef},
    lease::{Lease, LeaseError},
    map::{DefaultSessionMap, SessionMap},
    memory::{MemoryStore, Swept},
    router::{Pin, RouteError, Routed, Stickiness, StickySessionRouter},
    store::AffinityStore,
};
