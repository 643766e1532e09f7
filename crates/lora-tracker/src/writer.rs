//! How a change is made: on the snapshot before the current one, then published.
//!
//! The writer keeps the current snapshot and, as a *spare*, the one before it. A change takes the
//! spare, lets it take the steps of the last change, which were logged, and goes on from there,
//! logging its own. Where somebody still reads the spare, it goes on from a copy of the current one
//! instead, which shares with it all but the roots, and the old spare is *retired*: the writer
//! frees it after its last reader has let go, so that no reader does.
//!
//! # Invariants
//!
//! 1. `spare` with the steps of `log` is equal to `current`, which is the published one. Where
//!    there is no spare, the log means nothing.
//! 2. `records[p]` is of the worker in `current.row(p)`.
//! 3. A worker's place is in the map before the publication that brings it, and until after the one
//!    that takes it away. A worker that leaves and comes back within one change keeps its place.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use published::Published;
use quanta::{Clock, Instant};
use worker_id::{Ignored, Known, Lives, WorkerWithDpRank};

use crate::TrackerConfig;
use crate::change::Change;
use crate::map::LoraSession;
use crate::snapshot::{Snapshot, Step, shrink};

#[derive(Debug, Default)]
pub(crate) struct Writer {
    current: Arc<Snapshot>,
    spare: Option<Arc<Snapshot>>,
    log: Vec<Step>,
    /// Old snapshots that somebody read when their turn came, oldest first.
    retired: VecDeque<Arc<Snapshot>>,
    pub(crate) state: State,
}

/// What only the writer asks.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By place, as the rows of the snapshot.
    pub(crate) records: Vec<Record>,
    /// Places below the end of the records that nobody stands at.
    pub(crate) vacant: BTreeSet<u32>,
    /// Which news of workers is believed.
    pub(crate) lives: Lives,
    /// How many loads were begun: they take turns among the workers with room.
    pub(crate) loads: usize,
}

/// What only the writer asks of a worker.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Who is there, and when it was last seen; nothing of a vacant place.
    pub(crate) known: Option<Known>,
    /// The capacity as it was last reported, and in which revision; the row has the default where
    /// none was.
    pub(crate) reported: Option<u32>,
    pub(crate) reported_as_of: Option<u64>,
    /// The revision of the last list of this worker alone.
    pub(crate) listed: Option<u64>,
    /// What was unloaded in which revision: an older list or event does not bring it back. The last
    /// [`UNLOADED`] of them.
    pub(crate) unloaded: VecDeque<(Arc<str>, u64)>,
    /// What it could not load, and since when. The last [`FAILED`] of them.
    pub(crate) failed: VecDeque<Failure>,
}

/// How many unloadings of a worker are remembered, where they have revisions.
pub(crate) const UNLOADED: usize = 64;

/// How many failures of a worker are remembered.
pub(crate) const FAILED: usize = 64;

/// A load that has failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) name: Arc<str>,
    pub(crate) reason: Arc<str>,
    pub(crate) since: Instant,
}

/// What is told after all locks are released, since subscribers are the user's code.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Adapters reported two capacities of one worker.
    Disagreement {
        worker: WorkerWithDpRank,
        lora: Arc<str>,
        before: u32,
        now: u32,
    },
    Ignored(WorkerWithDpRank, Ignored),
}

impl Notice {
    pub(crate) fn tell(&self) {
        match self {
            Self::Disagreement {
                worker,
                lora,
                before,
                now,
            } => tracing::warn!(
                %worker, ?lora, before, now,
                "adapters report different capacities of one worker; the latest is taken"
            ),
            Self::Ignored(worker, why) => {
                tracing::debug!(%worker, why = why.as_str(), "news of a worker is ignored: {why}");
            }
        }
    }
}

/// What the writer's caller has.
pub(crate) struct Context<'a, S> {
    pub(crate) published: &'a Published<Snapshot>,
    pub(crate) session: S,
    pub(crate) clock: &'a Clock,
    pub(crate) config: &'a TrackerConfig,
}

