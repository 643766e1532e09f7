//! The one place that chooses between std's synchronisation and loom's.
//!
//! Crates that are model-checked on top of this one take their atomics and locks from here, so that a
//! build with `--cfg inflight_loom` sees every access. Outside such a build these are std's own types,
//! re-exported; nothing here is part of the stable interface.

#[cfg(not(inflight_loom))]
pub use std::{
    hint::spin_loop,
    sync::{Mutex, MutexGuard, PoisonError, atomic},
    thread::yield_now,
};

#[cfg(inflight_loom)]
pub use loom::{
    hint::spin_loop,
    sync::{Mutex, MutexGuard, atomic},
    thread::yield_now,
};
#[cfg(inflight_loom)]
pub use std::sync::PoisonError;

/// Locks `mutex`, ignoring poison: for locks under which no foreign code runs, so that a panic cannot
/// have left the data between two states.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
