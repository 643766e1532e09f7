//! Latency under an open loop: work is due when the schedule says so, whether the work before it is done or not.
//!
//! # Design
//!
//! Each thread has a schedule that is fixed beforehand: its next step is due when, at the rate asked for, the operations of
//! all its steps before would just be done. A latency counts from then, not from when the thread got to it, so that one step
//! that is late makes those behind it late, as it would their users: nothing is left out for having been waited for
//! (Tene's coordinated omission). A round of a [`Share`] is a step, and one latency.
//!
//! # Why
//!
//! - Threads spin until a step is due: to be woken takes tens of microseconds, which would hide what is asked.
//! - All threads have the same schedule, so their steps begin together: no luck of phases between two arms, and the most
//!   that threads can be in each other's way at that rate.

use std::hint::spin_loop;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use verdict::schema::LatencyPoint;

use crate::measure::{cores, on_threads, run_delay};
use crate::scenario::{Share, Shares};

/// How long the threads have to get to their first step.
const GET_READY: Duration = Duration::from_millis(20);
/// How long to keep to the schedule before measuring.
const WARM_UP: Duration = Duration::from_millis(200);
/// Steps that are due in so long a time are measured.
const MEASURED: Duration = Duration::from_secs(2);
const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// The latencies of all threads.
#[derive(Debug, Serialize)]
pub struct Latencies {
    /// How many steps were measured.
    pub samples: u64,
    /// The share of the time that a thread was runnable and did not run, of the thread that had most of it.
    pub run_delay: f64,
    /// Some percentiles, the last of which is the maximum.
    pub points: Vec<LatencyPoint>,
}

/// Runs the shares, one a thread, at a rate of so many operations a second over all of them.
///
/// # Errors
///
/// If nothing happens at that rate.
///
/// # Panics
///
/// With the panic of a share whose operations did not do what they should.
pub fn latencies(mut shares: Shares, rate: f64) -> Result<Latencies> {
    ensure!(
        rate.is_finite() && rate > 0.0,
        "{rate} operations a second are no rate"
    );
    let crowded = shares.len() > cores();
    let schedule = Schedule {
        between_ops: shares.len() as f64 / rate,
        warm_up: WARM_UP,
        end: WARM_UP + MEASURED,
    };
    let start = Instant::now() + GET_READY;
    let parts = on_threads(&mut shares, |_, share| {
        let before = run_delay();
        let own = follow(&schedule, share, &mut Spinning { start, crowded });
        let delay = run_delay().saturating_sub(before);
        (own, Duration::from_nanos(delay))
    });
    let (mut all, mut delay) = (histogram(), Duration::ZERO);
    for (part, own) in parts {
        all += part;
        delay = delay.max(own);
    }
    ensure!(
        !all.is_empty(),
        "no step was due at {rate} operations a second"
    );
    Ok(Latencies {
        samples: all.len(),
        run_delay: delay.div_duration_f64(GET_READY + schedule.end),
        points: PERCENTILES
            .iter()
            .map(|&percentile| LatencyPoint {
                percentile,
                nanos: all.value_at_percentile(percentile),
            })
            .collect(),
    })
}

/// When a thread's steps are due, counted from the start.
struct Schedule {
    /// Seconds.
    between_ops: f64,
    warm_up: Duration,
    end: Duration,
}

impl Schedule {
    fn due(&self, ops_before: u64) -> Duration {
        Duration::from_secs_f64(self.between_ops * ops_before as f64)
    }
}

/// Time since the start.
trait Clock {
    fn now(&mut self) -> Duration;
    fn wait_until(&mut self, due: Duration);
}

/// A clock that one waits for by looking at it.
struct Spinning {
    start: Instant,
    /// More threads than cores: they would spin in the place of those that work.
    crowded: bool,
}

impl Clock for Spinning {
    fn now(&mut self) -> Duration {
        // Before the start it stands at zero.
        Instant::now().saturating_duration_since(self.start)
    }

