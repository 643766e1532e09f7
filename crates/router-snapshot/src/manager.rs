//! The manager: routers and workers come and go, and every request gets a router.
//!
//! # Design
//!
//! Three things, each for one reader:
//!
//! - the *snapshot*, published as a whole, for selections;
//! - the *maps of record*, for lookups by id;
//! - the *book*, behind the lock that all changes take, for the one that comes next when a router goes.
//!
//! A change works out under the lock what it comes to, puts what is new into the maps, publishes the next snapshot, and
//! takes what is gone out of the maps.
//!
//! # Why
//!
//! - *One lock for changes*: two registrations that each collect the routers and then publish can leave one out, since the
//!   later publication may be the older collection. Under a lock that is held from the one to the other they cannot, and
//!   changes are rare beside requests.
//! - *No snapshot made from the map*: collecting it costs as much as there are routers, for each that comes.
//!
//! # Invariants
//!
//! - What a snapshot answers is in the maps as long as that snapshot is the published one: what is new goes there
//!   before it is published, what is gone leaves after.
//! - Under the lock runs no code of the user's: classes are asked for before, routers are dropped, subscribers and
//!   watchers told afterwards.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use published::{Published, Reading};
use state_map::{BackendEnabled, StateMap};
use std_or_loom::{self as sync, Mutex};
#[cfg(feature = "tokio")]
use tokio::sync::watch;
use worker_id::WorkerWithDpRank;

use crate::batch::{Batch, Book, Change, Plan};
use crate::map::{DefaultRouterMap, Record, RouterEntry, RouterMap, WorkerEntry};
use crate::snapshot::Snapshot;
use crate::{
    ChangeError, Rejected, Router, RouterId, RouterMode, SelectError, Selected, Selection,
    WorkerSpec, telemetry,
};

/// The routers and workers of a gateway, and the choice of a router for every request.
///
/// Shared by reference or `Arc` among any number of threads.
///
/// # Concurrency
///
/// Every change (a method that changes something, or a whole [`update`](Self::update)) happens at once: a selection sees
/// all of it or nothing. Changes, selections, `models`, `router_count` and `generation` are linearizable together; so are
/// the changes and lookups of one id. A lookup and a selection are two calls: a router can be found by id a moment before it
/// is selected for the first time, and a moment after it was for the last; never is one selected that cannot be found.
///
/// The state outlives whatever feeds it: it becomes empty only when every entry is removed.
///
/// # Cost
///
/// A selection reads the published snapshot, and writes only memory of its own thread. A change takes a lock, clones the
/// snapshot (whose size depends on nothing) and what it touches of the models' table, and publishes. Changes do
/// not wait for selections, nor selections for changes.
pub struct RouterManager<R: Router + ?Sized = dyn Router, M = DefaultRouterMap<R>> {
    mode: RouterMode,
    snapshot: Published<Snapshot<R>>,
    map: M,
    book: Mutex<Book<R>>,
    #[cfg(feature = "tokio")]
    generations: watch::Sender<u64>,
}

impl<R: Router + ?Sized> RouterManager<R> {
    /// A manager on the default maps, with nothing in it.
    #[must_use]
    pub fn new<'new>(mode: RouterMode) -> Self
    where
        DefaultRouterMap<R>: BackendEnabled<'new>,
    {
        Self::with_map(mode, DefaultRouterMap::<R>::empty())
    }
}