impl Writer {
    /// Makes a change and, unless it took no step, publishes it. Answers what `act` answered, and
    /// the new generation, if anything is different: steps may cancel each other out.
    pub(crate) fn change<S: LoraSession, T>(
        &mut self,
        context: &Context<'_, S>,
        notices: &mut Vec<Notice>,
        act: impl FnOnce(&mut Change<'_, S>) -> T,
    ) -> (T, Option<u64>) {
        self.free_retired();
        let mut next = self.next();
        // Nobody else has it: it is the spare that nobody reads, or a fresh copy.
        let snapshot = Arc::make_mut(&mut next);
        let mut change = Change {
            snapshot,
            log: &mut self.log,
            state: &mut self.state,
            context,
            notices,
            left: Vec::new(),
        };
        let answer = act(&mut change);
        if !change.left.is_empty() {
            change.step(Step::Trim);
        }
        let left = mem::take(&mut change.left);
        if self.log.is_empty() {
            self.spare = Some(next);
            return (answer, None);
        }
        let changed = is_changed(&self.current, snapshot, &self.log);
        snapshot.generation += u64::from(changed);
        snapshot.publication += 1;
        context.published.publish(Arc::clone(&next));
        let before = mem::replace(&mut self.current, next);
        // Past this a copy is cheaper, and a large batch leaves no large log behind.
        if self.log.len() <= self.current.table.places().max(64) {
            self.spare = Some(before);
        } else {
            self.log = Vec::new();
            self.retired.push_back(before);
        }
        if !left.is_empty() {
            self.clean_up(&context.session, &left);
        }
        (answer, changed.then_some(self.current.generation))
    }

    /// A snapshot equal to the current one, which nobody reads; the log is empty then.
    fn next(&mut self) -> Arc<Snapshot> {
        if let Some(mut spare) = self.spare.take() {
            if let Some(snapshot) = Arc::get_mut(&mut spare) {
                self.log.iter().for_each(|step| snapshot.step(step));
                snapshot.generation = self.current.generation;
                snapshot.publication = self.current.publication;
                self.log.clear();
                return spare;
            }
            // A reader still has it. It is not for that reader to free.
            self.retired.push_back(spare);
        }
        self.log.clear();
        Arc::new(Snapshot::clone(&self.current))
    }

    /// Frees what was retired and is read by nobody any more: two at most, so that a change costs
    /// no more for it. What one reader holds does not keep what others have let go.
    fn free_retired(&mut self) {
        for _ in 0..self.retired.len().min(2) {
            if let Some(mut oldest) = self.retired.pop_front()
                && Arc::get_mut(&mut oldest).is_none()
            {
                self.retired.push_back(oldest);
            }
        }
    }

    /// Frees the places of those that left, now that no reader can find them in a snapshot any
    /// more.
    fn clean_up(&mut self, session: &impl LoraSession, left: &[(WorkerWithDpRank, u32)]) {
        let State {
            records, vacant, ..
        } = &mut self.state;
        for (worker, place) in left {
            if self.current.row(*place).is_none() {
                session.forget(worker);
                vacant.insert(*place);
            }
        }
        let end = self.current.table.places().min(records.len());
        while vacant.last().is_some_and(|place| *place as usize >= end) {
            vacant.pop_last();
        }
        records.truncate(end);
        shrink(end, records.capacity(), |room| records.shrink_to(room));
    }
}

/// Whether two snapshots differ in what a reader sees, of which the new one has taken these steps
/// more. Looks at each row that was touched once.
fn is_changed(old: &Snapshot, new: &Snapshot, log: &[Step]) -> bool {
    let mut places: Vec<u32> = Vec::new();
    let mut touched = log.iter().filter_map(Step::place);
    // An event touches one row.
    if let Some(first) = touched.next() {
        if is_row_changed(old, new, first) {
            return true;
        }
        places.extend(touched.filter(|place| *place != first));
    }
    places.sort_unstable();
    places.dedup();
    places
        .into_iter()
        .any(|place| is_row_changed(old, new, place))
}

fn is_row_changed(old: &Snapshot, new: &Snapshot, place: u32) -> bool {
    let (old, new) = match (old.row(place), new.row(place)) {
        (Some(old), Some(new)) => (old, new),
        (old, new) => return old.is_some() != new.is_some(),
    };
    if !old.shown.is(&new.shown)
        || old.registered != new.registered
        || old.held.len() != new.held.len()
    {
        return true;
    }
    let alike = |(a, b): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(a, b);
    if old.held.iter().zip(&*new.held).all(alike) {
        return false;
    }
    let in_order = |row: &crate::table::Row| {
        let mut held: Vec<_> = row.held.iter().cloned().collect();
        held.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        held
    };
    let (old, new) = (in_order(old), in_order(new));
    old.iter().zip(&new).any(|(old, new)| !old.is_like(new))
}
