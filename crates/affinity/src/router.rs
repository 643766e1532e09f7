//! Where the turns of a session go.
//!
//! # Design
//!
//! A router is a store, a rule for pins whose worker has gone, and the choices under way. A turn that has a pin asks the
//! store once. A turn that has none waits its turn to choose, asks again, chooses, and claims.
//!
//! # Why
//!
//! - *What was lost to is taken as it is*: of two routers that miss at once, the one that loses the claim follows the
//!   winner even where the winner's worker is not among its own candidates. Another router has just chosen it, and so
//!   knows it; one's own list is the older one. Replacing it would have two routers replace each other's pins for ever. The
//!   next turn checks it as any other.
//! - *An error of the store is part of the answer*: affinity saves a prefill, and is no reason to fail a request. Whoever
//!   wants to fail it (a key too long, a full store) finds the error there.
//!
//! # Invariants
//!
//! No lock is held while `choose` runs but the session's own, which is async: others of the same session wait for it, and
//! nobody else.

use std::fmt;
use std::future::Future;

use thiserror::Error;
use worker_id::WorkerWithDpRank;

use crate::flight::Flights;
use crate::{AffinityStore, Binding, BindingKind, SessionKey, SessionRef, StoreError, Written};

/// What happens to a session whose worker has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Stickiness {
    /// It is pinned to another one.
    #[default]
    Soft,
    /// Its turns fail, until it is unbound: for sessions whose state is on that worker and nowhere else.
    Hard,
}

/// Sends the turns of a session to the worker that has its prefix warm.
///
/// Over any [`AffinityStore`]; several routers may share one. Needs no runtime: its futures run on any executor, and are
/// `Send` where the caller's are. A future that is dropped leaves nothing behind but what its store has done.
pub struct StickySessionRouter<S> {
    store: S,
    stickiness: Stickiness,
    flights: Flights<Routed>,
}

/// Where a turn goes, and what is known of it from now on.
#[derive(Clone, Debug)]
#[must_use]
pub struct Routed {
    /// The worker that it goes to.
    pub worker: WorkerWithDpRank,
    /// The session's pin.
    pub pin: Pin,
}

/// How the turn that was routed stands to its session's pin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Pin {
    /// The session had this one.
    Found(Binding),
    /// This one was made for it.
    Made(Binding),
    /// Another turn, of this router or of another, made this one while this turn wanted to.
    Joined(Binding),
    /// The session has none, and its next turn may go elsewhere: the store failed, or is full.
    Unpinned(Option<StoreError>),
}

impl Pin {
    /// The binding, if the session is pinned.
    #[must_use]
    pub fn binding(&self) -> Option<Binding> {
        match self {
            Self::Found(binding) | Self::Made(binding) | Self::Joined(binding) => Some(*binding),
            Self::Unpinned(_) => None,
        }
    }
}

/// A turn that goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError<E> {
    /// The session is pinned to a worker that is not among the candidates, and the router is [`Stickiness::Hard`].
    #[error(
        "the session is pinned to worker {worker}, which is not among the candidates: unbind it, or route it by `Stickiness::Soft`",
        worker = .binding.worker
    )]
    WorkerGone {
        /// The pin, which stays.
        binding: Binding,
    },
    /// No worker could be chosen.
    #[error("no worker was chosen: {0}")]
    Choose(E),
}

impl<S: AffinityStore> StickySessionRouter<S> {
    /// A router over `store`, with [`Stickiness::Soft`].
    pub fn new(store: S) -> Self {
        Self {
            store,
            stickiness: Stickiness::default(),
            flights: Flights::new(),
        }
    }

