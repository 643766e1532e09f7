//! The maps of record: routers and workers by id, and what they store.
//!
//! 1. One writer at a time: the manager's lock is held over every insertion and removal.
//! 2. An entry that changes is there all the while: what is in its cell is replaced.
//! 3. Routers are stored as weak references. papaya drops what was removed inside some later operation, and
//!    a router's own `Drop` must not run there: the manager holds the routers.

use std::fmt;
use std::sync::{Arc, Weak};

use published::{Published, Reading};
use state_map::{DefaultMap, StateMap};
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

/// The maps that a [`RouterManager`](crate::RouterManager) finds routers and workers in by id.
///
/// Every pair of `state_map::StateMap`s of the right keys and values is one, with maps of your own too. One
/// thread at a time inserts and removes; any number read meanwhile.
pub trait RouterMap<R: ?Sized>: Send + Sync {
    /// The map of routers.
    type Routers: StateMap<Key = RouterId, Value = RouterEntry<R>>;
    /// The map of workers.
    type Workers: StateMap<Key = WorkerWithDpRank, Value = WorkerEntry>;

    /// The map of routers.
    fn routers(&self) -> &Self::Routers;

    /// The map of workers.
    fn workers(&self) -> &Self::Workers;
}

impl<R, A, B> RouterMap<R> for (A, B)
where
    R: ?Sized,
    A: StateMap<Key = RouterId, Value = RouterEntry<R>>,
    B: StateMap<Key = WorkerWithDpRank, Value = WorkerEntry>,
{
    type Routers = A;
    type Workers = B;

    fn routers(&self) -> &A {
        &self.0
    }

    fn workers(&self) -> &B {
        &self.1
    }
}

/// For `state_map::conformance!` on a map of your own.
#[cfg(feature = "conformance")]
impl<R: Send + Sync + 'static> state_map::conformance::Sample for RouterEntry<R> {
    type Key = RouterId;

    fn key(number: u64) -> RouterId {
        RouterId::from(format!("router-{number}"))
    }

    fn sample(stamp: u64) -> Self {
        Self::new(Record {
            place: (crate::RouterClass::HttpRegular, stamp),
            router: Weak::new(),
        })
    }

    fn stamp(&self) -> u64 {
        self.load().place.1
    }
}

/// For `state_map::conformance!` on a map of your own.
#[cfg(feature = "conformance")]
impl state_map::conformance::Sample for WorkerEntry {
    type Key = WorkerWithDpRank;

    fn key(number: u64) -> WorkerWithDpRank {
        WorkerWithDpRank::from_worker_id(number)
    }

    fn sample(stamp: u64) -> Self {
        Self::new(&WorkerSpec::new(Self::key(stamp), ["model"]))
    }

    fn stamp(&self) -> u64 {
        self.load().id.worker_id
    }
}

/// The maps of a manager that names none: DashMap where that feature is on, else papaya, else scc,
/// else the locked map. With none of them on, none can be made, and the error says so.
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
