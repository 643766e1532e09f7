//! How a change is made: on the snapshot before the current one, then published.
//!
//! # Design
//!
//! The writer keeps the current snapshot and, as a *spare*, the one before it. A change takes the spare, lets it take the steps
//! of the last change, which were logged, and goes on from there, logging its own. Where somebody still reads the spare, the
//! change goes on from a copy of the current one instead.
//!
//! What only the writer asks (which adapters a worker has, whether its capacity was reported) is kept once, in records
//! by place.
//!
//! # Why
//!
//! - *Steps, not events, are replayed*: a step is a write to a known place, so a second run looks nothing up, decides
//!   nothing and cannot come out differently.
//! - *Copying what was touched* from the current snapshot was what stood here before. A slice was then shared by both
//!   snapshots, and each event had to make a new one.
//! - *A record is a plain list of names*: a worker has as many adapters as fit its memory, and to compare pointers along
//!   such a list is faster than an ordered set, which reads names.
//!
//! # Invariants
//!
//! - The spare with the steps of the log is equal to the current snapshot, which is the published one. Where there is
//!   no spare, the log means nothing.
//! - The names of records are those of the index: the same pointers.
//! - A worker's place is in the map before the publication that brings it, and until after the one that takes it away. A
//!   worker that leaves and comes back within one change keeps its place.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use published::Published;
use quanta::Clock;
use state_map::Access;
use worker_id::WorkerWithDpRank;

use crate::departed::Departed;
use crate::map::{LoraMap, WorkerEntry};
use crate::snapshot::{Pair, Slots, Snapshot, Step, WorkerSlots, shrink};
use crate::{LoraEvent, LoraInfo};

#[derive(Debug, Default)]
pub(crate) struct Writer {
    current: Arc<Snapshot>,
    spare: Option<Arc<Snapshot>>,
    log: Vec<Step>,
    /// By place, as the rows of the snapshot.
    records: Vec<Record>,
    /// Places below the end of the table that nobody stands at.
    vacant: BTreeSet<u32>,
    departed: Departed,
}

/// What only the writer asks of a worker.
#[derive(Debug, Default)]
struct Record {
    adapters: Vec<Arc<str>>,
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
pub(crate) struct Context<'a, M: LoraMap> {
    pub(crate) published: &'a Published<Snapshot>,
    pub(crate) access: Access<'a, M>,
    pub(crate) clock: &'a Clock,
    pub(crate) default_capacity: Option<u32>,
}

impl Writer {
    /// Makes a change and, unless it took no step, publishes it. Answers the new generation, if anything is different: steps
    /// may cancel each other out.
    pub(crate) fn change<M: LoraMap>(
        &mut self,
        context: &Context<'_, M>,
        disagreements: &mut Vec<Disagreement>,
        act: impl FnOnce(&mut Change<'_, '_, M>),
    ) -> Option<u64> {
        let spare = self.spare.take();
        let mut next = spare.unwrap_or_else(|| Arc::clone(&self.current));
        let snapshot = if let Some(spare) = Arc::get_mut(&mut next) {
            self.log.iter().for_each(|step| spare.step(step));
            spare.generation = self.current.generation;
            spare
        } else {
            next = Arc::clone(&self.current);
            Arc::make_mut(&mut next)
        };
        self.log.clear();
        let mut change = Change {
            snapshot,
            log: &mut self.log,
            records: &mut self.records,
            vacant: &mut self.vacant,
            departed: &mut self.departed,
            context,
            disagreements,
            left: Vec::new(),
        };
        act(&mut change);

        if !change.left.is_empty() {
            change.step(Step::Trim);
        }

        let Change {
            snapshot,
            log,
            records,
            left,
            ..
        } = change;
        if log.is_empty() {
            self.spare = Some(next);
            return None;
        }
        let changed = is_changed(&self.current, snapshot, log, records);
        snapshot.generation += u64::from(changed);
        context.published.publish(Arc::clone(&next));
        let before = mem::replace(&mut self.current, next);
        // Past this a copy is cheaper, and a large batch leaves no large log behind.
        if self.log.len() <= self.current.size().max(64) {
            self.spare = Some(before);
        } else {
            self.log = Vec::new();
        }
        if !left.is_empty() {
            self.clean_up(&context.access, &left);
        }
        changed.then_some(self.current.generation)
    }

