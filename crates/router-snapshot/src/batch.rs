//! Many changes to be made at once, and what they come to.
//!
//! # Design
//!
//! A [`Batch`] is a list, filled in by the caller while no lock is held. A [`Plan`] is what the list comes to, worked out
//! under the lock: for each id, what there was before all of it and what there is to be afterwards. Only when no change was
//! refused is the plan carried out, and that cannot fail.
//!
//! # Why
//!
//! Carrying each change out as it is read would need a way back for the changes before a refused one; and a router that a
//! batch replaces would be missing from the map for a moment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use state_map::StateMap;
use worker_id::WorkerWithDpRank;

use crate::map::RouterMap;
use crate::snapshot::{Place, Seat};
use crate::{ChangeError, Router, RouterClass, RouterId, WorkerSpec};

pub(crate) enum Change<R: ?Sized> {
    Register {
        id: RouterId,
        class: RouterClass,
        router: Arc<R>,
    },
    Deregister(RouterId),
    SetDefault(RouterId),
    UpsertWorker(Arc<WorkerSpec>),
    RemoveWorker(WorkerWithDpRank),
    SetHealth(WorkerWithDpRank, bool),
}

/// Changes that are made together: [`RouterManager::update`](crate::RouterManager::update). Each is as the method of the
/// manager that has its name, and sees those before it.
pub struct Batch<R: ?Sized = dyn Router> {
    pub(crate) changes: Vec<Change<R>>,
}

impl<R: ?Sized> Default for Batch<R> {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
        }
    }
}

impl<R: ?Sized> fmt::Debug for Batch<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("changes", &self.changes.len())
            .finish()
    }
}

impl<R: Router + ?Sized> Batch<R> {
    /// Registers a router.
    pub fn register(&mut self, id: impl Into<RouterId>, router: Arc<R>) -> &mut Self {
        self.changes.push(Change::register(id.into(), router));
        self
    }

    /// Removes a router.
    pub fn deregister(&mut self, id: impl Into<RouterId>) -> &mut Self {
        self.changes.push(Change::Deregister(id.into()));
        self
    }

    /// Makes a router the default one.
    pub fn set_default(&mut self, id: impl Into<RouterId>) -> &mut Self {
        self.changes.push(Change::SetDefault(id.into()));
        self
    }

    /// Adds a worker, or replaces it.
    pub fn upsert_worker(&mut self, spec: WorkerSpec) -> &mut Self {
        self.changes.push(Change::UpsertWorker(Arc::new(spec)));
        self
    }

    /// Removes a worker.
    pub fn remove_worker(&mut self, id: WorkerWithDpRank) -> &mut Self {
        self.changes.push(Change::RemoveWorker(id));
        self
    }

    /// Says whether requests may be sent to a worker.
    pub fn set_health(&mut self, id: WorkerWithDpRank, healthy: bool) -> &mut Self {
        self.changes.push(Change::SetHealth(id, healthy));
        self
    }
}

impl<R: Router + ?Sized> Change<R> {
    /// Asks the router for its class, which is the user's code: not under a lock.
    pub(crate) fn register(id: RouterId, router: Arc<R>) -> Self {
        let class = router.class();
        Self::Register { id, class, router }
    }
}

/// The registered routers, in order. Whoever has the manager's lock has this.
pub(crate) struct Book<R: ?Sized> {
    pub(crate) seats: BTreeMap<Place, Seat<R>>,
    /// How many have ever been registered.
    pub(crate) registrations: u64,
}

impl<R: ?Sized> Default for Book<R> {
    fn default() -> Self {
        Self {
            seats: BTreeMap::new(),
            registrations: 0,
        }
    }
}

impl<R: ?Sized> Book<R> {
    pub(crate) fn first(&self, class: RouterClass) -> Option<Seat<R>> {
        let mut of_class = self.seats.range((class, 0)..=(class, u64::MAX));
        of_class.next().map(|(_, seat)| seat.clone())
    }
}

/// What the changes of a batch do to one thing.
pub(crate) struct Edit<T> {
    pub(crate) before: Option<T>,
    pub(crate) after: Option<T>,
}

impl<T: Clone> Edit<T> {
    fn nothing_yet(current: Option<T>) -> Self {
        Self {
            before: current.clone(),
            after: current,
        }
    }

