//! The router: every tracked request, by key.
//!
//! # Design
//!
//! A map from keys to cells, the rules, a count. A request's state is in its cell alone; the map only finds it. The
//! count is the one thing that is kept beside the map, since a map's own length may be approximate.
//!
//! **A request ends when its cell is marked dead**, by exactly one caller; that caller counts it out. Then the entry is
//! removed, by whoever comes first: whoever ended it, or whoever meets it while registering the key again. A dead entry
//! counts as absent.
//!
//! # Why
//!
//! Removing first and asking afterwards does not work for a conditional end (idle, or this registration and no later
//! one): on papaya the condition of a removal is not atomic with what changes inside the value.
//!
//! # Invariants
//!
//! - Nothing of the user's runs inside an operation of the map: events and metrics are emitted after it.
//! - No token path writes to anything but its request's cell, and what the backend itself writes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quanta::{Clock, Instant};
use state_map::BackendEnabled;
use std_or_loom::atomic::{AtomicUsize, Ordering};
use std_or_loom::{self as sync, Mutex};

use crate::cell::{Apart, Driver, PhaseCell, Shared};
use crate::handle::Home;
use crate::machine::Rules;
use crate::map::{DefaultPhaseMap, PhaseEntry, PhaseMap};
use crate::{
    ConfigError, EntropySignal, Occupancy, PhaseEvent, PhaseKind, PhaseRouterConfig, RequestHandle,
    RequestKey, StartPhase, ThinkPhase, TrackError, telemetry,
};

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
/// Shared by reference or `Arc` among any number of threads. Feed each request its tokens in order, accepted ones only: a
/// speculative token that is rejected later must not be fed.
///
/// # Concurrency
///
/// Operations on one key are linearizable. `on_token` by several threads at once on one request counts every token, in
/// some order. Operations over many requests (`on_step`, `reap_idle`, `occupancy`) are not atomic: each request on its own
/// is.
///
/// A token by key costs a lookup and one compare-and-swap on the request's own cache line. Registering and reaping
/// write a counter that all threads share; tokens do not.
pub struct PhaseRouter<M = DefaultPhaseMap> {
    shared: Arc<Shared>,
    config: PhaseRouterConfig,
    map: M,
    started: Instant,
    clock: Clock,
    live: Apart<AtomicUsize>,
    /// Held over a sweep: what sweeps remember in the cells is one sweep's at a time.
    sweep: Mutex<()>,
}

impl PhaseRouter {
    /// A router on the default map.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field, the value and the rule.
    pub fn new<'new>(config: PhaseRouterConfig) -> Result<Self, ConfigError>
    where
        DefaultPhaseMap: BackendEnabled<'new>,
    {
        Self::with_map(config, DefaultPhaseMap::empty())
    }
}

impl<M: PhaseMap> PhaseRouter<M> {
    /// A router on `map`, which should be empty: requests in it are not counted.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field, the value and the rule.
    pub fn with_map(config: PhaseRouterConfig, map: M) -> Result<Self, ConfigError> {
        let shared = Arc::new(Shared {
            rules: Rules::new(&config)?,
            ignored: Apart::default(),
        });
        let clock = Clock::new();
        Ok(Self {
            shared,
            config,
            map,
            started: clock.now(),
            clock,
            live: Apart::default(),
            sweep: Mutex::new(()),
        })
    }

