//! The router: every tracked request, by key.
//!
//! # Design
//!
//! A map from keys to cells. A request's state is in its cell alone; the map only finds it. What counts requests is kept
//! beside the map, since a map's own length may be approximate: `counts.rs`.
//!
//! Tokens are here; how requests come and go in `tracking.rs`, what can be seen of them in `views.rs`.
//!
//! # Invariants
//!
//! 1. Nothing of the user's runs inside an operation of the map: events and metrics are emitted after it.
//! 2. No token path writes to anything but its request's cell, and what the backend itself writes.
//! 3. Nobody waits with a session of the map open. Where a cell is [`Busy`](crate::cell::Busy), it is taken out of the map, the
//!    session is closed, and then is waited.
//!
//! | who | may wait for | where |
//! |---|---|---|
//! | a token by key, `set_budget`, `rollback` | another thread inside a token with a sample or a marker, or a change, of the same request by key; for some 15 ms, then [`NotFed::Busy`] | on the cell, outside of the map |
//! | `reap`, `move_out` | the same; until it is over | the same |
//! | `phase_of`, `state_of`, `summary_of`, the end of a request that a handle drives | another thread that is storing a marker's token, or a change; until it is over | the same |
//! | a token by handle, `touch`, `phase_kind`, a sweep | nobody | |
//! | all of them | what the map itself has them wait for | in the map |
//! | a sweep | another sweep | before the map |

mod tracking;
mod views;

use std::fmt;
use std::sync::Arc;

use state_map::sync::Mutex;

use crate::cell::{Fed, PhaseCell};
use crate::counts::Counting;
use crate::key::Names;
use crate::map::{DefaultPhaseMap, PhaseMap, PhaseSession};
use crate::patience::Patience;
use crate::rules::Rules;
use crate::{
    ConfigError, EntropySignal, FormatId, Injection, NotFed, PhaseEvent, PhaseRouterConfig,
    RequestKey, RequestState, telemetry,
};

pub use views::PhaseCounts;

/// One token of one request, for [`PhaseRouter::on_step`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepToken {
    /// The request it belongs to.
    pub key: RequestKey,
    /// The token id.
    pub token: u32,
    /// What was measured with it, if anything was.
    pub sample: Option<EntropySignal>,
}

impl StepToken {
    /// A token without a sample.
    #[must_use]
    pub fn new(key: impl Into<RequestKey>, token: u32) -> Self {
        Self {
            key: key.into(),
            token,
            sample: None,
        }
    }

    /// The same token, with a sample.
    #[must_use]
    pub fn with_sample(self, sample: EntropySignal) -> Self {
        Self {
            sample: Some(sample),
            ..self
        }
    }
}

/// The phase of every request in flight.
///
/// Shared by reference or `Arc` among any number of threads. Feed each request its tokens in order. Tokens of a draft may be
/// fed, too: take [`state_of`](Self::state_of) before it, and [`rollback`](Self::rollback) what was rejected.
///
/// # Concurrency
///
/// Operations on one key are linearizable. `on_token` by several threads at once on one request counts every token, in
/// some order. Operations over many requests (`on_step`, `register_batch`, `reap_idle`, `counts_by_phase`, `requests`,
/// `occupancy`) are not atomic: each request on its own is.
///
/// A token by key costs a lookup and one compare-and-swap on the request's own cache line. Registering and reaping
/// write counts that all threads share; tokens do not.
pub struct PhaseRouter<M = DefaultPhaseMap> {
    formats: Box<[Arc<Rules>]>,
    config: PhaseRouterConfig,
    map: M,
    names: Names,
    counts: Counting,
    /// Held over a sweep: what sweeps remember in the cells is one sweep's at a time.
    sweep: Mutex<()>,
}

impl PhaseRouter {
    /// A router on the default map.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field, the value and the rule.
    pub fn new(config: PhaseRouterConfig) -> Result<Self, ConfigError>
    where
        // The lifetime puts the question off to the caller: with no backend this crate builds, a call does not.
        for<'any> DefaultPhaseMap: PhaseMap + Default,
    {
        Self::on_an_empty_map(config)
    }
}

impl<M: PhaseMap> PhaseRouter<M> {
    /// A router on `map`, which should be empty: requests in it are another router's, and counted there.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field, the value and the rule.
    pub fn with_map(config: PhaseRouterConfig, map: M) -> Result<Self, ConfigError> {
        let formats = Rules::all(&config)?;
        let counts = Counting(Arc::clone(&formats[0].counts));
        Ok(Self {
            formats,
            config,
            map,
            names: Names::random(),
            counts,
            sweep: Mutex::new(()),
        })
    }

    fn on_an_empty_map(config: PhaseRouterConfig) -> Result<Self, ConfigError>
    where
        M: Default,
    {
        Self::with_map(config, M::default())
    }

