//! How requests come and go.
//!
//! **A request ends when its cell is marked dead**, by exactly one caller; that caller counts it out. Then the entry is
//! removed, by whoever comes first: whoever ended it, or whoever meets it while registering the key again. A dead entry
//! counts as absent.
//!
//! Removing first and asking afterwards does not work for a conditional end (idle, or this registration and no later
//! one): on papaya the condition of a removal is not atomic with what changes inside the value.

use std::sync::Arc;
use std::time::Duration;

use state_map::{Shrink, sync};

use super::PhaseRouter;
use crate::cell::{Driver, Fed, PhaseCell};
use crate::handle::Home;
use crate::machine::State;
use crate::map::{PhaseEntry, PhaseMap, PhaseSession};
use crate::patience::patiently;
use crate::{
    PhaseEvent, Registration, RequestHandle, RequestKey, RequestState, Summary, TrackError,
    telemetry,
};

/// What becomes of a request that ends here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is over: a thought that it cuts is told of.
    Reaped,
    /// It goes on elsewhere, and is told of there.
    Moved,
}

impl<M: PhaseMap> PhaseRouter<M> {
    /// Starts to track a request as [`Registration::new`] has it: in the first format, before its first token. False if
    /// it is tracked already, which changes nothing.
    pub fn register(&self, key: impl Into<RequestKey>) -> bool {
        self.register_with(key, Registration::new()).is_ok()
    }

    /// Starts to track a request, in a format, in a phase, with a budget of its own, or from a state that was taken
    /// elsewhere. Says what is due at once: [`PhaseEvent::ForceBudget`], where the chat template has opened a thought that the
    /// request has no budget for; else [`PhaseEvent::Unchanged`].
    ///
    /// # Errors
    ///
    /// [`TrackError`]: nothing has changed.
    ///
    /// ```
    /// use phase_state::{PhaseEvent, PhaseRouter, PhaseRouterConfig, Registration, StartPhase};
    ///
    /// let router = PhaseRouter::new(PhaseRouterConfig::with_marker_ids([1], [2], [3]))?;
    /// let thinking = Registration::from(StartPhase::ThinkDecode);
    /// assert_eq!(router.register_with(1, thinking.budget(2_048)), Ok(PhaseEvent::Unchanged));
    /// let due = router.register_with(2, thinking.budget(0));
    /// assert!(matches!(due, Ok(PhaseEvent::ForceBudget { .. })));
    /// # Ok::<(), phase_state::ConfigError>(())
    /// ```
    pub fn register_with(
        &self,
        key: impl Into<RequestKey>,
        registration: impl Into<Registration>,
    ) -> Result<PhaseEvent, TrackError> {
        let key = key.into();
        let (cell, event) = self.begun(&registration.into(), Driver::Key)?;
        self.insert(key, &cell)?;
        Ok(self.announce(key, &cell, event))
    }

    /// Starts to track a batch of requests: `answers` is cleared, and then has for each what
    /// [`register_with`](Self::register_with) answers.
    pub fn register_batch(
        &self,
        requests: &[(RequestKey, Registration)],
        answers: &mut Vec<Result<PhaseEvent, TrackError>>,
    ) {
        answers.clear();
        answers.extend(
            requests
                .iter()
                .map(|(key, registration)| self.register_with(*key, *registration)),
        );
    }

    /// Starts to track a request that is driven by the returned handle, and by that alone: its tokens then cost no
    /// lookup and no read-modify-write.
    ///
    /// # Errors
    ///
    /// [`TrackError`], if the request is tracked already, by key or by another handle.
    pub fn track(self: &Arc<Self>, key: impl Into<RequestKey>) -> Result<RequestHandle, TrackError>
    where
        M: 'static,
    {
        Ok(self.track_with(key, Registration::new())?.0)
    }

    /// As [`track`](Self::track), and otherwise as [`register_with`](Self::register_with): the handle, and what is due
    /// at once.
    ///
    /// # Errors
    ///
    /// [`TrackError`]: nothing has changed.
    pub fn track_with(
        self: &Arc<Self>,
        key: impl Into<RequestKey>,
        registration: impl Into<Registration>,
    ) -> Result<(RequestHandle, PhaseEvent), TrackError>
    where
        M: 'static,
    {
        let key = key.into();
        let (cell, event) = self.begun(&registration.into(), Driver::Handle)?;
        self.insert(key, &cell)?;
        let event = self.announce(key, &cell, event);
        Ok((RequestHandle::new(Arc::clone(self) as _, key, cell), event))
    }