    /// Frees the places of those that left, now that no reader can find them in a snapshot any more.
    fn clean_up<M: LoraMap>(&mut self, access: &Access<'_, M>, left: &[(WorkerWithDpRank, u32)]) {
        for (worker, place) in left {
            if self.current.row(*place).is_none() {
                access.remove(worker);
                self.vacant.insert(*place);
            }
        }
        let end = self.current.rows().len();
        while self
            .vacant
            .last()
            .is_some_and(|place| *place as usize >= end)
        {
            self.vacant.pop_last();
        }
        self.records.truncate(end);
        shrink(end, self.records.capacity(), |room| {
            self.records.shrink_to(room);
        });
    }
}

/// Whether two snapshots differ in what a reader sees, of which the new one has taken these steps more.
fn is_changed(old: &Snapshot, new: &Snapshot, log: &[Step], records: &[Record]) -> bool {
    let mut places = log.iter().filter_map(Step::place);
    places.any(|place| match (old.row(place), new.row(place)) {
        (Some(old_row), Some(row)) => {
            // As many adapters as before are the same ones, if it had all of them before.
            let had = |name: &Arc<str>| old.pair(name, &row.worker).is_some();
            !old_row.is(row) || !records[place as usize].adapters.iter().all(had)
        }
        (None, None) => false,
        _ => true,
    })
}

/// Whether what is said of a worker is said of the one that is there.
fn speaks_of(worker: &WorkerWithDpRank, there: &WorkerWithDpRank) -> bool {
    worker.incarnation().is_none() || worker.same_incarnation(there)
}

/// A change being made.
pub(crate) struct Change<'a, 'm, M: LoraMap> {
    snapshot: &'a mut Snapshot,
    log: &'a mut Vec<Step>,
    records: &'a mut Vec<Record>,
    vacant: &'a mut BTreeSet<u32>,
    departed: &'a mut Departed,
    context: &'a Context<'m, M>,
    disagreements: &'a mut Vec<Disagreement>,
    /// Who left, and from where; some may be back.
    left: Vec<(WorkerWithDpRank, u32)>,
}

