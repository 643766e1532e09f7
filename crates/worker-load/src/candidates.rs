//! Workers among which requests choose, found once.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use worker_id::WorkerWithDpRank;

use crate::word::{Charge, No, Word};
use crate::{Admission, Mix, Refused, WorkerLoad, sync};

/// Workers among which requests choose: their counters, in the order in which they were named. From
/// [`WorkerLoads::candidates`](crate::WorkerLoads::candidates) or
/// [`everyone`](crate::WorkerLoads::everyone).
///
/// Keep one while the fleet stands, and make a new one when it does not:
/// [`is_current`](crate::WorkerLoads::is_current) tells. One that is old is safe. A worker that has
/// left since, or has begun another life, is never picked from it; one that has joined since is not
/// in it.
#[derive(Clone)]
pub struct Candidates {
    workers: Box<[WorkerLoad]>,
    /// How often the fleet had changed when they were found.
    pub(crate) generation: u64,
}

impl Candidates {
    pub(crate) fn new(workers: Box<[WorkerLoad]>, generation: u64) -> Self {
        Self {
            workers,
            generation,
        }
    }
}

impl Deref for Candidates {
    type Target = [WorkerLoad];

    fn deref(&self) -> &[WorkerLoad] {
        &self.workers
    }
}

impl fmt::Debug for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(WorkerLoad::worker))
            .finish()
    }
}

/// What a [`Policy`](crate::Policy) chooses among: the candidates, and the request that is to go to
/// one of them.
///
/// Whatever it says of a candidate may be stale when it has said it. The reservation that follows
/// is exact.
#[derive(Debug)]
pub struct Among<'a> {
    candidates: &'a [WorkerLoad],
    charge: &'a Charge,
    admission: Admission,
    now: Duration,
}

impl<'a> Among<'a> {
    pub(crate) fn new(
        candidates: &'a [WorkerLoad],
        charge: &'a Charge,
        admission: Admission,
        now: Duration,
    ) -> Self {
        Self {
            candidates,
            charge,
            admission,
            now,
        }
    }

    /// How many candidates there are, whether they would take the request or not.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// The candidates.
    #[must_use]
    pub fn workers(&self) -> &'a [WorkerLoad] {
        self.candidates
    }

    /// At which place a worker stands, if it is a candidate. Looks at one after the other.
    #[must_use]
    pub fn position(&self, worker: &WorkerWithDpRank) -> Option<usize> {
        let mut workers = self.candidates.iter();
        workers.position(|each| each.worker() == *worker)
    }

    /// Whether the candidate at this place would take the request.
    #[inline]
    #[must_use]
    pub fn would_take(&self, at: usize) -> bool {
        self.word(at).is_some()
    }

    #[inline]
    fn word(&self, at: usize) -> Option<Word> {
        let counter = &self.candidates.get(at)?.0.counter;
        counter.would_take(self.charge, self.admission).ok()
    }

    /// How loaded the candidate at this place would be with the request, measured by `mix`: with
    /// its load, its weight, and how long it has been there. `None` if it would not take it.
    #[inline]
    #[must_use]
    pub fn score(&self, at: usize, mix: &Mix) -> Option<f64> {
        let word = self.word(at)?;
        Some(mix.score(&self.candidates[at], word, self.charge, self.now))
    }

    /// As [`score`](Self::score), without the request, and whether the candidate would take it or
    /// not; 0 if there is none.
    #[must_use]
    pub fn load(&self, at: usize, mix: &Mix) -> f64 {
        self.candidates.get(at).map_or(0.0, |worker| {
            let word = worker.0.counter.word();
            mix.load(worker, word, self.now)
        })
    }

    /// The first candidate that would take the request, from this place on and round to it.
    #[inline]
    #[must_use]
    pub fn first_from(&self, start: usize) -> Option<usize> {
        self.round(start).find(|at| self.would_take(*at))
    }

    /// Every place, from this one on and round to it.
    #[inline]
    pub fn round(&self, start: usize) -> impl Iterator<Item = usize> + use<> {
        let len = self.len();
        let start = start.checked_rem(len).unwrap_or(0);
        (start..len).chain(0..start)
    }

    /// Every place, from another one at each call: who is first of those that are equal should not
    /// always be the same. Threads count their turns apart.
    #[inline]
    pub fn rotated(&self) -> impl Iterator<Item = usize> + use<> {
        self.round(sync::turn())
    }

    /// A candidate at random that would take the request.
    ///
    /// All that would are equally likely where most of them would. Else one that follows after some
    /// that would not is likelier.
    #[inline]
    #[must_use]
    pub fn at_random(&self) -> Option<usize> {
        const TRIES: usize = 4;
        let len = self.len();
        if len == 0 {
            return None;
        }
        let tried = (0..TRIES).map(|_| sync::below(len));
        let mut taking = tried.filter(|at| self.would_take(*at));
        taking.next().or_else(|| self.first_from(sync::below(len)))
    }

    /// Nobody takes the request: why, as they are seen now.
    #[cold]
    pub(crate) fn refused(&self) -> Refused {
        let (mut at_capacity, mut draining, mut gone) = (0, 0, 0);
        for worker in self.candidates {
            match worker.0.counter.would_take(self.charge, self.admission) {
                Err(No::Full { .. }) => at_capacity += 1,
                Err(No::Draining { .. }) => draining += 1,
                Err(No::Gone) => gone += 1,
                // It had no room when it was asked.
                Ok(_) => {}
            }
        }
        Refused::NoCandidate {
            candidates: self.len(),
            at_capacity,
            draining,
            gone,
        }
    }
}