    /// Starts to track `child` in the state that `parent` is in: another beam, or another completion, of the same
    /// beginning. They share nothing from then on. What the child comes to has the tokens before the fork in it:
    /// [`state_of`](Self::state_of) says how many those were.
    ///
    /// # Errors
    ///
    /// [`TrackError`]: the one is not tracked, or the other is. Nothing has changed.
    ///
    /// ```
    /// use phase_state::{PhaseRouter, PhaseRouterConfig, StartPhase};
    ///
    /// let router = PhaseRouter::new(PhaseRouterConfig::with_marker_ids([1], [2], [3]))?;
    /// router.register_with(42, StartPhase::ThinkDecode).expect("a fresh key");
    /// let _ = router.on_token(42, 9, None);
    /// router.fork(42, (42, 1)).expect("a fresh key");
    /// assert_eq!(router.phase_of((42, 1)), router.phase_of(42));
    /// # Ok::<(), phase_state::ConfigError>(())
    /// ```
    pub fn fork(
        &self,
        parent: impl Into<RequestKey>,
        child: impl Into<RequestKey>,
    ) -> Result<(), TrackError> {
        let (parent, child) = (parent.into(), child.into());
        let not_tracked = TrackError::NotTracked { key: parent };
        let cell = self.cell(&parent).ok_or(not_tracked)?;
        let state = patiently(|| cell.read());
        if !cell.is_live() {
            return Err(not_tracked);
        }
        let cell = Arc::new(PhaseCell::new(Arc::clone(&cell.rules), &state, Driver::Key));
        self.insert(child, &cell)?;
        let _ = self.announce(child, &cell, PhaseEvent::Unchanged);
        Ok(())
    }

    /// A cell that begins as a registration has it, and what is due at once.
    fn begun(
        &self,
        registration: &Registration,
        driver: Driver,
    ) -> Result<(Arc<PhaseCell>, PhaseEvent), TrackError> {
        let &Registration {
            start,
            format,
            budget,
            ref state,
        } = registration;
        let (rules, state, event) = if let Some(saved) = state {
            let rules = self.formats.iter().find_map(|rules| {
                let state = saved.checked(rules)?;
                Some((rules, state))
            });
            let (rules, mut state) = rules.ok_or(TrackError::OtherMarkers)?;
            let event = state.set_budget(rules, budget.unwrap_or(state.tally.budget));
            (rules, state, event)
        } else {
            let rules = self.formats.get(usize::from(format.0));
            let rules = rules.ok_or(TrackError::NoSuchFormat { format })?;
            let (state, event) = State::start(rules, start, budget);
            (rules, state, event)
        };
        let cell = PhaseCell::new(Arc::clone(rules), &state, driver);
        Ok((Arc::new(cell), event))
    }

    fn insert(&self, key: RequestKey, cell: &Arc<PhaseCell>) -> Result<(), TrackError> {
        let counts = &cell.rules.counts;
        // Before it is stored: in the instant after, somebody may end it, and takes one off.
        counts.count_in();
        let session = self.map.open();
        loop {
            match session.store(key, PhaseEntry(Arc::clone(cell)), PhaseEntry::is_live) {
                Ok(()) => return Ok(()),
                Err(true) => {
                    counts.take_back();
                    return Err(TrackError::Tracked { key });
                }
                // It ended, and whoever ended it has not come to removing it.
                Err(false) => session.evict(&key, PhaseEntry::is_dead),
            }
        }
    }

    /// Tells of a request that was stored, and of what is due on it.
    fn announce(&self, key: RequestKey, cell: &PhaseCell, event: PhaseEvent) -> PhaseEvent {
        telemetry::registered(key);
        if event != PhaseEvent::Unchanged {
            let fed = Fed {
                event,
                format: cell.rules.id,
                is_news: true,
            };
            telemetry::tell(key, &cell.rules, fed);
        }
        event
    }

    /// Ends a request, whoever drives it: what it came to; `None` if it is not tracked.
    ///
    /// Of one that a handle drives, a token that is fed in the same instant may be missing from it.
    pub fn reap(&self, key: impl Into<RequestKey>) -> Option<Summary> {
        let key = key.into();
        let cell = self.cell(&key)?;
        Some(self.end(key, &cell, End::Reaped)?.summary())
    }

