//! A change being made: what each event and each list does.

use std::sync::Arc;

use worker_id::{Ignored, News, Ruling, Says, WorkerRanks, WorkerWithDpRank};

use crate::map::{LoraSession, WorkerEntry};
use crate::snapshot::{Snapshot, Step};
use crate::writer::{Context, Notice, Record, State};
use crate::{LoraEvent, LoraNews};

pub(crate) struct Change<'a, S> {
    pub(crate) snapshot: &'a mut Snapshot,
    pub(crate) log: &'a mut Vec<Step>,
    pub(crate) state: &'a mut State,
    pub(crate) context: &'a Context<'a, S>,
    pub(crate) notices: &'a mut Vec<Notice>,
    /// Who left, and from where; some may be back.
    pub(crate) left: Vec<(WorkerWithDpRank, u32)>,
}

/// Whether news was believed: nothing, or why not.
pub(crate) type Heard = Result<(), Ignored>;

impl<S: LoraSession> Change<'_, S> {
    pub(crate) fn apply(&mut self, news: &LoraNews) -> Heard {
        let as_of = news.as_of;
        let heard = match &news.event {
            LoraEvent::Loaded { worker, lora } => self.load(worker, lora, as_of, false),
            LoraEvent::Loading { worker, lora } => self.load(worker, lora, as_of, true),
            LoraEvent::LoadFailed {
                worker,
                name,
                reason,
            } => self.fail(worker, name, reason, as_of),
            LoraEvent::Unloaded { worker, name } => self.unload(worker, name, as_of),
            LoraEvent::WorkerJoined { worker, capacity } => self.join(worker, *capacity, as_of),
            LoraEvent::WorkerLeft { worker } => self.depart(worker, as_of),
        };
        if let Err(why) = heard {
            let ranks = news.event.worker();
            let worker = *ranks.range().start();
            self.notices.push(Notice::Ignored(worker, why));
        }
        heard
    }

    /// Where a worker stands.
    pub(crate) fn place(&self, worker: &WorkerWithDpRank) -> Option<u32> {
        let WorkerEntry(place) = self.context.session.find(worker)?;
        self.snapshot.row(place).map(|_| place)
    }

    /// Asks whether news is believed, and lets the worker come, be replaced or leave as it says.
    /// Answers where it stands then.
    pub(crate) fn hear(&mut self, news: &News) -> Result<Option<u32>, Ignored> {
        let place = self.place(&news.worker);
        let mut known = place.and_then(|place| self.state.records[place as usize].known);
        let ruling = self.state.lives.hear(&mut known, news);
        match (ruling, place) {
            (Ruling::Ignored(why), _) => return Err(why),
            (Ruling::Replaces, Some(place)) => self.leave(place),
            (Ruling::Apply, Some(place)) if known.is_none() => self.leave(place),
            (Ruling::Apply, Some(place)) => {
                self.record(place).known = known;
                return Ok(Some(place));
            }
            (_, None) => {}
        }
        let Some(there) = known else {
            return Ok(None);
        };
        let place = self.settle(&there.worker);
        if let Some(place) = place {
            self.record(place).known = known;
        }
        Ok(place)
    }

    fn settle(&mut self, worker: &WorkerWithDpRank) -> Option<u32> {
        // There is no memory for so many that this fails.
        let end = u32::try_from(self.state.records.len()).ok()?;
        let place = match self.context.session.find(worker) {
            // It has left within this change.
            Some(WorkerEntry(place)) if place < end => place,
            _ => {
                let place = self.state.vacant.pop_first().unwrap_or(end);
                self.context.session.store(*worker, WorkerEntry(place));
                place
            }
        };
        self.step(Step::Enter(place, *worker));
        let capacity = self.context.config.default_capacity;
        if capacity.is_some() {
            self.step(Step::Capacity(place, capacity));
        }
        if self.state.records.len() <= place as usize {
            let records = &mut self.state.records;
            records.resize_with(place as usize + 1, Record::default);
        }
        if !self.context.config.registration_required {
            self.step(Step::Register(place));
        }
        Some(place)
    }

    fn leave(&mut self, place: u32) {
        let Some(row) = self.snapshot.row(place) else {
            return;
        };
        let (worker, registered) = (row.shown.worker, row.registered);
        let held = Arc::clone(&row.held);
        if registered {
            for lora in &*held {
                if let Some(spot) = self.spot(&worker, lora) {
                    self.step(Step::Hide(spot));
                }
            }
        }
        drop(held);
        self.step(Step::Leave(place));
        *self.record(place) = Record::default();
        self.left.push((worker, place));
    }

    fn depart(&mut self, worker: &WorkerRanks, as_of: Option<u64>) -> Heard {
        if let worker_id::Ranks::One(rank) = worker.ranks {
            let news = News::new(worker.rank(rank), Says::Gone).as_of(as_of);
            return self.hear(&news).map(|_| ());
        }
        let rows = self.snapshot.table.rows();
        let there = rows.map(|row| row.shown.worker);
        let mut there: Vec<_> = there.filter(|row| worker.contains(row)).collect();
        there.sort_unstable();
        // One that is believed counts; of several that are not, the first.
        let mut heard = None;
        for rank in there {
            let news = News::new(worker.rank(rank.dp_rank), Says::Gone).as_of(as_of);
            let this = self.hear(&news).map(|_| ());
            if this.is_ok() || heard.is_none() {
                heard = Some(this);
            }
        }
        self.state.lives.all_gone(worker, as_of);
        heard.unwrap_or(Err(Ignored::Absent))
    }

    fn join(
        &mut self,
        worker: &WorkerWithDpRank,
        capacity: Option<u32>,
        as_of: Option<u64>,
    ) -> Heard {
        let news = News::new(*worker, Says::Here).as_of(as_of);
        if let Some(place) = self.hear(&news)? {
            self.register(place);
            self.report(place, capacity, as_of, None);
        }
        Ok(())
    }

    /// From now on the worker is shown, and with it the adapters that were said of it before.
    pub(crate) fn register(&mut self, place: u32) {
        let Some(row) = self.snapshot.row(place) else {
            return;
        };
        if row.registered {
            return;
        }
        let (worker, held) = (row.shown.worker, Arc::clone(&row.held));
        self.step(Step::Register(place));
        for lora in &*held {
            self.show(place, &worker, lora);
        }
    }

    /// Takes a capacity that was said, if one was: by an adapter, or by the worker itself.
    pub(crate) fn report(
        &mut self,
        place: u32,
        said: Option<u32>,
        as_of: Option<u64>,
        by: Option<&Arc<str>>,
    ) {
        let record = &mut self.state.records[place as usize];
        let Some(now) = said else {
            return;
        };
        if as_of.is_some() && as_of < record.reported_as_of {
            return;
        }
        record.reported_as_of = as_of;
        let before = record.reported.replace(now);
        if before == Some(now) {
            return;
        }
        if let (Some(before), Some(lora), Some(row)) = (before, by, self.snapshot.row(place)) {
            self.notices.push(Notice::Disagreement {
                worker: row.shown.worker,
                lora: Arc::clone(lora),
                before,
                now,
            });
        }
        self.set_capacity(place, Some(now));
    }

    pub(crate) fn set_capacity(&mut self, place: u32, capacity: Option<u32>) {
        let row = self.snapshot.row(place);
        if row.is_some_and(|row| row.shown.slots.capacity != capacity) {
            self.step(Step::Capacity(place, capacity));
        }
    }

    pub(crate) fn record(&mut self, place: u32) -> &mut Record {
        &mut self.state.records[place as usize]
    }

    pub(crate) fn step(&mut self, step: Step) {
        self.snapshot.step(&step);
        self.log.push(step);
    }
}
