//! The manager: routers and workers come and go, and every request gets a router.
//!
//! # Invariants
//!
//! 1. `snapshot` is published as a whole, under the lock of `book`.
//! 2. Under that lock runs no code of the user's: classes are asked for before, routers and
//!    payloads are dropped, subscribers and watchers told afterwards.

use std::fmt;
use std::sync::Arc;

use published::Published;
use state_map::sync::{self, Mutex};
use worker_id::{Effect, WorkerRanks, WorkerState, WorkerWithDpRank};

use crate::batch::{Batch, Change, WorkerChange};
use crate::book::Book;
use crate::change::{Doing, Touched};
use crate::map::{DefaultRouterMap, RouterMap};
use crate::snapshot::Snapshot;
use crate::telemetry::Report;
use crate::{
    ChangeError, Choice, Rejected, Router, RouterId, RouterMode, RouterSnapshot, SelectError,
    Selected, Selection, Worker, WorkerSpec,
};

/// The routers and workers of a gateway, and the choice of a router for every request.
///
/// Shared by reference or `Arc` among any number of threads. `W` is what you keep with each worker:
/// an address, a client.
///
/// # Concurrency
///
/// Every change (a method that changes something, or a whole [`update`](Self::update)) happens at
/// once: a snapshot has all of it or nothing. All calls are linearizable together. Changes take
/// turns; reads wait for nobody.
///
/// The state outlives whatever feeds it: it becomes empty only when every entry is removed.
///
/// # What is believed
///
/// [`worker_id::Lives`] decides, by the incarnation that news is about and by its revision. A
/// change answers an [`Effect`], and what was ignored is traced at the level `debug`.
///
/// # Cost
///
/// A selection reads the published snapshot, and writes only memory of its own thread. A change
/// takes a lock, clones the snapshot's roots (a pointer for each 64 workers and each 64 routers)
/// and what it touches: 4 bytes for each worker of a model, and a table of names.
pub struct RouterManager<R: Router + ?Sized = dyn Router, W = (), M = DefaultRouterMap> {
    mode: RouterMode,
    snapshot: Published<Snapshot<R, W>>,
    map: M,
    book: Mutex<Book>,
    /// Made by the first who subscribes.
    #[cfg(feature = "tokio")]
    watch: std::sync::OnceLock<tokio::sync::watch::Sender<u64>>,
}

impl<R: Router + ?Sized, W> RouterManager<R, W> {
    /// A manager on the default maps, with nothing in it.
    #[must_use]
    pub fn new(mode: RouterMode) -> Self
    where
        // The lifetime puts the question off to the caller: with no backend this crate builds, a
        // call does not.
        for<'any> DefaultRouterMap: RouterMap + Default,
    {
        Self::with_map(mode, DefaultRouterMap::default())
    }
}

impl<R: Router + ?Sized, W, M: RouterMap> RouterManager<R, W, M> {
    /// A manager on `map`, which must be empty and this manager's alone.
    #[must_use]
    pub fn with_map(mode: RouterMode, map: M) -> Self {
        Self {
            mode,
            snapshot: Published::default(),
            map,
            book: Mutex::new(Book::default()),
            #[cfg(feature = "tokio")]
            watch: std::sync::OnceLock::new(),
        }
    }

    /// Registers a router, after all others of its class. Asks it for its class, once.
    ///
    /// When this returns the router can be selected and found.
    ///
    /// # Errors
    ///
    /// [`ChangeError::DuplicateRouter`], with the router.
    pub fn register(
        &self,
        id: impl Into<RouterId>,
        router: Arc<R>,
    ) -> Result<(), Rejected<Arc<R>>> {
        let change = Change::register(id.into(), Arc::clone(&router));
        match self.commit(&[change]) {
            Ok(_) => Ok(()),
            Err(reason) => Err(Rejected::new(reason, router)),
        }
    }

    /// Removes a router, and answers it. `None` if there is none of that id, which changes nothing.
    /// If it was the default one, there is no default afterwards.
    pub fn deregister(&self, id: impl Into<RouterId>) -> Option<Arc<R>> {
        let done = self.always(Change::Deregister(id.into()));
        let place = *done.touched.routers.keys().next()?;
        let seat = done.old.routers.get(place)?;
        Some(Arc::clone(&seat.router))
    }

    /// Makes a registered router the default one.
    ///
    /// # Errors
    ///
    /// [`ChangeError::UnknownRouter`], with the id.
    pub fn set_default(&self, id: impl Into<RouterId>) -> Result<Effect, Rejected<RouterId>> {
        let id = id.into();
        match self.commit(&[Change::SetDefault(id.clone())]) {
            Ok(done) => Ok(done.effect),
            Err(reason) => Err(Rejected::new(reason, id)),
        }
    }

