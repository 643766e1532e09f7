//! Choosing a router for every request, from one immutable snapshot.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! - The snapshot has the answers, worked out when something changes: six routers and a table of models.
//! - The manager changes it under one lock, and keeps what requests do not look at.
//! - The maps find routers and workers by id, and are type parameters.
//!
//! # Why
//!
//! Each module says what was tried. In short: a scan costs with every router, a cloned `Arc` makes all threads write one
//! line, and a snapshot that is collected from a map is published by whoever comes last, not by whoever knows most.
//!
//! # Invariants
//!
//! - Everything that a selection depends on is in one snapshot, of one generation.
//! - A snapshot that lacks something was published before it came, or after it was removed.

#![forbid(unsafe_code)]

mod batch;
mod error;
#[cfg(feature = "http")]
mod headers;
mod manager;
mod map;
mod models;
mod router;
mod select;
mod snapshot;
mod telemetry;
mod worker;

/// A published value, for as long as this is held: what [`RouterManager::worker`] answers.
pub use published::Reading;

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
    manager::RouterManager,
    map::{DefaultRouterMap, RouterEntry, RouterMap, WorkerEntry},
    router::{Router, RouterClass, RouterId},
    select::{RouterMode, Selected, Selection},
    worker::{Connection, Role, Runtime, WorkerSpec},
};
