//! How a change is made: on the snapshot before the current one, then published.
//!
//! # Design
//!
//! The writer keeps the current snapshot and, as a *spare*, the one before it. A change takes the spare, brings it up to
//! date by what the last change touched, and goes on from there. `Arc::make_mut` copies the spare where somebody still
//! reads it: once for each reader that holds an answer over two changes.
//!
//! What only the writer asks (which adapters a worker has, whether its capacity was reported) is kept once, in records
//! by place.
//!
//! # Why
//!
//! Replaying events on both snapshots was tried on paper: then every step has to be deterministic, and each is paid
//! for twice. Copying the touched entries has no second run.
//!
//! # Invariants
//!
//! - Apart from what is touched, spare and current are equal.
//! - A worker's place is in the map before the publication that brings it, and until after the one that takes it away. A
//!   worker that leaves and comes back within one change keeps its place.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use published::Published;
use quanta::Clock;
use worker_id::WorkerWithDpRank;

use crate::departed::Departed;
use crate::map::{LoraSession, WorkerEntry};
use crate::snapshot::{Adapter, Slots, Snapshot, Touched, WorkerSlots, shrink};
use crate::{LoraEvent, LoraInfo};

#[derive(Debug, Default)]
pub(crate) struct Writer {
    current: Arc<Snapshot>,
    spare: Option<Arc<Snapshot>>,
    touched: Touched,
    /// By place, as the rows of the snapshot.
    records: Vec<Record>,
    /// Places below the end of the table that nobody stands at.
    vacant: BTreeSet<usize>,
    departed: Departed,
}

/// What only the writer asks of a worker.
#[derive(Debug, Default)]
struct Record {
    adapters: BTreeSet<Arc<str>>,
    /// The capacity as it was last reported; the row has the default where none was.
    reported: Option<u32>,
}

/// Two capacities were reported of one worker. Told after all locks are released.
#[derive(Debug)]
pub(crate) struct Disagreement {
    worker: WorkerWithDpRank,
    lora: Arc<str>,
    before: u32,
    now: u32,
}

impl Disagreement {
    pub(crate) fn tell(&self) {
        let Self {
            worker,
            lora,
            before,
            now,
        } = self;
        tracing::warn!(
            %worker, lora = ?lora, before, now,
            "adapters report different capacities of one worker; the latest is taken"
        );
    }
}

/// What the writer's caller has.
pub(crate) struct Context<'a, S> {
    pub(crate) published: &'a Published<Snapshot>,
    pub(crate) session: S,
    pub(crate) clock: &'a Clock,
    pub(crate) default_capacity: Option<u32>,
}

impl Writer {
    /// Makes a change, and publishes it unless nothing is different after it. Answers the new generation, if it did.
    pub(crate) fn change<S: LoraSession>(
        &mut self,
        context: &Context<'_, S>,
        disagreements: &mut Vec<Disagreement>,
        act: impl FnOnce(&mut Change<'_, S>),
    ) -> Option<u64> {
        let spare = self.spare.take();
        let mut next = spare.unwrap_or_else(|| Arc::clone(&self.current));
        let snapshot = Arc::make_mut(&mut next);
        snapshot.catch_up(&self.current, &mut self.touched);
        let mut change = Change {
            snapshot,
            touched: &mut self.touched,
            records: &mut self.records,
            vacant: &mut self.vacant,
            departed: &mut self.departed,
            context,
            disagreements,
            left: Vec::new(),
        };
        act(&mut change);

        let Change {
            snapshot,
            touched,
            left,
            ..
        } = change;
        snapshot.trim();
        let changed = touched.tells_apart(&self.current, snapshot);
        if changed {
            snapshot.generation += 1;
            context.published.publish(Arc::clone(&next));
            self.spare = Some(mem::replace(&mut self.current, next));
        } else {
            self.spare = Some(next);
        }
        self.clean_up(&context.session, &left);
        changed.then_some(self.current.generation)
    }

    /// Frees the places of those that left, now that no reader can find them in a snapshot any more.
    fn clean_up(&mut self, session: &impl LoraSession, left: &[(WorkerWithDpRank, usize)]) {
        if left.is_empty() {
            return;
        }
        for (worker, place) in left {
            if self.current.row(*place).is_none() {
                session.forget(worker);
                self.vacant.insert(*place);
            }
        }
        let end = self.current.rows().len();
        let _beyond = self.vacant.split_off(&end);
        self.records.truncate(end);
        shrink(end, self.records.capacity(), |room| {
            self.records.shrink_to(room);
        });
    }
}

/// A change being made.
pub(crate) struct Change<'a, S> {
    snapshot: &'a mut Snapshot,
    touched: &'a mut Touched,
    records: &'a mut Vec<Record>,
    vacant: &'a mut BTreeSet<usize>,
    departed: &'a mut Departed,
    context: &'a Context<'a, S>,
    disagreements: &'a mut Vec<Disagreement>,
    /// Who left, and from where; some may be back.
    left: Vec<(WorkerWithDpRank, usize)>,
}

