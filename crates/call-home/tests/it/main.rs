//! The transport: its bytes, its ends and refusals, and whole processes that call home, on every map.

mod backends;
mod cancellation;
mod churn;
mod common;
mod lifecycle;
#[cfg(feature = "dashmap")]
mod options;
#[cfg(unix)]
mod processes;
#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "dashmap")]
mod telemetry;
#[cfg(feature = "tls")]
mod tls;
mod wire;
