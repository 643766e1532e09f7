//! The router of phases: examples, an oracle and recorded histories, on every map.
#![cfg(not(inflight_loom))]

mod backends;
mod config;
mod key;
mod linearizability;
mod occupancy;
mod oracle;
mod phase;
mod presets;
mod router;
#[cfg(feature = "serde")]
mod serde;
mod telemetry;
#[cfg(feature = "text")]
mod text;