    fn wait_until(&mut self, due: Duration) {
        let due = self.start + due;
        while Instant::now() < due {
            if self.crowded {
                thread::yield_now();
            } else {
                spin_loop();
            }
        }
    }
}

/// Does all steps of the schedule, however late, and notes how late each was done.
fn follow(schedule: &Schedule, share: &mut dyn Share, clock: &mut impl Clock) -> Histogram<u64> {
    let mut latencies = histogram();
    let mut ops = 0;
    loop {
        let due = schedule.due(ops);
        if due >= schedule.end {
            return latencies;
        }
        clock.wait_until(due);
        ops += share.round();
        if due >= schedule.warm_up {
            let latency = clock.now().saturating_sub(due);
            latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

/// Up to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are constants")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::{Clock, Schedule, follow};
    use crate::scenario::Share;

    /// Nanoseconds that pass when a step takes them, or when somebody waits.
    struct Mock<'a>(&'a AtomicU64);

    impl Clock for Mock<'_> {
        fn now(&mut self) -> Duration {
            Duration::from_nanos(self.0.load(Ordering::Relaxed))
        }

        fn wait_until(&mut self, due: Duration) {
            let due = u64::try_from(due.as_nanos()).unwrap();
            self.0.fetch_max(due, Ordering::Relaxed);
        }
    }

    /// Steps of (operations, nanoseconds), the last of which repeats.
    struct Steps<'a>(VecDeque<(u64, u64)>, &'a AtomicU64);

    impl Share for Steps<'_> {
        fn round(&mut self) -> u64 {
            let (ops, nanos) = self.0[0];
            if self.0.len() > 1 {
                self.0.pop_front();
            }
            self.1.fetch_add(nanos, Ordering::Relaxed);
            ops
        }
    }

    /// The latencies, in rising order, at an operation every ten nanoseconds, until the end.
    fn measured(steps: &[(u64, u64)], warm_up: u64, end: u64) -> Vec<u64> {
        let now = AtomicU64::new(0);
        let schedule = Schedule {
            between_ops: 10e-9,
            warm_up: Duration::from_nanos(warm_up),
            end: Duration::from_nanos(end),
        };
        let mut share = Steps(steps.iter().copied().collect(), &now);
        let histogram = follow(&schedule, &mut share, &mut Mock(&now));
        let values = histogram.iter_recorded();
        values
            .flat_map(|value| {
                let count = usize::try_from(value.count_at_value()).unwrap();
                vec![value.value_iterated_to(); count]
            })
            .collect()
    }

    #[test]
    fn a_step_in_time_takes_what_it_takes() {
        assert_eq!(measured(&[(1, 4)], 0, 50), [4; 5]);
    }

    #[test]
    fn a_late_step_makes_its_successors_late() {
        // Due at 0, 10, 20, ...; the second is done at 44 rather than at 14, and six others have waited for it.
        let steps = [(1, 4), (1, 34), (1, 4)];
        assert_eq!(
            measured(&steps, 0, 80),
            [4, 4, 10, 16, 22, 28, 34, 4].sorted()
        );
    }

    #[test]
    fn a_larger_step_has_more_time() {
        // Due at 0, 30, 40: the second does not wait for the first's 20.
        assert_eq!(measured(&[(3, 20), (1, 5)], 0, 50), [5, 5, 20]);
    }

    #[test]
    fn overload_shows() {
        // Due every 10, and done every 15.
        assert_eq!(measured(&[(1, 15)], 0, 50), [15, 20, 25, 30, 35]);
    }

    #[test]
    fn the_warm_up_is_done_and_not_measured() {
        // Due at 0, and late into what is measured: 10 is done at 34.
        assert_eq!(measured(&[(1, 30), (1, 4)], 10, 40), [12, 18, 24]);
    }

    trait Sorted {
        fn sorted(self) -> Self;
    }

    impl<const N: usize> Sorted for [u64; N] {
        fn sorted(mut self) -> Self {
            self.sort_unstable();
            self
        }
    }
}
