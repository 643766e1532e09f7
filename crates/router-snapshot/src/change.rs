//! A change being made: on a copy of the published snapshot, under the manager's lock.
//!
//! What can be refused is refused first; after that nothing fails. Places are stored in the maps as
//! they are taken, which is before the publication, and removed after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use state_map::{MapSession, StateMap};
use worker_id::{Ignored, News, Ranks, Ruling, Says, WorkerRanks, WorkerState, WorkerWithDpRank};

use crate::batch::{Change, WorkerChange};
use crate::book::{Book, Record};
use crate::map::{RouterEntry, RouterMap, WorkerEntry};
use crate::snapshot::{Seat, Snapshot, Winners};
use crate::{ChangeError, RouterClass, RouterId, Worker, WorkerSpec};

/// Whether news was believed: nothing, or why not.
pub(crate) type Heard = Result<(), Ignored>;

/// What a change was about.
#[derive(Default)]
pub(crate) struct Touched {
    /// Whose rows may differ.
    pub(crate) routers: BTreeMap<u32, RouterId>,
    pub(crate) workers: BTreeMap<u32, WorkerWithDpRank>,
    pub(crate) heard: Vec<(WorkerRanks, Heard)>,
}

pub(crate) struct Doing<'a, R: ?Sized, W, M> {
    pub(crate) old: &'a Snapshot<R, W>,
    pub(crate) next: Snapshot<R, W>,
    pub(crate) book: &'a mut Book,
    pub(crate) map: &'a M,
    /// The default router, which may change.
    default: Option<Arc<Seat<R>>>,
    pub(crate) touched: Touched,
}

impl<'a, R: ?Sized, W, M: RouterMap> Doing<'a, R, W, M> {
    pub(crate) fn new(old: &'a Snapshot<R, W>, book: &'a mut Book, map: &'a M) -> Self {
        Self {
            old,
            next: old.clone(),
            book,
            map,
            default: old.default_router().cloned(),
            touched: Touched::default(),
        }
    }

    /// Whether the first change that is refused lets all of them be refused: nothing is done.
    pub(crate) fn check(&self, changes: &[Change<R, W>]) -> Result<(), ChangeError> {
        // What is there after the changes so far, of the ids that they are about.
        let mut there: BTreeMap<&RouterId, bool> = BTreeMap::new();
        for change in changes {
            change.check()?;
            match change {
                Change::Register { id, .. } => {
                    let there = there.entry(id);
                    if *there.or_insert_with(|| self.router_place(id).is_some()) {
                        return Err(ChangeError::DuplicateRouter { id: id.clone() });
                    }
                }
                Change::SetDefault(id) => {
                    let there = there.entry(id);
                    if !*there.or_insert_with(|| self.router_place(id).is_some()) {
                        return Err(ChangeError::UnknownRouter { id: id.clone() });
                    }
                }
                Change::Deregister(_) | Change::Worker(..) => {}
            }
            match change {
                Change::Register { id, .. } => there.insert(id, true),
                Change::Deregister(id) => there.insert(id, false),
                Change::SetDefault(_) | Change::Worker(..) => None,
            };
        }
        Ok(())
    }

    pub(crate) fn apply(&mut self, change: &Change<R, W>) {
        match change {
            Change::Register { id, class, router } => self.register(id, *class, router),
            Change::Deregister(id) => self.deregister(id),
            Change::SetDefault(id) => {
                let place = self.router_place(id);
                let seat = place.and_then(|place| self.next.routers.get(place));
                self.default = seat.cloned();
            }
            Change::Worker(change, as_of) => match change {
                WorkerChange::Upsert(spec) => {
                    let heard = self.upsert(spec, Says::Here, *as_of);
                    self.touched.heard.push((spec.id.into(), heard));
                }
                WorkerChange::Remove(worker) => {
                    let heard = self.each(worker, |this, rank| {
                        let news = News::new(rank, Says::Gone).as_of(*as_of);
                        this.hear(&news, None).map(|_| ())
                    });
                    if worker.ranks == Ranks::All {
                        self.book.lives.all_gone(worker, *as_of);
                    }
                    self.touched.heard.push((*worker, heard));
                }
                WorkerChange::SetState(worker, state) => {
                    let heard =
                        self.each(worker, |this, rank| this.set_state(&rank, *state, *as_of));
                    self.touched.heard.push((*worker, heard));
                }
                WorkerChange::ReplaceAll(fleet) => self.replace_all(fleet, *as_of),
            },
        }
    }