impl<S: LoraSession> Change<'_, S> {
    pub(crate) fn apply(&mut self, event: &LoraEvent) {
        match event {
            LoraEvent::Loaded { worker, lora } => {
                if let Some(place) = self.enter(worker) {
                    self.report(place, lora.max_gpu_lora_count, Some(&lora.name));
                    self.load(place, &lora.name);
                }
            }
            LoraEvent::Unloaded { worker, name } => {
                if let Some(place) = self.addressed(worker) {
                    self.unload(place, name);
                }
            }
            LoraEvent::WorkerJoined { worker, capacity } => {
                if let Some(place) = self.enter(worker) {
                    self.report(place, *capacity, None);
                }
            }
            LoraEvent::WorkerLeft { worker } => match self.addressed(worker) {
                Some(place) => self.leave(place),
                None => self.depart(worker),
            },
        }
    }

    /// Lets a worker have these adapters and no others.
    pub(crate) fn replace(
        &mut self,
        worker: &WorkerWithDpRank,
        capacity: Option<u32>,
        loras: &[LoraInfo],
    ) {
        let Some(place) = self.enter(worker) else {
            return;
        };
        let stay: BTreeSet<&str> = loras.iter().map(|lora| &*lora.name).collect();
        let adapters = self.records[place].adapters.iter();
        let gone: Vec<_> = adapters
            .filter(|name| !stay.contains(&***name))
            .cloned()
            .collect();
        for name in gone {
            self.unload(place, &name);
        }
        self.records[place].reported = None;
        let default = self.context.default_capacity;
        self.update(place, |slots| slots.capacity = default);
        self.report(place, capacity, None);
        for lora in loras {
            self.report(place, lora.max_gpu_lora_count, Some(&lora.name));
            self.load(place, &lora.name);
        }
    }

    /// Where a worker stands, and which incarnation of it.
    fn standing(&self, worker: &WorkerWithDpRank) -> Option<(usize, WorkerWithDpRank)> {
        let WorkerEntry(place) = self.context.session.find(worker)?;
        let row = self.snapshot.row(place)?;
        Some((place, row.worker))
    }

    /// The place of the worker that is spoken of, if that is the one that is there.
    fn addressed(&self, worker: &WorkerWithDpRank) -> Option<usize> {
        let (place, there) = self.standing(worker)?;
        (worker.incarnation().is_none() || worker.same_incarnation(&there)).then_some(place)
    }

    /// The place of the worker that is spoken of, which is there from now on; nothing if it has departed.
    fn enter(&mut self, worker: &WorkerWithDpRank) -> Option<usize> {
        if let Some(place) = self.addressed(worker) {
            return Some(place);
        }
        if self.departed.knows(worker, || self.context.clock.now()) {
            return None;
        }
        if let Some((place, _)) = self.standing(worker) {
            self.leave(place);
        }
        Some(self.settle(worker))
    }

    fn settle(&mut self, worker: &WorkerWithDpRank) -> usize {
        let end = self.snapshot.rows().len();
        let place = match self.context.session.find(worker) {
            // It has left within this change.
            Some(WorkerEntry(place)) if place < end => place,
            _ => {
                let place = self.vacant.pop_first().unwrap_or(end);
                self.context.session.store(*worker, WorkerEntry(place));
                place
            }
        };
        let slots = Slots {
            loaded: 0,
            capacity: self.context.default_capacity,
        };
        let row = WorkerSlots {
            worker: *worker,
            slots,
        };
        self.snapshot.set_row(place, Some(row), self.touched);
        if self.records.len() <= place {
            self.records.resize_with(place + 1, Record::default);
        }
        place
    }

    fn leave(&mut self, place: usize) {
        let Some(&WorkerSlots { worker, .. }) = self.snapshot.row(place) else {
            return;
        };
        for name in mem::take(&mut self.records[place]).adapters {
            self.take_from(&name, &worker);
        }
        self.snapshot.set_row(place, None, self.touched);
        self.left.push((worker, place));
        self.depart(&worker);
    }

    fn depart(&mut self, worker: &WorkerWithDpRank) {
        self.departed.remember(worker, || self.context.clock.now());
    }

    fn load(&mut self, place: usize, name: &Arc<str>) {
        let Some(&WorkerSlots { worker, .. }) = self.snapshot.row(place) else {
            return;
        };
        let with = |adapter: &Adapter| adapter.with(worker, place);
        if let Some(name) = self.snapshot.change_adapter(name, with, self.touched) {
            self.records[place].adapters.insert(name);
            self.update(place, |slots| slots.loaded += 1);
        }
    }

    fn unload(&mut self, place: usize, name: &Arc<str>) {
        let Some(&WorkerSlots { worker, .. }) = self.snapshot.row(place) else {
            return;
        };
        if self.records[place].adapters.remove(name) {
            self.take_from(name, &worker);
            self.update(place, |slots| slots.loaded -= 1);
        }
    }

    fn take_from(&mut self, name: &Arc<str>, worker: &WorkerWithDpRank) {
        let without = |adapter: &Adapter| adapter.without(worker);
        let _ = self.snapshot.change_adapter(name, without, self.touched);
    }

    /// Takes a capacity that was said, if one was: by an adapter, or by the worker itself.
    fn report(&mut self, place: usize, said: Option<u32>, by: Option<&Arc<str>>) {
        let Some(now) = said else {
            return;
        };
        let before = self.records[place].reported.replace(now);
        if before == Some(now) {
            return;
        }
        if let (Some(before), Some(lora), Some(row)) = (before, by, self.snapshot.row(place)) {
            self.disagreements.push(Disagreement {
                worker: row.worker,
                lora: Arc::clone(lora),
                before,
                now,
            });
        }
        self.update(place, |slots| slots.capacity = Some(now));
    }

    fn update(&mut self, place: usize, change: impl FnOnce(&mut Slots)) {
        if let Some(mut row) = self.snapshot.row(place).copied() {
            change(&mut row.slots);
            self.snapshot.set_row(place, Some(row), self.touched);
        }
    }
}
