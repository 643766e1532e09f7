//! What a tenant, an API key, an adapter or a model may have in flight, over all workers.
//!
//! # Why
//!
//! *A handle, not a second map of keys.* Whoever has tenants has a place for each: where its key
//! was checked, where its adapter is known. That place can hold the counter; a map here would be
//! looked up twice a request, and somebody would have to say when a key's entry may go.

use std::fmt;
use std::sync::Arc;

use crate::counter::Counter;
use crate::word::{Charge, No};
use crate::{Admission, Capacity, Holder, Refused};

/// A capacity that requests share whatever worker they go to: a tenant's, an API key's, an
/// adapter's, a model's.
///
/// Clones are the same budget. Keep one where the tenant is kept. It goes when its owner and its
/// last request have gone.
///
/// Each request that counts for it writes its line, on whatever thread: a budget for everything is
/// a line for everybody.
///
/// # Examples
///
/// ```
/// # #[cfg(any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"))] {
/// use worker_id::WorkerWithDpRank;
/// use worker_load::{Ask, Budget, Capacity, Cost, Refused, WorkerLoads};
///
/// let (loads, worker) = (WorkerLoads::new(), WorkerWithDpRank::new(7, 0));
/// loads.join(worker, Capacity::unlimited())?;
/// let tenant = Budget::new("tenant acme", Capacity::requests(1));
/// let budgets = [&tenant];
/// let ask = Ask::new(Cost::request()).within(&budgets);
///
/// let first = loads.reserve(worker, ask)?;
/// assert!(matches!(loads.reserve(worker, ask), Err(Refused::AtCapacity { .. })));
/// assert_eq!((loads.requests(worker), tenant.requests()), (1, 1));
/// drop(first);
/// assert_eq!((loads.requests(worker), tenant.requests()), (0, 0));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    counter: Counter,
    name: Arc<str>,
}

impl Budget {
    /// A budget that refusals call by `name`.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, capacity: Capacity) -> Self {
        Self(Arc::new(Inner {
            counter: Counter::new(&capacity),
            name: name.into(),
        }))
    }

    /// What refusals call it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Changes the caps, for calls that begin after this one. What is in flight stays.
    pub fn set_capacity(&self, capacity: Capacity) {
        self.0.counter.set_capacity(&capacity);
    }

    /// Requests in flight.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.counter.word().requests()
    }

    /// Tokens in flight.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.0.counter.word().tokens()
    }

    /// Bytes of KV in flight.
    #[must_use]
    pub fn kv_bytes(&self) -> u64 {
        self.0.counter.bytes()
    }

    pub(crate) fn counter(&self) -> &Counter {
        &self.0.counter
    }

    pub(crate) fn take(&self, charge: &Charge) -> Result<(), Refused> {
        // A budget neither drains nor goes: that a turn is pinned is nothing to it.
        self.counter()
            .take(charge, Admission::New)
            .map_err(|no| match no {
                No::Full {
                    limit,
                    in_flight,
                    cap,
                } => Refused::AtCapacity {
                    at: Holder::Budget(Arc::clone(&self.0.name)),
                    limit,
                    in_flight,
                    cap,
                },
                No::Gone | No::Draining { .. } => unreachable!("no budget's state is ever set"),
            })
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("name", &self.name())
            .field("requests", &self.requests())
            .field("tokens", &self.tokens())
            .finish_non_exhaustive()
    }
}
