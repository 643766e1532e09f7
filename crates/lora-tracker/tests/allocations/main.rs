//! What is allocated, counted by this process's allocator, and therefore one test at a time.
#![cfg(not(inflight_loom))]

#[path = "../it/backends.rs"]
mod backends;
mod churn;
mod counts;
mod memory;

use std::sync::{Mutex, MutexGuard, PoisonError};

use alloc_count::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Held by a test as long as it counts.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}
