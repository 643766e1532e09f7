//! The choice of a router: examples, an oracle, recorded histories and stress, on every map.
#![cfg(not(inflight_loom))]

mod backends;
mod feed;
#[cfg(feature = "http")]
mod headers;
mod linearizability;
mod manager;
mod naive;
mod oracle;
mod rules;
#[cfg(feature = "serde")]
mod serde;
mod stress;
#[cfg(feature = "tokio")]
mod subscribe;
mod telemetry;
