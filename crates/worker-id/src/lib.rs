//! The identities of workers and endpoint instances in an inference fleet, and which news of a
//! worker is believed.
//!
//! - [`WorkerWithDpRank`]: a worker, one of its data-parallel ranks, and optionally which
//!   *incarnation* of the worker it is. 24 bytes, [`Copy`], made to be the key of a map.
//!   [`WorkerRanks`] is one rank of it, or all.
//! - [`EndpointInstanceId`]: one instance of `namespace/component/endpoint`. 32 bytes, cloned by
//!   one increment of a reference count.
//! - [`WorkerState`]: healthy, ill or draining.
//! - [`Lives`]: decides which news of a worker is believed, by the rules that every crate here
//!   shares.
//!
//! Identities have one text form, which `FromStr` takes back and nothing else, and, with the
//! feature `serde`, one form with named fields.
//!
//! # Why
//!
//! - *An incarnation that equality ignores.* A map keyed by worker must find the entry of a worker
//!   that has restarted under its old id, precisely to find out that it has. As part of the key,
//!   the incarnation would leave the old entry behind, unreachable and unswept.
//! - *One text per value.* Text ends up as a key in stores and logs that know nothing of this
//!   crate. If `7`, `07` and `7:0` all named one worker, those would hold it three times.
//! - *One shared path, not three strings.* Three `Arc<str>` are three increments a clone and 56
//!   bytes.
//!
//! # Invariants
//!
//! 1. `a == b` exactly if `a.cmp(&b)` is equal, and then both hash alike.
//! 2. `text.parse()` succeeds exactly if some value displays as `text`; that value is the result.
//! 3. [`WorkerWithDpRank::same_incarnation`] is an equivalence relation, and implies `==`.
//! 4. Every name in an [`EndpointInstanceId`] has 1 to
//!    [`MAX_NAME_LEN`](EndpointInstanceId::MAX_NAME_LEN) bytes, and no `/`, whitespace or control
//!    character.
//!
//! Nothing here has I/O, a clock or global state.

#![forbid(unsafe_code)]

mod error;
mod incarnation;
mod instance;
mod lives;
mod marks;
mod news;
mod ranks;
#[cfg(feature = "serde")]
mod serde;
mod state;
mod text;
mod worker;

pub use crate::{
    error::{
        NameError, NameField, NameRule, NumberRule, ParseEndpointInstanceError, ParseWorkerError,
        ParseWorkerStateError, WorkerPart,
    },
    incarnation::{Incarnation, Standing},
    instance::EndpointInstanceId,
    lives::{Known, Lives},
    news::{Effect, Ignored, News, Ruling, Says},
    ranks::{Ranks, WorkerRanks},
    state::WorkerState,
    worker::WorkerWithDpRank,
};

#[cfg(feature = "serde")]
pub use crate::serde::AsText;

/// Compiles and runs the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
