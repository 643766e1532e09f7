//! The store on a real server, which each test starts for itself.

mod config;
mod conformance;
mod faults;
mod linearizability;
mod neighbours;
mod processes;
mod server;
mod sweeping;
#[cfg(feature = "tls")]
mod tls;
mod wire;
