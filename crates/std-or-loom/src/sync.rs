//! The choice between the two, in one place.

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

/// Locks `mutex`, and passes over poison: for locks under which no code of the user's runs, so that
/// a panic cannot have left the data between two states. Waits for whoever holds it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