    /// The same router, with another rule for sessions whose worker has gone.
    #[must_use]
    pub fn with_stickiness(self, stickiness: Stickiness) -> Self {
        Self { stickiness, ..self }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// How many sessions a worker is being chosen for at this moment.
    #[must_use]
    pub fn choices_under_way(&self) -> usize {
        self.flights.len()
    }

    /// The session's pin, which begins its time to live anew.
    ///
    /// # Errors
    ///
    /// As [`AffinityStore::get`].
    pub async fn resolve(
        &self,
        key: impl Into<SessionRef<'_>> + Send,
    ) -> Result<Option<Binding>, StoreError> {
        self.store.get(key.into()).await
    }

    /// The session's pin, and nothing else happens.
    ///
    /// # Errors
    ///
    /// As [`AffinityStore::peek`].
    pub async fn peek(
        &self,
        key: impl Into<SessionRef<'_>> + Send,
    ) -> Result<Option<Binding>, StoreError> {
        self.store.peek(key.into()).await
    }

    /// Pins a session that only routers know of, whatever it was pinned to.
    ///
    /// # Errors
    ///
    /// As [`AffinityStore::bind`].
    pub async fn bind_router_only(
        &self,
        key: impl Into<SessionRef<'_>> + Send,
        worker: WorkerWithDpRank,
    ) -> Result<Written, StoreError> {
        self.store
            .bind(key.into(), worker, BindingKind::RouterOnly)
            .await
    }

    /// Pins a session that the engine holds open, whatever it was pinned to: the store's `on_expire` hears of its end.
    ///
    /// # Errors
    ///
    /// As [`AffinityStore::bind`].
    pub async fn bind_engine_session(
        &self,
        key: impl Into<SessionRef<'_>> + Send,
        worker: WorkerWithDpRank,
    ) -> Result<Written, StoreError> {
        self.store
            .bind(key.into(), worker, BindingKind::EngineBacked)
            .await
    }

    /// Ends a session's pin. The store's `on_expire` hears nothing of it.
    ///
    /// # Errors
    ///
    /// As [`AffinityStore::remove`].
    pub async fn unbind(
        &self,
        key: impl Into<SessionRef<'_>> + Send,
    ) -> Result<Written, StoreError> {
        self.store.remove(key.into()).await
    }

    /// Where a turn goes: to its session's worker, or, if it has none, to the one that `choose` names, which is its
    /// worker from then on (a router-only pin).
    ///
    /// `candidates` are the workers there are, with their incarnations: a pin to a worker that restarted under its old
    /// id is no hit. `choose` should name one of them. At any time it runs for one turn of a session in this router; the
    /// others wait and take what came of it. If its turn goes away or fails, another chooses.
    ///
    /// A store that fails or is full makes no difference to where the turn goes, and the answer says
    /// [`Pin::Unpinned`]. The store bounds how long it takes; the router adds no timer.
    ///
    /// A hit costs what the store's `get` costs, and a comparison with each candidate; it allocates nothing.
    ///
    /// # Errors
    ///
    /// [`RouteError::Choose`] with what `choose` said; [`RouteError::WorkerGone`] in [`Stickiness::Hard`] only.
    pub async fn resolve_or_assign<F, C, E>(
        &self,
        key: impl Into<SessionRef<'_>> + Send,
        candidates: &[WorkerWithDpRank],
        choose: F,
    ) -> Result<Routed, RouteError<E>>
    where
        F: FnOnce() -> C + Send,
        C: Future<Output = Result<WorkerWithDpRank, E>> + Send,
    {
        let key = key.into();
        match self.store.get(key).await {
            Ok(Some(binding)) if among(candidates, binding.worker) => Ok(Routed::found(binding)),
            Ok(_) => match SessionKey::new(key) {
                Ok(owned) => self.assign(key, owned, candidates, choose).await,
                Err(error) => choose_unpinned(choose, Some(error)).await,
            },
            Err(error) => choose_unpinned(choose, Some(error)).await,
        }
    }

    async fn assign<F, C, E>(
        &self,
        key: SessionRef<'_>,
        owned: SessionKey,
        candidates: &[WorkerWithDpRank],
        choose: F,
    ) -> Result<Routed, RouteError<E>>
    where
        F: FnOnce() -> C + Send,
        C: Future<Output = Result<WorkerWithDpRank, E>> + Send,
    {
        let seat = self.flights.join(owned);
        let mut outcome = seat.turn().await;
        if let Some(routed) = &*outcome {
            return Ok(routed.clone().joined());
        }
        let routed = self.lead(key, candidates, choose).await?;
        *outcome = Some(routed.clone());
        Ok(routed)
    }

    /// Asks again, since a pin may have been made before it was this turn's turn; chooses; and pins.
    async fn lead<F, C, E>(
        &self,
        key: SessionRef<'_>,
        candidates: &[WorkerWithDpRank],
        choose: F,
    ) -> Result<Routed, RouteError<E>>
    where
        F: FnOnce() -> C + Send,
        C: Future<Output = Result<WorkerWithDpRank, E>> + Send,
    {
        let gone = match self.store.get(key).await {
            Ok(Some(binding)) if among(candidates, binding.worker) => {
                return Ok(Routed::found(binding));
            }
            Ok(Some(binding)) if self.stickiness == Stickiness::Hard => {
                return Err(RouteError::WorkerGone { binding });
            }
            Ok(gone) => gone,
            Err(error) => return choose_unpinned(choose, Some(error)).await,
        };
        let worker = choose().await.map_err(RouteError::Choose)?;
        let pin = match self.pin(key, gone, worker).await {
            Ok(pin) => pin,
            Err(error) => Pin::Unpinned(Some(error)),
        };
        // A lost claim goes where the winner's does.
        let worker = pin.binding().map_or(worker, |binding| binding.worker);
        Ok(Routed { worker, pin })
    }

    /// Pins to `worker`, in place of a pin whose worker has gone if there was one.
    async fn pin(
        &self,
        key: SessionRef<'_>,
        gone: Option<Binding>,
        worker: WorkerWithDpRank,
    ) -> Result<Pin, StoreError> {
        let kind = BindingKind::RouterOnly;
        if let Some(gone) = gone {
            let written = self
                .store
                .rebind_if(key, gone.generation, worker, kind)
                .await?;
            // Without an answer it ran out or was removed since: there is nothing to replace, and it is claimed.
            if let Some(now) = written.now {
                return Ok(Pin::of(written.applied, now));
            }
        }
        let written = self.store.claim(key, worker, kind).await?;
        Ok(written
            .now
            .map_or(Pin::Unpinned(None), |now| Pin::of(written.applied, now)))
    }
}

/// Whether `worker` is among `candidates`, in this incarnation.
fn among(candidates: &[WorkerWithDpRank], worker: WorkerWithDpRank) -> bool {
    candidates
        .iter()
        .any(|candidate| candidate.same_incarnation(&worker))
}

async fn choose_unpinned<F, C, E>(
    choose: F,
    error: Option<StoreError>,
) -> Result<Routed, RouteError<E>>
where
    F: FnOnce() -> C + Send,
    C: Future<Output = Result<WorkerWithDpRank, E>> + Send,
{
    let worker = choose().await.map_err(RouteError::Choose)?;
    Ok(Routed {
        worker,
        pin: Pin::Unpinned(error),
    })
}

impl Pin {
    fn of(applied: bool, binding: Binding) -> Self {
        if applied {
            Self::Made(binding)
        } else {
            Self::Joined(binding)
        }
    }
}

impl Routed {
    fn found(binding: Binding) -> Self {
        Self {
            worker: binding.worker,
            pin: Pin::Found(binding),
        }
    }

    /// As those see it who waited for it.
    fn joined(self) -> Self {
        let pin = match self.pin {
            Pin::Made(binding) => Pin::Joined(binding),
            other => other,
        };
        Self { pin, ..self }
    }
}

impl<S: fmt::Debug> fmt::Debug for StickySessionRouter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StickySessionRouter")
            .field("store", &self.store)
            .field("stickiness", &self.stickiness)
            .field("flights", &self.flights)
            .finish()
    }
}
