//! Response streams that workers call home to claim.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! - A cell is one stream: its stage, the answer that its registrant waits for, and the instance it is tied to.
//! - The registry finds cells by id, in a map that is a type parameter. There is no other index.
//! - Tombstones keep streams from instances that are gone.
//!
//! # Why
//!
//! Each module says what was tried. In short: several maps that are kept in step by hand disagree in some interleaving,
//! and then an entry stays for ever or a waiter is never told; one lock around all of them makes every request wait.
//!
//! # Invariants
//!
//! - A stream ends once, and whoever ends it takes it out of the map and tells both sides.
//! - A registrant gets exactly one answer.

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
    error::{ClaimError, ParseStreamIdError, Rejected, StreamError, Tombstoned},
    id::StreamId,
    life::StreamKind,
    map::{DefaultStreamMap, StreamEntry, StreamMap},
    registrant::{Registration, StreamReceiver},
    registry::{StreamRegistry, StreamRegistryConfig, StreamStats},
};
