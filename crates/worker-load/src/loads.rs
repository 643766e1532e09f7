//! All workers: which are there, and how a request is reserved on one.
//!
//! # Design
//!
//! A map from workers to counters, which requests look up or have looked up. Workers come and go
//! under one lock; requests never take it, and a counter says by itself that its worker has gone.
//!
//! Who is there, and who comes and goes, is in `fleet.rs`.

use std::fmt;
use std::time::Duration;

use state_map::sync::atomic::{AtomicU64, Ordering};
use state_map::sync::{self, Mutex};
use worker_id::{Lives, Standing, WorkerWithDpRank};

use crate::map::{DefaultLoadMap, LoadMap, LoadSession};
use crate::reservation::Taken;
use crate::{Among, Ask, Budget, Candidates, Policy, Refused, Reservation, Snapshot, WorkerLoad};

/// What each worker has in flight.
///
/// Shared by `Arc` or reference among any number of threads; needs no runtime, spawns nothing.
/// Reservations outlive it.
///
/// # Concurrency
///
/// Reserving, giving back, draining and leaving are linearizable for each worker: they change one
/// word of its counter. So no request is admitted over a cap, nor after a drain or a leave of its
/// worker has begun. Who is there changes under a lock, which requests do not take.
///
/// A request that is refused by one of several counters gives back what it has of the others. For
/// that moment another one may be refused where there is room: see [`Refused::AtCapacity`].
///
/// # Examples
///
/// ```
/// # #[cfg(any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"))] {
/// use worker_id::WorkerWithDpRank;
/// use worker_load::{Capacity, Cost, PowerOfTwo, WorkerLoads};
///
/// let loads = WorkerLoads::new();
/// for id in 0..8 {
///     loads.join(WorkerWithDpRank::new(id, 0), Capacity::requests(256))?;
/// }
/// let fleet = loads.everyone(); // kept while the fleet stands
///
/// let request = loads.pick(&fleet, Cost::tokens(2_048, 256), &PowerOfTwo::default())?;
/// assert_eq!(loads.requests(request.worker()), 1);
/// drop(request); // when the last byte of the response has been sent
/// assert_eq!(loads.snapshot().totals().requests, 0);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WorkerLoads<M = DefaultLoadMap> {
    pub(crate) map: M,
    /// Which news is believed. Its lock is what workers come and go under.
    pub(crate) fleet: Mutex<Lives>,
    /// How often it has changed who is there.
    pub(crate) generation: AtomicU64,
    /// The clock, in milliseconds.
    pub(crate) now: AtomicU64,
}

impl WorkerLoads {
    /// Without workers, on the default map.
    #[must_use]
    pub fn new() -> Self
    where
        // The lifetime puts the question off to the caller: with no backend this crate builds, a
        // call does not.
        for<'any> DefaultLoadMap: LoadMap + Default,
    {
        Self::with_map(DefaultLoadMap::default())
    }
}

impl<M: LoadMap + Default> Default for WorkerLoads<M> {
    fn default() -> Self {
        Self::with_map(M::default())
    }
}

impl<M: LoadMap> WorkerLoads<M> {
    /// How often [`pick`](Self::pick) asks its policy, at most.
    pub const ATTEMPTS: usize = 4;

    /// Without workers, on `map`, which must be empty.
    #[must_use]
    pub fn with_map(map: M) -> Self {
        Self {
            map,
            fleet: Mutex::new(Lives::default()),
            generation: AtomicU64::new(0),
            now: AtomicU64::new(0),
        }
    }