    /// The same router, with sweeps that go by `clock`: a test passes one that it moves itself.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self {
            started: clock.now(),
            clock,
            ..self
        }
    }

    /// The configuration this router was made with.
    pub fn config(&self) -> &PhaseRouterConfig {
        &self.config
    }

    /// Starts to track a request that has seen no token. False if it is tracked already, which changes nothing.
    pub fn register(&self, key: impl Into<RequestKey>) -> bool {
        self.register_in(key, StartPhase::Prefill)
    }

    /// Starts to track a request in a given phase: in [`StartPhase::ThinkDecode`] where the chat template has put
    /// the start marker into the prompt. False if it is tracked already, which changes nothing.
    pub fn register_in(&self, key: impl Into<RequestKey>, start: StartPhase) -> bool {
        self.insert(key.into(), &Arc::new(PhaseCell::new(start, Driver::Key)))
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
        self.track_in(key, StartPhase::Prefill)
    }

    /// As [`track`](Self::track), in a given phase.
    ///
    /// # Errors
    ///
    /// [`TrackError`], if the request is tracked already, by key or by another handle.
    pub fn track_in(
        self: &Arc<Self>,
        key: impl Into<RequestKey>,
        start: StartPhase,
    ) -> Result<RequestHandle, TrackError>
    where
        M: 'static,
    {
        let (key, cell) = (key.into(), Arc::new(PhaseCell::new(start, Driver::Handle)));
        if self.insert(key, &cell) {
            Ok(RequestHandle::new(
                Arc::clone(&self.shared),
                Arc::clone(self) as _,
                key,
                cell,
            ))
        } else {
            Err(TrackError { key })
        }
    }

    fn insert(&self, key: RequestKey, cell: &Arc<PhaseCell>) -> bool {
        let access = self.map.access();
        while access
            .insert_if_absent(key, PhaseEntry(Arc::clone(cell)))
            .is_err()
        {
            match access.read(&key, PhaseEntry::is_live) {
                Some(true) => return false,
                // It ended, and whoever ended it has not come to removing it.
                Some(false) => access.remove_if(&key, PhaseEntry::is_dead),
                // Another thread has removed it meanwhile.
                None => continue,
            };
        }
        drop(access);
        self.live.fetch_add(1, Ordering::Relaxed);
        telemetry::registered(key);
        true
    }

    /// Ends a request, whoever drives it. False if it is not tracked.
    pub fn reap(&self, key: impl Into<RequestKey>) -> bool {
        let key = key.into();
        let access = self.map.access();
        let ended = access.read(&key, |entry| entry.0.end()) == Some(true);
        if ended {
            access.remove_if(&key, PhaseEntry::is_dead);
            drop(access);
            self.count_out(key);
        }
        ended
    }

    fn count_out(&self, key: RequestKey) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        telemetry::reaped(key);
    }

    /// A sign of life that is no token, for [`reap_idle`](Self::reap_idle). False if the request is not tracked.
    pub fn touch(&self, key: impl Into<RequestKey>) -> bool {
        self.map.access().read(&key.into(), |entry| entry.0.touch()) == Some(true)
    }

    /// Ends every request that nothing has happened to for `timeout`, and returns how many that were.
    ///
    /// Idle time is real time, exact to the interval between two sweeps: a sweep stamps the requests that have changed
    /// since the sweep before it, and ends those whose stamp is `timeout` old or older. So a request is ended by the
    /// first sweep that is at least `timeout` after the *first sweep after* its last token; called every second, 60 s
    /// means 60 to 61 s, at any rate of tokens. The first sweep that meets a request only stamps it.
    ///
    /// Reads the clock once. Sweeps by several threads take turns. A token or [`touch`](Self::touch) by key that comes
    /// before the end of its request prevents it. A handle's token does so too, unless it comes within the instant in
    /// which the sweep decides: then it is the last that is answered.
    pub fn reap_idle(&self, timeout: Duration) -> usize {
        let sweeping = sync::lock(&self.sweep);
        let now = self.clock.now().duration_since(self.started);
        let mut ended = Vec::new();
        let access = self.map.access();
        access.for_each(|key, entry| {
            if entry.0.end_if_idle(now, timeout) {
                ended.push(*key);
            }
        });
        for key in &ended {
            access.remove_if(key, PhaseEntry::is_dead);
        }
        drop(access);
        drop(sweeping);
        ended.iter().for_each(|key| self.count_out(*key));
        ended.len()
    }

    /// A token of a request, in order: what it does, or `None` if the request is not tracked.
    ///
    /// `sample` is what was measured with the token; it counts while the request is thinking. A sample that is not
    /// finite is ignored, and counted in [`ignored_samples`](Self::ignored_samples).
    #[inline]
    pub fn on_token(
        &self,
        key: impl Into<RequestKey>,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Option<PhaseEvent> {
        let key = key.into();
        let event = self
            .map
            .access()
            .read(&key, |entry| entry.0.on_token(&self.shared, token, sample))??;
        telemetry::tell(key, event);
        Some(event)
    }

    /// A batch of tokens, in order: `events` is cleared, and then has for each token what
    /// [`on_token`](Self::on_token) answers. May have several tokens of one request.
    ///
    /// One access to the map for the batch. Allocates only where `events` is too small.
    pub fn on_step(&self, tokens: &[StepToken], events: &mut Vec<Option<PhaseEvent>>) {
        events.clear();
        let access = self.map.access();
        let mut news = false;
        events.extend(tokens.iter().map(|StepToken { key, token, sample }| {
            let event = access
                .read(key, |entry| {
                    entry.0.on_token(&self.shared, *token, sample.as_ref())
                })
                .flatten();
            news |= event.is_some_and(|event| event != PhaseEvent::Unchanged);
            event
        }));
        drop(access);
        if news {
            for (token, event) in tokens.iter().zip(events) {
                event
                    .iter()
                    .for_each(|event| telemetry::tell(token.key, *event));
            }
        }
    }

    /// The phase of a request, with all there is to know of it; `None` if it is not tracked. One moment's state,
    /// also while tokens come.
    #[must_use]
    pub fn phase_of(&self, key: impl Into<RequestKey>) -> Option<ThinkPhase> {
        self.map
            .access()
            .read(&key.into(), |entry| entry.0.phase())?
    }

    /// The kind of a request's phase; `None` if it is not tracked. Cheaper than [`phase_of`](Self::phase_of).
    #[must_use]
    pub fn phase_kind(&self, key: impl Into<RequestKey>) -> Option<PhaseKind> {
        self.map
            .access()
            .read(&key.into(), |entry| entry.0.kind())?
    }

    /// How many requests are tracked: exactly those whose registration has returned, and which have not ended.
    #[must_use]
    pub fn tracked_requests(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// How many samples were ignored because they were not finite.
    #[must_use]
    pub fn ignored_samples(&self) -> u64 {
        self.shared.ignored.load(Ordering::Relaxed)
    }

    /// How full the map is. Locks each shard in turn, where the map has shards.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        Occupancy::new(self.tracked_requests(), self.map.shard_lens())
    }
}

impl<M: PhaseMap> Home for PhaseRouter<M> {
    fn reap_cell(&self, key: RequestKey, cell: &PhaseCell) {
        if cell.end() {
            self.map.access().remove_if(&key, PhaseEntry::is_dead);
            self.count_out(key);
        }
    }
}

impl<M> fmt::Debug for PhaseRouter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhaseRouter")
            .field("config", &self.config)
            .field("tracked_requests", &self.live.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
