//! The gauge of the whole process; in a binary of its own, with one test, so that nothing else allocates much.

use std::hint::black_box;
use std::thread;

use alloc_count::{CountingAllocator, process_live_bytes, process_peak_bytes, reset_process_peak};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MIB: usize = 1 << 20;

/// What the harness and thread start-up may take meanwhile.
const SLACK: usize = MIB;

#[track_caller]
fn assert_about(bytes: usize, expected: usize) {
    assert!(
        bytes.abs_diff(expected) < SLACK,
        "{bytes} bytes, expected about {expected}"
    );
}

#[test]
fn the_gauge_sums_up_all_threads_and_remembers_its_peak() {
    let before = process_live_bytes();
    let mut blocks: Vec<Vec<u8>> = thread::scope(|threads| {
        let block = || threads.spawn(|| black_box(Vec::with_capacity(16 * MIB)));
        [block(), block()]
            .map(|block| block.join().expect("no panic"))
            .into()
    });
    assert_about(process_live_bytes() - before, 32 * MIB);

    blocks[0].reserve_exact(48 * MIB);
    assert_about(process_live_bytes() - before, 64 * MIB);
    blocks[0].shrink_to(8 * MIB);
    assert_about(process_live_bytes() - before, 24 * MIB);
    drop(blocks);
    assert_about(process_live_bytes(), before);

    drop(black_box(Box::new(0_u8)));
    assert_about(process_peak_bytes() - before, 64 * MIB);
    reset_process_peak();
    assert_about(process_peak_bytes(), before);
}
