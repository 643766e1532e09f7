//! The maps: recorded histories, their configuration, what may cross threads, and the contract on the model maps.
#![cfg(not(inflight_loom))]

#[cfg(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
))]
mod config;
#[cfg(all(feature = "conformance", feature = "model"))]
mod conformance_model;
#[cfg(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock",
    feature = "model"
))]
mod linearizability;
mod traits;
