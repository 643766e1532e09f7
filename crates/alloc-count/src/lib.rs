//! A global allocator that counts, for tests and benches that promise how often, or how much, they allocate.
//!
//! ```standalone_crate
//! use alloc_count::{CountingAllocator, assert_no_alloc, measure};
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//!
//! let (numbers, counts) = measure(|| Vec::<u64>::with_capacity(100));
//! assert_eq!((counts.allocations, counts.bytes_allocated), (1, 800));
//! assert_no_alloc(|| numbers.iter().sum::<u64>());
//! ```
//!
//! # Design
//!
//! Each thread counts for itself, exactly, in a thread-local cell: [`measure`] sees what its own closure did on its own
//! thread, and a test harness that runs tests side by side does not disturb it. Besides, the process as a whole has a
//! gauge, [`process_live_bytes`] and [`process_peak_bytes`], for what several threads build together.
//!
//! # Why
//!
//! - The counts live in a `const`-initialised thread-local without a destructor: reading it neither allocates nor
//!   registers anything, so the allocator can use it from a thread's first allocation to its last.
//! - Everything that reads a count first makes sure that the allocator is installed. A forgotten `#[global_allocator]`
//!   would otherwise report that nothing ever allocates, which is what these tests hope to hear.
//! - The gauge is a counter that all threads share. A binary that measures *time* over allocations should not install this
//!   allocator; it belongs in one that measures memory.
//!
//! # Invariants
//!
//! - Only what succeeded is counted.
//! - The allocator never allocates, panics or unwinds. Assertions run after the closure, never within an allocation.

mod allocator;
mod counts;

pub use allocator::CountingAllocator;
pub use counts::Counts;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `work` and answers what this thread allocated and freed meanwhile. Measurements may be nested.
///
/// What `work` returns is dropped by the caller, and not counted.
///
/// # Panics
///
/// If the allocator is not installed.
#[must_use = "counts that nobody reads prove nothing"]
#[track_caller]
pub fn measure<R>(work: impl FnOnce() -> R) -> (R, Counts) {
    let before = thread_counts();
    let result = work();
    (result, counts::of_this_thread() - before)
}

/// Runs `work` and insists that this thread neither allocated nor reallocated meanwhile. It may have freed.
///
/// # Panics
///
/// If it did, with the counts; or if the allocator is not installed.
#[track_caller]
pub fn assert_no_alloc<R>(work: impl FnOnce() -> R) -> R {
    let (result, counts) = measure(work);
    assert!(
        counts.allocations == 0 && counts.reallocations == 0,
        "expected no allocation, but there was {counts:?}"
    );
    result
}

/// What this thread has allocated and freed since it started.
///
/// # Panics
///
/// If the allocator is not installed.
#[must_use]
#[track_caller]
pub fn thread_counts() -> Counts {
    assert_installed();
    counts::of_this_thread()
}

/// The bytes that all threads together have allocated and not freed.
///
/// # Panics
///
/// If the allocator is not installed.
#[must_use]
#[track_caller]
pub fn process_live_bytes() -> usize {
    assert_installed();
    counts::LIVE_BYTES.load(Ordering::Relaxed)
}

/// The most that [`process_live_bytes`] has been since the start, or since [`reset_process_peak`].
///
/// # Panics
///
/// If the allocator is not installed.
#[must_use]
#[track_caller]
pub fn process_peak_bytes() -> usize {
    assert_installed();
    counts::PEAK_BYTES.load(Ordering::Relaxed)
}

/// Lets the peak start again from what is live now. Approximate while other threads allocate.
pub fn reset_process_peak() {
    let live = counts::LIVE_BYTES.load(Ordering::Relaxed);
    counts::PEAK_BYTES.store(live, Ordering::Relaxed);
}

#[track_caller]
fn assert_installed() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.load(Ordering::Relaxed) {
        return;
    }
    let before = counts::of_this_thread();
    drop(black_box(Box::new(0_u8)));
    assert!(
        counts::of_this_thread() != before,
        "the counting allocator is not installed, so every count would be zero: write \
         `#[global_allocator] static ALLOCATOR: CountingAllocator = CountingAllocator;` in the binary or test"
    );
    INSTALLED.store(true, Ordering::Relaxed);
}
