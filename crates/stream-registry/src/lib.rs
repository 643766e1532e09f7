//! Response streams that workers call home to claim.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! `StreamRegistry::map` finds a `StreamCell` by id; a cell is all there is to know of its stream;
//! `Tombstones` keep streams from instances that are gone.
//!
//! 1. A stream ends once. Whoever ends it takes it out of the map, and wakes both sides.
//! 2. A registrant gets exactly one answer.
//!
//! Proof: `tests/loom.rs`, the oracle in `tests/it/registry.rs`, the histories in
//! `tests/it/linearizability.rs`. Why it is this way: `adr/0004-stream-registry.md`.

#![forbid(unsafe_code)]

mod cell;
mod claim;
mod error;
mod id;
mod life;
mod map;
mod registrant;
mod registry;
mod tombstones;

#[cfg(feature = "dashmap")]
pub use crate::map::DashMapStreams;
#[cfg(feature = "papaya")]
pub use crate::map::PapayaStreams;
#[cfg(feature = "rwlock")]
pub use crate::map::RwLockStreams;
#[cfg(feature = "scc")]
pub use crate::map::SccStreams;
pub use crate::{
    claim::{Claim, Established},
    error::{ClaimError, EstablishError, ParseStreamIdError, StreamError, Tombstoned},
    id::StreamId,
    life::StreamKind,
    map::{DefaultStreamMap, StreamEntry, StreamMap},
    registrant::{Registration, StreamReceiver},
    registry::{StreamRegistry, StreamRegistryConfig, StreamStats},
};
