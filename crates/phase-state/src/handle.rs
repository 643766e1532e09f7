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

use crate::cell::PhaseCell;
use crate::patience::patiently;
use crate::telemetry::tell;
use crate::{
    EntropySignal, Injection, NotFed, PhaseEvent, RequestKey, RequestState, Summary, ThinkPhase,
};

/// Where a handle's request is tracked.
pub(crate) trait Home: Send + Sync {
    /// Ends the registration that `cell` is, and no other of its key: what it came to, if this ended it.
    fn reap_cell(&self, key: RequestKey, cell: &PhaseCell) -> Option<Summary>;

    /// The same for one that goes on elsewhere: its last state.
    fn move_cell(&self, key: RequestKey, cell: &PhaseCell) -> Option<RequestState>;
}

/// A request that is driven by whoever holds this, and by nobody else. From
/// [`PhaseRouter::track`](crate::PhaseRouter::track); may move between threads.
///
/// By key, [`PhaseRouter::on_token`](crate::PhaseRouter::on_token) answers [`NotFed::HandleDriven`] for it; everything else
/// that only looks works by key, and sees the handle's progress at all times. Dropping the handle ends its request, if
/// that has not ended yet, and never a later one under the same key.
#[must_use = "dropping it ends the request"]
pub struct RequestHandle {
    home: Arc<dyn Home>,
    cell: Arc<PhaseCell>,
    key: RequestKey,
}

impl RequestHandle {
    pub(crate) fn new(home: Arc<dyn Home>, key: RequestKey, cell: Arc<PhaseCell>) -> Self {
        Self { home, cell, key }
    }

    /// The request's key.
    pub fn key(&self) -> RequestKey {
        self.key
    }

    /// A token of this request, in order: what it does. As
    /// [`PhaseRouter::on_token`](crate::PhaseRouter::on_token), but touches no map, makes no read-modify-write, and waits for
    /// nobody.
    ///
    /// # Errors
    ///
    /// [`NotFed::NotTracked`], if the request was reaped.
    #[inline]
    pub fn on_token(
        &mut self,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Result<PhaseEvent, NotFed> {
        let fed = self.cell.on_handle_token(token, sample)?;
        if fed.event != PhaseEvent::Unchanged {
            tell(self.key, &self.cell.rules, fed);
        }
        Ok(fed.event)
    }

    /// As [`PhaseRouter::set_budget`](crate::PhaseRouter::set_budget).
    ///
    /// # Errors
    ///
    /// [`NotFed::NotTracked`], if the request was reaped.
    pub fn set_budget(&mut self, tokens: u32) -> Result<PhaseEvent, NotFed> {
        let rules = &self.cell.rules;
        let fed = self
            .cell
            .change_by_handle(|state| state.set_budget(rules, tokens))?;
        tell(self.key, rules, fed);
        Ok(fed.event)
    }

    /// As [`PhaseRouter::rollback`](crate::PhaseRouter::rollback).
    ///
    /// # Errors
    ///
    /// [`NotFed::NotTracked`], if the request was reaped; [`NotFed::OtherMarkers`], if the state is no state of this format.
    pub fn rollback(&mut self, to: &RequestState) -> Result<PhaseEvent, NotFed> {
        let rules = &self.cell.rules;
        let before = to.checked(rules).ok_or(NotFed::OtherMarkers)?;
        let fed = self
            .cell
            .change_by_handle(|state| state.roll_back(rules, before))?;
        tell(self.key, rules, fed);
        Ok(fed.event)
    }

    /// The request's state as a value; `None` if it was reaped.
    #[must_use]
    pub fn state(&self) -> Option<RequestState> {
        let state = patiently(|| self.cell.read());
        self.cell.is_live().then(|| RequestState {
            fingerprint: self.cell.rules.fingerprint,
            state,
        })
    }

    /// The request's phase; `None` if it was reaped.
    #[must_use]
    pub fn phase(&self) -> Option<ThinkPhase> {
        patiently(|| self.cell.phase())
    }

    /// What is left of the budget, in tokens: a draft that is longer may think too long. `None` if the request was reaped.
    #[must_use]
    pub fn remaining_budget(&self) -> Option<u32> {
        Some(self.state()?.remaining_budget())
    }

    /// The tokens of what is left to inject.
    #[must_use]
    pub fn injection(&self, injection: Injection) -> &[u32] {
        self.cell.injection(injection)
    }

    /// As [`PhaseRouter::move_out`](crate::PhaseRouter::move_out).
    #[must_use = "it is tracked nowhere now"]
    pub fn move_out(self) -> Option<RequestState> {
        self.home.move_cell(self.key, &self.cell)
    }

    /// Ends the request: what it came to; `None` if it was reaped.
    pub fn finish(self) -> Option<Summary> {
        self.home.reap_cell(self.key, &self.cell)
    }
}

impl Drop for RequestHandle {
    fn drop(&mut self) {
        // After `finish` it has ended.
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