    /// Ends a request here that goes on elsewhere: its state, for [`Registration::resume`]. What it comes to is told once,
    /// there.
    ///
    /// ```
    /// use phase_state::{PhaseRouter, PhaseRouterConfig, Registration, StartPhase};
    ///
    /// let config = PhaseRouterConfig::with_marker_ids([1], [2], [3]);
    /// let (here, there) = (PhaseRouter::new(config.clone())?, PhaseRouter::new(config)?);
    /// here.register_with(42, StartPhase::ThinkDecode).expect("a fresh key");
    /// let _ = here.on_token(42, 9, None);
    ///
    /// let state = here.move_out(42).expect("tracked");
    /// there.register_with(42, Registration::resume(state)).expect("a format with the same markers");
    /// assert_eq!(there.remaining_budget(42), Some(32_767));
    /// # Ok::<(), phase_state::ConfigError>(())
    /// ```
    #[must_use = "it is tracked nowhere now"]
    pub fn move_out(&self, key: impl Into<RequestKey>) -> Option<RequestState> {
        let key = key.into();
        let cell = self.cell(&key)?;
        let state = self.end(key, &cell, End::Moved)?;
        Some(RequestState {
            fingerprint: cell.rules.fingerprint,
            state,
        })
    }

    /// Ends this registration, and no other of its key: its last state, for the one caller that did.
    fn end(&self, key: RequestKey, cell: &PhaseCell, how: End) -> Option<State> {
        if !patiently(|| cell.end()) {
            return None;
        }
        self.map.open().evict(&key, PhaseEntry::is_dead);
        Some(self.ended(key, cell, how))
    }

    /// What is left to do for who has ended a request, and removed it.
    fn ended(&self, key: RequestKey, cell: &PhaseCell, how: End) -> State {
        let state = patiently(|| cell.last());
        cell.rules.counts.count_out(key);
        if how == End::Reaped
            && let Some(tokens) = cell.cut(&state)
        {
            telemetry::cut(&cell.rules, tokens);
        }
        state
    }

    /// A sign of life that is no token, for [`reap_idle`](Self::reap_idle). False if the request is not tracked; where it is
    /// true, no sweep that is under way ends it.
    pub fn touch(&self, key: impl Into<RequestKey>) -> bool {
        self.map.open().find(&key.into(), |entry| entry.0.touch()) == Some(true)
    }

    /// Ends every request that nothing has happened to for `timeout`, and returns them with what they came to.
    ///
    /// `now` counts from any one moment, the same in every sweep. A sweep stamps the requests that have changed since the
    /// sweep before it, and ends those whose stamp is `timeout` old or older. So none is ended early, at any rate of tokens;
    /// and all by the first sweep that is `timeout` after the first sweep after their last token: called every second, 60 s means
    /// 60 s to less than 62 s. Sweep more often where that is too late. The first sweep that meets a request only stamps it.
    ///
    /// Sweeps by several threads take turns. A token or [`touch`](Self::touch) by key that comes before the end of its request
    /// prevents it, and so does a touch of one that a handle drives. A handle's token does so too, unless it comes within the
    /// instant in which the sweep decides: then it is the last that is answered.
    pub fn reap_idle(&self, now: Duration, timeout: Duration) -> Vec<(RequestKey, Summary)> {
        let sweeping = sync::lock(&self.sweep);
        let mut idle = Vec::new();
        let session = self.map.open();
        session.visit(|key, entry| {
            if entry.0.end_if_idle(now, timeout) {
                idle.push((*key, Arc::clone(&entry.0)));
            }
        });
        for (key, _) in &idle {
            session.evict(key, PhaseEntry::is_dead);
        }
        drop(session);
        drop(sweeping);
        idle.into_iter()
            .map(|(key, cell)| (key, self.ended(key, &cell, End::Reaped).summary()))
            .collect()
    }

    /// Gives memory that a burst of requests left behind back to the allocator, where the map can; the answer says what to
    /// expect. Stops lookups meanwhile where the answer is [`Shrink::Done`]: 5 to 7 ms in all for a DashMap of a million.
    pub fn shrink(&self) -> Shrink {
        self.map.give_back()
    }
}

impl<M: PhaseMap> Home for PhaseRouter<M> {
    fn reap_cell(&self, key: RequestKey, cell: &PhaseCell) -> Option<Summary> {
        Some(self.end(key, cell, End::Reaped)?.summary())
    }

    fn move_cell(&self, key: RequestKey, cell: &PhaseCell) -> Option<RequestState> {
        let state = self.end(key, cell, End::Moved)?;
        Some(RequestState {
            fingerprint: cell.rules.fingerprint,
            state,
        })
    }
}
