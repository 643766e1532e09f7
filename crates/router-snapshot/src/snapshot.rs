//! The snapshot: everything that a selection looks at, and the rules by which it chooses.
//!
//! A request is only ever sent to the first router of its class, or to the default one. So a
//! selection looks at six routers, however many are registered, and the answers for requests
//! without a model are worked out when the snapshot is made. The tables are persistent: a snapshot
//! shares with the one before it all but what has changed.
//!
//! # Invariants
//!
//! 1. A snapshot does not change once it is published.
//! 2. `winners[c]` is the registered router of class `c` with the lowest `number`;
//!    `winners[DEFAULT]` is in `routers`.
//! 3. Every worker in `workers` is in `models`, and in `pools`.

use std::sync::Arc;

use crate::models::{Model, Models};
use crate::pool::{ClassSet, Pools};
use crate::router::CLASSES;
use crate::table::Table;
use crate::{RouterClass, RouterId, RouterMode, SelectError, Selection, Worker};

/// The place of the default router, after those of the classes.
const DEFAULT: usize = CLASSES;

/// A place among the winners.
pub(crate) type Slot = usize;

pub(crate) type Winners<R> = [Option<Arc<Seat<R>>>; CLASSES + 1];

/// A registered router.
pub(crate) struct Seat<R: ?Sized> {
    pub(crate) id: RouterId,
    pub(crate) class: RouterClass,
    /// The order of registration.
    pub(crate) number: u64,
    pub(crate) router: Arc<R>,
}

pub(crate) struct Snapshot<R: ?Sized, W> {
    pub(crate) generation: u64,
    pub(crate) routers: Table<Seat<R>>,
    pub(crate) workers: Table<Worker<W>>,
    pub(crate) models: Models,
    /// All workers, whatever they serve.
    pub(crate) pools: Arc<Pools>,
    /// The first router of each class, then the default one.
    winners: Winners<R>,
    /// The classes that have a router.
    registered: ClassSet,
    /// The answer to a request that names no model: by whether draining workers count, and whether
    /// it prefers PD.
    unnamed: [[Option<RouterClass>; 2]; 2],
}

impl<R: ?Sized, W> Default for Snapshot<R, W> {
    fn default() -> Self {
        Self {
            generation: 0,
            routers: Table::default(),
            workers: Table::default(),
            models: Models::default(),
            pools: Arc::default(),
            winners: Default::default(),
            registered: ClassSet::default(),
            unnamed: Default::default(),
        }
    }
}

impl<R: ?Sized, W> Clone for Snapshot<R, W> {
    fn clone(&self) -> Self {
        Self {
            generation: self.generation,
            routers: self.routers.clone(),
            workers: self.workers.clone(),
            models: self.models.clone(),
            pools: Arc::clone(&self.pools),
            winners: self.winners.clone(),
            registered: self.registered,
            unnamed: self.unnamed,
        }
    }
}

impl<R: ?Sized, W> Snapshot<R, W> {
    /// Lets a worker stand at a place, or nobody. Answers who stood there.
    pub(crate) fn set_worker(
        &mut self,
        place: u32,
        worker: Option<Arc<Worker<W>>>,
    ) -> Option<Arc<Worker<W>>> {
        let pools = Arc::make_mut(&mut self.pools);
        if let Some(worker) = &worker {
            self.models.add(worker, place);
            pools.insert(worker.class(), worker.role, place, worker.state());
        }
        let before = self.workers.set(place, worker);
        if let Some(before) = &before {
            // Afterwards, so that a model that both name stays in the table.
            self.models.remove(before, place);
            pools.remove(before.class(), before.role, place, before.state());
        }
        before
    }

    /// Lets a router stand at a place, or none. [`elect`](Self::elect) afterwards.
    pub(crate) fn set_router(&mut self, place: u32, seat: Option<Arc<Seat<R>>>) {
        self.routers.set(place, seat);
    }

