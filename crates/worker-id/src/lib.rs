//! The identities of workers and endpoint instances in an inference fleet.
//!
//! - [`WorkerWithDpRank`]: a worker, one of its data-parallel ranks, and optionally which
//!   *incarnation* of the worker it is. 24 bytes, [`Copy`], made to be the key of a map.
//! - [`EndpointInstanceId`]: one instance of `namespace/component/endpoint`. 32 bytes, cloned by
//!   one increment of a reference count.
//!
//! Both have one text form, which `FromStr` takes back and nothing else, and, with the feature
//! `serde`, one form with named fields.
//!
//! # Design
//!
//! Identities are plain values: no registry, no interning, no I/O, no clock, no global state.
//! Whatever can be wrong with one is found when it is made, by constructor, text or serde alike;
//! after that no operation fails.
//!
//! # Why
//!
//! - *An incarnation that equality ignores.* A map keyed by worker must find the entry of a worker
//!   that has restarted under its old id, precisely to find out that it has. As part of the key,
//!   the incarnation would leave the old entry behind, unreachable and unswept.
//! - *One text per value.* Text ends up as a key in stores and logs that know nothing of this
//!   crate. If `7`, `07` and `7:0` all named one worker, those would hold it three times.
//! - *One shared path, not three strings.* Three `Arc<str>` are three increments a clone and 56
//!   bytes; an interned number is smaller still, but needs a global table that somebody must empty.
//!   The hash is not stored: a stored one could not be keyed by the map, which is the map's defence
//!   against chosen keys.
//!
//! # Invariants
//!
//! 1. `a == b` exactly if `a.cmp(&b)` is equal, and then both hash alike.
//! 2. `text.parse()` succeeds exactly if some value displays as `text`; that value is the result.
//! 3. [`WorkerWithDpRank::same_incarnation`] is an equivalence relation, and implies `==`.
//! 4. Every name in an [`EndpointInstanceId`] has 1 to
//!    [`MAX_NAME_LEN`](EndpointInstanceId::MAX_NAME_LEN) bytes, and no `/`, whitespace or control
//!    character.

#![forbid(unsafe_code)]

mod error;
mod instance;
#[cfg(feature = "serde")]
mod serde;
mod text;
mod worker;

pub use crate::{
    error::{
        NameError, NameField, NameRule, NumberRule, ParseEndpointInstanceError, ParseWorkerError,
        WorkerPart,
    },
    instance::EndpointInstanceId,
    worker::WorkerWithDpRank,
};

/// Compiles and runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