impl<R: Router + ?Sized, M: RouterMap<R>> RouterManager<R, M> {
    /// A manager on `map`, which should be empty: what is in it counts for nothing.
    #[must_use]
    pub fn with_map(mode: RouterMode, map: M) -> Self {
        Self {
            mode,
            snapshot: Published::new(Snapshot::empty()),
            map,
            book: Mutex::new(Book::default()),
            #[cfg(feature = "tokio")]
            generations: watch::Sender::new(0),
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

    /// Removes a router, and answers it. `None` if there is none of that id, which changes nothing. If it was the default
    /// one, there is no default afterwards.
    pub fn deregister(&self, id: impl Into<RouterId>) -> Option<Arc<R>> {
        let plan = self.always(Change::Deregister(id.into()));
        let gone = plan.routers.into_values().next()?;
        gone.before.map(|seat| seat.router)
    }

    /// Makes a registered router the default one.
    ///
    /// # Errors
    ///
    /// [`ChangeError::UnknownRouter`], with the id.
    pub fn set_default(&self, id: impl Into<RouterId>) -> Result<(), Rejected<RouterId>> {
        let id = id.into();
        match self.commit(&[Change::SetDefault(id.clone())]) {
            Ok(_) => Ok(()),
            Err(reason) => Err(Rejected::new(reason, id)),
        }
    }

    /// Adds a worker, or replaces all that is known of it; also by another incarnation of it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::EmptyModel`], with the worker.
    pub fn upsert_worker(&self, spec: WorkerSpec) -> Result<(), Rejected<WorkerSpec>> {
        let spec = Arc::new(spec);
        match self.commit(&[Change::UpsertWorker(Arc::clone(&spec))]) {
            Ok(_) => Ok(()),
            Err(reason) => Err(Rejected::new(reason, Arc::unwrap_or_clone(spec))),
        }
    }

    /// Removes a worker, whichever incarnation of it is there, and answers what was known of it. `None` if there is
    /// none, which changes nothing.
    pub fn remove_worker(&self, id: WorkerWithDpRank) -> Option<Arc<WorkerSpec>> {
        let plan = self.always(Change::RemoveWorker(id));
        plan.workers.into_values().next()?.before
    }

    /// Says whether requests may be sent to a worker. False if that is known already, or there is no such worker, which
    /// changes nothing.
    pub fn set_health(&self, id: WorkerWithDpRank, healthy: bool) -> bool {
        !self.always(Change::SetHealth(id, healthy)).is_nothing()
    }

    /// Makes many changes at once: all of them, published once, or none.
    ///
    /// `fill` runs while no lock is held, and may use the manager. The changes are made in order: a router can be replaced
    /// by deregistering and registering its id, and nobody misses it meanwhile. Removing what is not there, or saying
    /// of a worker's health what is known, changes nothing and is no error.
    ///
    /// # Errors
    ///
    /// The [`ChangeError`] of the first change that is refused, with the batch. Nothing has changed then.
    pub fn update(&self, fill: impl FnOnce(&mut Batch<R>)) -> Result<(), Rejected<Batch<R>>> {
        let mut batch = Batch::default();
        fill(&mut batch);
        match self.commit(&batch.changes) {
            Ok(_) => Ok(()),
            Err(reason) => Err(Rejected::new(reason, batch)),
        }
    }

    /// For a change that is never refused.
    fn always(&self, change: Change<R>) -> Plan<R> {
        match self.commit(&[change]) {
            Ok(plan) => plan,
            Err(reason) => unreachable!("{reason}"),
        }
    }

    /// Everything that changes goes through here. The routers of `changes`, and those of the plan, are dropped by the
    /// caller: that is user code.
    fn commit(&self, changes: &[Change<R>]) -> Result<Plan<R>, ChangeError> {
        let mut book = sync::lock(&self.book);
        // Ours until the lock is released, so that nothing of it is dropped under the lock.
        let old = self.snapshot.load().into_arc();
        let (plan, read) = Plan::new(changes, &book, &self.map, old.default_router());
        if read.is_err() || plan.is_nothing() {
            drop(book);
            return read.map(|()| plan);
        }
        self.put(&plan);
        for edit in plan.routers.values() {
            if let Some(seat) = &edit.before {
                book.seats.remove(&seat.place);
            }
            if let Some(seat) = &edit.after {
                book.seats.insert(seat.place, seat.clone());
            }
        }
        book.registrations = plan.registrations;
        let mut next = old.next(
            book.seats.len(),
            |class| book.first(class),
            plan.default.after.clone(),
        );
        for edit in plan.workers.values() {
            // In this order, so that a model that both serve stays in the table.
            edit.after.iter().for_each(|spec| next.add_worker(spec));
            edit.before.iter().for_each(|spec| next.remove_worker(spec));
        }
        next.elect();
        let generation = next.generation;
        self.snapshot.publish(Arc::new(next));
        self.take(&plan);
        drop(book);

        drop(old);
        self.told(generation);
        telemetry::changed(&plan, generation);
        Ok(plan)
    }

    /// Puts what is new into the maps.
    fn put(&self, plan: &Plan<R>) {
        let (routers, workers) = (self.map.routers().access(), self.map.workers().access());
        for (id, edit) in &plan.routers {
            if let Some(seat) = &edit.after {
                let record = Record::new(seat);
                if edit.before.is_some() {
                    routers.read(id.as_str(), |entry| entry.replace(record));
                } else {
                    // Never taken: this is the one writer, and it has looked.
                    let _ = routers.insert_if_absent(id.clone(), RouterEntry::new(record));
                }
            }
        }
        for (id, edit) in &plan.workers {
            if let Some(spec) = &edit.after {
                if edit.before.is_some() {
                    workers.read(id, |entry| entry.replace(Arc::clone(spec)));
                } else {
                    let _ = workers.insert_if_absent(*id, WorkerEntry::new(spec));
                }
            }
        }
    }

    /// Takes what is gone out of the maps.
    fn take(&self, plan: &Plan<R>) {
        for (id, edit) in &plan.routers {
            if edit.after.is_none() {
                self.map.routers().access().remove(id.as_str());
            }
        }
        for (id, edit) in &plan.workers {
            if edit.after.is_none() {
                self.map.workers().access().remove(id);
            }
        }
    }

    #[cfg(feature = "tokio")]
    fn told(&self, generation: u64) {
        // Two changes may come here in either order; the generation goes forward all the same.
        self.generations.send_if_modified(|told| {
            let newer = generation > *told;
            if newer {
                *told = generation;
            }
            newer
        });
    }

    #[cfg(not(feature = "tokio"))]
    #[expect(
        clippy::unused_self,
        reason = "so that it is called alike with and without the feature"
    )]
    fn told(&self, _: u64) {}