    fn changes(&self, same: impl FnOnce(&T, &T) -> bool) -> bool {
        match (&self.before, &self.after) {
            (None, None) => false,
            (Some(before), Some(after)) => !same(before, after),
            _ => true,
        }
    }
}

/// What a batch comes to. After [`Plan::new`] it has only what changes.
pub(crate) struct Plan<R: ?Sized> {
    pub(crate) routers: BTreeMap<RouterId, Edit<Seat<R>>>,
    pub(crate) workers: BTreeMap<WorkerWithDpRank, Edit<Arc<WorkerSpec>>>,
    pub(crate) default: Edit<Seat<R>>,
    pub(crate) registrations: u64,
    pub(crate) changes_default: bool,
}

impl<R: ?Sized> Plan<R> {
    /// Reads the changes in order. The first that is refused refuses all.
    pub(crate) fn new<M: RouterMap<R>>(
        changes: &[Change<R>],
        book: &Book<R>,
        map: &M,
        default: Option<&Seat<R>>,
    ) -> (Self, Result<(), ChangeError>) {
        let mut plan = Self {
            routers: BTreeMap::new(),
            workers: BTreeMap::new(),
            default: Edit::nothing_yet(default.cloned()),
            registrations: book.registrations,
            changes_default: false,
        };
        let read = changes
            .iter()
            .try_for_each(|change| plan.read(change, book, map));
        let same_seat = |a: &Seat<R>, b: &Seat<R>| a.place == b.place;
        plan.routers.retain(|_, edit| edit.changes(same_seat));
        plan.workers
            .retain(|_, edit| edit.changes(|a, b| same_worker(a, b)));
        plan.changes_default = plan.default.changes(same_seat);
        (plan, read)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.routers.is_empty() && self.workers.is_empty() && !self.changes_default
    }

    fn read<M: RouterMap<R>>(
        &mut self,
        change: &Change<R>,
        book: &Book<R>,
        map: &M,
    ) -> Result<(), ChangeError> {
        match change {
            Change::Register { id, class, router } => {
                let place = (*class, self.registrations);
                let edit = self.router(id, book, map);
                if edit.after.is_some() {
                    return Err(ChangeError::DuplicateRouter { id: id.clone() });
                }
                edit.after = Some(Seat {
                    id: id.clone(),
                    place,
                    router: Arc::clone(router),
                });
                self.registrations += 1;
            }
            Change::Deregister(id) => {
                self.router(id, book, map).after = None;
                if self
                    .default
                    .after
                    .as_ref()
                    .is_some_and(|seat| seat.id == *id)
                {
                    self.default.after = None;
                }
            }
            Change::SetDefault(id) => {
                let Some(seat) = self.router(id, book, map).after.clone() else {
                    return Err(ChangeError::UnknownRouter { id: id.clone() });
                };
                self.default.after = Some(seat);
            }
            Change::UpsertWorker(spec) => {
                if spec.models.iter().any(|model| model.is_empty()) {
                    return Err(ChangeError::EmptyModel { id: spec.id });
                }
                self.worker(spec.id, map).after = Some(Arc::clone(spec));
            }
            Change::RemoveWorker(id) => self.worker(*id, map).after = None,
            Change::SetHealth(id, healthy) => {
                if let Some(spec) = &mut self.worker(*id, map).after
                    && spec.healthy != *healthy
                {
                    Arc::make_mut(spec).healthy = *healthy;
                }
            }
        }
        Ok(())
    }

    fn router<M: RouterMap<R>>(
        &mut self,
        id: &RouterId,
        book: &Book<R>,
        map: &M,
    ) -> &mut Edit<Seat<R>> {
        self.routers.entry(id.clone()).or_insert_with(|| {
            let place = map
                .routers()
                .access()
                .read(id.as_str(), |entry| entry.load().place);
            Edit::nothing_yet(place.and_then(|place| book.seats.get(&place)).cloned())
        })
    }

    fn worker<M: RouterMap<R>>(
        &mut self,
        id: WorkerWithDpRank,
        map: &M,
    ) -> &mut Edit<Arc<WorkerSpec>> {
        self.workers.entry(id).or_insert_with(|| {
            Edit::nothing_yet(
                map.workers()
                    .access()
                    .read(&id, |entry| entry.load().into_arc()),
            )
        })
    }
}

fn same_worker(a: &WorkerSpec, b: &WorkerSpec) -> bool {
    a == b && a.id.same_incarnation(&b.id)
}
