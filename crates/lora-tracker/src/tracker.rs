//! The tracker: events on the one side, questions on the other.

use std::fmt;

use published::Published;
use quanta::Clock;
use state_map::BackendEnabled;
use std_or_loom::{self as sync, Mutex};
use worker_id::WorkerWithDpRank;

use crate::error::{first_bad, refuse};
use crate::map::{DefaultLoraMap, LoraMap};
use crate::snapshot::{Adapter, Slots, Snapshot};
use crate::writer::{Change, Context, Writer};
use crate::{
    Candidates, LoadedWorkers, LoraEvent, LoraInfo, LoraView, Loras, Rejected, TrackerConfig,
    Workers,
};

/// Which adapters are loaded where.
///
/// Shared by reference or `Arc` among any number of threads. Give it the events of the fleet; ask it for each request.
///
/// # Concurrency
///
/// Every call is linearizable: an event, a batch or a replacement takes effect at one instant, and a read answers from the
/// state at one instant. So a thread never sees half a batch, by one call or by several, and never goes back in time.
///
/// Reads wait for nobody and write nothing that threads share, but for [`worker_slots`](Self::worker_slots), where the map
/// does what it does to find a worker. Writers take turns.
pub struct LoraTracker<M = DefaultLoraMap> {
    published: Published<Snapshot>,
    writer: Mutex<Writer>,
    map: M,
    clock: Clock,
    config: TrackerConfig,
    #[cfg(feature = "tokio")]
    watch: tokio::sync::watch::Sender<u64>,
}

impl LoraTracker {
    /// A tracker on the default map.
    #[must_use]
    pub fn new<'new>(config: TrackerConfig) -> Self
    where
        DefaultLoraMap: BackendEnabled<'new>,
    {
        Self::with_map(config, DefaultLoraMap::empty())
    }
}

impl<M: LoraMap> LoraTracker<M> {
    /// A tracker on `map`, which must be empty and this tracker's alone.
    #[must_use]
    pub fn with_map(config: TrackerConfig, map: M) -> Self {
        Self {
            published: Published::default(),
            writer: Mutex::new(Writer::default()),
            map,
            clock: Clock::new(),
            config,
            #[cfg(feature = "tokio")]
            watch: tokio::sync::watch::Sender::new(0),
        }
    }

    /// The same tracker, which forgets departed incarnations by `clock`: a test passes one that it moves itself.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The configuration this tracker was made with.
    pub fn config(&self) -> &TrackerConfig {
        &self.config
    }

    /// Applies an event. True if anything is different after it.
    ///
    /// Costs what it changes: a move within the slice of each adapter it is about, and a row. Where an answer or a view is held
    /// since before the last change, it also copies the table of workers and the index of adapters, once for each so held, and
    /// the slices that it then changes.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the event, if it has an adapter with a bad name.
    pub fn apply(&self, event: LoraEvent) -> Result<bool, Rejected<LoraEvent>> {
        let bad = first_bad([event.lora_name().map(|name| &**name)].into_iter());
        let event = refuse(event, bad)?;
        Ok(self.change(|change| change.apply(&event)))
    }

    /// Applies events, in order, as one change: nobody sees a part of it, and the generation moves by one, or not at all
    /// if nothing is different after it. True if anything is.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with all of the events, if one has an adapter with a bad name. Then none is applied.
    pub fn apply_batch(
        &self,
        events: impl IntoIterator<Item = LoraEvent>,
    ) -> Result<bool, Rejected<Vec<LoraEvent>>> {
        let events: Vec<_> = events.into_iter().collect();
        let names = events.iter().map(LoraEvent::lora_name);
        let bad = first_bad(names.map(|name| name.map(|name| &**name)));
        let events = refuse(events, bad)?;
        Ok(self.change(|change| events.iter().for_each(|event| change.apply(event))))
    }

    /// Lets a worker have exactly these adapters and this capacity, as one change: for when events may have been missed. True
    /// if anything is different after it.
    ///
    /// Joins the worker, if it is not there; ignored if its incarnation has departed. Of several capacities the last
    /// one that is said is taken, `capacity` being the first; where none is, it is not known any more.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with all of the adapters, if one has a bad name. Then nothing is changed.
    pub fn replace_worker(
        &self,
        worker: WorkerWithDpRank,
        capacity: Option<u32>,
        loras: impl IntoIterator<Item = LoraInfo>,
    ) -> Result<bool, Rejected<Vec<LoraInfo>>> {
        let loras: Vec<_> = loras.into_iter().collect();
        let bad = first_bad(loras.iter().map(|lora| Some(&*lora.name)));
        let loras = refuse(loras, bad)?;
        Ok(self.change(|change| change.replace(&worker, capacity, &loras)))
    }

