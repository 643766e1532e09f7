//! Loading an adapter where it is not: one caller does, the others learn where.

use std::fmt;
use std::sync::Arc;

use worker_id::{Effect, WorkerWithDpRank};

use crate::change::Change;
use crate::lora::WorkerLora;
use crate::map::LoraSession;
use crate::snapshot::Step;
use crate::table::Group;
use crate::{LoraEvent, LoraInfo, LoraMap, LoraTracker};

/// What a worker can do for an adapter, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Tier {
    /// It has the adapter, and needs no free slot: that is taken by the adapter, not by a request.
    Resident,
    /// It is loading the adapter.
    Loading,
    /// It has a free slot.
    Room,
    /// Its capacity is not known, and the configuration lets such a worker load.
    UnknownCapacity,
    /// It is full, and could evict an adapter that is neither pinned nor loading.
    CouldEvict,
}

impl Tier {
    /// All of them, best first.
    pub const ALL: [Self; 5] = [
        Self::Resident,
        Self::Loading,
        Self::Room,
        Self::UnknownCapacity,
        Self::CouldEvict,
    ];

    /// Those whose workers need not load the adapter themselves, and those with room: what a
    /// request for an adapter starts with.
    pub const WITHOUT_EVICTION: [Self; 4] = [
        Self::Resident,
        Self::Loading,
        Self::Room,
        Self::UnknownCapacity,
    ];

    /// A label for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resident => "resident",
            Self::Loading => "loading",
            Self::Room => "room",
            Self::UnknownCapacity => "unknown_capacity",
            Self::CouldEvict => "could_evict",
        }
    }

    /// The workers of the fleet that can do this for an adapter which they do not have.
    pub(crate) fn group(self) -> Option<Group> {
        match self {
            Self::Resident | Self::Loading => None,
            Self::Room => Some(Group::Room),
            Self::UnknownCapacity => Some(Group::Unknown),
            Self::CouldEvict => Some(Group::Evict),
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What [`LoraTracker::begin_load`] answers.
#[must_use = "a ticket that is dropped ends its load"]
pub enum LoadStart<'t, M: LoraMap> {
    /// A worker has the adapter, or is loading it: there is nothing to begin.
    There {
        /// The worker.
        worker: WorkerWithDpRank,
        /// [`Tier::Resident`] or [`Tier::Loading`].
        tier: Tier,
    },
    /// The caller is to load it on the worker that the ticket names. Nobody else is told to.
    Begin(LoadTicket<'t, M>),
    /// No worker of these tiers can take it.
    Nobody,
}

impl<M: LoraMap> LoadStart<'_, M> {
    /// The worker, whoever loads the adapter there.
    #[must_use]
    pub fn worker(&self) -> Option<WorkerWithDpRank> {
        match self {
            Self::There { worker, .. } => Some(*worker),
            Self::Begin(ticket) => Some(ticket.worker()),
            Self::Nobody => None,
        }
    }
}

impl<M: LoraMap> fmt::Debug for LoadStart<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::There { worker, tier } => f
                .debug_struct("There")
                .field("worker", worker)
                .field("tier", tier)
                .finish(),
            Self::Begin(ticket) => f.debug_tuple("Begin").field(ticket).finish(),
            Self::Nobody => f.write_str("Nobody"),
        }
    }
}

/// A load that its owner has begun. The adapter takes a slot of the worker meanwhile, and attracts
/// the requests for it.
///
/// It ends by [`loaded`](Self::loaded), by [`failed`](Self::failed), by what the fleet's feed says
/// of the adapter on this worker, or by being dropped, which frees the slot: whichever comes first.
#[must_use = "dropping it ends the load"]
pub struct LoadTicket<'t, M: LoraMap> {
    tracker: &'t LoraTracker<M>,
    worker: WorkerWithDpRank,
    /// What is on its way: the very one, so that the end of this ticket ends no other load.
    lora: Arc<WorkerLora>,
}

impl<'t, M: LoraMap> LoadTicket<'t, M> {
    pub(crate) fn new(
        tracker: &'t LoraTracker<M>,
        worker: WorkerWithDpRank,
        lora: Arc<WorkerLora>,
    ) -> Self {
        Self {
            tracker,
            worker,
            lora,
        }
    }

    /// Where to load it.
    pub fn worker(&self) -> WorkerWithDpRank {
        self.worker
    }

