//! Session pins that several routers share, on a Redis or Valkey server.
//!
#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! - A pin is one key of the server's, which expires by itself. A use is one command that reads it and sets its expiry.
//! - A write is one script: a condition, a deed, and an answer that says what holds now. All of them are one script.
//! - Engine-backed bindings are in an index besides, from which sweepers claim those whose pin is gone.
//!
//! # Why
//!
//! - *The server's own expiry, not a deadline in the record*: then every lookup would be a script that compares, and each
//!   router-only pin would have to be swept.
//! - *Generations from the server's clock, and counted up within a microsecond*: a plain counter begins anew when the
//!   server loses its memory, and a router that observed generation 5 before would take another binding for it.
//! - *A condition by value, not `WATCH`*: one round trip, and no retry loop.
//!
//! # Invariants
//!
//! - Where a pin is, and until when, is known by its key and nowhere else.
//! - A member of the index is of a live binding, or of one that ran out and is still to be told. Whoever ends a live
//!   binding takes its member along in the same script.

#![forbid(unsafe_code)]

mod config;
mod connection;
mod error;
mod keys;
mod record;
mod store;
mod sweep;

pub use crate::{
    config::{ConfigError, DurationField, RedisStoreConfig},
    error::ConnectError,
    store::RedisStore,
    sweep::Swept,
};
