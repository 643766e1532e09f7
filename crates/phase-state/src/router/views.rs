//! What can be seen of requests.

use std::sync::Arc;

use super::PhaseRouter;
use crate::map::{PhaseMap, PhaseSession};
use crate::patience::patiently;
use crate::{Occupancy, PhaseKind, RequestKey, RequestState, Summary, ThinkPhase};

/// How many requests are in each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseCounts([usize; PhaseKind::ALL.len()]);

impl PhaseCounts {
    /// How many are in this phase.
    #[must_use]
    pub fn of(&self, kind: PhaseKind) -> usize {
        self.0[kind as usize]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }
}

impl<M: PhaseMap> PhaseRouter<M> {
    /// The phase of a request, with all there is to know of it; `None` if it is not tracked. One moment's state,
    /// also while tokens come.
    #[must_use]
    pub fn phase_of(&self, key: impl Into<RequestKey>) -> Option<ThinkPhase> {
        let key = key.into();
        let found = self.map.open();
        let phase = found.find(&key, |entry| entry.0.phase())?;
        drop(found);
        phase.unwrap_or_else(|_busy| {
            let cell = self.cell(&key)?;
            patiently(|| cell.phase())
        })
    }

    /// The kind of a request's phase; `None` if it is not tracked. Cheaper than [`phase_of`](Self::phase_of).
    #[must_use]
    pub fn phase_kind(&self, key: impl Into<RequestKey>) -> Option<PhaseKind> {
        self.map.open().find(&key.into(), |entry| entry.0.kind())?
    }

    /// A request's state as a value, to go back to or to go on from; `None` if it is not tracked.
    #[must_use]
    pub fn state_of(&self, key: impl Into<RequestKey>) -> Option<RequestState> {
        let cell = self.cell(&key.into())?;
        let state = patiently(|| cell.read());
        cell.is_live().then(|| RequestState {
            fingerprint: cell.rules.fingerprint,
            state,
        })
    }

    /// What a request has come to so far; `None` if it is not tracked. Of one that is complete: what it came to.
    #[must_use]
    pub fn summary_of(&self, key: impl Into<RequestKey>) -> Option<Summary> {
        Some(self.state_of(key)?.summary())
    }

    /// What is left of a request's budget, in tokens: a draft that is longer may think too long. `None` if it is not
    /// tracked.
    #[must_use]
    pub fn remaining_budget(&self, key: impl Into<RequestKey>) -> Option<u32> {
        Some(self.state_of(key)?.remaining_budget())
    }

    /// How many requests are tracked: those whose registration has returned and which have not ended, and for an instant
    /// also those that are being registered, or ended, by another thread. Never fewer.
    #[must_use]
    pub fn tracked_requests(&self) -> usize {
        self.counts.0.live()
    }

    /// How many requests are in each phase, each asked at a moment of its own. Looks at all of them.
    #[must_use]
    pub fn counts_by_phase(&self) -> PhaseCounts {
        let mut counts = PhaseCounts::default();
        self.map.open().visit(|_, entry| {
            if let Some(kind) = entry.0.kind() {
                counts.0[kind as usize] += 1;
            }
        });
        counts
    }

    /// Some requests, at most so many, with their phases, in no order: for a page to look at. One that comes or goes
    /// meanwhile may be missing. Looks at all requests, and allocates for those that it answers.
    #[must_use]
    pub fn requests(&self, at_most: usize) -> Vec<(RequestKey, ThinkPhase)> {
        let mut some = Vec::new();
        self.map.open().visit(|key, entry| {
            if some.len() < at_most {
                some.push((*key, Arc::clone(&entry.0)));
            }
        });
        some.into_iter()
            .filter_map(|(key, cell)| Some((key, patiently(|| cell.phase())?)))
            .collect()
    }

    /// How many samples were ignored because they were not finite.
    #[must_use]
    pub fn ignored_samples(&self) -> u64 {
        self.counts.0.ignored()
    }

    /// How full the map is. Locks each shard in turn, where the map has shards.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        Occupancy::new(self.tracked_requests(), self.map.shard_loads())
    }
}