    /// What to load.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.lora.name
    }

    /// It is loaded: as [`LoraEvent::Loaded`] of this worker.
    pub fn loaded(self) -> Effect {
        let lora = LoraInfo::new(Arc::clone(&self.lora.name));
        let worker = self.worker;
        self.tracker
            .apply_checked(LoraEvent::Loaded { worker, lora })
    }

    /// It could not be loaded: as [`LoraEvent::LoadFailed`] of this worker.
    pub fn failed(self, reason: impl Into<Arc<str>>) -> Effect {
        self.tracker.apply_checked(LoraEvent::LoadFailed {
            worker: self.worker,
            name: Arc::clone(&self.lora.name),
            reason: reason.into(),
        })
    }
}

impl<M: LoraMap> Drop for LoadTicket<'_, M> {
    fn drop(&mut self) {
        let (worker, lora) = (&self.worker, &self.lora);
        self.tracker.change(|change| change.end_load(worker, lora));
    }
}

impl<M: LoraMap> fmt::Debug for LoadTicket<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadTicket")
            .field("worker", &self.worker)
            .field("name", &self.lora.name)
            .finish_non_exhaustive()
    }
}

/// What a change has found or begun.
pub(crate) enum Begun {
    There(WorkerWithDpRank, Tier),
    Began(WorkerWithDpRank, Arc<WorkerLora>),
    Nobody,
}

impl<S: LoraSession> Change<'_, S> {
    pub(crate) fn begin_load(&mut self, name: &str, tiers: &[Tier]) -> Begun {
        for tier in tiers {
            let Some(group) = tier.group() else {
                let adapter = self.snapshot.adapters.get(name);
                let workers = adapter.map_or(&[][..], |adapter| {
                    adapter.members(*tier == Tier::Loading).workers()
                });
                if let Some(worker) = workers.get(self.state.loads % workers.len().max(1)) {
                    let worker = *worker;
                    self.state.loads = self.state.loads.wrapping_add(1);
                    return Begun::There(worker, *tier);
                }
                continue;
            };
            let may = self.context.config.unknown_capacity_may_load;
            if group == Group::Unknown && !may {
                continue;
            }
            if let Some(place) = self.first_that_may(name, group) {
                return self.begin_at(name, place);
            }
        }
        Begun::Nobody
    }

    /// The next worker of a group that does not have the adapter and did not fail to load it of
    /// late.
    fn first_that_may(&mut self, name: &str, group: Group) -> Option<u32> {
        let places = self.snapshot.table.group(group);
        let first = self.state.loads.checked_rem(places.len())?;
        let (behind, ahead) = places.split_at(first);
        let mut in_turn = ahead.iter().chain(behind);
        let place = *in_turn
            .find(|place| self.held(**place, name).is_none() && !self.backs_off(**place, name))?;
        self.state.loads = self.state.loads.wrapping_add(1);
        Some(place)
    }

    fn backs_off(&self, place: u32, name: &str) -> bool {
        let mut failed = self.state.records[place as usize].failed.iter();
        let failure = failed.find(|failure| *failure.name == *name);
        failure.is_some_and(|failure| {
            let since = self.context.clock.now().duration_since(failure.since);
            since < self.context.config.load_backoff
        })
    }

    fn begin_at(&mut self, name: &str, place: u32) -> Begun {
        let Some(row) = self.snapshot.row(place) else {
            return Begun::Nobody;
        };
        let worker = row.shown.worker;
        let name = match self.snapshot.adapters.find(name) {
            Some((_, name, _)) => Arc::clone(name),
            None => name.into(),
        };
        let lora = Arc::new(WorkerLora::ticketed(name));
        self.show(place, &worker, &lora);
        self.step(Step::Hold(place, Arc::clone(&lora)));
        Begun::Began(worker, lora)
    }

    /// Ends the load of a ticket, unless something else has ended it.
    pub(crate) fn end_load(&mut self, worker: &WorkerWithDpRank, lora: &Arc<WorkerLora>) {
        // Another life of the worker has other loads; and what was loaded meanwhile is another one.
        if let Some(place) = self.place(worker)
            && let Some((_, there)) = self.held(place, &lora.name)
            && Arc::ptr_eq(there, lora)
        {
            self.remove(place, &lora.name);
        }
    }
}