    /// Adds a worker, or says anew what is known of it. Where another life of it was there, that
    /// one goes. What the spec does not say (its state, its payload) stays as it is known.
    ///
    /// # Errors
    ///
    /// [`ChangeError::EmptyModel`], with the worker.
    pub fn upsert_worker(&self, spec: WorkerSpec<W>) -> Result<Effect, Rejected<WorkerSpec<W>>> {
        let changes = [Change::Worker(WorkerChange::Upsert(spec), None)];
        match self.commit(&changes) {
            Ok(done) => Ok(done.effect),
            Err(reason) => {
                let [Change::Worker(WorkerChange::Upsert(spec), _)] = changes else {
                    unreachable!("it is the one that was passed")
                };
                Err(Rejected::new(reason, spec))
            }
        }
    }

    /// Removes a worker: one rank of it, or all, which walks the table of workers.
    pub fn remove_worker(&self, worker: impl Into<WorkerRanks>) -> Effect {
        let change = WorkerChange::Remove(worker.into());
        self.always(Change::Worker(change, None)).effect
    }

    /// Says whether requests may be sent to a worker: to one rank of it, or all.
    pub fn set_state(&self, worker: impl Into<WorkerRanks>, state: WorkerState) -> Effect {
        let change = WorkerChange::SetState(worker.into(), state);
        self.always(Change::Worker(change, None)).effect
    }

    /// Lets the workers be this list, as one change: after a lost watch nobody is left over.
    /// Readers see the fleet before it or after it. Where nothing is new, nothing is published.
    ///
    /// `as_of` is the revision of the feed that the list is from, where it has any: what is known
    /// of a later one stays. Routers are yours, and stay in any case.
    ///
    /// # Errors
    ///
    /// [`ChangeError::EmptyModel`], with the list.
    pub fn replace_all(
        &self,
        as_of: Option<u64>,
        fleet: impl IntoIterator<Item = WorkerSpec<W>>,
    ) -> Result<Effect, Rejected<Vec<WorkerSpec<W>>>> {
        let fleet = fleet.into_iter().collect();
        let changes = [Change::Worker(WorkerChange::ReplaceAll(fleet), as_of)];
        match self.commit(&changes) {
            Ok(done) => Ok(done.effect),
            Err(reason) => {
                let [Change::Worker(WorkerChange::ReplaceAll(fleet), _)] = changes else {
                    unreachable!("it is the one that was passed")
                };
                Err(Rejected::new(reason, fleet))
            }
        }
    }

    /// Makes many changes at once: all of them, published once, or none.
    ///
    /// `fill` runs while no lock is held, and may use the manager. The changes are made in order: a
    /// router can be replaced by deregistering and registering its id, and nobody misses it
    /// meanwhile. Removing what is not there, or saying what is known, is no error.
    ///
    /// # Errors
    ///
    /// The [`ChangeError`] of the first change that is refused, with the batch. Nothing has changed
    /// then.
    pub fn update(
        &self,
        fill: impl FnOnce(&mut Batch<R, W>),
    ) -> Result<Effect, Rejected<Batch<R, W>>> {
        let mut batch = Batch::default();
        fill(&mut batch);
        match self.commit(&batch.changes) {
            Ok(done) => Ok(done.effect),
            Err(reason) => Err(Rejected::new(reason, batch)),
        }
    }

    /// For a change that is never refused.
    fn always(&self, change: Change<R, W>) -> Done<R, W> {
        match self.commit(&[change]) {
            Ok(done) => done,
            Err(reason) => unreachable!("{reason}"),
        }
    }

    /// Everything that changes goes through here. The routers and payloads of `changes` are dropped
    /// by the caller: that is user code.
    fn commit(&self, changes: &[Change<R, W>]) -> Result<Done<R, W>, ChangeError> {
        let mut book = sync::lock(&self.book);
        // Ours until the lock is released, so that nothing of it is dropped under the lock.
        let old = self.snapshot.load().into_arc();
        let mut doing = Doing::new(&old, &mut book, &self.map);
        let checked = doing.check(changes);
        if checked.is_ok() {
            changes.iter().for_each(|change| doing.apply(change));
        }
        let changed = checked.is_ok() && doing.settle_all();
        let Doing { next, touched, .. } = doing;
        let next = Arc::new(next);
        if changed {
            self.snapshot.publish(Arc::clone(&next));
        }
        touched.clean_up(&next, &mut book, &self.map);
        drop(book);

        let report = Report::new(&touched, &old, if changed { &next } else { &old });
        let effect = Effect::of(changed, touched.heard.iter().map(|(_, heard)| *heard));
        drop(next);
        checked?;
        if changed {
            self.wake(report.generation());
        }
        report.tell();
        Ok(Done {
            effect,
            touched,
            old,
        })
    }

    #[cfg(feature = "tokio")]
    fn wake(&self, generation: u64) {
        if let Some(watch) = self.watch.get() {
            // Two changes may come here in either order; the generation goes forward all the same.
            watch.send_if_modified(|newest| {
                let newer = generation > *newest;
                *newest = generation.max(*newest);
                newer
            });
        }
    }

