//! Several questions to one snapshot.

use std::fmt;
use std::iter;
use std::slice;
use std::sync::Arc;

use published::{Published, Reading};
use state_map::{MapSession, StateMap};
use worker_id::{WorkerState, WorkerWithDpRank};

use crate::map::RouterMap;
use crate::pool::{Pool, Pools};
use crate::snapshot::{Seat, Snapshot};
use crate::table::Table;
use crate::{Role, RouterClass, RouterId, RouterMode, SelectError, Selection, Worker};

/// Routers and workers at one instant: several questions to one of these have one answer.
///
/// It holds no lock and delays nobody. Hold it for a decision, and keep what it decided: beyond
/// eight readings that a thread holds at once, to take one more writes a count that all threads
/// share. [`detach`](Self::detach) one that is to be held for long.
pub struct RouterSnapshot<'m, R: ?Sized, W, M> {
    snapshot: Reading<Snapshot<R, W>>,
    published: &'m Published<Snapshot<R, W>>,
    map: &'m M,
    mode: RouterMode,
}

impl<'m, R: ?Sized, W, M: RouterMap> RouterSnapshot<'m, R, W, M> {
    #[inline]
    pub(crate) fn new(
        published: &'m Published<Snapshot<R, W>>,
        map: &'m M,
        mode: RouterMode,
    ) -> Self {
        Self {
            snapshot: published.load(),
            published,
            map,
            mode,
        }
    }

    /// The same, with a count of its own, which does not use up what a thread has for short reads.
    #[must_use]
    pub fn detach(self) -> Self {
        Self {
            snapshot: self.snapshot.detach(),
            ..self
        }
    }

    /// How many changes there had been.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot.generation
    }

    /// The router for a request, and the workers that it may be sent to: see
    /// [`RouterManager::select`](crate::RouterManager::select).
    ///
    /// In single-router mode, and where the default router serves what nothing else does, these are
    /// all workers of its class.
    ///
    /// # Errors
    ///
    /// Those of [`RouterManager::select`](crate::RouterManager::select).
    pub fn select(&self, selection: &Selection<'_>) -> Result<Eligible<'_, R, W>, SelectError> {
        let seat = self
            .snapshot
            .seat(self.snapshot.select(self.mode, selection)?);
        let of_model = self.snapshot.pools_of(selection.model);
        let serves = of_model.filter(|pools| pools.served(selection.draining).has(seat.class));
        let pools = serves.unwrap_or(&self.snapshot.pools);
        let open = |role| Workers {
            table: &self.snapshot.workers,
            places: pools.of(seat.class, role).open(selection.draining),
        };
        let pd = seat.class.is_pd();
        let none = Workers {
            table: &self.snapshot.workers,
            places: &[],
        };
        Ok(Eligible {
            seat,
            regular: if pd { none } else { open(Role::Regular) },
            prefill: if pd { open(Role::Prefill) } else { none },
            decode: if pd { open(Role::Decode) } else { none },
        })
    }

    /// The workers that a request may be sent to: [`select`](Self::select), for those who have no
    /// use for the router.
    ///
    /// # Errors
    ///
    /// Those of [`RouterManager::select`](crate::RouterManager::select).
    pub fn workers_for(&self, selection: &Selection<'_>) -> Result<Workers<'_, W>, SelectError> {
        let eligible = self.select(selection)?;
        Ok(if eligible.class().is_pd() {
            eligible.decode
        } else {
            eligible.regular
        })
    }

    /// A worker, whichever incarnation of it is there. One lookup in the map.
    #[must_use]
    pub fn worker(&self, id: &WorkerWithDpRank) -> Option<&Arc<Worker<W>>> {
        let place = self.map.workers().session().read(id, |entry| entry.0);
        let row = place.and_then(|place| self.snapshot.workers.get(place));
        self.or_walk(&self.snapshot.workers, row, |row| row.id == *id)
    }

    /// The router that is registered under an id. One lookup in the map.
    #[must_use]
    pub fn router(&self, id: &str) -> Option<&Arc<R>> {
        let place = self.map.routers().session().read(id, |entry| entry.0);
        let row = place.and_then(|place| self.snapshot.routers.get(place));
        let seat = self.or_walk(&self.snapshot.routers, row, |row| row.id.as_str() == id)?;
        Some(&seat.router)
    }

    /// The row that the map has named, or the one that it does not know any more.
    fn or_walk<'s, T>(
        &'s self,
        table: &'s Table<T>,
        row: Option<&'s Arc<T>>,
        is_it: impl Fn(&T) -> bool,
    ) -> Option<&'s Arc<T>> {
        if let Some(row) = row.filter(|row| is_it(row)) {
            return Some(row);
        }
        // The map speaks of now, and this is of then. What is in this snapshot is in the map until
        // another one is published. So if none was, it is not in this one.
        if self.published.load().generation == self.snapshot.generation {
            return None;
        }
        table.iter().find(|row| is_it(row))
    }

    /// All workers, in no order.
    pub fn workers(&self) -> impl Iterator<Item = &Arc<Worker<W>>> + Clone {
        self.snapshot.workers.iter()
    }

    /// How many workers there are.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.snapshot.workers.len()
    }

    /// How many workers are in a state.
    #[must_use]
    pub fn workers_in(&self, state: WorkerState) -> usize {
        let pools = self.snapshot.pools.iter();
        pools.map(|pool| pool.count(state)).sum()
    }

    /// The workers that name a model, whatever they do for it and whatever their state, in no
    /// order.
    pub fn workers_of(&self, model: &str) -> impl Iterator<Item = &Arc<Worker<W>>> {
        // Workers that name none are under the empty name, which nobody is meant to know.
        let named = Some(model).filter(|model| !model.is_empty());
        let pools = named.and_then(|model| self.snapshot.pools_of(Some(model)));
        let places = pools.into_iter().flat_map(Pools::iter);
        let places = places.flat_map(Pool::all);
        places.filter_map(|place| self.snapshot.workers.get(*place))
    }

    /// All routers with their ids and classes, in no order.
    pub fn routers(&self) -> impl Iterator<Item = (&RouterId, RouterClass, &Arc<R>)> {
        let seats = self.snapshot.routers.iter();
        seats.map(|seat| (&seat.id, seat.class, &seat.router))
    }

    /// How many routers are registered.
    #[must_use]
    pub fn router_count(&self) -> usize {
        self.snapshot.routers.len()
    }

    /// The models that workers name, whatever their state, each once, in no order. Allocates
    /// nothing.
    pub fn models(&self) -> impl Iterator<Item = &Arc<str>> {
        self.snapshot.models.names()
    }

    /// How many models there are.
    #[must_use]
    pub fn model_count(&self) -> usize {
        self.snapshot.models.len()
    }

    /// The model of a request, for gateways that insist on one: what the request names, or else the
    /// one model that there is. A model is known while a worker names it, in whatever state: that
    /// the only other model is ill for a moment does not send its requests here. Allocates only for
    /// an error.
    ///
    /// # Errors
    ///
    /// [`SelectError::ModelRequired`] if several are known, [`SelectError::NoWorkers`] if none is,
    /// and [`SelectError::EmptyModel`].
    pub fn resolve_model<'a>(&'a self, model: Option<&'a str>) -> Result<&'a str, SelectError> {
        match model {
            Some("") => Err(SelectError::EmptyModel),
            Some(model) => Ok(model),
            None => {
                let mut names = self.models();
                match (names.next(), self.model_count()) {
                    (None, _) => Err(SelectError::NoWorkers),
                    (Some(name), 1) => Ok(name),
                    (Some(first), count) => {
                        let some = iter::once(first).chain(names).take(8);
                        let mut some: Vec<_> = some.cloned().collect();
                        some.sort_unstable();
                        Err(SelectError::ModelRequired { count, some })
                    }
                }
            }
        }
    }
}

