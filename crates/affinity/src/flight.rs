//! One choice at a time for each session.
//!
//! # Design
//!
//! A table of the sessions that somebody is choosing a worker for, and for each an async lock around what came of it. Who
//! gets the lock first leads: it leaves its outcome behind, and those after it find it there. A leader that goes away
//! leaves nothing, and the next one leads.
//!
//! # Why
//!
//! The store's own `claim` makes one of many choices win. It does not keep the others from being made, and where the store
//! is unavailable none wins.
//!
//! # Invariants
//!
//! A session is in the table exactly while somebody has a seat at it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_lock::{Mutex as AsyncMutex, MutexGuard};
use std_or_loom::{self as sync, Mutex};

use crate::SessionKey;

/// The sessions that somebody is choosing for.
pub(crate) struct Flights<T>(Mutex<BTreeMap<SessionKey, Flight<T>>>);

type Flight<T> = Arc<AsyncMutex<Option<T>>>;

/// A place among those who choose for a session. Dropping it is how to leave.
pub(crate) struct Seat<'f, T> {
    flights: &'f Flights<T>,
    key: SessionKey,
    flight: Flight<T>,
}

impl<T> Flights<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    pub(crate) fn join(&self, key: SessionKey) -> Seat<'_, T> {
        let flight = Arc::clone(sync::lock(&self.0).entry(key.clone()).or_default());
        Seat {
            flights: self,
            key,
            flight,
        }
    }

    pub(crate) fn len(&self) -> usize {
        sync::lock(&self.0).len()
    }
}

impl<T> Seat<'_, T> {
    /// Waits for its turn: what is found is the outcome of an earlier one, or nothing yet.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, Option<T>> {
        self.flight.lock().await
    }
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut flights = sync::lock(&self.flights.0);
        // Seats are taken and left under this lock, so the count stands still: the table's and this one's.
        if Arc::strong_count(&self.flight) == 2 {
            flights.remove(&self.key);
        }
    }
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flights").field(&self.len()).finish()
    }
}
