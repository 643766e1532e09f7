//! Which incarnations of workers have departed of late, so that what is still said of them is not believed.
//!
//! # Design
//!
//! One table of when each departed. It is swept when it is full, and then only: what has expired counts as forgotten at
//! once, and is removed some time later.
//!
//! # Invariants
//!
//! - At most [`MOST`] are kept. Where so many depart within [`REMEMBERED`], the older half is forgotten early.

use std::collections::HashMap;
use std::time::Duration;

use quanta::Instant;
use state_map::DefaultHashBuilder;
use worker_id::WorkerWithDpRank;

/// How long a departed incarnation is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(60);

/// How many are remembered.
pub(crate) const MOST: usize = 16_384;

/// A worker with its incarnation, since `WorkerWithDpRank` compares without.
type Life = (u64, u32, worker_id::Incarnation);

fn life(worker: &WorkerWithDpRank) -> Option<Life> {
    worker
        .incarnation()
        .map(|incarnation| (worker.worker_id, worker.dp_rank, incarnation))
}

#[derive(Debug, Default)]
pub(crate) struct Departed(HashMap<Life, Instant, DefaultHashBuilder>);

impl Departed {
    /// Whether this incarnation has departed; false where there is none to know it by.
    pub(crate) fn knows(&self, worker: &WorkerWithDpRank, now: impl FnOnce() -> Instant) -> bool {
        life(worker)
            .and_then(|life| self.0.get(&life))
            .is_some_and(|since| now().duration_since(*since) < REMEMBERED)
    }

    /// Remembers an incarnation, if there is one to remember.
    pub(crate) fn remember(&mut self, worker: &WorkerWithDpRank, now: impl FnOnce() -> Instant) {
        let Some(life) = life(worker) else {
            return;
        };
        let now = now();
        if self.0.len() >= MOST {
            self.sweep(now);
        }
        self.0.insert(life, now);
    }

    fn sweep(&mut self, now: Instant) {
        self.0
            .retain(|_, since| now.duration_since(*since) < REMEMBERED);
        if self.0.len() > MOST / 2 {
            let mut ages: Vec<Instant> = self.0.values().copied().collect();
            let (_, oldest, newer) = ages.select_nth_unstable(self.0.len() - MOST / 2);
            let oldest = *oldest;
            // Many may have departed at one instant: of those, as many as there is room for.
            let newer = newer.iter().filter(|since| **since > oldest).count();
            let mut room = MOST / 2 - newer;
            self.0.retain(|_, since| {
                let in_room = *since == oldest && room > 0;
                room -= usize::from(in_room);
                in_room || *since > oldest
            });
        }
        self.0.shrink_to(MOST / 4);
    }
}

#[cfg(test)]
mod tests {
    use quanta::Clock;

    use super::*;

    fn worker(id: u64) -> WorkerWithDpRank {
        WorkerWithDpRank::new(id, 0).with_incarnation(9)
    }

    #[test]
    fn an_incarnation_is_remembered_for_a_minute_and_no_other_of_its_worker() {
        let (clock, time) = Clock::mock();
        let mut departed = Departed::default();
        departed.remember(&worker(1), || clock.now());
        departed.remember(&WorkerWithDpRank::new(2, 0), || clock.now());
        time.increment(REMEMBERED - Duration::from_nanos(1));
        assert!(departed.knows(&worker(1), || clock.now()));
        assert!(
            !departed.knows(&WorkerWithDpRank::new(1, 0).with_incarnation(8), || {
                clock.now()
            })
        );
        assert!(!departed.knows(&WorkerWithDpRank::new(2, 0), || clock.now()));
        time.increment(Duration::from_nanos(1));
        assert!(!departed.knows(&worker(1), || clock.now()));
    }

    #[test]
    fn the_table_is_bounded_and_the_newest_half_is_kept() {
        let (clock, time) = Clock::mock();
        let mut departed = Departed::default();
        let all = 5 * MOST as u64;
        for id in 0..all {
            departed.remember(&worker(id), || clock.now());
            time.increment(Duration::from_nanos(id % 2));
            assert!(departed.0.len() <= MOST);
        }
        for id in all - MOST as u64 / 2..all {
            assert!(departed.knows(&worker(id), || clock.now()), "{id}");
        }
        assert!(!departed.knows(&worker(0), || clock.now()));
    }

    #[test]
    fn all_at_one_instant() {
        let (clock, _time) = Clock::mock();
        let mut departed = Departed::default();
        for id in 0..3 * MOST as u64 {
            departed.remember(&worker(id), || clock.now());
            assert!(departed.knows(&worker(id), || clock.now()));
            assert!(departed.0.len() <= MOST);
        }
    }
}
