//! The choice of a router: examples, an oracle, recorded histories and stress, on every map.
#![cfg(not(inflight_loom))]

mod backends;

//mod headers;
//mod linearizability;
//mod manager;
mod naive;
mod oracle;
//mod rules;

//mod serde;
//mod stress;

//mod subscribe;
//mod telemetry;
