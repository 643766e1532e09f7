//! The tracker: examples, an oracle, recorded histories and stress, on every map.
#![cfg(not(inflight_loom))]

mod backends;
mod linearizability;
mod naive;
mod oracle;
#[cfg(feature = "serde")]
mod serde;
mod stress;
mod telemetry;
mod tracker;
#[cfg(feature = "tokio")]
mod watch;
