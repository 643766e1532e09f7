//! Without the allocator installed, as here, nothing answers zero: everything that reads a count says what is missing.

use alloc_count::{
    assert_no_alloc, measure, process_live_bytes, process_peak_bytes, thread_counts,
};

#[test]
#[should_panic(expected = "write `#[global_allocator] static")]
fn measuring_panics() {
    let _ = measure(|| ());
}

#[test]
#[should_panic(expected = "write `#[global_allocator] static")]
fn asserting_no_allocation_panics() {
    assert_no_alloc(|| ());
}

#[test]
#[should_panic(expected = "write `#[global_allocator] static")]
fn reading_the_counts_of_a_thread_panics() {
    let _ = thread_counts();
}

#[test]
#[should_panic(expected = "write `#[global_allocator] static")]
fn reading_the_gauge_panics() {
    let _ = process_live_bytes();
}

#[test]
#[should_panic(expected = "write `#[global_allocator] static")]
fn reading_the_peak_panics() {
    let _ = process_peak_bytes();
}
