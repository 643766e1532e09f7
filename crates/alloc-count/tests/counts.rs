//! What a thread allocates is counted exactly, and what others allocate is not.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::panic::catch_unwind;
use std::sync::mpsc;
use std::thread;

use alloc_count::{CountingAllocator, Counts, assert_no_alloc, measure, thread_counts};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const NOTHING: Counts = Counts {
    allocations: 0,
    deallocations: 0,
    reallocations: 0,
    bytes_allocated: 0,
    bytes_freed: 0,
};

#[test]
fn what_touches_no_heap_counts_nothing() {
    let (sum, counts) = measure(|| black_box([1_u64; 64]).iter().sum::<u64>());
    assert_eq!((sum, counts), (64, NOTHING));
    assert_eq!(counts, Counts::default());
}

#[test]
fn a_box_is_one_allocation_and_its_drop_one_deallocation() {
    let (boxed, counts) = measure(|| black_box(Box::new([0_u8; 48])));
    let one = Counts {
        allocations: 1,
        bytes_allocated: 48,
        ..NOTHING
    };
    assert_eq!(counts, one);
    assert_eq!(counts.live_bytes(), 48);

    let ((), counts) = measure(|| drop(boxed));
    let one = Counts {
        deallocations: 1,
        bytes_freed: 48,
        ..NOTHING
    };
    assert_eq!(counts, one);
    assert_eq!(counts.live_bytes(), -48);
}

#[test]
fn a_reallocation_is_counted_as_such_growing_or_shrinking() {
    let (mut bytes, _) = measure(|| black_box(Vec::<u8>::with_capacity(100)));
    let resized = |from, to| Counts {
        reallocations: 1,
        bytes_allocated: to,
        bytes_freed: from,
        ..NOTHING
    };
    bytes.resize(100, 1);
    let ((), counts) = measure(|| bytes.reserve_exact(900));
    assert_eq!(counts, resized(100, 1_000));
    assert_eq!(counts.live_bytes(), 900);
    let ((), counts) = measure(|| bytes.shrink_to(100));
    assert_eq!(counts, resized(1_000, 100));
}

#[test]
fn a_vector_with_room_grows_for_nothing() {
    let mut numbers = Vec::<u64>::with_capacity(32);
    let ((), counts) = measure(|| numbers.extend(black_box(0..32)));
    assert_eq!(counts, NOTHING);
    let ((), counts) = measure(|| numbers.push(black_box(32)));
    assert_eq!((counts.allocations, counts.reallocations), (0, 1));
}