    fn change(&self, act: impl FnOnce(&mut Change<'_, '_, M>)) -> bool {
        let mut disagreements = Vec::new();
        let mut writer = sync::lock(&self.writer);
        let context = Context {
            published: &self.published,
            access: self.map.access(),
            clock: &self.clock,
            default_capacity: self.config.default_capacity,
        };
        let generation = writer.change(&context, &mut disagreements, act);
        drop(context);
        drop(writer);
        // Subscribers and wakers are the user's code: no lock is held any more.
        for disagreement in &disagreements {
            disagreement.tell();
        }
        #[cfg(feature = "tokio")]
        if let Some(generation) = generation {
            self.watch.send_if_modified(|newest| {
                // Writers may pass each other on their way here.
                let newer = generation > *newest;
                *newest = generation.max(*newest);
                newer
            });
        }
        generation.is_some()
    }

    /// A receiver of the generation, which is woken when it moves. It may skip generations, and never goes back; what it
    /// says can be read from then on.
    #[cfg(feature = "tokio")]
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.watch.subscribe()
    }

    /// The workers that have an adapter, in order. Of a name that no worker has, empty.
    ///
    /// One load and one lookup; allocates nothing.
    #[inline]
    #[must_use]
    pub fn loaded_workers(&self, name: &str) -> LoadedWorkers {
        LoadedWorkers::new(self.published.load(), name)
    }

    /// Whether a worker, in whichever incarnation, has an adapter.
    ///
    /// One load, one lookup, and a search among those that have it; allocates nothing.
    #[must_use]
    pub fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        let snapshot = self.published.load();
        snapshot
            .adapter(name)
            .is_some_and(|adapter: &Adapter| adapter.has(worker))
    }

    /// How many adapters a worker has, and how many it can hold; `None` if there is no such worker, in whichever
    /// incarnation.
    ///
    /// One load, and one lookup in the map; allocates nothing.
    #[must_use]
    pub fn worker_slots(&self, worker: &WorkerWithDpRank) -> Option<Slots> {
        // A place that is not this worker's in this snapshot was given to it, or taken away, by a change in between: so
        // there was an instant without the worker.
        let snapshot = self.published.load();
        let place = self.map.access().read(worker, |entry| entry.0)?;
        let row = snapshot.row(place)?;
        (row.worker == *worker).then_some(row.slots)
    }

    /// The workers that have a free slot: those of known capacity, with fewer adapters than that. Lazy: whoever iterates
    /// walks all workers.
    #[inline]
    #[must_use]
    pub fn workers_with_free_slots(&self) -> Workers {
        Workers::new(self.published.load(), true)
    }

    /// Where a request for an adapter may go: to the workers that have it, if any of them has a free slot, else to all
    /// workers that have one.
    ///
    /// One load, one lookup, and a walk to the first worker with a free slot; lazy after that, and allocates nothing.
    #[inline]
    #[must_use]
    pub fn candidates(&self, name: &str) -> Candidates {
        Candidates::new(self.published.load(), name)
    }

    /// The names of all adapters that some worker has.
    #[must_use]
    pub fn loras(&self) -> Loras {
        Loras::new(self.published.load())
    }

    /// All workers with their slots.
    #[must_use]
    pub fn workers(&self) -> Workers {
        Workers::new(self.published.load(), false)
    }

    /// The capacities of all workers together; those that are not known add nothing.
    #[must_use]
    pub fn total_slots(&self) -> u64 {
        self.published.load().total_slots
    }

    /// Whether there is no worker, and so no adapter either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.published.load().workers == 0
    }

    /// The number of changes: one more after every call that made anything different, and after nothing else.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.published.load().generation
    }

    /// The whole state, at one instant: one shared pointer, at any size. Increments a count that all who take views share.
    #[must_use]
    pub fn view(&self) -> LoraView {
        LoraView(self.published.load().into_arc())
    }
}

impl<M: LoraMap + BackendEnabled<'static>> Default for LoraTracker<M> {
    fn default() -> Self {
        Self::with_map(TrackerConfig::default(), M::empty())
    }
}

impl<M> fmt::Debug for LoraTracker<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.published.load();
        f.debug_struct("LoraTracker")
            .field("config", &self.config)
            .field("generation", &snapshot.generation)
            .field("workers", &snapshot.workers)
            .finish_non_exhaustive()
    }
}
