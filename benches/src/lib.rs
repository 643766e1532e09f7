//! Workloads and baselines of Inflight's benchmarks, and the worker that measures one arm of one scenario.
//!
//! # Design
//!
//! A [`Scenario`](scenario::Scenario) is an operation with its setting, and makes for each of its arms the
//! [`Share`](scenario::Share)s of its threads. A worker process measures one arm ([`measure`]), and `cargo xtask bench`
//! runs the processes, block by block. Each scenario checks what its arms answer while it is measured: so a benchmark is
//! also a test, and no work can be optimised away.
//!
//! Beside the timings stand [`figures`] that no neighbour disturbs, taken by the binary `bench-figures`, and the [`travel`] of
//! a cache line, on which the timings depend.
//!
//! The [`serving_loop`] is the whole: five crates in one gateway, over real connections.
#![forbid(unsafe_code)]

pub mod any_map;
pub mod baselines;
pub mod catalogue;
mod changes;
mod decode_step;
pub mod figures;
pub mod free;
mod loras;
pub mod measure;
mod phase_state;
pub mod planted;
mod routers;
pub mod scenario;
pub mod serving_loop;
pub mod sessions;
pub mod streams;
mod threads;
pub mod travel;

/// The request that docs/architecture.md follows through the house, run as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/architecture.md")]
struct Architecture;
