//! The counters: one set for each thread, and a gauge for the process.

use std::cell::Cell;
use std::ops::Sub;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a thread did with the allocator.
///
/// A reallocation is neither an allocation nor a deallocation, whether the block moved or not; it allocates the bytes of
/// the new block, and frees those of the old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks allocated, zeroed ones included.
    pub allocations: u64,
    /// Blocks freed.
    pub deallocations: u64,
    /// Blocks grown or shrunk.
    pub reallocations: u64,
    /// Bytes requested, not what the system rounded them up to.
    pub bytes_allocated: u64,
    /// Bytes given back, counted like those requested.
    pub bytes_freed: u64,
}

impl Counts {
    const ZERO: Self = Self {
        allocations: 0,
        deallocations: 0,
        reallocations: 0,
        bytes_allocated: 0,
        bytes_freed: 0,
    };

    /// The bytes allocated and not freed; negative where a thread freed what others had allocated.
    #[must_use]
    pub fn live_bytes(&self) -> i64 {
        self.bytes_allocated
            .wrapping_sub(self.bytes_freed)
            .cast_signed()
    }
}

impl Sub for Counts {
    type Output = Self;

    /// What happened between the reading `earlier` and this one.
    fn sub(self, earlier: Self) -> Self {
        Self {
            allocations: self.allocations - earlier.allocations,
            deallocations: self.deallocations - earlier.deallocations,
            reallocations: self.reallocations - earlier.reallocations,
            bytes_allocated: self.bytes_allocated - earlier.bytes_allocated,
            bytes_freed: self.bytes_freed - earlier.bytes_freed,
        }
    }
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts::ZERO) };
}

// Relaxed suffices: they publish nothing but themselves. A block is counted before its owner has it, and discounted by
// its last owner, so the gauge never falls below zero.
pub(crate) static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
pub(crate) static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn of_this_thread() -> Counts {
    COUNTS.with(Cell::get)
}

pub(crate) fn allocated(bytes: usize) {
    update(|counts| {
        counts.allocations += 1;
        counts.bytes_allocated += bytes as u64;
    });
    grow(bytes);
}

pub(crate) fn freed(bytes: usize) {
    update(|counts| {
        counts.deallocations += 1;
        counts.bytes_freed += bytes as u64;
    });
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

pub(crate) fn reallocated(from: usize, to: usize) {
    update(|counts| {
        counts.reallocations += 1;
        counts.bytes_allocated += to as u64;
        counts.bytes_freed += from as u64;
    });
    if from < to {
        grow(to - from);
    } else {
        LIVE_BYTES.fetch_sub(from - to, Ordering::Relaxed);
    }
}

fn update(change: impl FnOnce(&mut Counts)) {
    // An allocator must not panic. The cell has no destructor, so it outlives everything that a thread drops on exit.
    let _ = COUNTS.try_with(|cell| {
        let mut counts = cell.get();
        change(&mut counts);
        cell.set(counts);
    });
}

// A reallocation grows by the difference alone: that the old and the new block may both exist for a moment is left out.
fn grow(bytes: usize) {
    let live = LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
}
