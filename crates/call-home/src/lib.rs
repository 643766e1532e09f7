//! Streams for which workers call their frontend home, over TCP.
//!
#![cfg_attr(
    any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"),
    doc = include_str!("../README.md")
)]
//!
//! # Design
//!
//! - The wire format is a pure function of bytes, in a file of its own, which documents it.
//! - A link is a connection under deadlines; a pump moves one stream over a link. Both sides use the same ones.
//! - The server registers streams, accepts connections and connects the two; what is in flight, the registry knows.
//!
//! # Why
//!
//! Each module says what was tried. In short: a server that keeps a table of its connections beside a registry of its
//! streams has to keep the two in step, and a request hangs wherever they are not.
//!
//! # Invariants
//!
//! - A connection costs one task, and ends with its handshake's deadline or with its stream.
//! - An end is clean only if each side has said so; everything else is a cut, with a reason.
//! - Whoever waits for a stream is told when it ends, whatever its connection does.

#![forbid(unsafe_code)]

mod accept;
mod client;
mod codec;
mod connection;
mod error;
mod frontend;
mod info;
mod link;
mod options;
mod pump;
mod server;
mod socket;
mod stream;
mod telemetry;
pub mod wire;

pub use stream_registry::{
    StreamError, StreamId, StreamKind, StreamMap, StreamRegistryConfig, StreamStats, Tombstoned,
};
pub use worker_id::EndpointInstanceId;

pub use crate::{
    client::{CallHomeClient, ResponseCall},
    error::{BindError, CallError, Cut, OptionsError, SendError},
    frontend::{FrontendEnd, PendingStream},
    info::ConnectionInfo,
    options::{CallHomeOptions, Limits},
    server::{CallHomeServer, CallHomeStats},
    stream::{Signal, StreamReader, StreamWriter},
};

/// The map of a server that names none: DashMap where that feature is on, else papaya, else scc, else the locked map.
/// With none of them it stands for nothing, and using it is an error that says so.
pub type DefaultStreamMap = stream_registry::DefaultStreamMap<FrontendEnd>;

/// Streams on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapStreams = stream_registry::DashMapStreams<FrontendEnd>;

/// Streams on papaya.
#[cfg(feature = "papaya")]
pub type PapayaStreams = stream_registry::PapayaStreams<FrontendEnd>;

/// Streams on scc.
#[cfg(feature = "scc")]
pub type SccStreams = stream_registry::SccStreams<FrontendEnd>;

/// Streams on one locked `HashMap`, the baseline of ADR-0004.
#[cfg(feature = "rwlock")]
pub type RwLockStreams = stream_registry::RwLockStreams<FrontendEnd>;