    /// Moves the clock on, which says how long a worker has been there: for
    /// [`Mix::slow_start`](crate::Mix), and nothing else. Never back.
    pub fn advance_to(&self, now: Duration) {
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.now.fetch_max(millis, Ordering::Relaxed);
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.now.load(Ordering::Relaxed))
    }

    /// The counter of a worker, whichever life of it is there; or of the life that `worker` names,
    /// if that is. Keep it where requests of one worker are sent from.
    #[must_use]
    pub fn worker(&self, worker: WorkerWithDpRank) -> Option<WorkerLoad> {
        let load = self.map.open().find(&worker)?;
        let standing = Standing::of(worker.incarnation(), load.worker().incarnation());
        (standing == Standing::Same && !load.is_gone()).then_some(load)
    }

    /// Requests in flight on a worker; 0 if it is not there. For whoever asks for a number: a
    /// closure for another crate, a test.
    #[must_use]
    pub fn requests(&self, worker: WorkerWithDpRank) -> u64 {
        self.worker(worker).map_or(0, |load| load.requests())
    }

    /// Reserves room for a request on a worker, as [`WorkerLoad::reserve`] does. With an
    /// incarnation, on that life alone.
    ///
    /// Cost: a lookup beside what that costs.
    ///
    /// # Errors
    ///
    /// [`Refused`], with what was seen. Nothing was kept.
    #[inline]
    pub fn reserve<'a>(
        &self,
        worker: WorkerWithDpRank,
        ask: impl Into<Ask<'a>>,
    ) -> Result<Reservation, Refused> {
        let load = self.worker(worker).ok_or(Refused::Gone { worker })?;
        load.reserve(ask)
    }

    /// Chooses a worker by `policy` and reserves room on it, in one. Where the worker does not take
    /// the request after all, since others were quicker, the policy is asked again, up to
    /// [`ATTEMPTS`](Self::ATTEMPTS) times; then each candidate is asked once, in turn.
    ///
    /// Cost: what the policy costs, and a reservation. Allocates as that does.
    ///
    /// # Errors
    ///
    /// [`Refused::NoCandidate`], if the policy names none, or each candidate has refused during
    /// this call; else what a budget refused. Nothing was kept.
    #[inline]
    pub fn pick<'a>(
        &self,
        candidates: &Candidates,
        ask: impl Into<Ask<'a>>,
        policy: &(impl Policy + ?Sized),
    ) -> Result<Reservation, Refused> {
        let ask = ask.into();
        if ask.budgets.is_empty() {
            return self.choose(candidates, &ask, policy, Vec::new);
        }
        let mut taken = Taken::budgets(&ask)?;
        self.choose(candidates, &ask, policy, || taken.keep())
    }

    #[inline]
    fn choose(
        &self,
        candidates: &Candidates,
        ask: &Ask<'_>,
        policy: &(impl Policy + ?Sized),
        mut budgets: impl FnMut() -> Vec<Budget>,
    ) -> Result<Reservation, Refused> {
        let charge = ask.cost.charge();
        let among = Among::new(candidates, &charge, ask.admission, self.now());
        for _ in 0..Self::ATTEMPTS {
            let Some(at) = policy.choose(&among) else {
                return Err(among.refused());
            };
            if let Some(worker) = candidates.get(at)
                && let Ok(reservation) = worker.admit(ask, &mut budgets)
            {
                return Ok(reservation);
            }
            // Another thread took the last place, or its owner closed it, since the policy looked.
        }
        among
            .rotated()
            .find_map(|at| candidates[at].admit(ask, &mut budgets).ok())
            .ok_or_else(|| among.refused())
    }

    /// These workers, to choose among: those of them that are there.
    #[must_use]
    pub fn candidates(&self, workers: impl IntoIterator<Item = WorkerWithDpRank>) -> Candidates {
        // Before they are looked up: what changes meanwhile makes them out of date.
        let generation = self.generation.load(Ordering::Acquire);
        let found = workers.into_iter().filter_map(|each| self.worker(each));
        Candidates::new(found.collect(), generation)
    }

    /// All workers, to choose among, in the order of their ids.
    #[must_use]
    pub fn everyone(&self) -> Candidates {
        let (mut all, generation) = {
            let _fleet = sync::lock(&self.fleet);
            let generation = self.generation.load(Ordering::Acquire);
            (self.there(), generation)
        };
        all.sort_unstable_by_key(WorkerLoad::worker);
        Candidates::new(all.into(), generation)
    }

    /// Whether nobody has joined or left since these candidates were found. One load of a line that
    /// is seldom written.
    #[must_use]
    pub fn is_current(&self, candidates: &Candidates) -> bool {
        self.generation.load(Ordering::Acquire) == candidates.generation
    }

    /// A row for each worker that is there, in the order of their ids, and begins to note
    /// high-water marks anew.
    ///
    /// The rows are of exactly those that were there at one moment. Of each row, the state,
    /// requests and tokens are of one moment; every other column is of a moment of its own. Between
    /// rows, time passes.
    ///
    /// Cost: a line or two of each worker. Allocates a vector. For a look every few seconds:
    /// workers wait with joining and leaving.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut rows = Vec::new();
        let fleet = sync::lock(&self.fleet);
        self.map.open().visit(|load| rows.push(load.row()));
        drop(fleet);
        Snapshot::new(rows)
    }
}

impl<M> fmt::Debug for WorkerLoads<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerLoads")
            .field("generation", &self.generation.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
