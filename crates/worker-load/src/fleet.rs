//! Which workers are there: they join, drain and leave, by rank and by life.
//!
//! # Invariants
//!
//! 1. Under the lock of `fleet`, the map has exactly the lives that have not gone.
//! 2. A life that goes is gone (`Counter::end`) before it leaves the map, and the next life enters
//!    after that: a request that looks up either gets the one and is refused, or the other.
//! 3. `generation` grows after every change of who is there, and before the call that made it
//!    returns.

use std::collections::BTreeMap;

use state_map::sync::{self, atomic::Ordering};
use worker_id::{Ignored, Known, Lives, News, Ranks, Ruling, Says, WorkerRanks, WorkerWithDpRank};

use crate::map::{LoadMap, LoadSession};
use crate::{Capacity, Draining, PinnedTurns, WorkerLoad, WorkerLoads};

/// What became of a worker that [joined](WorkerLoads::join).
#[derive(Clone, Debug)]
pub enum Joined {
    /// It was not there, and begins at 0.
    New,
    /// This life of it was there, and has the new capacity. What it has in flight stays, and so
    /// does a drain.
    Known,
    /// Another life of it was there, and has gone, with these requests still in flight. This one
    /// begins at 0.
    Replaced(Draining),
}

impl<M: LoadMap> WorkerLoads<M> {
    /// A worker joins, or has another capacity.
    ///
    /// # Errors
    ///
    /// [`Ignored`], where a later life of it is there, or this one has left: nothing has changed.
    pub fn join(&self, worker: WorkerWithDpRank, capacity: Capacity) -> Result<Joined, Ignored> {
        let news = News::new(worker, Says::Here);
        let joined = self.hear_of(&mut sync::lock(&self.fleet), &news, &capacity);
        if let Ok(Joined::Replaced(left)) = &joined {
            left.tell();
        }
        heard("join", worker.into(), joined)
    }

    /// The worker leaves, or ranks of it: nothing is reserved on it from now on. What is in flight
    /// ends when it ends; the answer tells when that is.
    ///
    /// # Errors
    ///
    /// [`Ignored`], where it is not there, or another life of it is. A life that has left before it
    /// was heard of is remembered, and does not join any more.
    pub fn leave(&self, ranks: impl Into<WorkerRanks>) -> Result<Draining, Ignored> {
        let ranks = ranks.into();
        let mut lives = sync::lock(&self.fleet);
        let left = self.each(ranks, |worker| {
            self.hear_end(&mut lives, &News::new(worker, Says::Gone))
        });
        if ranks.ranks == Ranks::All {
            lives.all_gone(&ranks, None);
        }
        drop(lives);
        heard("leave", ranks, left).inspect(Draining::tell)
    }

    /// The worker drains, or ranks of it: nothing new is reserved on it from now on, and turns that
    /// are pinned to it only where `pinned` says so. To be said again with another answer. It
    /// drains until it leaves, or is [resumed](Self::resume).
    ///
    /// # Errors
    ///
    /// [`Ignored`], where it is not there, or another life of it is.
    pub fn drain(
        &self,
        ranks: impl Into<WorkerRanks>,
        pinned: PinnedTurns,
    ) -> Result<Draining, Ignored> {
        let ranks = ranks.into();
        let pinned = pinned == PinnedTurns::Admit;
        let draining = self.each_there(ranks, |load| load.0.counter.drain(pinned));
        heard("drain", ranks, draining).inspect(Draining::tell)
    }

    /// The worker drains no more, or ranks of it.
    ///
    /// # Errors
    ///
    /// [`Ignored`], where it is not there, or another life of it is.
    pub fn resume(&self, ranks: impl Into<WorkerRanks>) -> Result<(), Ignored> {
        let ranks = ranks.into();
        let resumed = self.each_there(ranks, |load| load.0.counter.resume());
        heard("resume", ranks, resumed).map(drop)
    }

    /// These are all workers that there are: those that are not among them leave, and those that
    /// were not there join. For a full list, as after a watch has lost its place. A worker that is
    /// listed is there, even if it has left before.
    ///
    /// Answers with those that have left.
    pub fn sync(&self, all: impl IntoIterator<Item = (WorkerWithDpRank, Capacity)>) -> Draining {
        // Before the lock: it is the caller's code.
        let listed: BTreeMap<_, _> = all.into_iter().map(|each| (each.0, each)).collect();
        let mut lives = sync::lock(&self.fleet);
        // A list without a revision is never too old.
        let _ = lives.begin_list(None);
        let mut left = Draining(Vec::new());
        for load in self.there() {
            if !listed.contains_key(&load.worker()) {
                let news = News::new(load.worker(), Says::Unlisted);
                left.0.extend(self.hear_end(&mut lives, &news));
            }
        }
        for (worker, capacity) in listed.values() {
            let news = News::new(*worker, Says::Listed);
            if let Ok(Joined::Replaced(gone)) = self.hear_of(&mut lives, &news, capacity) {
                left.0.extend(gone.0);
            }
        }
        drop(lives);
        left.tell();
        left
    }

