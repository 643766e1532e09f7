//! The positive control: DashMap, with a delay in each access that makes the whole operation longer
//! by a share that is known.
//!
//! # Design
//!
//! An access [spends](spend) so many rounds of an empty loop, and nobody reads a clock for it. How
//! many they are the arm [learns](Learnt) from itself: in every other half of a millisecond they
//! are none. So it has its own undelayed time beside its delayed one, on lines that travel far or
//! near, and the delay is such that all of its time together is longer than the undelayed by the
//! share that was asked for. The halves are the same for all threads, so that what one does to
//! another is in the figure.
//!
//! # Why
//!
//! - *In the access*, and not after a round: there it is what a slower map would be.
//! - *No sum of counted accesses*: a delay can hide behind a cache miss, and at a lock it is waited
//!   for by others, or waits in their place. What counts is how much longer the operation takes.
//! - *An operation that never comes to its map is not slowed down*, however large the delay: the
//!   control fails there, and ought to.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::scenario::{Share, Shares};

/// How long threads are delayed, and then not.
const HALF: Duration = Duration::from_micros(500);
/// A thread that has not run for so long finds its caches cold, and learns nothing...
const AWAY: Duration = Duration::from_millis(2);
/// ... until it has run for so long.
const SETTLED: Duration = Duration::from_millis(1);
/// A half that took so long had lost its core.
const LOST: Duration = Duration::from_micros(1_500);
/// What was learnt from so many delayed halves ago counts for a third.
const MEMORY: f64 = 64.0;
/// The spins to begin with, and the most.
const FIRST: f64 = 16.0;
const MOST: f64 = 100_000.0;

thread_local! {
    /// What an access has to spend.
    static SPINS: Cell<u32> = const { Cell::new(0) };
}

/// Spends the delay of an access.
#[inline]
pub(crate) fn spend() {
    let mut left = SPINS.get();
    while left > 0 {
        left = black_box(left - 1);
    }
}

/// Slows the shares down, by this share of their time, where they come to a map on
/// [`Backend::Planted`](crate::any_map::Backend).
pub(crate) fn slowed(shares: Shares, extra: f64) -> Shares {
    let learnt = Arc::new(Mutex::new(Learnt::new(extra)));
    let slowed = |share| -> Box<dyn Share> {
        let now = Instant::now();
        Box::new(Slowed {
            share,
            last: now,
            back: now,
            learnt: Arc::clone(&learnt),
        })
    };
    shares.into_iter().map(slowed).collect()
}

/// A share that is slowed down. Its rounds are what is left of a half.
struct Slowed {
    share: Box<dyn Share>,
    /// When its last round ended, and when it last came back from being away.
    last: Instant,
    back: Instant,
    /// Of all threads.
    learnt: Arc<Mutex<Learnt>>,
}

impl Slowed {
    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share for Slowed {
    fn round(&mut self) -> u64 {
        let start = Instant::now();
        if start - self.last > AWAY {
            self.back = start;
        }
        let (is_on, end) = half(start);
        let spins = if is_on { self.learnt().spins() } else { 0 };
        SPINS.set(spins);
        let mut ops = 0;
        self.last = start;
        while self.last < end {
            ops += self.share.round();
            self.last = Instant::now();
        }
        SPINS.set(0);
        let took = self.last - start;
        if start - self.back >= SETTLED && took < LOST {
            self.learnt()
                .add(spins, ops as f64, took.as_secs_f64() * 1e9);
        }
        ops
    }
}

/// Whether threads are delayed in this half, and its end.
fn half(now: Instant) -> (bool, Instant) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let since = now.saturating_duration_since(*BEGUN.get_or_init(|| now));
    let (halves, into) = (since.as_nanos() / HALF.as_nanos(), since.subsec_nanos());
    let into = Duration::from_nanos(u64::from(into % HALF.subsec_nanos()));
    (!halves.is_multiple_of(2), now + HALF - into)
}

/// What an arm knows of its own time: sums in which the past counts less and less.
struct Learnt {
    /// How much longer it should take, as a share of the undelayed time.
    extra: f64,
    spins: f64,
    /// Operations and their nanoseconds: without the delay, and all.
    undelayed: Sum,
    all: Sum,
    /// Those with the delay, and their spins.
    spent: Sum,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    ops: f64,
    of: f64,
}

impl Sum {
    fn add(&mut self, ops: f64, of: f64) {
        (self.ops, self.of) = (self.ops + ops, self.of + of);
    }

    fn mean(self) -> f64 {
        self.of / self.ops
    }

    fn fade(&mut self) {
        let left = 1.0 - 1.0 / MEMORY;
        (self.ops, self.of) = (self.ops * left, self.of * left);
    }
}

impl Learnt {
    fn new(extra: f64) -> Self {
        Self {
            extra,
            spins: if extra > 0.0 { FIRST } else { 0.0 },
            undelayed: Sum::default(),
            all: Sum::default(),
            spent: Sum::default(),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and `MOST`"
    )]
    fn spins(&self) -> u32 {
        self.spins.round() as u32
    }

    /// What a thread did in a half with so many spins an access, and what would have been right.
    fn add(&mut self, spins: u32, ops: f64, nanos: f64) {
        self.all.add(ops, nanos);
        if spins == 0 {
            self.undelayed.add(ops, nanos);
            return;
        }
        self.spent.add(ops, ops * f64::from(spins));
        let seen = self.all.mean() / self.undelayed.mean() - 1.0;
        // Not a number before there are halves of both sorts.
        if seen.is_finite() {
            let right = self.spent.mean() * self.extra / seen;
            // Where noise hides it, there is too little of it.
            let right = if seen > 0.0 { right } else { MOST };
            let near = self.spins / 1.5..=self.spins * 1.5;
            self.spins = right.clamp(*near.start(), *near.end()).min(MOST);
        }
        let sums = [&mut self.undelayed, &mut self.all, &mut self.spent];
        sums.into_iter().for_each(Sum::fade);
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of halves of an operation that takes `undelayed` ns, and `per_spin` more for each
    /// spin: how much longer it took than without.
    fn after(pairs: u32, learnt: &mut Learnt, undelayed: f64, per_spin: f64) -> f64 {
        let half = HALF.as_secs_f64() * 1e9;
        let mut total = Sum::default();
        for _ in 0..pairs {
            for spins in [0, learnt.spins()] {
                let ops = half / (undelayed + per_spin * f64::from(spins));
                learnt.add(spins, ops, half);
                total.add(ops, half);
            }
        }
        total.mean() / undelayed - 1.0
    }

    #[test]
    fn the_whole_is_longer_by_what_was_asked_for_and_stays_so_when_lines_travel_farther() {
        let mut learnt = Learnt::new(0.1);
        after(100, &mut learnt, 270.0, 1.5);
        let near = after(50, &mut learnt, 270.0, 1.5);
        assert!((near - 0.1).abs() < 0.005, "{near}");
        after(200, &mut learnt, 540.0, 4.0);
        let far = after(50, &mut learnt, 540.0, 4.0);
        assert!((far - 0.1).abs() < 0.005, "{far}");
    }

    #[test]
    fn what_comes_to_no_map_is_not_slowed_down() {
        let mut learnt = Learnt::new(0.1);
        let seen = after(100, &mut learnt, 270.0, 0.0);
        assert!(seen.abs() < 0.001, "{seen}");
        assert!(learnt.spins <= MOST);
    }

    #[test]
    fn nothing_planted_is_nothing_spent() {
        let mut learnt = Learnt::new(0.0);
        after(10, &mut learnt, 270.0, 1.5);
        assert_eq!(learnt.spins(), 0);
    }
}
