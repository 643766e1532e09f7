//! Which LoRA adapters are loaded on which workers, one consistent answer at a time.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! - All that a reader can ask stands in one immutable *snapshot*: the workers as rows of a table, and for each adapter the
//!   slice of workers that have it. A call loads it once and answers from it, so every answer is of one instant.
//! - A change is made on the snapshot *before* the current one, once nobody reads it any more: it takes the steps that the last
//!   change took, and those of this one, and is published. So it costs what it changes, and not a copy of everything.
//! - The map, a type parameter, says at which *place* of the table a worker stands. It is only ever a hint: the row at that
//!   place says which worker it is of.
//!
//! # Why
//!
//! - *Several maps, changed one after the other* is what this replaces. Readers can see them disagree, each lookup clones a
//!   set, and a change that touches two keys has no instant at which it happens.
//! - *Entries in a map, each with a published slice, and a generation that readers check and retry on* was weighed, and is as
//!   cheap to change. But a lookup then reads the map and a publication: on DashMap twice the time of one load at one
//!   thread, and five times at two, where readers take turns on a shard's lock word. A load of one snapshot scales.
//! - *A clone of everything for each change* is the simple way to publish a snapshot; at 10,000 pairs it is tens of
//!   microseconds. *A persistent tree* shares what a change leaves alone, by copying a node of pointers at each level:
//!   each pointer is two atomic operations, and two paths of them cost more than all the rest of a change.
//! - *Workers in the map, and not in a hash table of the snapshot*: there are two snapshots, and what only finds a worker need
//!   not be kept twice, nor copied. Slices hold places too, so that candidates are judged without a lookup each.
//!
//! # Invariants
//!
//! - A snapshot does not change while anybody can read it: the borrow checker sees to that, by `Arc::get_mut`.
//! - In each snapshot, a worker is in the slice of an adapter exactly if that adapter is counted in its row.
//! - A worker's place is in the map before the first snapshot that has the worker is published, and until after the first
//!   one that has not; and it stays the same in between. So a reader that does not find a worker where the map says, in the
//!   snapshot that it loaded *first*, has met an instant at which there was none.

#![forbid(unsafe_code)]

mod answer;
mod config;
mod departed;
mod error;
mod event;
mod map;
mod snapshot;
mod tracker;
mod view;
mod writer;

#[cfg(feature = "dashmap")]
pub use crate::map::DashMapLoras;
#[cfg(feature = "papaya")]
pub use crate::map::PapayaLoras;
#[cfg(feature = "rwlock")]
pub use crate::map::RwLockLoras;
#[cfg(feature = "scc")]
pub use crate::map::SccLoras;
pub use crate::{
    answer::{Candidates, LoadedWorkers, Loras, WorkerIter, Workers},
    config::TrackerConfig,
    error::{NameRule, Rejected},
    event::{LoraEvent, LoraInfo, MAX_NAME_LEN},
    map::{DefaultLoraMap, LoraMap, WorkerEntry},
    snapshot::{Slots, WorkerSlots},
    tracker::LoraTracker,
    view::LoraView,
};
