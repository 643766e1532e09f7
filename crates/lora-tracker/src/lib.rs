//! Which LoRA adapters are loaded on which workers, one consistent answer at a time.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! All that a reader can ask stands in one immutable *snapshot*, which is published as a whole. A
//! change is made on the snapshot before the current one, once nobody reads that one any more: it
//! takes the steps of the last change, and those of this one. Where somebody still reads it, the
//! change goes on from a copy of the current one, which shares all but what it changes. The map, a
//! type parameter, says at which *place* of the table a worker stands; it is only a hint, since the
//! row at that place says which worker it is of. What was tried instead: `adr/0005`.
//!
//! # Invariants
//!
//! 1. A snapshot does not change while anybody can read it: `Arc::get_mut` sees to that.
//! 2. In each snapshot, a registered worker is in `adapters[a].resident` or `.loading` exactly if
//!    `a` is in its row's `held`.
//! 3. A worker's place is in the map before the first snapshot that has the worker is published,
//!    and until after the first one that has not; and it stays the same in between.
//!
//! Proof: `tests/loom.rs`, recorded histories and an oracle in `tests/it`.

#![forbid(unsafe_code)]

mod adapters;
mod change;
mod config;
mod error;
mod event;
mod guard;
mod list;
mod load;
mod lora;
mod map;
mod pairs;
mod slots;
mod snapshot;
mod table;
mod tracker;
mod writer;
#[cfg(feature = "serde")]
mod written;

#[cfg(feature = "dashmap")]
pub use crate::map::DashMapLoras;
#[cfg(feature = "papaya")]
pub use crate::map::PapayaLoras;
#[cfg(feature = "rwlock")]
pub use crate::map::RwLockLoras;
#[cfg(feature = "scc")]
pub use crate::map::SccLoras;
pub use crate::{
    config::TrackerConfig,
    error::{NameRule, Rejected},
    event::{ListedWorker, LoraEvent, LoraInfo, LoraNews, MAX_NAME_LEN},
    guard::{Candidates, LoraSnapshot, WorkerIter, Workers},
    load::{LoadStart, LoadTicket, Tier},
    lora::WorkerLora,
    map::{DefaultLoraMap, LoraMap, LoraSession, StateMapSession, WorkerEntry},
    slots::{Slots, WorkerSlots},
    tracker::LoraTracker,
};
