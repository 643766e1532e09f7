//! A reader is never given the value of another cell, though the values of all cells live at the
//! same few addresses by turns.
//!
//! One publication frees a value, the next one of another cell is given its address. A reader that
//! is preempted in the middle of a `load` comes back to an address that means something else by
//! then. arc-swap 1.9.3 takes it for the value asked for; 1.9.5 does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{hint, iter, thread};

use published::Published;

const CELLS: usize = 4;
const PUBLICATIONS: u64 = 500_000;
/// More than a thread has slots for, so that a further `load` goes the way of a full thread.
const HELD: usize = 9;

/// Which cell a value is of, and the how manyth publication it is.
struct Value {
    cell: usize,
    publication: u64,
}

#[test]
fn a_reader_that_is_preempted_gets_no_value_of_another_cell() {
    let value = |cell, publication| Value { cell, publication };
    let cells: Vec<_> = (0..CELLS)
        .map(|cell| Published::new(value(cell, 0)))
        .collect();
    let still = Published::new(());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for held in [0, HELD] {
            let (cells, still, done) = (&cells, &still, &done);
            scope.spawn(move || {
                pin_to(0);
                let _held: Vec<_> = iter::repeat_with(|| still.load()).take(held).collect();
                let mut newest = [0; CELLS];
                while !done.load(Ordering::Relaxed) {
                    for ((asked, cell), newest) in cells.iter().enumerate().zip(&mut newest) {
                        let reading = cell.load();
                        assert_eq!(reading.cell, asked, "the value of another cell");
                        assert!(reading.publication >= *newest, "an older value");
                        *newest = reading.publication;
                    }
                }
            });
        }
        // Takes the readers' core from them for a moment, wherever in a `load` they are.
        let preempting = scope.spawn(|| {
            pin_to(0);
            while !done.load(Ordering::Relaxed) {
                thread::park();
                (0..100).for_each(|_| hint::spin_loop());
            }
        });
        pin_to(1);
        for (publication, (at, cell)) in (1..=PUBLICATIONS).zip(cells.iter().enumerate().cycle()) {
            if publication % 64 == 0 {
                preempting.thread().unpark();
            }
            cell.publish(Arc::new(value(at, publication)));
        }
        done.store(true, Ordering::Relaxed);
        preempting.thread().unpark();
    });
}

/// Keeps this thread on the first or second core that it may use, where there are two.
#[cfg(target_os = "linux")]
fn pin_to(nth: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let allowed = sched_getaffinity(None).expect("a thread may ask for its cores");
    let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    if let Some(core) = cores.take(2).nth(nth) {
        let mut one = CpuSet::new();
        one.set(core);
        sched_setaffinity(None, &one).expect("one of the cores that it has");
    }
}

#[cfg(not(target_os = "linux"))]
fn pin_to(_: usize) {}
