//! Measures one arm in this process: pinned threads that start together, a warm-up, slices.
//!
//! A slice ends at a moment that all threads know beforehand, so that they work throughout it at the same time. Its clock is
//! read once a round, never around single operations: a read costs as much as one.

use std::fs;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use verdict::schema::Slice;

use crate::scenario::{Share, Shares};

/// How long to work before measuring.
pub const WARM_UP: Duration = Duration::from_millis(50);
/// The length of a slice.
pub const SLICE: Duration = Duration::from_millis(25);
/// The slices of a worker.
pub const SLICES: u32 = 10;

/// Runs the shares, one a thread, and answers with the slices. `planted` slows every round down by that share of its time.
///
/// # Panics
///
/// With the panic of a share whose operations did not do what they should.
#[must_use]
pub fn measure(shares: Shares, planted: Option<f64>) -> Vec<Slice> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let waiting = AtomicU32::new(u32::try_from(shares.len()).expect("a handful of threads"));
    let parts: Vec<Vec<Part>> = thread::scope(|scope| {
        let threads: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(number, mut share)| {
                let waiting = &waiting;
                scope.spawn(move || {
                    pin(number % cores);
                    waiting.fetch_sub(1, Ordering::AcqRel);
                    while waiting.load(Ordering::Acquire) > 0 {
                        // More threads than cores would spin in the place of those they wait for.
                        if cores > number {
                            spin_loop();
                        } else {
                            thread::yield_now();
                        }
                    }
                    let start = Instant::now();
                    work_until(&mut *share, start + WARM_UP, planted);
                    let end_of = |slice| start + WARM_UP + SLICE * slice;
                    (1..=SLICES)
                        .map(|slice| part(&mut *share, end_of(slice), planted, number == 0))
                        .collect()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    (0..SLICES as usize)
        .map(|slice| together(parts.iter().map(|own| own[slice])))
        .collect()
}

/// What one thread did in a slice.
#[derive(Clone, Copy)]
struct Part {
    ops: u64,
    nanos: u64,
    run_delay_nanos: u64,
    steal_ticks: u64,
}

fn together(parts: impl ExactSizeIterator<Item = Part>) -> Slice {
    let threads = parts.len() as u64;
    let mut slice = Slice {
        ops: 0,
        nanos: 0,
        run_delay_nanos: 0,
        steal_ticks: 0,
    };
    for part in parts {
        slice.ops += part.ops;
        slice.nanos += part.nanos;
        slice.run_delay_nanos = slice.run_delay_nanos.max(part.run_delay_nanos);
        slice.steal_ticks = slice.steal_ticks.max(part.steal_ticks);
    }
    // They end within a round of each other.
    slice.nanos /= threads.max(1);
    slice
}

fn part(share: &mut dyn Share, end: Instant, planted: Option<f64>, watches_steal: bool) -> Part {
    let steal = || if watches_steal { steal_ticks() } else { 0 };
    let (delay_before, steal_before, start) = (run_delay(), steal(), Instant::now());
    let ops = work_until(share, end, planted);
    let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Part {
        ops,
        nanos,
        run_delay_nanos: run_delay().saturating_sub(delay_before),
        steal_ticks: steal().saturating_sub(steal_before),
    }
}

fn work_until(share: &mut dyn Share, end: Instant, planted: Option<f64>) -> u64 {
    let mut ops = 0;
    let mut now = Instant::now();
    while now < end {
        ops += share.round();
        let then = now;
        now = Instant::now();
        if let Some(extra) = planted {
            let until = now + (now - then).mul_f64(extra);
            while now < until {
                now = Instant::now();
            }
        }
    }
    ops
}

/// Without it, figures are noisier, and the run delay shows it.
pub(crate) fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

/// How long this thread has been runnable and not run, in nanoseconds; 0 where the kernel does not say.
fn run_delay() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or_default()
}

/// Ticks that the hypervisor has given to others, over all cores; 0 where the kernel does not say.
fn steal_ticks() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let cpus = text.lines().next().unwrap_or_default();
    cpus.split_whitespace()
        .nth(8)
        .and_then(|field| field.parse().ok())
        .unwrap_or_default()
}