    #[cfg(not(feature = "tokio"))]
    #[expect(
        clippy::unused_self,
        reason = "so that it is called alike with and without the feature"
    )]
    fn wake(&self, _: u64) {}

    /// The router for a request.
    ///
    /// In single-router mode, the default router, whatever is asked for and whether it has a worker
    /// or not.
    ///
    /// A class *can serve* a model where a router of it is registered and a healthy worker of it
    /// names the model; of a prefill/decode class, a healthy worker of each half. With
    /// [`draining`](Selection::draining), draining workers count as healthy ones.
    ///
    /// For a request that names a model: of the classes that can serve it the best
    /// ([`RouterClass`](crate::RouterClass) has them in order); of that class, the router that was
    /// registered first. `prefer_pd` plays no part.
    ///
    /// For a request that names none: of the classes of the preferred kind (PD for `prefer_pd`,
    /// else regular) that can serve any model, or else of the other kind, the router that was
    /// registered first.
    ///
    /// Where nobody can serve it: with [`RouterMode::MultiOrDefault`] the default router, if its
    /// class can serve any model; else an error.
    ///
    /// Costs one read of the snapshot, and for a model one lookup of its name. Allocates nothing,
    /// waits for nobody, writes nothing that threads share (see [`Selected`] on holding many).
    ///
    /// # Errors
    ///
    /// [`SelectError::NoDefault`] in single-router mode; else [`SelectError::NoWorkers`],
    /// [`SelectError::UnknownModel`], [`SelectError::NobodyServes`] and
    /// [`SelectError::EmptyModel`].
    #[inline]
    pub fn select(&self, selection: &Selection<'_>) -> Result<Selected<R, W>, SelectError> {
        let snapshot = self.snapshot.load();
        let slot = snapshot.select(self.mode, selection)?;
        Ok(Selected::new(snapshot, slot))
    }

    /// As [`select`](Self::select), to be kept, for a whole stream: writes the reference count of
    /// this router's registration, which all threads share.
    ///
    /// # Errors
    ///
    /// Those of [`select`](Self::select).
    pub fn select_owned(&self, selection: &Selection<'_>) -> Result<Choice<R>, SelectError> {
        self.select(selection).map(Selected::keep)
    }

    /// Routers and workers as they are now, for several questions: one load, at any size.
    ///
    /// ```
    /// # #[cfg(feature = "dashmap")] {
    /// use router_snapshot::{Router, RouterManager, RouterMode};
    ///
    /// let manager = RouterManager::<dyn Router>::new(RouterMode::Multi);
    /// let snapshot = manager.snapshot();
    /// assert_eq!((snapshot.router_count(), snapshot.worker_count()), (0, 0));
    /// # }
    /// ```
    #[inline]
    #[must_use]
    pub fn snapshot(&self) -> RouterSnapshot<'_, R, W, M> {
        RouterSnapshot::new(&self.snapshot, &self.map, self.mode)
    }

    /// The router that is registered under an id. One lookup, and a write to that router's count.
    #[must_use]
    pub fn router(&self, id: &str) -> Option<Arc<R>> {
        self.snapshot().router(id).cloned()
    }

    /// A worker, whichever incarnation of it is there. One lookup, and a write to its count: ask a
    /// [`snapshot`](Self::snapshot) where it need not be kept.
    #[must_use]
    pub fn worker(&self, id: WorkerWithDpRank) -> Option<Arc<Worker<W>>> {
        self.snapshot().worker(&id).cloned()
    }

    /// How many changes there have been that changed something: the snapshot of a selection is of
    /// exactly one generation, and of two selections one after the other the second is not of an
    /// earlier one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot.load().generation
    }

    /// Which rules it selects by.
    #[must_use]
    pub fn mode(&self) -> RouterMode {
        self.mode
    }

    /// Follows the [`generation`](Self::generation): a value that is seen here is published
    /// already, and the last one is always seen. Needs a runtime to wait for, and none to be
    /// created or dropped.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        // Under the lock: a change before it is in the generation that is read here, and one after
        // it finds the channel.
        let book = sync::lock(&self.book);
        let watch = self
            .watch
            .get_or_init(|| tokio::sync::watch::Sender::new(self.generation()));
        drop(book);
        watch.subscribe()
    }
}

/// What was done. Whatever went is still in `old`: its end is the caller's.
struct Done<R: ?Sized, W> {
    effect: Effect,
    touched: Touched,
    old: Arc<Snapshot<R, W>>,
}

impl<R: Router + ?Sized, W, M> fmt::Debug for RouterManager<R, W, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot.load();
        f.debug_struct("RouterManager")
            .field("mode", &self.mode)
            .field("generation", &snapshot.generation)
            .field("routers", &snapshot.routers.len())
            .field("workers", &snapshot.workers.len())
            .field("models", &snapshot.models.len())
            .finish_non_exhaustive()
    }
}