    /// Works out what follows from the routers and the workers. `winners`, where routers have
    /// changed: the first router of each class, and the default one.
    pub(crate) fn elect(&mut self, winners: Option<Winners<R>>) {
        if let Some(winners) = winners {
            let classes = RouterClass::ALL.into_iter();
            self.registered = classes.fold(ClassSet::default(), |set, class| {
                set.with(class, winners[class.index()].is_some())
            });
            self.winners = winners;
        }
        self.unnamed = [false, true].map(|draining| {
            let [regular, pd] = [false, true].map(|pd| self.first_of_kind(pd, draining));
            [regular.or(pd), pd.or(regular)]
        });
    }

    /// Of the classes of a kind that can serve a request, the one whose router was registered
    /// first.
    fn first_of_kind(&self, pd: bool, draining: bool) -> Option<RouterClass> {
        let eligible = self.models.served(draining).and(self.registered);
        let seats = self.winners[..CLASSES].iter().flatten();
        let of_kind = seats.filter(|seat| seat.class.is_pd() == pd && eligible.has(seat.class));
        of_kind
            .min_by_key(|seat| seat.number)
            .map(|seat| seat.class)
    }

    /// The router for a request.
    #[inline]
    pub(crate) fn select(
        &self,
        mode: RouterMode,
        selection: &Selection<'_>,
    ) -> Result<Slot, SelectError> {
        let class = match (mode, selection.model) {
            (RouterMode::Single, _) => return self.the_default(),
            (_, None) => self.unnamed_class(selection),
            (_, Some(model)) => self
                .models
                .get(model)
                .and_then(|model| model.served(selection.draining).and(self.registered).best()),
        };
        match class {
            Some(class) => Ok(class.index()),
            None => self.fall_back(mode, selection),
        }
    }

    fn the_default(&self) -> Result<Slot, SelectError> {
        let default = self.winners[DEFAULT].as_ref();
        default.map(|_| DEFAULT).ok_or(SelectError::NoDefault)
    }

    /// What is in a slot that [`select`](Self::select) answered.
    #[inline]
    pub(crate) fn seat(&self, slot: Slot) -> &Arc<Seat<R>> {
        self.winners[slot]
            .as_ref()
            .expect("a rule answers a slot that has a router")
    }

    #[inline]
    fn unnamed_class(&self, selection: &Selection<'_>) -> Option<RouterClass> {
        self.unnamed[usize::from(selection.draining)][usize::from(selection.prefer_pd)]
    }

    #[cold]
    fn fall_back(&self, mode: RouterMode, selection: &Selection<'_>) -> Result<Slot, SelectError> {
        if selection.model == Some("") {
            return Err(SelectError::EmptyModel);
        }
        if mode == RouterMode::MultiOrDefault
            && let Some(seat) = &self.winners[DEFAULT]
            && self.models.served(selection.draining).has(seat.class)
        {
            return Ok(DEFAULT);
        }
        Err(self.refusal(selection.model))
    }

    /// Why nobody serves a request.
    fn refusal(&self, model: Option<&str>) -> SelectError {
        use worker_id::WorkerState::{Draining, Healthy, Ill};
        if self.workers.len() == 0 {
            return SelectError::NoWorkers;
        }
        let pools = match model {
            None => &self.pools,
            Some(name) => match self.models.get(name) {
                Some(model) => model.pools(),
                None => {
                    return SelectError::UnknownModel {
                        // An error must not carry (or log) a megabyte that somebody sent.
                        model: name.chars().take(64).collect(),
                    };
                }
            },
        };
        let count = |state| pools.iter().map(|pool| pool.count(state)).sum();
        SelectError::NobodyServes {
            ill: count(Ill),
            draining: count(Draining),
            unmatched: count(Healthy),
        }
    }

    /// The workers that a request of a model may be sent to, or that of no model.
    pub(crate) fn pools_of(&self, model: Option<&str>) -> Option<&Pools> {
        match model {
            None => Some(&self.pools),
            Some(model) => self.models.get(model).map(Model::pools),
        }
    }

    pub(crate) fn default_router(&self) -> Option<&Arc<Seat<R>>> {
        self.winners[DEFAULT].as_ref()
    }
}
