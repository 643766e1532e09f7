//! A request that one owner drives.
//!
//! # Design
//!
//! The owner holds the cell itself, so that a token finds it without the map; and since nobody else may change it, a
//! token is a store where by key it is a compare-and-swap. By-key readers see it in the map as any other.
//!
//! # Why
//!
//! - *No copy of the state in the handle*, published after each token: the same stores, and a second place where a
//!   request's state is.
//! - *No type parameter*: a handle sits in a request's own struct, and would carry the choice of the map into all of them.
//!   Only its end needs the map, and can afford to find it through a pointer.
//!
//! # Invariants
//!
//! One handle for a cell, and one cell for a handle: only the handle's `&mut` methods store its word.

use std::fmt;
use std::sync::Arc;

use crate::cell::{PhaseCell, Shared};
use crate::telemetry::tell;
use crate::{EntropySignal, PhaseEvent, RequestKey, ThinkPhase};

/// Where a handle's request is tracked.
pub(crate) trait Home: Send + Sync {
    /// Ends the registration that `cell` is, and no other of its key.
    fn reap_cell(&self, key: RequestKey, cell: &PhaseCell);
}

/// A request that is driven by whoever holds this, and by nobody else. From
/// [`PhaseRouter::track`](crate::PhaseRouter::track); may move between threads.
///
/// By key, [`PhaseRouter::on_token`](crate::PhaseRouter::on_token) answers [`PhaseEvent::HandleDriven`] for it; everything else that goes by key works,
/// and sees the handle's progress at all times. Dropping the handle ends its request, if that has not ended yet, and never
/// a later one under the same key.
pub struct RequestHandle {
    shared: Arc<Shared>,
    home: Arc<dyn Home>,
    cell: Arc<PhaseCell>,
    key: RequestKey,
}

impl RequestHandle {
    pub(crate) fn new(
        shared: Arc<Shared>,
        home: Arc<dyn Home>,
        key: RequestKey,
        cell: Arc<PhaseCell>,
    ) -> Self {
        Self {
            shared,
            home,
            cell,
            key,
        }
    }

    /// The request's key.
    pub fn key(&self) -> RequestKey {
        self.key
    }

    /// A token of this request, in order: what it does, or `None` if the request was reaped. As
    /// [`PhaseRouter::on_token`](crate::PhaseRouter::on_token), but touches no map and makes no read-modify-write.
    #[inline]
    pub fn on_token(&mut self, token: u32, sample: Option<&EntropySignal>) -> Option<PhaseEvent> {
        let event = self.cell.on_handle_token(&self.shared, token, sample)?;
        tell(self.key, event);
        Some(event)
    }

    /// The request's phase; `None` if it was reaped.
    #[must_use]
    pub fn phase(&self) -> Option<ThinkPhase> {
        self.cell.phase()
    }
}

impl Drop for RequestHandle {
    fn drop(&mut self) {
        self.home.reap_cell(self.key, &self.cell);
    }
}

impl fmt::Debug for RequestHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHandle")
            .field("key", &self.key)
            .field("phase", &self.phase())
            .finish()
    }
}
