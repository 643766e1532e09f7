//! Choosing a router for every request, from one immutable snapshot.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! Everything that a selection depends on is in one immutable snapshot, with the answers worked out
//! when something changes. A change clones its roots under one lock, touches what it changes, and
//! publishes. The maps say at which place of the snapshot's tables an id stands, and are type
//! parameters. What was tried instead: `adr/0007`.
//!
//! # Invariants
//!
//! 1. All that one snapshot answers is of one generation.
//! 2. An id's place is in the maps before the first snapshot that has it is published, and until
//!    after the first one that has it no more; and it stays the same in between.
//!
//! Proof: `tests/loom.rs`, recorded histories and an oracle in `tests/it`.

#![forbid(unsafe_code)]

mod batch;
mod book;
mod change;
mod error;
mod guard;
#[cfg(feature = "http")]
mod headers;
mod manager;
mod map;
mod models;
mod pool;
mod router;
mod select;
mod snapshot;
mod table;
mod telemetry;
mod worker;

#[cfg(feature = "http")]
pub use crate::headers::HeaderError;
#[cfg(feature = "dashmap")]
pub use crate::map::DashMapRouters;
#[cfg(feature = "papaya")]
pub use crate::map::PapayaRouters;
#[cfg(feature = "rwlock")]
pub use crate::map::RwLockRouters;
#[cfg(feature = "scc")]
pub use crate::map::SccRouters;
pub use crate::{
    batch::Batch,
    error::{ChangeError, Rejected, SelectError},
    guard::{Eligible, RouterSnapshot, WorkerIter, Workers},
    manager::RouterManager,
    map::{DefaultRouterMap, RouterEntry, RouterMap, WorkerEntry},
    router::{Router, RouterClass, RouterId},
    select::{Choice, RouterMode, Selected, Selection},
    worker::{Connection, Role, Runtime, Worker, WorkerSpec},
};
