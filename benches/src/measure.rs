//! Measures one arm in this process, a slice at a time: pinned threads that start together, a warm-up, a slice.
//!
//! # Design
//!
//! A slice begins and ends at moments that all threads share, so that they work throughout it at the same time. Its clock is
//! read once a round, never around single operations: a read costs as much as one.
//!
//! Between two slices the process sleeps, while those of the other arms have their turns.
//!
//! # Why
//!
//! Turns of a slice, not of a whole process: the speed of a shared machine changes by a factor of two within seconds. Arms
//! that were measured a third of a second each, one after the other, mostly saw different machines; arms that take turns of
//! a two-hundredth see the same. What a turn finds in the caches is another's, hence a warm-up before each.
//!
//! Threads of a turn, not of the process. With threads that stay, two that joined workers were in one of two modes for as long
//! as their process lived (7 or 13.5 µs an operation, by whether they took the lock in turns), and A/A' was -90 to 50 %; with
//! fresh ones it varies by 1.3 %.

use std::hint::spin_loop;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::thread::{CpuSet, sched_setaffinity};
use verdict::schema::Slice;

use crate::planted::slowed;
use crate::scenario::{Share, Shares};

/// How long to work before the first slice: branch predictors, lazily made tables, a first churn. It finds caches warm that are
/// its own, as no later one does, so whoever asks for turns throws it away.
const FIRST_WARM_UP: Duration = Duration::from_millis(50);
/// How long to work before each later one, for the caches.
const WARM_UP: Duration = Duration::from_micros(1_500);
/// The length of a slice.
const SLICE: Duration = Duration::from_millis(5);
/// Its length where threads share cores: each has a turn, and loses its core in the middle of things.
const CROWDED_SLICE: Duration = Duration::from_millis(40);

/// One arm, ready to be measured.
#[expect(missing_debug_implementations, reason = "shares have nothing to show")]
pub struct Measuring {
    shares: Shares,
    cores: Vec<u32>,
    warm_up: Duration,
}

impl Measuring {
    /// Of these shares, one a thread, pinned to these cores in turn. `planted` slows them down by that
    /// share of their time, if they are of the arm that can be ([`PLANTED`](crate::scenario::PLANTED)).
    #[must_use]
    pub fn new(shares: Shares, planted: Option<f64>, cores: Vec<u32>) -> Self {
        let shares = match planted {
            Some(extra) => slowed(shares, extra),
            None => shares,
        };
        Self {
            shares,
            cores,
            warm_up: FIRST_WARM_UP,
        }
    }

    /// Works for a warm-up and a slice, and answers with the slice.
    ///
    /// # Panics
    ///
    /// With the panic of a share whose operations did not do what they should.
    pub fn slice(&mut self) -> Slice {
        let cores = &self.cores;
        let crowded = self.shares.len() > cores.len();
        let length = if crowded { CROWDED_SLICE } else { SLICE };
        let waiting =
            AtomicU32::new(u32::try_from(self.shares.len()).expect("a handful of threads"));
        let all_are_here = OnceLock::new();
        let warm_up = self.warm_up;
        self.warm_up = WARM_UP;
        let parts = on_threads(&mut self.shares, cores, |number, share| {
            waiting.fetch_sub(1, Ordering::AcqRel);
            while waiting.load(Ordering::Acquire) > 0 {
                // More threads than cores would spin in the place of those they wait for.
                if cores.len() > number {
                    spin_loop();
                } else {
                    thread::yield_now();
                }
            }
            let start = *all_are_here.get_or_init(Instant::now) + warm_up;
            work_until(share, start);
            let own = part(share, start + length, number == 0);
            if crowded {
                // Its own time would leave out how long it waited for a core before it began.
                let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
                Slice { nanos, ..own }
            } else {
                own
            }
        });
        together(&parts)
    }
}