#[test]
fn a_zeroed_block_is_one_allocation_of_its_size() {
    let (zeroed, counts) = measure(|| black_box(vec![0_u8; 4_096]));
    let one = Counts {
        allocations: 1,
        bytes_allocated: 4_096,
        ..NOTHING
    };
    assert_eq!(counts, one);
    assert!(zeroed.iter().all(|&byte| byte == 0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_zeroed_block_is_not_touched_before_its_user_does() {
    let resident_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("a mounted /proc");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<u64>().ok()).expect("VmRSS")
    };
    let before = resident_kib();
    let zeroed = black_box(vec![0_u8; 256 << 20]);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB became resident");
    drop(zeroed);
}

#[test]
fn what_failed_is_not_counted() {
    let huge = Layout::from_size_align(isize::MAX as usize - 4_095, 1).expect("a valid layout");
    let small = Layout::new::<u64>();
    // SAFETY: the layout is not empty.
    let kept = unsafe { ALLOCATOR.alloc(small) };
    let ((), counts) = measure(|| {
        // SAFETY: the layout is not empty.
        let block = unsafe { ALLOCATOR.alloc(huge) };
        assert!(block.is_null(), "half the address space was granted");
        // SAFETY: the layout is not empty.
        let block = unsafe { ALLOCATOR.alloc_zeroed(huge) };
        assert!(block.is_null(), "half the address space was granted");
        // SAFETY: the block is of this layout, and the new size neither zero nor beyond what a layout may have.
        let block = unsafe { ALLOCATOR.realloc(kept, small, huge.size()) };
        assert!(block.is_null(), "half the address space was granted");
    });
    assert_eq!(counts, NOTHING);
    // SAFETY: the block is still of this layout, since it could not be reallocated.
    unsafe { ALLOCATOR.dealloc(kept, small) };
}

#[test]
fn what_another_thread_allocates_is_not_counted_here() {
    let (start, started) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    let other = thread::spawn(move || {
        started.recv().expect("the test still runs");
        let (boxed, counts) = measure(|| black_box(Box::new([0_u8; 1_000])));
        assert_eq!(counts.bytes_allocated, 1_000);
        finish.send(boxed).expect("the test still runs");
    });
    let mut theirs = None;
    let ((), counts) = measure(|| {
        start.send(()).expect("the thread still runs");
        theirs = finished.recv().ok();
    });
    assert!(counts.bytes_allocated < 1_000, "{counts:?}");
    other.join().expect("no panic there");

    let ((), counts) = measure(|| drop(theirs));
    assert_eq!(counts.live_bytes(), -1_000, "freed here, allocated there");
}

#[test]
fn a_thread_is_counted_to_its_very_end() {
    struct AtExit(mpsc::Sender<Counts>);
    impl Drop for AtExit {
        fn drop(&mut self) {
            let (_, counts) = measure(|| black_box(Box::new(0_u64)));
            self.0.send(counts).expect("the test still runs");
        }
    }
    thread_local! {
        static AT_EXIT: std::cell::OnceCell<AtExit> = const { std::cell::OnceCell::new() };
    }
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || AT_EXIT.with(|cell| cell.set(AtExit(sender)).is_ok()));
    let counts = receiver.recv().expect("the destructor runs");
    assert_eq!((counts.allocations, counts.bytes_allocated), (1, 8));
}

#[test]
fn a_nested_measurement_belongs_to_both() {
    let ((inner, kept), outer) = measure(|| {
        let first = black_box(Box::new([0_u8; 10]));
        let (second, inner) = measure(|| black_box(Box::new([0_u8; 20])));
        (inner, (first, second))
    });
    assert_eq!((inner.allocations, inner.bytes_allocated), (1, 20));
    assert_eq!((outer.allocations, outer.bytes_allocated), (2, 30));
    drop(kept);
}

#[test]
fn a_threads_counts_only_ever_grow() {
    let before = thread_counts();
    drop(black_box(Box::new(0_u32)));
    let one_of_each = Counts {
        allocations: 1,
        deallocations: 1,
        bytes_allocated: 4,
        bytes_freed: 4,
        ..NOTHING
    };
    assert_eq!(thread_counts() - before, one_of_each);
}

#[test]
fn asserting_no_allocation_forbids_growth_and_allows_freeing() {
    let boxed = black_box(Box::new(7));
    assert_eq!(assert_no_alloc(|| *boxed), 7);
    assert_no_alloc(|| drop(boxed));

    let message = |work: fn()| {
        let panic = catch_unwind(|| assert_no_alloc(work)).expect_err("no panic");
        *panic.downcast::<String>().expect("a formatted panic")
    };
    let allocates = message(|| drop(black_box(Box::new(0_u64))));
    assert!(allocates.contains("allocations: 1,"), "{allocates}");
}

#[test]
fn asserting_no_allocation_forbids_reallocation() {
    let mut numbers = black_box(vec![1_u8]);
    let grow = std::panic::AssertUnwindSafe(|| assert_no_alloc(|| numbers.reserve_exact(100)));
    let panic = catch_unwind(grow).expect_err("no panic");
    let message = panic.downcast::<String>().expect("a formatted panic");
    assert!(message.contains("reallocations: 1,"), "{message}");
}
