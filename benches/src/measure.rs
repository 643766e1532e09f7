//! Measures one arm in this process, a slice for each turn that it is given.
//!
//! # Design
//!
//! A thread for each share, pinned to a core, which lives as long as the process. At a turn all work
//! towards one moment, to warm the caches, and from there to the end of the slice; between turns
//! they sleep, while the processes of other arms have theirs. The clock is read once a round, never
//! around single operations: a read costs as much as one.
//!
//! # Why
//!
//! - *Turns of a slice.* The speed of a shared machine changes by a factor of two within seconds:
//!   arms measured a third of a second each mostly saw different machines (adr/0008).
//! - *Threads that stay*, as a server's do. Fresh ones for each turn paid for what a thread makes
//!   once: an arena of the allocator, a place in a list of readers.

use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::thread::{CpuSet, sched_setaffinity};
use verdict::schema::Slice;

use crate::scenario::{Share, Shares};

/// How long to work before each slice. The first turns of a process are all warm-up: whoever asks
/// for turns throws their slices away.
const WARM_UP: Duration = Duration::from_micros(1_500);
/// The length of a slice.
const SLICE: Duration = Duration::from_millis(5);
/// Its length where threads share cores: each has a turn, and loses its core in the middle of things.
const CROWDED_SLICE: Duration = Duration::from_millis(40);

/// Works on the shares, one a thread, pinned to these cores in turn: a slice for each of `turns`,
/// until there are no more. `planted` slows every round down by that share of its time.
///
/// # Panics
///
/// With the panic of a share whose operations did not do what they should.
pub fn measure<T>(
    shares: Shares,
    planted: Option<f64>,
    cores: &[u32],
    turns: impl Iterator<Item = T>,
    mut measured: impl FnMut(Slice),
) {
    let crowded = shares.len() > cores.len();
    let length = if crowded { CROWDED_SLICE } else { SLICE };
    thread::scope(|scope| {
        let threads: Vec<_> = shares
            .into_iter()
            .zip(cores.iter().cycle())
            .enumerate()
            .map(|(number, (mut share, &core))| {
                let (begin, turns) = mpsc::channel();
                let (say, said) = mpsc::channel();
                scope.spawn(move || {
                    pin(core);
                    for start in turns {
                        work_until(&mut *share, start, planted);
                        let own = slice(&mut *share, start + length, planted, number == 0);
                        if say.send(own).is_err() {
                            break;
                        }
                    }
                });
                (begin, said)
            })
            .collect();
        for _ in turns {
            let start = Instant::now() + WARM_UP;
            for (begin, _) in &threads {
                let _ = begin.send(start);
            }
            // Of a thread that has panicked nothing comes back; the scope says why.
            let parts = threads.iter().map(|(_, said)| said.recv().ok());
            let parts: Option<Vec<Slice>> = parts.collect();
            let Some(parts) = parts else { break };
            let mut all = together(&parts);
            if crowded {
                // Their own time would leave out how long each waited for a core before it began.
                all.nanos = nanos(length);
            }
            measured(all);
        }
    });
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
fn slice(share: &mut dyn Share, end: Instant, planted: Option<f64>, watches_steal: bool) -> Slice {
    let steal = || if watches_steal { steal_ticks() } else { 0 };
    let (delay_before, steal_before, start) = (run_delay(), steal(), Instant::now());
    let ops = work_until(share, end, planted);
    Slice {
        ops,
        nanos: nanos(start.elapsed()),
        run_delay_nanos: run_delay().saturating_sub(delay_before),
        steal_ticks: steal().saturating_sub(steal_before),
    }
}

/// A round at least: some take longer than a slice.
fn work_until(share: &mut dyn Share, end: Instant, planted: Option<f64>) -> u64 {
    let mut ops = 0;
    let mut now = Instant::now();
    loop {
        ops += share.round();
        let then = now;
        now = Instant::now();
        if let Some(extra) = planted {
            let until = now + (now - then).mul_f64(extra);
            while now < until {
                now = Instant::now();
            }
        }
        if now >= end {
            return ops;
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
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
    let line = text.lines().next().unwrap_or_default();
    let field = line.split_whitespace().nth(place);
    field
        .and_then(|field| field.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round that takes so long.
    struct Sleeping(Duration);

    impl Share for Sleeping {
        fn round(&mut self) -> u64 {
            let start = Instant::now();
            while start.elapsed() < self.0 {
                std::hint::spin_loop();
            }
            1
        }
    }

    fn slices(rounds: &[Duration], cores: &[u32], turns: u32) -> Vec<Slice> {
        let shares = rounds
            .iter()
            .map(|&round| Box::new(Sleeping(round)) as Box<dyn Share>);
        let mut slices = Vec::new();
        measure(shares.collect(), None, cores, 0..turns, |slice| {
            slices.push(slice)
        });
        slices
    }

    #[test]
    fn a_slice_for_each_turn_with_the_operations_of_all_threads() {
        let slices = slices(&[Duration::from_micros(100); 2], &[0, 1], 3);
        assert_eq!(slices.len(), 3);
        assert!(
            slices.iter().all(|slice| slice.ops >= 2 && slice.nanos > 0),
            "{slices:?}"
        );
    }

    #[test]
    fn a_round_that_is_longer_than_a_slice_is_measured_all_the_same() {
        let round = Duration::from_millis(12);
        for slice in slices(&[round], &[0], 2) {
            assert_eq!(slice.ops, 1);
            assert!(slice.nanos >= nanos(round), "{slice:?}");
        }
    }

    #[test]
    fn where_threads_share_a_core_the_time_is_the_walls() {
        let slices = slices(&[Duration::from_micros(100); 3], &[0], 1);
        assert_eq!(slices[0].nanos, nanos(CROWDED_SLICE));
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_share_that_panics_ends_it() {
        struct Wrong;
        impl Share for Wrong {
            fn round(&mut self) -> u64 {
                panic!("it did not do what it should");
            }
        }
        measure(vec![Box::new(Wrong)], None, &[0], 0..1, |slice| {
            panic!("measured {slice:?}");
        });
    }
}