    /// Does something to one rank, there or not, or to each that is there. One that is believed
    /// counts; of several that are not, the first.
    fn each(
        &mut self,
        worker: &WorkerRanks,
        mut act: impl FnMut(&mut Self, WorkerWithDpRank) -> Heard,
    ) -> Heard {
        if let Ranks::One(rank) = worker.ranks {
            return act(self, worker.rank(rank));
        }
        let there = self.next.workers.iter().map(|row| row.id);
        let there: BTreeSet<_> = there.filter(|row| worker.contains(row)).collect();
        let mut heard = None;
        for rank in there {
            let this = act(self, worker.rank(rank.dp_rank));
            if this.is_ok() || heard.is_none() {
                heard = Some(this);
            }
        }
        heard.unwrap_or(Err(Ignored::Absent))
    }

    /// Asks whether news is believed, and lets the worker come (as `spec` says), be replaced or
    /// leave. Answers where it stands if it was there and stays, and else nothing.
    fn hear(&mut self, news: &News, spec: Option<&WorkerSpec<W>>) -> Result<Option<u32>, Ignored> {
        let place = self.worker_place(&news.worker);
        let record = place.and_then(|place| self.book.records.get(&place));
        let mut known = record.map(|record| record.known);
        let ruling = self.book.lives.hear(&mut known, news);
        if let Ruling::Ignored(why) = ruling {
            return Err(why);
        }
        if let (Ruling::Apply, Some(place), Some(known)) = (ruling, place, known) {
            if let Some(record) = self.book.records.get_mut(&place) {
                record.known = known;
            }
            return Ok(Some(place));
        }
        if let Some(place) = place {
            self.set(place, news.worker, None);
            self.book.records.remove(&place);
        }
        if let (Some(known), Some(spec)) = (known, spec) {
            let place = self.settle(&known.worker);
            self.set(
                place,
                known.worker,
                Some(Arc::new(Worker::new(spec.clone()))),
            );
            let record = Record {
                known,
                spec: news.as_of,
                state: news.as_of.filter(|_| spec.state.is_some()),
            };
            self.book.records.insert(place, record);
        }
        Ok(None)
    }

    fn upsert(&mut self, spec: &WorkerSpec<W>, says: Says, as_of: Option<u64>) -> Heard {
        let news = News::new(spec.id, says).as_of(as_of);
        let Some(place) = self.hear(&news, Some(spec))? else {
            return Ok(());
        };
        let (Some(there), Some(record)) = (
            self.next.workers.get(place),
            self.book.records.get_mut(&place),
        ) else {
            return Ok(());
        };
        let later = |then: Option<u64>| as_of.is_some() && as_of < then;
        let takes_state = spec.state.is_some() && !later(record.state);
        let state = spec.state.filter(|_| takes_state).unwrap_or(there.state());
        if takes_state {
            record.state = as_of;
        }
        // Each fact has a revision of its own: an older spec may bring a newer state.
        let stale = later(record.spec);
        let now = if stale {
            there.in_state(state)
        } else {
            record.spec = as_of;
            there.updated(spec, state)
        };
        match now {
            Some(now) => self.set(place, spec.id, Some(Arc::new(now))),
            None if stale && !takes_state => return Err(Ignored::Older),
            None => {}
        }
        Ok(())
    }

    fn set_state(
        &mut self,
        worker: &WorkerWithDpRank,
        state: WorkerState,
        as_of: Option<u64>,
    ) -> Heard {
        let news = News::new(*worker, Says::Detail).as_of(as_of);
        let Some(place) = self.hear(&news, None)? else {
            return Ok(());
        };
        if let Some(record) = self.book.records.get_mut(&place) {
            if as_of.is_some() && as_of < record.state {
                return Err(Ignored::Older);
            }
            record.state = as_of;
        }
        let there = self.next.workers.get(place);
        if let Some(now) = there.and_then(|there| there.in_state(state)) {
            self.set(place, *worker, Some(Arc::new(now)));
        }
        Ok(())
    }

    fn replace_all(&mut self, fleet: &[WorkerSpec<W>], as_of: Option<u64>) {
        let nobody = WorkerRanks::all(0);
        if let Err(why) = self.book.lives.begin_list(as_of) {
            self.touched.heard.push((nobody, Err(why)));
            return;
        }
        self.touched.heard.push((nobody, Ok(())));
        let mut listed: Vec<_> = fleet.iter().map(|spec| spec.id).collect();
        listed.sort_unstable();
        let there = self.next.workers.iter().map(|row| row.id);
        let gone = there.filter(|there| listed.binary_search(there).is_err());
        for gone in gone.collect::<Vec<_>>() {
            let gone = WorkerWithDpRank::new(gone.worker_id, gone.dp_rank);
            // Whoever was seen after the list stays.
            let _ = self.hear(&News::new(gone, Says::Unlisted).as_of(as_of), None);
        }
        for spec in fleet {
            if let Err(why) = self.upsert(spec, Says::Listed, as_of) {
                self.touched.heard.push((spec.id.into(), Err(why)));
            }
        }
    }

