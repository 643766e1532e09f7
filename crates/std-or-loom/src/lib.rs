//! std's locks and atomics, or loom's in a build for model checking.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod sync;

pub use crate::sync::{Mutex, MutexGuard, PoisonError, atomic, lock, spin_loop, yield_now};
