//! A request in flight, for as long as which it counts.
//!
//! # Design
//!
//! A reservation holds the counters that it incremented, and what it added to each. Dropped, it
//! subtracts that from them: it looks nothing up, so that it makes no difference what has become of
//! the worker since.
//!
//! # Invariants
//!
//! 1. `charge` is what stands in each of the counters for this request, at every moment that
//!    another may see one.
//! 2. Budgets are taken before the worker and given back before it. A refusal by the worker leaves
//!    no mark on it, and one by a budget no mark on any worker; and whoever sees the worker drained
//!    sees the budgets free of it.

use std::fmt;
use std::mem;

use state_map::sync::atomic::Ordering;
use worker_id::WorkerWithDpRank;

use crate::word::{Charge, MOST_TOKENS};
use crate::{Ask, Budget, Refused, WorkerLoad};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The worker answered all of it.
    Success,
    /// The worker failed it, or could not be reached.
    Failure,
    /// It was left before its end, as when its client hangs up: what a reservation that is dropped
    /// counts as.
    Abandoned,
}

/// Budgets that were taken for a request which has no worker yet. Dropped, it gives them back.
pub(crate) struct Taken {
    charge: Charge,
    budgets: Vec<Budget>,
}

impl Taken {
    /// All budgets of `ask`, or none.
    pub(crate) fn budgets(ask: &Ask<'_>) -> Result<Self, Refused> {
        let mut taken = Self {
            charge: ask.cost.charge(),
            budgets: Vec::with_capacity(ask.budgets.len()),
        };
        for &budget in ask.budgets {
            // On refusal `taken` is dropped, and with it those before this one are given back.
            budget.take(&taken.charge)?;
            taken.budgets.push(budget.clone());
        }
        Ok(taken)
    }

    /// For a reservation, which gives them back from now on.
    pub(crate) fn keep(&mut self) -> Vec<Budget> {
        mem::take(&mut self.budgets)
    }
}

impl Drop for Taken {
    #[inline]
    fn drop(&mut self) {
        for budget in &self.budgets {
            budget.counter().give_back(&self.charge);
        }
    }
}

/// A request in flight on a worker. From [`WorkerLoads::reserve`](crate::WorkerLoads::reserve) or
/// [`pick`](crate::WorkerLoads::pick).
///
/// Hold it until the last byte of the response has been sent: [`Counted`](crate::Counted) does, for
/// a body. Dropped, it gives back what it counts for: anywhere, on any thread, outside of any
/// runtime, while unwinding; once.
///
/// It holds the counter that it incremented. A worker that leaves and joins again has another one,
/// which begins at 0.
///
/// # Examples
///
/// ```
/// # #[cfg(any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"))] {
/// use worker_id::WorkerWithDpRank;
/// use worker_load::{Capacity, Cost, Outcome, WorkerLoads};
///
/// let (loads, worker) = (WorkerLoads::new(), WorkerWithDpRank::new(7, 0));
/// loads.join(worker, Capacity::requests(1))?;
/// let mut request = loads.reserve(worker, Cost::tokens(1_000, 10))?;
/// request.prefill_done();
/// request.add(10); // as estimated
/// request.add(5); // more than that
/// let load = loads.worker(worker).expect("it has joined");
/// assert_eq!((load.requests(), load.prefill_tokens(), load.tokens()), (1, 0, 1_015));
/// request.complete(Outcome::Success);
/// assert_eq!((load.requests(), load.tokens()), (0, 0));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropped, it gives back what it reserved"]
pub struct Reservation {
    worker: WorkerLoad,
    charge: Charge,
    /// The tokens that the estimate has for what is still to be decoded.
    estimate: u64,
    budgets: Vec<Budget>,
    outcome: Outcome,
}

impl Reservation {
    /// Of the worker's own counter, which has just been taken, and of the budgets that were taken
    /// before it.
    #[inline]
    pub(crate) fn new(worker: WorkerLoad, charge: Charge, budgets: Vec<Budget>) -> Self {
        Self {
            worker,
            charge,
            estimate: charge.tokens - charge.prefill,
            budgets,
            outcome: Outcome::Abandoned,
        }
    }

    /// The worker that it goes to, with the incarnation that it joined with.
    pub fn worker(&self) -> WorkerWithDpRank {
        self.worker.worker()
    }

    /// The worker's counter.
    #[must_use]
    pub fn load(&self) -> &WorkerLoad {
        &self.worker
    }

    /// So many tokens have been decoded.
    ///
    /// Up to the estimate they were counted from the start, and nothing is written. What is more is
    /// added to the worker and to the budgets, over a cap too, since a running request cannot be
    /// refused; what is over the cap counts as [overrun](crate::Load::overrun). A request counts as
    /// [`Cost::MOST_TOKENS`](crate::Cost::MOST_TOKENS) at most.
    #[inline]
    pub fn add(&mut self, tokens: u32) {
        let tokens = u64::from(tokens);
        let estimated = tokens.min(self.estimate);
        self.estimate -= estimated;
        if tokens > estimated {
            self.add_beyond(tokens - estimated);
        }
    }

    fn add_beyond(&mut self, tokens: u64) {
        let tokens = tokens.min(MOST_TOKENS - self.charge.tokens);
        // First here: what is added below is given back by this alone.
        self.charge.tokens += tokens;
        self.worker.0.counter.add(tokens);
        for budget in &self.budgets {
            budget.counter().add(tokens);
        }
    }

    /// The prefill is done: its tokens count as decode tokens from now on, for they stay in the
    /// worker's KV cache. Once; after that, nothing.
    pub fn prefill_done(&mut self) {
        let prefill = mem::take(&mut self.charge.prefill);
        self.worker.0.counter.prefill_done(prefill);
        for budget in &self.budgets {
            budget.counter().prefill_done(prefill);
        }
    }

    /// Gives back what it counts for, and counts the request as ended this way. To drop it is to
    /// abandon the request.
    pub fn complete(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Reservation {
    #[inline]
    fn drop(&mut self) {
        for budget in &self.budgets {
            budget.counter().give_back(&self.charge);
        }
        let ended = &self.worker.0.counter.ended[self.outcome as usize];
        ended.fetch_add(1, Ordering::Relaxed);
        // Last: it may wake whoever waits for the last request, and a waker may panic.
        self.worker.give_back(&self.charge);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("worker", &self.worker())
            .field("tokens", &self.charge.tokens)
            .field("prefill", &self.charge.prefill)
            .field("kv_bytes", &self.charge.bytes)
            .field("budgets", &self.budgets)
            .finish_non_exhaustive()
    }
}