    /// The configuration this router was made with.
    pub fn config(&self) -> &PhaseRouterConfig {
        &self.config
    }

    /// The format of this name, for [`Registration::format`](crate::Registration::format).
    ///
    /// ```
    /// use phase_state::{Format, PhaseRouter, PhaseRouterConfig, Registration};
    ///
    /// let formats = vec![
    ///     Format::with_marker_ids([1], [2], [3]).named("qwen3"),
    ///     Format::with_marker_ids([7], [8], [9]).named("kimi"),
    /// ];
    /// let router = PhaseRouter::new(PhaseRouterConfig { formats, ..PhaseRouterConfig::default() })?;
    /// let kimi = router.format("kimi").expect("configured above");
    /// assert!(router.register_with(42, Registration::new().format(kimi)).is_ok());
    /// # Ok::<(), phase_state::ConfigError>(())
    /// ```
    #[must_use]
    pub fn format(&self, name: &str) -> Option<FormatId> {
        let named = self.formats.iter().find(|rules| rules.name == name);
        named.map(|rules| rules.id)
    }

    /// The key of a request that has no number: of an id as text, or as the bytes of a UUID. The same in one router, and
    /// another in every other.
    ///
    /// Of two ids in one router, each chosen by whoever likes to, one is taken for the other with a probability of 2^-96.
    ///
    /// # Cost
    ///
    /// A SipHash-1-3 of the id: some 30 ns for 36 characters. Keep the key with the request.
    ///
    /// ```
    /// use phase_state::{PhaseRouter, PhaseRouterConfig};
    ///
    /// let router = PhaseRouter::new(PhaseRouterConfig::default())?;
    /// let key = router.named("chatcmpl-4f1c");
    /// assert!(router.register(key) && router.register(key.with_choice(1)));
    /// assert!(!router.register(router.named("chatcmpl-4f1c")));
    /// # Ok::<(), phase_state::ConfigError>(())
    /// ```
    pub fn named(&self, id: impl AsRef<[u8]>) -> RequestKey {
        self.names.key(id.as_ref())
    }

    /// A token of a request, in order: what it does.
    ///
    /// `sample` is what was measured with the token; it counts while the request is thinking. A sample that is not
    /// finite is ignored, and counted in [`ignored_samples`](Self::ignored_samples).
    ///
    /// # Errors
    ///
    /// [`NotFed`]: the token was not taken, and nothing has changed.
    #[inline]
    pub fn on_token(
        &self,
        key: impl Into<RequestKey>,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Result<PhaseEvent, NotFed> {
        let key = key.into();
        let fed = self
            .map
            .open()
            .find(&key, |entry| entry.0.on_token(token, sample));
        match fed {
            Some(Ok(fed)) if fed.event == PhaseEvent::Unchanged => Ok(fed.event),
            Some(fed) => self.see_to(key, token, sample, fed),
            None => Err(NotFed::NotTracked),
        }
    }

    /// A batch of tokens, in order: `events` is cleared, and then has for each token what
    /// [`on_token`](Self::on_token) answers. May have several tokens of one request, and requests of several formats.
    ///
    /// One session of the map, and one more after each token that changed a phase. Allocates only where `events` is too
    /// small.
    pub fn on_step(&self, tokens: &[StepToken], events: &mut Vec<Result<PhaseEvent, NotFed>>) {
        events.clear();
        events.reserve(tokens.len());
        let mut rest = tokens.iter();
        'session: loop {
            let session = self.map.open();
            for StepToken { key, token, sample } in rest.by_ref() {
                let fed = session
                    .find(key, |entry| entry.0.on_token(*token, sample.as_ref()))
                    .unwrap_or(Err(NotFed::NotTracked));
                match fed {
                    Ok(Fed {
                        event: PhaseEvent::Unchanged,
                        ..
                    }) => events.push(Ok(PhaseEvent::Unchanged)),
                    fed => {
                        // What is told, and who has to be waited for, is outside of the map.
                        drop(session);
                        events.push(self.see_to(*key, *token, sample.as_ref(), fed));
                        continue 'session;
                    }
                }
            }
            return;
        }
    }

    /// What a token takes that did not only count: to be told of, or to be fed again.
    #[cold]
    fn see_to(
        &self,
        key: RequestKey,
        token: u32,
        sample: Option<&EntropySignal>,
        fed: Result<Fed, NotFed>,
    ) -> Result<PhaseEvent, NotFed> {
        match fed {
            Err(NotFed::Busy) => self.change(key, |cell| cell.on_token(token, sample)),
            Err(refused) => Err(refused),
            Ok(fed) => {
                // A request in a map that several routers share may be of another's format.
                if let Some(rules) = self.formats.get(usize::from(fed.format.0)) {
                    telemetry::tell(key, rules, fed);
                }
                Ok(fed.event)
            }
        }
    }

