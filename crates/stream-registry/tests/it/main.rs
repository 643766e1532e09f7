//! The registry of streams: examples, recorded histories and a changing fleet, on every map.
#![cfg(not(inflight_loom))]

mod backends;
mod callbacks;
mod fleet;
mod id;
mod instances;
mod linearizability;
mod registry;
#[cfg(feature = "serde")]
mod serde;
mod streams;
mod support;
