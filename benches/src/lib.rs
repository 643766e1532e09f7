//! Workloads and baselines of Inflight's benchmarks.
#![forbid(unsafe_code)]

pub mod baselines;
pub mod phase_state;