    /// The router for a request.
    ///
    /// In single-router mode, the default router, whatever is asked for and whether it has a worker or not.
    ///
    /// For a request that names a model: of the classes that have a router and a healthy worker that serves the model, the
    /// best ([`RouterClass`](crate::RouterClass) has them in order); of that class, the router that was registered first.
    /// Where there is no such class, the default router, provided that its kind (PD or regular) has a healthy worker.
    /// `prefer_pd` plays no part.
    ///
    /// For a request that names none: a router of the preferred kind (PD for `prefer_pd`, else regular), or else of the
    /// other kind; only kinds that have a healthy worker count, be it one of another class, or for PD one that only does
    /// prefill. Of the kind, the router that was registered first, whatever its class. The default router plays no part.
    ///
    /// Costs one read of the snapshot, and for a model one lookup of its name. Allocates nothing, waits for nobody,
    /// writes nothing that threads share (see [`Selected`] on holding many).
    ///
    /// # Errors
    ///
    /// [`SelectError::NoDefault`] in single-router mode; else [`SelectError::NoWorkers`] and
    /// [`SelectError::EmptyModel`].
    #[inline]
    pub fn select(&self, selection: &Selection<'_>) -> Result<Selected<'_, R>, SelectError> {
        let snapshot = self.snapshot.load();
        let slot = match (self.mode, selection.model) {
            (RouterMode::Multi, None) => snapshot.without_model(selection.prefer_pd),
            (RouterMode::Multi, Some(model)) => snapshot.with_model(model),
            (RouterMode::Single, _) => snapshot.the_default(),
        }?;
        Ok(Selected::new(snapshot, slot))
    }

    /// As [`select`](Self::select), to be kept: writes the router's reference count, which all threads share.
    ///
    /// # Errors
    ///
    /// Those of [`select`](Self::select).
    pub fn select_owned(&self, selection: &Selection<'_>) -> Result<Arc<R>, SelectError> {
        self.select(selection).map(Selected::into_arc)
    }

    /// The model of a request, for gateways that insist on one: what the request names, or else the one model that
    /// there is. A model is known while a worker names it, healthy or not: that the only other model is ill for a moment
    /// does not send its requests here.
    ///
    /// Allocates where the request names none.
    ///
    /// # Errors
    ///
    /// [`SelectError::ModelRequired`] if several are known, [`SelectError::NoWorkers`] if none is, and
    /// [`SelectError::EmptyModel`].
    pub fn resolve_model<'a>(&self, model: Option<&'a str>) -> Result<Cow<'a, str>, SelectError> {
        if let Some(model) = model {
            return if model.is_empty() {
                Err(SelectError::EmptyModel)
            } else {
                Ok(Cow::Borrowed(model))
            };
        }
        let mut available = self.models();
        match available.len() {
            0 => Err(SelectError::NoWorkers),
            1 => Ok(Cow::Owned(available.remove(0).as_ref().to_owned())),
            _ => Err(SelectError::ModelRequired { available }),
        }
    }

    /// The models that workers name, healthy or not, in the order of their names. Allocates, and sorts.
    #[must_use]
    pub fn models(&self) -> Vec<Arc<str>> {
        let snapshot = self.snapshot.load();
        let mut names = Vec::with_capacity(snapshot.models.len());
        names.extend(snapshot.models.names().cloned());
        names.sort_unstable();
        names
    }

    /// The router that is registered under an id. One lookup, and a write to that router's reference count.
    #[must_use]
    pub fn router(&self, id: &str) -> Option<Arc<R>> {
        self.map.routers().access().read(id, RouterEntry::router)?
    }

    /// What is known of a worker, whichever incarnation of it is there. One lookup; allocates nothing, and writes nothing
    /// that threads share but what the map does. As with [`Selected`], hold few of them.
    #[inline]
    #[must_use]
    pub fn worker(&self, id: WorkerWithDpRank) -> Option<Reading<WorkerSpec>> {
        self.map.workers().access().read(&id, WorkerEntry::load)
    }

    /// How many routers are registered.
    #[must_use]
    pub fn router_count(&self) -> usize {
        self.snapshot.load().routers
    }

    /// How many changes there have been that changed something: the snapshot of a selection is of exactly one generation,
    /// and of two selections one after the other the second is not of an earlier one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot.load().generation
    }

    /// Which rules it selects by.
    #[must_use]
    pub fn mode(&self) -> RouterMode {
        self.mode
    }

    /// Follows the [`generation`](Self::generation): a value that is seen here is published already, and the last one is
    /// always seen. Needs a runtime to wait for, and none to be created or dropped.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }
}

impl<R: Router + ?Sized, M> fmt::Debug for RouterManager<R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot.load();
        f.debug_struct("RouterManager")
            .field("mode", &self.mode)
            .field("generation", &snapshot.generation)
            .field("routers", &snapshot.routers)
            .field("models", &snapshot.models.len())
            .finish_non_exhaustive()
    }
}
