//! One life of a worker: its counter, and what does not change.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use state_map::Retire;
use worker_id::WorkerWithDpRank;

use crate::counter::Counter;
use crate::reservation::Taken;
#[cfg(feature = "tokio")]
use crate::sync::Event;
use crate::word::{Charge, No};
use crate::{Ask, Budget, Capacity, Holder, Refused, Reservation};

pub(crate) struct Life {
    /// What is in flight. On cache lines of its own; what follows is read, and hardly ever written.
    pub(crate) counter: Counter,
    /// Which life it is: with the incarnation that it joined with.
    worker: WorkerWithDpRank,
    /// When it joined, by the clock of its loads, in milliseconds.
    joined: u64,
    /// Who waits until nothing is in flight any more.
    #[cfg(feature = "tokio")]
    pub(crate) drained: Event,
}

/// What one life of a worker has in flight: its counter, found once. From
/// [`WorkerLoads::worker`](crate::WorkerLoads::worker).
///
/// Clones are the same counter. When the worker leaves, or another life takes its place, this one
/// is gone for good: it refuses everything, and still counts down what it had.
#[derive(Clone)]
pub struct WorkerLoad(pub(crate) Arc<Life>);

impl WorkerLoad {
    pub(crate) fn new(worker: WorkerWithDpRank, capacity: &Capacity, joined: u64) -> Self {
        Self(Arc::new(Life {
            counter: Counter::new(capacity),
            worker,
            joined,
            #[cfg(feature = "tokio")]
            drained: Event::default(),
        }))
    }

    /// The worker, with the incarnation that it joined with.
    pub fn worker(&self) -> WorkerWithDpRank {
        self.0.worker
    }

    /// Reserves room for a request, exactly: none is admitted over a cap, nor after a drain has
    /// begun or the worker has left. The worker and all budgets are taken, or nothing is.
    ///
    /// Cost: for the worker, and for each budget, one compare-and-swap here and one subtraction
    /// when the reservation is dropped; one more pair for each of prefill tokens and bytes, where
    /// there are any. Allocates where there are budgets, once.
    ///
    /// # Errors
    ///
    /// [`Refused`], with what was seen. Nothing was kept.
    #[inline]
    pub fn reserve<'a>(&self, ask: impl Into<Ask<'a>>) -> Result<Reservation, Refused> {
        let ask = ask.into();
        if ask.budgets.is_empty() {
            // Apart from the other way, which has budgets to give back: a third of the time.
            return self.admit(&ask, Vec::new).map_err(|no| self.refused(no));
        }
        let mut taken = Taken::budgets(&ask)?;
        self.admit(&ask, || taken.keep())
            .map_err(|no| self.refused(no))
    }

    /// Takes what `ask` costs from this worker. `budgets` are those that were taken before it,
    /// asked for where it is admitted.
    #[inline]
    pub(crate) fn admit(
        &self,
        ask: &Ask<'_>,
        budgets: impl FnOnce() -> Vec<Budget>,
    ) -> Result<Reservation, No> {
        let charge = ask.cost.charge();
        self.0.counter.take(&charge, ask.admission)?;
        Ok(Reservation::new(self.clone(), charge, budgets()))
    }

    #[cold]
    fn refused(&self, no: No) -> Refused {
        let worker = self.0.worker;
        match no {
            No::Gone => Refused::Gone { worker },
            No::Draining { requests } => Refused::Draining { worker, requests },
            No::Full {
                limit,
                in_flight,
                cap,
            } => Refused::AtCapacity {
                at: Holder::Worker(worker),
                limit,
                in_flight,
                cap,
            },
        }
    }

    /// Requests in flight.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.counter.word().requests()
    }

    /// Tokens in flight, prefill and decode together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.0.counter.word().tokens()
    }

    /// Tokens of prefills that are not done.
    #[must_use]
    pub fn prefill_tokens(&self) -> u64 {
        self.0.counter.prefill()
    }

    /// Bytes of KV in flight.
    #[must_use]
    pub fn kv_bytes(&self) -> u64 {
        self.0.counter.bytes()
    }

    /// Whether it has left, or another life has taken its place.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.counter.word().is_gone()
    }

    /// Whether it drains, or is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let word = self.0.counter.word();
        word.is_gone() || word.is_draining()
    }

    /// Whether it takes nothing new and has nothing in flight.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.0.counter.word().is_drained()
    }

    pub(crate) fn joined(&self) -> Duration {
        Duration::from_millis(self.0.joined)
    }

    #[inline]
    pub(crate) fn give_back(&self, charge: &Charge) {
        if self.0.counter.give_back(charge) {
            self.tell_drained();
        }
    }

    /// Wakes whoever waits until nothing is in flight. After all that they will look at has been
    /// written.
    pub(crate) fn tell_drained(&self) {
        #[cfg(feature = "tokio")]
        self.0.drained.notify();
    }
}

/// Whether it is the same counter: the same life of the same worker, of the same loads.
impl PartialEq for WorkerLoad {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for WorkerLoad {}

/// Nothing has to be handed over: whoever holds a reservation holds the counter.
impl Retire for WorkerLoad {
    type Payload = ();

    fn retire(&self) {}
}

impl fmt::Debug for WorkerLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0.counter.word();
        f.debug_struct("WorkerLoad")
            .field("worker", &self.0.worker)
            .field("requests", &word.requests())
            .field("tokens", &word.tokens())
            .field("draining", &word.is_draining())
            .field("gone", &word.is_gone())
            .finish_non_exhaustive()
    }
}