    /// Where a worker stands, whichever life of it.
    fn worker_place(&self, worker: &WorkerWithDpRank) -> Option<u32> {
        let session = self.map.workers().session();
        let place = session.read(worker, |entry| entry.0)?;
        self.next.workers.get(place).map(|_| place)
    }

    fn settle(&mut self, worker: &WorkerWithDpRank) -> u32 {
        let session = self.map.workers().session();
        // It may have left within this change.
        session.read(worker, |entry| entry.0).unwrap_or_else(|| {
            let place = self.book.worker_places.take();
            let _ = session.insert_if_absent(*worker, WorkerEntry(place), |_| ());
            place
        })
    }

    fn set(&mut self, place: u32, worker: WorkerWithDpRank, row: Option<Arc<Worker<W>>>) {
        // Whoever stood there is in the old snapshot, too, or is nobody's yet.
        self.next.set_worker(place, row);
        self.touched.workers.insert(place, worker);
    }

    pub(crate) fn router_place(&self, id: &RouterId) -> Option<u32> {
        let session = self.map.routers().session();
        let place = session.read(id.as_str(), |entry| entry.0)?;
        self.next.routers.get(place).map(|_| place)
    }

    fn register(&mut self, id: &RouterId, class: RouterClass, router: &Arc<R>) {
        let session = self.map.routers().session();
        let place = session.read(id.as_str(), |entry| entry.0);
        // It may have been deregistered within this change.
        let place = place.unwrap_or_else(|| {
            let place = self.book.router_places.take();
            let _ = session.insert_if_absent(id.clone(), RouterEntry(place), |_| ());
            place
        });
        let number = self.book.registrations;
        self.book.registrations += 1;
        self.book.order.insert((class, number), place);
        let seat = Seat {
            id: id.clone(),
            class,
            number,
            router: Arc::clone(router),
        };
        self.next.set_router(place, Some(Arc::new(seat)));
        self.touched.routers.insert(place, id.clone());
    }

    fn deregister(&mut self, id: &RouterId) {
        let Some(place) = self.router_place(id) else {
            return;
        };
        if let Some(seat) = self.next.routers.get(place) {
            self.book.order.remove(&(seat.class, seat.number));
        }
        if self.default.as_ref().is_some_and(|seat| seat.id == *id) {
            self.default = None;
        }
        self.next.set_router(place, None);
        self.touched.routers.insert(place, id.clone());
    }

    /// Keeps of what was touched what differs, and says whether anything does. Elects, if so.
    pub(crate) fn settle_all(&mut self) -> bool {
        let (old, next) = (self.old, &self.next);
        let same_seat = |a: Option<&Arc<Seat<R>>>, b: Option<&Arc<Seat<R>>>| {
            a.map(|seat| seat.number) == b.map(|seat| seat.number)
        };
        let differs = |place: u32| !same_seat(old.routers.get(place), next.routers.get(place));
        let routers = self.touched.routers.keys().any(|place| differs(*place))
            || !same_seat(old.default_router(), self.default.as_ref());
        let workers = self.touched.workers.keys().any(|place| {
            match (old.workers.get(*place), next.workers.get(*place)) {
                (Some(old), Some(next)) => !old.is_like(next),
                (old, next) => old.is_some() != next.is_some(),
            }
        });
        if routers || workers {
            let winners = routers.then(|| self.winners());
            self.next.elect(winners);
            self.next.generation += 1;
        }
        routers || workers
    }

    fn winners(&self) -> Winners<R> {
        let mut winners: Winners<R> = Default::default();
        for class in RouterClass::ALL {
            let mut of_class = self.book.order.range((class, 0)..=(class, u64::MAX));
            let first = of_class.next().map(|(_, place)| *place);
            let seat = first.and_then(|place| self.next.routers.get(place));
            winners[class.index()] = seat.cloned();
        }
        if let Some(default) = winners.last_mut() {
            *default = self.default.clone();
        }
        winners
    }
}

impl Touched {
    /// Takes what is gone out of the maps, after the publication.
    pub(crate) fn clean_up<R: ?Sized, W>(
        &self,
        next: &Snapshot<R, W>,
        book: &mut Book,
        map: &impl RouterMap,
    ) {
        for (place, id) in &self.routers {
            if next.routers.get(*place).is_none() {
                let _ = map.routers().session().remove(id.as_str());
                book.router_places.give_back(*place);
            }
        }
        for (place, worker) in &self.workers {
            if next.workers.get(*place).is_none() {
                let _ = map.workers().session().remove(worker);
                book.worker_places.give_back(*place);
            }
        }
    }
}
