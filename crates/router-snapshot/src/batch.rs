//! Many changes to be made at once: a list, filled in by the caller while no lock is held.

use std::fmt;
use std::sync::Arc;

use worker_id::{WorkerRanks, WorkerState};

use crate::{ChangeError, Router, RouterClass, RouterId, WorkerSpec};

pub(crate) enum Change<R: ?Sized, W> {
    Register {
        id: RouterId,
        class: RouterClass,
        router: Arc<R>,
    },
    Deregister(RouterId),
    SetDefault(RouterId),
    /// What is said of workers, and as of which revision.
    Worker(WorkerChange<W>, Option<u64>),
}

pub(crate) enum WorkerChange<W> {
    Upsert(WorkerSpec<W>),
    Remove(WorkerRanks),
    SetState(WorkerRanks, WorkerState),
    ReplaceAll(Vec<WorkerSpec<W>>),
}

impl<R: Router + ?Sized, W> Change<R, W> {
    /// Asks the router for its class, which is the user's code: not under a lock.
    pub(crate) fn register(id: RouterId, router: Arc<R>) -> Self {
        let class = router.class();
        Self::Register { id, class, router }
    }
}

impl<R: ?Sized, W> Change<R, W> {
    /// What can be wrong with it whatever the state is.
    pub(crate) fn check(&self) -> Result<(), ChangeError> {
        let specs = match self {
            Self::Worker(WorkerChange::Upsert(spec), _) => std::slice::from_ref(spec),
            Self::Worker(WorkerChange::ReplaceAll(fleet), _) => fleet,
            _ => &[],
        };
        let nameless = |spec: &&WorkerSpec<W>| spec.models.iter().any(|model| model.is_empty());
        match specs.iter().find(nameless) {
            Some(spec) => Err(ChangeError::EmptyModel { id: spec.id }),
            None => Ok(()),
        }
    }
}

/// Changes that are made together: [`RouterManager::update`](crate::RouterManager::update). Each is
/// as the method of the manager that has its name, and sees those before it.
pub struct Batch<R: ?Sized = dyn Router, W = ()> {
    pub(crate) changes: Vec<Change<R, W>>,
    as_of: Option<u64>,
}

impl<R: ?Sized, W> Default for Batch<R, W> {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            as_of: None,
        }
    }
}

impl<R: ?Sized, W> fmt::Debug for Batch<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("changes", &self.changes.len())
            .field("as_of", &self.as_of)
            .finish()
    }
}

impl<R: Router + ?Sized, W> Batch<R, W> {
    /// What is said of workers from here on is as of a revision of the feed that it is from: see
    /// [`worker_id::Lives`]. Without one, the order of changes counts.
    pub fn as_of(&mut self, revision: impl Into<Option<u64>>) -> &mut Self {
        self.as_of = revision.into();
        self
    }

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

    /// Adds a worker, or says anew what is known of it.
    pub fn upsert_worker(&mut self, spec: WorkerSpec<W>) -> &mut Self {
        self.worker(WorkerChange::Upsert(spec))
    }

    /// Removes a worker: one rank of it, or all.
    pub fn remove_worker(&mut self, worker: impl Into<WorkerRanks>) -> &mut Self {
        self.worker(WorkerChange::Remove(worker.into()))
    }

    /// Says whether requests may be sent to a worker: to one rank of it, or all.
    pub fn set_state(&mut self, worker: impl Into<WorkerRanks>, state: WorkerState) -> &mut Self {
        self.worker(WorkerChange::SetState(worker.into(), state))
    }

    fn worker(&mut self, change: WorkerChange<W>) -> &mut Self {
        self.changes.push(Change::Worker(change, self.as_of));
        self
    }
}