impl<R: ?Sized, W, M: RouterMap> fmt::Debug for RouterSnapshot<'_, R, W, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterSnapshot")
            .field("generation", &self.generation())
            .field("routers", &self.router_count())
            .field("workers", &self.worker_count())
            .field("models", &self.model_count())
            .finish_non_exhaustive()
    }
}

/// Where a request may go: the router, and the workers behind it.
pub struct Eligible<'s, R: ?Sized, W> {
    seat: &'s Arc<Seat<R>>,
    regular: Workers<'s, W>,
    prefill: Workers<'s, W>,
    decode: Workers<'s, W>,
}

impl<'s, R: ?Sized, W> Eligible<'s, R, W> {
    /// The router.
    #[must_use]
    pub fn router(&self) -> &'s Arc<R> {
        &self.seat.router
    }

    /// The id that the router is registered under.
    pub fn id(&self) -> &'s RouterId {
        &self.seat.id
    }

    /// The class of the router, and of the workers.
    #[must_use]
    pub fn class(&self) -> RouterClass {
        self.seat.class
    }

    /// The workers that serve all of the request. Of a pair, none.
    #[must_use]
    pub fn regular(&self) -> Workers<'s, W> {
        self.regular
    }

    /// The workers for the prompt. Where the router is of no pair, none.
    #[must_use]
    pub fn prefill(&self) -> Workers<'s, W> {
        self.prefill
    }

    /// The workers for the tokens after it. Where the router is of no pair, none.
    #[must_use]
    pub fn decode(&self) -> Workers<'s, W> {
        self.decode
    }
}

impl<R: ?Sized, W> fmt::Debug for Eligible<'_, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eligible")
            .field("id", self.id())
            .field("class", &self.class())
            .field("regular", &self.regular)
            .field("prefill", &self.prefill)
            .field("decode", &self.decode)
            .finish()
    }
}

/// Some workers at one instant: a shared slice. Healthy ones first.
pub struct Workers<'s, W> {
    table: &'s Table<Worker<W>>,
    places: &'s [u32],
}

impl<W> Clone for Workers<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Workers<'_, W> {}

impl<'s, W> Workers<'s, W> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The one at an index, for policies that draw: `None` from [`len`](Self::len) on.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'s Arc<Worker<W>>> {
        self.table.get(*self.places.get(index)?)
    }

    /// Walks them.
    #[inline]
    pub fn iter(&self) -> WorkerIter<'s, W> {
        (*self).into_iter()
    }
}

impl<'s, W> IntoIterator for Workers<'s, W> {
    type Item = &'s Arc<Worker<W>>;
    type IntoIter = WorkerIter<'s, W>;

    #[inline]
    fn into_iter(self) -> WorkerIter<'s, W> {
        WorkerIter {
            table: self.table,
            places: self.places.iter(),
        }
    }
}

impl<W> fmt::Debug for Workers<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|worker| worker.id))
            .finish()
    }
}

/// Walks workers of one snapshot.
pub struct WorkerIter<'s, W> {
    table: &'s Table<Worker<W>>,
    places: slice::Iter<'s, u32>,
}

impl<W> Clone for WorkerIter<'_, W> {
    fn clone(&self) -> Self {
        Self {
            table: self.table,
            places: self.places.clone(),
        }
    }
}

impl<'s, W> Iterator for WorkerIter<'s, W> {
    type Item = &'s Arc<Worker<W>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.table.get(*self.places.next()?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl<W> ExactSizeIterator for WorkerIter<'_, W> {}

impl<W> fmt::Debug for WorkerIter<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.clone().map(|worker| worker.id))
            .finish()
    }
}
