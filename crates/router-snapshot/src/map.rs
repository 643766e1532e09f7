//! The maps of record: routers and workers by id, and what is asked of where they are stored.
//!
//! # Design
//!
//! [`RouterMap`] names only what lookups by id need. A pair of `state_map::StateMap`s, the one of routers and the other of
//! workers, is one, by one blanket implementation; a map of your own can be one without being a `StateMap`. What is
//! stored are cells that are replaced inside, so that an entry which changes is there all the while.
//!
//! # Why
//!
//! - *Two maps*: one map with a key that is either would look its keys up through a `dyn`, and could in its type answer a
//!   router where a worker was asked for.
//! - *Weak references to routers*: papaya drops what was removed when its last reader is gone, inside some later
//!   operation. A router's own `Drop` must not run there. The manager holds the routers; the map only finds them.
//!
//! # Invariants
//!
//! - One writer at a time: the manager's lock is held over every `store` and `evict`.

use std::fmt;
use std::sync::{Arc, Weak};

use published::{Published, Reading};
use state_map::{DefaultMap, MapSession, Retire, StateMap};
use worker_id::WorkerWithDpRank;

use crate::snapshot::{Place, Seat};
use crate::{RouterId, WorkerSpec};

/// What a map stores for a router. Opaque.
pub struct RouterEntry<R: ?Sized>(Published<Record<R>>);

pub(crate) struct Record<R: ?Sized> {
    pub(crate) place: Place,
    router: Weak<R>,
}

impl<R: ?Sized> Record<R> {
    pub(crate) fn new(seat: &Seat<R>) -> Self {
        Self {
            place: seat.place,
            router: Arc::downgrade(&seat.router),
        }
    }
}

impl<R: ?Sized> RouterEntry<R> {
    pub(crate) fn new(record: Record<R>) -> Self {
        Self(Published::new(record))
    }

    pub(crate) fn load(&self) -> Reading<Record<R>> {
        self.0.load()
    }

    /// The router. `None` if it has been deregistered, and nobody has it any more.
    pub(crate) fn router(&self) -> Option<Arc<R>> {
        loop {
            let record = self.load();
            let router = record.router.upgrade();
            // A router that ended between the two may have been replaced, and then its successor was here all the while.
            if router.is_some() || self.load().place == record.place {
                return router;
            }
        }
    }

    pub(crate) fn replace(&self, record: Record<R>) {
        self.0.publish(Arc::new(record));
    }
}

impl<R: ?Sized> fmt::Debug for RouterEntry<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RouterEntry")
            .field(&self.load().place.0)
            .finish()
    }
}

/// Nothing has to be handed over: the manager has the router.
impl<R: ?Sized> Retire for RouterEntry<R> {
    type Payload = ();

    fn retire(&self) {}
}

/// What a map stores for a worker. Opaque.
pub struct WorkerEntry(Published<WorkerSpec>);

impl WorkerEntry {
    pub(crate) fn new(spec: &WorkerSpec) -> Self {
        Self(Published::new(spec.clone()))
    }

    pub(crate) fn load(&self) -> Reading<WorkerSpec> {
        self.0.load()
    }

    pub(crate) fn replace(&self, spec: Arc<WorkerSpec>) {
        self.0.publish(spec);
    }
}

impl fmt::Debug for WorkerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerEntry").field(&self.load().id).finish()
    }
}

/// Nothing has to be handed over: a spec is text and numbers.
impl Retire for WorkerEntry {
    type Payload = ();

    fn retire(&self) {}
}

/// The maps that a [`RouterManager`](crate::RouterManager) finds routers and workers in by id.
///
/// Any pair of `state_map::StateMap`s, from [`RouterId`] to [`RouterEntry`] and from [`WorkerWithDpRank`] to
/// [`WorkerEntry`], is one. Operations on one id are linearizable. Closures run at most once, and must not touch the map.
/// Only one thread at a time stores and evicts; any number find meanwhile.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `RouterMap`"
)]
pub trait RouterMap<R: ?Sized>: Send + Sync {
    /// Calls `f` with the entry of a router.
    fn find_router<T>(&self, id: &str, f: impl FnOnce(&RouterEntry<R>) -> T) -> Option<T>;

    /// Stores the entry of a router that has none.
    fn store_router(&self, id: RouterId, entry: RouterEntry<R>);

    /// Removes the entry of a router, if it has one.
    fn evict_router(&self, id: &str);

    /// Calls `f` with the entry of a worker.
    fn find_worker<T>(&self, id: &WorkerWithDpRank, f: impl FnOnce(&WorkerEntry) -> T)
    -> Option<T>;

    /// Stores the entry of a worker that has none.
    fn store_worker(&self, id: WorkerWithDpRank, entry: WorkerEntry);

    /// Removes the entry of a worker, if it has one.
    fn evict_worker(&self, id: &WorkerWithDpRank);
}

impl<R, A, B> RouterMap<R> for (A, B)
where
    R: ?Sized,
    A: StateMap<Key = RouterId, Value = RouterEntry<R>>,
    B: StateMap<Key = WorkerWithDpRank, Value = WorkerEntry>,
{
    fn find_router<T>(&self, id: &str, f: impl FnOnce(&RouterEntry<R>) -> T) -> Option<T> {
        self.0.session().read(id, f)
    }

    fn store_router(&self, id: RouterId, entry: RouterEntry<R>) {
        // There is none that it could meet: one writer at a time, who has looked.
        let _ = self.0.session().insert_if_absent(id, entry, |_| ());
    }

    fn evict_router(&self, id: &str) {
        let _ = self.0.session().remove(id);
    }

    #[inline]
    fn find_worker<T>(
        &self,
        id: &WorkerWithDpRank,
        f: impl FnOnce(&WorkerEntry) -> T,
    ) -> Option<T> {
        self.1.session().read(id, f)
    }

    fn store_worker(&self, id: WorkerWithDpRank, entry: WorkerEntry) {
        let _ = self.1.session().insert_if_absent(id, entry, |_| ());
    }

    fn evict_worker(&self, id: &WorkerWithDpRank) {
        let _ = self.1.session().remove(id);
    }
}

/// The maps of a manager that names none: DashMap where that feature is on, else papaya, else scc, else the locked map.
/// With none of them it stands for nothing, and using it is an error that says so.
pub type DefaultRouterMap<R = dyn crate::Router> = (
    DefaultMap<RouterId, RouterEntry<R>>,
    DefaultMap<WorkerWithDpRank, WorkerEntry>,
);

/// Routers and workers on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapRouters<R = dyn crate::Router> = (
    state_map::DashMapBackend<RouterId, RouterEntry<R>>,
    state_map::DashMapBackend<WorkerWithDpRank, WorkerEntry>,
);

/// Routers and workers on papaya.
#[cfg(feature = "papaya")]
pub type PapayaRouters<R = dyn crate::Router> = (
    state_map::PapayaBackend<RouterId, RouterEntry<R>>,
    state_map::PapayaBackend<WorkerWithDpRank, WorkerEntry>,
);

/// Routers and workers on scc.
#[cfg(feature = "scc")]
pub type SccRouters<R = dyn crate::Router> = (
    state_map::SccBackend<RouterId, RouterEntry<R>>,
    state_map::SccBackend<WorkerWithDpRank, WorkerEntry>,
);

/// Routers and workers on locked `HashMap`s, the baseline of ADR-0007.
#[cfg(feature = "rwlock")]
pub type RwLockRouters<R = dyn crate::Router> = (
    state_map::RwLockBackend<RouterId, RouterEntry<R>>,
    state_map::RwLockBackend<WorkerWithDpRank, WorkerEntry>,
);