    /// Those that are there. Under the lock of the fleet: otherwise some may be met twice.
    pub(crate) fn there(&self) -> Vec<WorkerLoad> {
        let mut there = Vec::new();
        self.map.open().visit(|load| there.push(load.clone()));
        there
    }

    /// Hears of a worker that is there, and does what follows.
    fn hear_of(
        &self,
        lives: &mut Lives,
        news: &News,
        capacity: &Capacity,
    ) -> Result<Joined, Ignored> {
        let before = self.map.open().find(&news.worker);
        let ruling = lives.hear(&mut before.as_ref().map(known), news);
        match (ruling, before) {
            (Ruling::Ignored(why), _) => Err(why),
            (Ruling::Apply, Some(load)) => {
                load.0.counter.set_capacity(capacity);
                Ok(Joined::Known)
            }
            (Ruling::Replaces, Some(load)) => {
                self.end(&load);
                self.begin(news.worker, capacity);
                Ok(Joined::Replaced(Draining(vec![load])))
            }
            (Ruling::Apply | Ruling::Replaces, None) => {
                self.begin(news.worker, capacity);
                Ok(Joined::New)
            }
        }
    }

    /// Hears of a worker that is not there, and does what follows.
    fn hear_end(&self, lives: &mut Lives, news: &News) -> Result<WorkerLoad, Ignored> {
        let load = self.hear(lives, news)?;
        self.end(&load);
        Ok(load)
    }

    /// The counter of the life that the news is about, if that is to be believed.
    fn hear(&self, lives: &mut Lives, news: &News) -> Result<WorkerLoad, Ignored> {
        let there = self.map.open().find(&news.worker);
        match lives.hear(&mut there.as_ref().map(known), news) {
            Ruling::Ignored(why) => Err(why),
            Ruling::Apply | Ruling::Replaces => there.ok_or(Ignored::Absent),
        }
    }

    fn begin(&self, worker: WorkerWithDpRank, capacity: &Capacity) {
        let now = self.now.load(Ordering::Relaxed);
        let load = WorkerLoad::new(worker, capacity, now);
        self.map.open().put(worker, load);
        // Release: who finds its candidates current has looked them up after this.
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn end(&self, load: &WorkerLoad) {
        // First: whoever has found it, or finds it still, is refused from here on.
        load.0.counter.end();
        self.map.open().evict(&load.worker());
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Does this to the counters of these ranks, where the life that is meant is there.
    fn each_there<R>(
        &self,
        ranks: WorkerRanks,
        act: impl Fn(&WorkerLoad) -> R,
    ) -> Result<Draining, Ignored> {
        let mut lives = sync::lock(&self.fleet);
        self.each(ranks, |worker| {
            let load = self.hear(&mut lives, &News::new(worker, Says::Detail))?;
            act(&load);
            Ok(load)
        })
    }

    /// Does this for each of the ranks that is there, or for the one that is meant, there or not;
    /// with the answers of those that it was done for, if there are any.
    fn each(
        &self,
        ranks: WorkerRanks,
        act: impl FnMut(WorkerWithDpRank) -> Result<WorkerLoad, Ignored>,
    ) -> Result<Draining, Ignored> {
        let meant = match ranks.ranks {
            Ranks::One(rank) => vec![ranks.rank(rank)],
            Ranks::All => {
                let there = self.there().into_iter().map(|load| load.worker());
                let meant = there.filter(|worker| ranks.contains(worker));
                meant.map(|worker| ranks.rank(worker.dp_rank)).collect()
            }
        };
        let (mut done, mut ignored) = (Vec::new(), Ignored::Absent);
        for outcome in meant.into_iter().map(act) {
            match outcome {
                Ok(load) => done.push(load),
                Err(why) => ignored = why,
            }
        }
        if done.is_empty() {
            return Err(ignored);
        }
        Ok(Draining(done))
    }
}

/// Late news is normal, and no error of anybody's. Told after every lock is released: a subscriber
/// is the user's code.
fn heard<T>(what: &str, ranks: WorkerRanks, outcome: Result<T, Ignored>) -> Result<T, Ignored> {
    if let Err(why) = &outcome {
        tracing::debug!(%ranks, %why, "{what} ignored");
    }
    outcome
}

fn known(load: &WorkerLoad) -> Known {
    Known {
        worker: load.worker(),
        as_of: None,
    }
}
