//! The pins and the router: examples, an oracle, recorded histories and stress, on every map.
#![cfg(not(inflight_loom))]

mod backends;
#[cfg(feature = "conformance")]
mod conformance;
#[cfg(any(
    feature = "dashmap",
    feature = "papaya",
    feature = "scc",
    feature = "rwlock"
))]
mod flood;
mod key;
mod linearizability;
mod oracle;
mod router;
#[cfg(feature = "serde")]
mod serde;
mod store;
mod stress;
#[cfg(feature = "tokio")]
mod sweeper;
#[cfg(feature = "conformance")]
mod teeth;
mod traits;