    /// Gives a request another budget: of so many tokens of thinking, over all spans, and not more than the router's. Where
    /// that is used up already, the thought is to be ended now: [`PhaseEvent::ForceBudget`], unless an end marker is
    /// under way. An end that was forced stays so.
    ///
    /// # Errors
    ///
    /// [`NotFed`]: nothing has changed. One that a handle drives takes it
    /// [from its handle](crate::RequestHandle::set_budget).
    ///
    /// ```
    /// use phase_state::{PhaseEvent, PhaseRouter, PhaseRouterConfig, StartPhase};
    ///
    /// let router = PhaseRouter::new(PhaseRouterConfig {
    ///     min_think_tokens: 0,
    ///     ..PhaseRouterConfig::with_marker_ids([1], [2], [3])
    /// })?;
    /// router.register_with(42, StartPhase::ThinkDecode).expect("a fresh key");
    /// for _ in 0..8 {
    ///     assert_eq!(router.on_token(42, 9, None), Ok(PhaseEvent::Unchanged));
    /// }
    /// let Ok(PhaseEvent::ForceBudget { injection, .. }) = router.set_budget(42, 5) else {
    ///     panic!("eight tokens are more than five");
    /// };
    /// assert_eq!(router.injection(injection), [2]);
    /// # Ok::<(), phase_state::ConfigError>(())
    /// ```
    pub fn set_budget(
        &self,
        key: impl Into<RequestKey>,
        tokens: u32,
    ) -> Result<PhaseEvent, NotFed> {
        self.change(key.into(), |cell| {
            cell.change(|state| state.set_budget(&cell.rules, tokens))
        })
    }

    /// Takes a request back to a state that it was in: after a draft of which tokens were rejected, or where it is decoded
    /// anew after it was preempted. What is fed again does not count twice, in what it comes to and in metrics. The
    /// budget stays that of now; where it is used up, the thought is to be ended.
    ///
    /// # Errors
    ///
    /// [`NotFed`]: nothing has changed.
    ///
    /// ```
    /// use phase_state::{PhaseRouter, PhaseRouterConfig, StartPhase};
    ///
    /// let router = PhaseRouter::new(PhaseRouterConfig::with_marker_ids([1], [2], [3]))?;
    /// router.register_with(42, StartPhase::ThinkDecode).expect("a fresh key");
    /// let before = router.state_of(42).expect("just registered");
    /// for draft in [9, 2, 3] {
    ///     let _ = router.on_token(42, draft, None);
    /// }
    /// router.rollback(42, &before).expect("all three were rejected");
    /// assert_eq!(router.state_of(42), Some(before));
    /// # Ok::<(), phase_state::ConfigError>(())
    /// ```
    pub fn rollback(
        &self,
        key: impl Into<RequestKey>,
        to: &RequestState,
    ) -> Result<PhaseEvent, NotFed> {
        self.change(key.into(), |cell| {
            let before = to.checked(&cell.rules).ok_or(NotFed::OtherMarkers)?;
            cell.change(|state| state.roll_back(&cell.rules, before))
        })
    }

    /// A change of a request, outside of the map, with some patience.
    fn change(
        &self,
        key: RequestKey,
        change: impl Fn(&PhaseCell) -> Result<Fed, NotFed>,
    ) -> Result<PhaseEvent, NotFed> {
        let cell = self.cell(&key).ok_or(NotFed::NotTracked)?;
        let mut patience = Patience::default();
        loop {
            match change(&cell) {
                Err(NotFed::Busy) if !patience.is_over() => patience.wait(),
                Err(refused) => return Err(refused),
                Ok(fed) => {
                    if fed.event != PhaseEvent::Unchanged {
                        telemetry::tell(key, &cell.rules, fed);
                    }
                    return Ok(fed.event);
                }
            }
        }
    }

    /// The tokens of what an event says is left to inject. None, if the event is another router's.
    #[must_use]
    pub fn injection(&self, injection: Injection) -> &[u32] {
        let rules = self.formats.get(usize::from(injection.format.0));
        rules.map_or(&[], |rules| rules.tokens(injection))
    }

    /// A request's cell, out of the map. Writes its reference count, which no token reads.
    fn cell(&self, key: &RequestKey) -> Option<Arc<PhaseCell>> {
        self.map.open().find(key, |entry| Arc::clone(&entry.0))
    }
}

impl<M> fmt::Debug for PhaseRouter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhaseRouter")
            .field("config", &self.config)
            .field("tracked_requests", &self.counts.0.live())
            .finish_non_exhaustive()
    }
}
