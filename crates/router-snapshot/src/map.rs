//! The maps that a manager finds routers and workers by id with.
//!
//! They say at which *place* of the snapshot's tables an id stands, and nothing else: the row at
//! that place says whose it is. A place is stored before the first snapshot that has the id is
//! published, and removed after the first one that has it no more. It does not change in between.

use state_map::{DefaultMap, Retire, StateMap};
use worker_id::WorkerWithDpRank;

use crate::RouterId;

/// What a map stores for a router: where it stands. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterEntry(pub(crate) u32);

/// What a map stores for a worker: where it stands. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerEntry(pub(crate) u32);

/// There is nothing to hand over.
impl Retire for RouterEntry {
    type Payload = ();

    fn retire(&self) {}
}

/// There is nothing to hand over.
impl Retire for WorkerEntry {
    type Payload = ();

    fn retire(&self) {}
}

/// The maps that a [`RouterManager`](crate::RouterManager) finds routers and workers by id with.
///
/// Any pair of `state_map::StateMap`s, from [`RouterId`] to [`RouterEntry`] and from
/// [`WorkerWithDpRank`] to [`WorkerEntry`], is one. One thread at a time inserts and removes; any
/// number read meanwhile. An entry never changes.
#[diagnostic::on_unimplemented(
    message = "no map stands behind `{Self}`: enable one of the features `dashmap`, `papaya`, `scc` \
               or `rwlock`, or name a map of your own as the type parameter",
    label = "not a `RouterMap`"
)]
pub trait RouterMap: Send + Sync {
    /// The map of routers.
    type Routers: StateMap<Key = RouterId, Value = RouterEntry>;
    /// The map of workers.
    type Workers: StateMap<Key = WorkerWithDpRank, Value = WorkerEntry>;

    /// The map of routers.
    fn routers(&self) -> &Self::Routers;

    /// The map of workers.
    fn workers(&self) -> &Self::Workers;
}

impl<A, B> RouterMap for (A, B)
where
    A: StateMap<Key = RouterId, Value = RouterEntry>,
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

/// The maps of a manager that names none: DashMap where that feature is on, else papaya, else scc,
/// else the locked map. With none of them it stands for nothing, and using it is an error that says
/// so.
pub type DefaultRouterMap = (
    DefaultMap<RouterId, RouterEntry>,
    DefaultMap<WorkerWithDpRank, WorkerEntry>,
);

/// Routers and workers on DashMap.
#[cfg(feature = "dashmap")]
pub type DashMapRouters = (
    state_map::DashMapBackend<RouterId, RouterEntry>,
    state_map::DashMapBackend<WorkerWithDpRank, WorkerEntry>,
);

/// Routers and workers on papaya.
#[cfg(feature = "papaya")]
pub type PapayaRouters = (
    state_map::PapayaBackend<RouterId, RouterEntry>,
    state_map::PapayaBackend<WorkerWithDpRank, WorkerEntry>,
);

/// Routers and workers on scc.
#[cfg(feature = "scc")]
pub type SccRouters = (
    state_map::SccBackend<RouterId, RouterEntry>,
    state_map::SccBackend<WorkerWithDpRank, WorkerEntry>,
);

/// Routers and workers on locked `HashMap`s, the baseline of ADR-0007.
#[cfg(feature = "rwlock")]
pub type RwLockRouters = (
    state_map::RwLockBackend<RouterId, RouterEntry>,
    state_map::RwLockBackend<WorkerWithDpRank, WorkerEntry>,
);