/// Runs `work` on a pinned thread for each share, with the share's number, and answers with what they return.
fn on_threads<T: Send>(
    shares: &mut Shares,
    cores: &[u32],
    work: impl Fn(usize, &mut dyn Share) -> T + Sync,
) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let shares = shares.iter_mut().zip(cores.iter().cycle()).enumerate();
        let threads: Vec<_> = shares
            .map(|(number, (share, &core))| {
                scope.spawn(move || {
                    pin(core);
                    work(number, &mut **share)
                })
            })
            .collect();
        let done = |thread: thread::ScopedJoinHandle<'_, T>| thread.join();
        let done = threads.into_iter().map(done);
        done.map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// The slices of all threads as one.
fn together(parts: &[Slice]) -> Slice {
    let threads = parts.len() as u64;
    let sum = |of: fn(&Slice) -> u64| parts.iter().map(of).sum::<u64>();
    let most = |of: fn(&Slice) -> u64| parts.iter().map(of).max().unwrap_or_default();
    Slice {
        ops: sum(|part| part.ops),
        // They end within a round of each other.
        nanos: sum(|part| part.nanos) / threads.max(1),
        run_delay_nanos: most(|part| part.run_delay_nanos),
        steal_ticks: most(|part| part.steal_ticks),
    }
}

/// What one thread does until `end`.
fn part(share: &mut dyn Share, end: Instant, watches_steal: bool) -> Slice {
    let steal = || if watches_steal { steal_ticks() } else { 0 };
    let (delay_before, steal_before, start) = (run_delay(), steal(), Instant::now());
    let ops = work_until(share, end);
    let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Slice {
        ops,
        nanos,
        run_delay_nanos: run_delay().saturating_sub(delay_before),
        steal_ticks: steal().saturating_sub(steal_before),
    }
}

/// A round at least: some take longer than a slice.
fn work_until(share: &mut dyn Share, end: Instant) -> u64 {
    let mut ops = 0;
    while ops == 0 || Instant::now() < end {
        ops += share.round();
    }
    ops
}

/// Keeps this thread on a core, where the system lets it. Without it figures are noisier, and the run delay shows it.
pub fn pin(core: u32) {
    let mut set = CpuSet::new();
    set.set(core as usize);
    let _ = sched_setaffinity(None, &set);
}

/// How long this thread has been runnable and not run, in nanoseconds; 0 where the kernel does not say.
fn run_delay() -> u64 {
    field("/proc/thread-self/schedstat", 1)
}

/// Ticks that the hypervisor has given to others, over all cores; 0 where the kernel does not say.
fn steal_ticks() -> u64 {
    field("/proc/stat", 8)
}

/// A number in the first line of a file.
fn field(path: &str, place: usize) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut fields = text.lines().next().unwrap_or_default().split_whitespace();
    let field = fields.nth(place);
    field
        .and_then(|field| field.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round that takes so long.
    struct Spinning(Duration);

    impl Share for Spinning {
        fn round(&mut self) -> u64 {
            let start = Instant::now();
            while start.elapsed() < self.0 {
                spin_loop();
            }
            1
        }
    }

    fn slice(rounds: &[Duration], cores: &[u32]) -> Slice {
        let shares = rounds.iter();
        let shares = shares.map(|&round| Box::new(Spinning(round)) as Box<dyn Share>);
        Measuring::new(shares.collect(), None, cores.to_vec()).slice()
    }

    #[test]
    fn a_round_that_is_longer_than_a_slice_is_measured_all_the_same() {
        let round = Duration::from_millis(60);
        let slice = slice(&[round], &[0]);
        assert_eq!(slice.ops, 1);
        assert!(u128::from(slice.nanos) >= round.as_nanos(), "{slice:?}");
    }

    #[test]
    fn where_threads_share_a_core_the_time_is_the_walls() {
        let slice = slice(&[Duration::from_micros(100); 3], &[0]);
        assert_eq!(u128::from(slice.nanos), CROWDED_SLICE.as_nanos());
        assert!(slice.ops >= 3, "{slice:?}");
    }
}
