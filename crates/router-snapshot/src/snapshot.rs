//! The snapshot: everything that a selection looks at, and the rules by which it chooses.
//!
//! # Design
//!
//! A request is only ever sent to the first router of its class, or to the default one. So a snapshot has six routers
//! however many are registered, and the two answers for requests without a model are worked out when it is made. What
//! grows with the fleet is the table of models, and that is persistent.
//!
//! # Why
//!
//! A snapshot of all routers that is scanned costs more with every router, and one that is copied costs every
//! registration as much as there are routers. A persistent vector of them would cost neither, and nobody would read it.
//!
//! # Invariants
//!
//! - A snapshot does not change. `winners`, `unnamed` and `models` are of one generation.
//! - A slot that a rule answers has a router in it.

use std::sync::Arc;

use crate::models::{ClassSet, Classes, Models};
use crate::router::CLASSES;
use crate::{RouterClass, RouterId, SelectError, WorkerSpec};

/// The place of the default router, after those of the classes.
const DEFAULT: usize = CLASSES;

/// A place among the winners.
pub(crate) type Slot = usize;

/// Where a router stands: among those of its class, in the order of registration.
pub(crate) type Place = (RouterClass, u64);

/// A registered router.
pub(crate) struct Seat<R: ?Sized> {
    pub(crate) id: RouterId,
    pub(crate) place: Place,
    pub(crate) router: Arc<R>,
}

impl<R: ?Sized> Clone for Seat<R> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            place: self.place,
            router: Arc::clone(&self.router),
        }
    }
}

pub(crate) struct Snapshot<R: ?Sized> {
    pub(crate) generation: u64,
    pub(crate) routers: usize,
    /// The first router of each class, then the default one.
    winners: [Option<Seat<R>>; CLASSES + 1],
    /// The answer to a request that names no model: first to one that prefers regular routers, then to one that prefers PD.
    unnamed: [Option<Slot>; 2],
    /// The classes that have a router.
    registered: ClassSet,
    /// Healthy workers, whatever they serve.
    served: Classes,
    pub(crate) models: Models,
}

impl<R: ?Sized> Snapshot<R> {
    pub(crate) fn empty() -> Self {
        Self {
            generation: 0,
            routers: 0,
            winners: Default::default(),
            unnamed: [None; 2],
            registered: ClassSet::default(),
            served: Classes::default(),
            models: Models::default(),
        }
    }

    /// The next generation, with other routers; the workers are to follow, and then [`elect`](Self::elect).
    pub(crate) fn next(
        &self,
        routers: usize,
        first: impl Fn(RouterClass) -> Option<Seat<R>>,
        default: Option<Seat<R>>,
    ) -> Self {
        let mut winners: [_; CLASSES + 1] = Default::default();
        let mut registered = ClassSet::default();
        for class in RouterClass::ALL {
            let winner = first(class);
            registered = registered.with(class, winner.is_some());
            winners[class.index()] = winner;
        }
        winners[DEFAULT] = default;
        Self {
            generation: self.generation + 1,
            routers,
            winners,
            unnamed: [None; 2],
            registered,
            served: self.served,
            models: self.models.clone(),
        }
    }

    pub(crate) fn add_worker(&mut self, spec: &WorkerSpec) {
        let (class, healthy) = (spec.class(), spec.healthy);
        if healthy {
            self.served.add(class);
        }
        for model in &spec.models {
            self.models.add(model, class, healthy);
        }
    }

    pub(crate) fn remove_worker(&mut self, spec: &WorkerSpec) {
        let (class, healthy) = (spec.class(), spec.healthy);
        if healthy {
            self.served.remove(class);
        }
        for model in &spec.models {
            self.models.remove(model, class, healthy);
        }
    }

    /// Works out the answers that do not depend on the request.
    pub(crate) fn elect(&mut self) {
        let [regular, pd] = [false, true].map(|pd| self.first_of_kind(pd));
        self.unnamed = [regular.or(pd), pd.or(regular)];
    }

    /// The router of a kind that was registered first, if the kind has a worker.
    fn first_of_kind(&self, pd: bool) -> Option<Slot> {
        if !self.kind_has_worker(pd) {
            return None;
        }
        let first = self.winners[..CLASSES].iter().flatten();
        first
            .filter(|seat| seat.place.0.is_pd() == pd)
            .min_by_key(|seat| seat.place.1)
            .map(|seat| seat.place.0.index())
    }

    fn kind_has_worker(&self, pd: bool) -> bool {
        self.served.present().has_kind(pd)
    }

    /// The rule of single-router mode.
    #[inline]
    pub(crate) fn the_default(&self) -> Result<Slot, SelectError> {
        match self.winners[DEFAULT] {
            Some(_) => Ok(DEFAULT),
            None => Err(SelectError::NoDefault),
        }
    }

    /// The rule for requests that name no model.
    #[inline]
    pub(crate) fn without_model(&self, prefer_pd: bool) -> Result<Slot, SelectError> {
        self.unnamed[usize::from(prefer_pd)].ok_or(SelectError::NoWorkers)
    }

    /// The rule for requests that name a model.
    #[inline]
    pub(crate) fn with_model(&self, model: &str) -> Result<Slot, SelectError> {
        if let Some(served) = self.models.served(model)
            && let Some(best) = served.and(self.registered).best()
        {
            return Ok(best);
        }
        self.fall_back(model)
    }

    #[cold]
    fn fall_back(&self, model: &str) -> Result<Slot, SelectError> {
        if model.is_empty() {
            return Err(SelectError::EmptyModel);
        }
        match &self.winners[DEFAULT] {
            Some(seat) if self.kind_has_worker(seat.place.0.is_pd()) => Ok(DEFAULT),
            _ => Err(SelectError::NoWorkers),
        }
    }

    /// What is in a slot that one of the rules answered.
    #[inline]
    pub(crate) fn seat(&self, slot: Slot) -> &Seat<R> {
        self.winners[slot]
            .as_ref()
            .expect("a rule answers a slot that has a router")
    }

    pub(crate) fn default_router(&self) -> Option<&Seat<R>> {
        self.winners[DEFAULT].as_ref()
    }
}
