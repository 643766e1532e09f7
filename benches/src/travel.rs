//! How long a cache line takes from one core to another.
//!
//! Two threads, pinned, hand one line to and fro for most of a millisecond. What counts is the
//! median of short batches of trips, so that a thread that loses its core spoils a batch and not
//! the probe. Why it is asked: it decides between maps, it changes within seconds where a host
//! moves its virtual cores, and nothing else shows it.

use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::pin;

/// How long trips are made.
const LENGTH: Duration = Duration::from_micros(800);
/// Trips, there and back, between two looks at the clock.
const BATCH: u64 = 64;
/// What the line holds when no more trips come.
const END: u64 = u64::MAX;

/// A line of its own, and of the neighbour that some processors fetch along.
#[repr(align(128))]
struct Line(AtomicU64);

/// The time one way, in nanoseconds.
///
/// # Panics
///
/// If a thread cannot be started.
#[must_use]
pub fn probe(here: u32, there: u32) -> f64 {
    let line = &Line(AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(move || {
            pin(there);
            answer(line);
        });
        let asking = scope.spawn(move || {
            pin(here);
            ask(line)
        });
        asking.join().expect("it does not panic")
    })
}

/// Writes odd numbers, and waits for the even one after each.
fn ask(Line(line): &Line) -> f64 {
    let mut last = 0;
    let mut trip = || {
        // Relaxed, here and below: the line is all that the threads tell each other.
        line.store(last + 1, Relaxed);
        last += 2;
        while line.load(Relaxed) != last {
            spin_loop();
        }
    };
    // The other thread may still be on its way.
    trip();
    let mut now = Instant::now();
    let end = now + LENGTH;
    let mut batches = Vec::with_capacity(1_024);
    while now < end {
        (0..BATCH).for_each(|_| trip());
        let then = now;
        now = Instant::now();
        batches.push((now - then).as_secs_f64() * 1e9 / (2 * BATCH) as f64);
    }
    line.store(END, Relaxed);
    verdict::stats::median(&mut batches).expect("a batch at least")
}

fn answer(Line(line): &Line) {
    let mut expected = 1;
    loop {
        match line.load(Relaxed) {
            END => return,
            seen if seen == expected => {
                line.store(expected + 1, Relaxed);
                expected += 2;
            }
            // The other thread has not written yet.
            _ => spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_takes_time_to_travel() {
        let nanos = super::probe(0, 1);
        assert!(nanos.is_finite() && nanos > 0.0, "{nanos}");
    }
}