impl<M: LoraMap> Change<'_, '_, M> {
    pub(crate) fn apply(&mut self, event: &LoraEvent) {
        match event {
            LoraEvent::Loaded { worker, lora } => {
                if let Some(place) = self.enter(worker) {
                    self.report(place, lora.max_gpu_lora_count, Some(&lora.name));
                    self.load(place, &lora.name);
                }
            }
            LoraEvent::Unloaded { worker, name } => {
                self.unload(worker, name);
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
        let adapters = self.record(place).adapters.iter();
        let gone: Vec<_> = adapters
            .filter(|name| !stay.contains(&***name))
            .cloned()
            .collect();
        for name in gone {
            self.unload(worker, &name);
        }
        self.record(place).reported = None;
        self.report(place, capacity, None);
        for lora in loras {
            self.report(place, lora.max_gpu_lora_count, Some(&lora.name));
            self.load(place, &lora.name);
        }
        if self.record(place).reported.is_none() {
            self.set_capacity(place, self.context.default_capacity);
        }
    }

    /// Where a worker stands, and which incarnation of it.
    fn standing(&self, worker: &WorkerWithDpRank) -> Option<(u32, WorkerWithDpRank)> {
        let place = self.context.access.read(worker, |entry| entry.0)?;
        let row = self.snapshot.row(place)?;
        Some((place, row.worker))
    }

    /// The place of the worker that is spoken of, if that is the one that is there.
    fn addressed(&self, worker: &WorkerWithDpRank) -> Option<u32> {
        let (place, there) = self.standing(worker)?;
        speaks_of(worker, &there).then_some(place)
    }

    /// The place of the worker that is spoken of, which is there from now on; nothing if it has departed.
    fn enter(&mut self, worker: &WorkerWithDpRank) -> Option<u32> {
        if let Some(place) = self.addressed(worker) {
            return Some(place);
        }
        if self.departed.knows(worker, || self.context.clock.now()) {
            return None;
        }
        if let Some((place, _)) = self.standing(worker) {
            self.leave(place);
        }
        self.settle(worker)
    }

    fn settle(&mut self, worker: &WorkerWithDpRank) -> Option<u32> {
        // There is no memory for so many that this fails.
        let end = u32::try_from(self.snapshot.rows().len()).ok()?;
        let place = match self.context.access.read(worker, |entry| entry.0) {
            // It has left within this change.
            Some(place) if place < end => place,
            _ => {
                let place = self.vacant.pop_first().unwrap_or(end);
                let entry = WorkerEntry(place);
                let inserted = self.context.access.insert_if_absent(*worker, entry);
                debug_assert!(
                    inserted.is_ok(),
                    "this is the one writer, and it has looked"
                );
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
        self.step(Step::Row(place, Some(row)));
        if self.records.len() <= place as usize {
            self.records
                .resize_with(place as usize + 1, Record::default);
        }
        Some(place)
    }

    fn leave(&mut self, place: u32) {
        let Some(&WorkerSlots { worker, .. }) = self.snapshot.row(place) else {
            return;
        };
        for name in mem::take(self.record(place)).adapters {
            if let Some((pair, _)) = self.snapshot.pair(&name, &worker) {
                self.step(Step::Unload(pair));
            }
        }
        self.step(Step::Row(place, None));
        self.left.push((worker, place));
        self.depart(&worker);
    }

    fn depart(&mut self, worker: &WorkerWithDpRank) {
        self.departed.remember(worker, || self.context.clock.now());
    }

    fn load(&mut self, place: u32, name: &Arc<str>) {
        let Some(&WorkerSlots { worker, .. }) = self.snapshot.row(place) else {
            return;
        };
        let (adapter, name, at) = match self.snapshot.search(name, &worker) {
            Some((_, _, Ok(_))) => return,
            Some((adapter, name, Err(at))) => (adapter, Arc::clone(name), at),
            None => {
                let last = self.snapshot.adapters().len();
                self.step(Step::Name(Arc::clone(name)));
                (last, Arc::clone(name), 0)
            }
        };
        self.step(Step::Load(Pair { adapter, at, place }));
        self.record(place).adapters.push(name);
    }

    fn unload(&mut self, worker: &WorkerWithDpRank, name: &str) {
        let Some((pair, name)) = self.snapshot.pair(name, worker) else {
            return;
        };
        let there = self.snapshot.row(pair.place);
        if !there.is_some_and(|row| speaks_of(worker, &row.worker)) {
            return;
        }
        let held = &mut self.records[pair.place as usize].adapters;
        if let Some(number) = held.iter().position(|held| Arc::ptr_eq(held, name)) {
            held.swap_remove(number);
            shrink(held.len(), held.capacity(), |room| held.shrink_to(room));
        }
        self.step(Step::Unload(pair));
    }

    /// Takes a capacity that was said, if one was: by an adapter, or by the worker itself.
    fn report(&mut self, place: u32, said: Option<u32>, by: Option<&Arc<str>>) {
        let Some(now) = said else {
            return;
        };
        let before = self.record(place).reported.replace(now);
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
        self.set_capacity(place, Some(now));
    }

    fn set_capacity(&mut self, place: u32, capacity: Option<u32>) {
        if let Some(mut row) = self.snapshot.row(place).copied()
            && mem::replace(&mut row.slots.capacity, capacity) != capacity
        {
            self.step(Step::Row(place, Some(row)));
        }
    }

    fn record(&mut self, place: u32) -> &mut Record {
        &mut self.records[place as usize]
    }

    fn step(&mut self, step: Step) {
        self.snapshot.step(&step);
        self.log.push(step);
    }
}
