//! The allocator itself: the system's, with a note of each success.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::counts;

/// [`System`], counted. Install it with `#[global_allocator]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

// SAFETY: every block comes from `System` and goes back to it, with the pointer, layout and size that the caller gave.
// Counting touches a thread-local without a destructor, and atomics: it neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps this method's contract, which is also `System`'s.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            counts::allocated(layout.size());
        }
        block
    }

    // Not left to the default, which would write the zeros: fresh pages from the system are zero without being touched.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps this method's contract, which is also `System`'s.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            counts::allocated(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps this method's contract; the block came from `System`, as all do.
        unsafe { System.dealloc(block, layout) };
        counts::freed(layout.size());
    }

    // Not left to the default, which would always move the block, and count as an allocation and a deallocation.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps this method's contract; the block came from `System`, as all do.
        let moved = unsafe { System.realloc(block, layout, new_size) };
        if !moved.is_null() {
            counts::reallocated(layout.size(), new_size);
        }
        moved
    }
}
