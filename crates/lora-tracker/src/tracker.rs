//! The tracker: events on the one side, questions on the other.

use std::fmt;
use std::sync::Arc;

use published::Published;
use quanta::Clock;
use state_map::sync::{self, Mutex};
use worker_id::{Effect, WorkerWithDpRank};

use crate::change::Change;
use crate::error::{first_bad, refuse};
use crate::load::Begun;
use crate::map::{DefaultLoraMap, LoraMap};
use crate::snapshot::Snapshot;
use crate::writer::{Context, Writer};
use crate::{
    ListedWorker, LoadStart, LoadTicket, LoraEvent, LoraInfo, LoraNews, LoraSnapshot, Rejected,
    Slots, Tier, TrackerConfig,
};

/// Which adapters are loaded where.
///
/// Shared by reference or `Arc` among any number of threads. Give it the events of the fleet; ask a
/// [`snapshot`](Self::snapshot) of it for each request.
///
/// # Concurrency
///
/// Every call is linearizable: an event, a batch or a list takes effect at one instant, and a
/// snapshot is of one instant. So a thread never sees half a batch, and never goes back in time.
///
/// Reads wait for nobody and write nothing that threads share, but for what is asked by worker,
/// where the map does what it does to find it. Writers take turns.
///
/// # What is believed
///
/// [`worker_id::Lives`] decides, by the incarnation that news is about and by its revision. Every
/// change answers an [`Effect`], and what was ignored is traced at the level `debug`.
pub struct LoraTracker<M = DefaultLoraMap> {
    published: Published<Snapshot>,
    writer: Mutex<Writer>,
    map: M,
    clock: Clock,
    config: TrackerConfig,
    /// Made by the first who subscribes: to wake nobody costs an event a third of its time.
    #[cfg(feature = "tokio")]
    watch: std::sync::OnceLock<tokio::sync::watch::Sender<u64>>,
}

impl LoraTracker {
    /// A tracker on the default map.
    #[must_use]
    pub fn new(config: TrackerConfig) -> Self
    where
        // The lifetime puts the question off to the caller: with no backend this crate builds, a
        // call does not.
        for<'any> DefaultLoraMap: LoraMap + Default,
    {
        Self::on_an_empty_map(config)
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
            watch: std::sync::OnceLock::new(),
        }
    }

    fn on_an_empty_map(config: TrackerConfig) -> Self
    where
        M: Default,
    {
        Self::with_map(config, M::default())
    }

    /// The same tracker, which ends the back-off of failed loads by `clock`: a test passes one that
    /// it moves itself. Nothing else here looks at a clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The configuration this tracker was made with.
    pub fn config(&self) -> &TrackerConfig {
        &self.config
    }

    /// Applies an event.
    ///
    /// Costs what it changes: a move within the slice of the adapter it is about, and a row; to
    /// leave, that for each adapter of the worker. All ranks at once walk the table of workers.
    /// Where a snapshot is held since before the last change, it also copies the roots of the
    /// tables, and the chunks that it changes.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the event, if it has an adapter with a bad name.
    pub fn apply(&self, news: impl Into<LoraNews>) -> Result<Effect, Rejected<LoraNews>> {
        let news = news.into();
        let name = news.event.lora_name();
        let bad = first_bad([name.map(|name| &**name)].into_iter());
        let news = refuse(news, bad)?;
        let (heard, changed) = self.change(|change| change.apply(&news));
        Ok(Effect::of(changed, [heard]))
    }

    /// For an event whose name was checked before.
    pub(crate) fn apply_checked(&self, event: LoraEvent) -> Effect {
        let (heard, changed) = self.change(|change| change.apply(&event.into()));
        Effect::of(changed, [heard])
    }

    /// Applies events, in order, as one change: nobody sees a part of it, and the generation moves
    /// by one, or not at all if nothing is different after it.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with all of the events, if one has an adapter with a bad name. Then none is
    /// applied.
    pub fn apply_batch(
        &self,
        news: impl IntoIterator<Item = impl Into<LoraNews>>,
    ) -> Result<Effect, Rejected<Vec<LoraNews>>> {
        let news: Vec<LoraNews> = news.into_iter().map(Into::into).collect();
        let names = news.iter().map(|news| news.event.lora_name());
        let bad = first_bad(names.map(|name| name.map(|name| &**name)));
        let news = refuse(news, bad)?;
        let (heard, changed) = self.change(|change| {
            let heard = news.iter().map(|news| change.apply(news));
            heard.collect::<Vec<_>>()
        });
        Ok(Effect::of(changed, heard))
    }

    /// Lets a worker have exactly these adapters and this capacity, as one change: a full list of
    /// one worker, as of a revision where there are any.
    ///
    /// Brings the worker, if it is not there, also one that is thought to have departed. What is
    /// known of a later revision stays, and so does what a ticket is out for. Of several capacities
    /// the last one that is said is taken; where none is, it is not known any more.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the entry, if an adapter has a bad name. Then nothing is changed.
    pub fn replace_worker(
        &self,
        as_of: Option<u64>,
        entry: ListedWorker,
    ) -> Result<Effect, Rejected<ListedWorker>> {
        let bad = first_bad(names(&entry));
        let entry = refuse(entry, bad)?;
        let (heard, changed) = self.change(|change| change.replace(&entry, as_of));
        Ok(Effect::of(changed, [heard]))
    }

    /// Lets the fleet be this list, as one change: after a lost watch nobody is left over. Readers
    /// see the fleet before it or after it.
    ///
    /// What is known of a later revision than the list's stays. Where nothing is new, nothing is
    /// published; that costs a comparison for each pair, and is fastest where the adapters of each
    /// worker come in the order in which they came before.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the list, if an adapter has a bad name: the index is the worker's. Then
    /// nothing is changed.
    pub fn replace_all(
        &self,
        as_of: Option<u64>,
        fleet: impl IntoIterator<Item = ListedWorker>,
    ) -> Result<Effect, Rejected<Vec<ListedWorker>>> {
        let fleet: Vec<ListedWorker> = fleet.into_iter().collect();
        let mut bad = fleet.iter().enumerate().filter_map(|(index, entry)| {
            let (_, name, rule) = first_bad(names(entry))?;
            Some((index, name, rule))
        });
        let bad = bad.next();
        let fleet = refuse(fleet, bad)?;
        let (heard, changed) = self.change(|change| change.replace_all(as_of, &fleet));
        Ok(Effect::of(changed, [heard]))
    }

    /// Finds a worker for an adapter that is to be loaded, and takes a slot of it, in one step: of
    /// the tiers that are named, in their order, the first that has a worker.
    ///
    /// In [`Tier::Resident`] and [`Tier::Loading`] there is nothing to begin, and the worker is
    /// answered. From any other tier one caller gets a ticket for a worker; whoever comes after it
    /// and names [`Tier::Loading`] before the rest, as [`Tier::WITHOUT_EVICTION`] has it, gets that
    /// worker. Leave out the first two to spread an adapter that is popular. Workers of a tier take
    /// turns; one that failed to load this adapter of late is left out.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the name, if it is none.
    pub fn begin_load<'t>(
        &'t self,
        name: &str,
        tiers: &[Tier],
    ) -> Result<LoadStart<'t, M>, Rejected<String>> {
        if let Some(bad) = first_bad([Some(name)].into_iter()) {
            refuse(name.to_owned(), Some(bad))?;
        }
        let (begun, _) = self.change(|change| change.begin_load(name, tiers));
        Ok(match begun {
            Begun::There(worker, tier) => LoadStart::There { worker, tier },
            Begun::Began(worker, lora) => LoadStart::Begin(LoadTicket::new(self, worker, lora)),
            Begun::Nobody => LoadStart::Nobody,
        })
    }

    /// Why a worker failed to load an adapter last, if it has not loaded it since; of a worker the
    /// last 64 adapters. Takes the writers' lock.
    #[must_use]
    pub fn load_failure(&self, worker: &WorkerWithDpRank, name: &str) -> Option<Arc<str>> {
        let (failure, _) = self.change(|change| {
            let place = change.place(worker)?;
            let mut failed = change.record(place).failed.iter();
            let failure = failed.find(|failure| *failure.name == *name)?;
            Some(Arc::clone(&failure.reason))
        });
        failure
    }

    /// Remembers that an adapter was used on a worker, at a time of any clock that grows: see
    /// [`LoraSnapshot::coldest`]. No event: one atomic number, of that worker and adapter alone.
    /// False if the adapter is not there.
    pub fn touch(&self, worker: &WorkerWithDpRank, name: &str, now: u64) -> bool {
        let snapshot = self.published.load();
        let adapter = snapshot.adapters.get(name);
        let lora = adapter.and_then(|adapter| adapter.resident.lora(worker));
        lora.inspect(|lora| lora.touch(now)).is_some()
    }

    pub(crate) fn change<T>(
        &self,
        act: impl FnOnce(&mut Change<'_, M::Session<'_>>) -> T,
    ) -> (T, bool) {
        let mut notices = Vec::new();
        let mut writer = sync::lock(&self.writer);
        let context = Context {
            published: &self.published,
            session: self.map.open(),
            clock: &self.clock,
            config: &self.config,
        };
        let (answer, generation) = writer.change(&context, &mut notices, act);
        drop(context);
        drop(writer);
        // Subscribers and wakers are the user's code: no lock is held any more.
        for notice in &notices {
            notice.tell();
        }
        #[cfg(feature = "tokio")]
        if let (Some(generation), Some(watch)) = (generation, self.watch.get()) {
            watch.send_if_modified(|newest| {
                // Writers may pass each other on their way here.
                let newer = generation > *newest;
                *newest = generation.max(*newest);
                newer
            });
        }
        (answer, generation.is_some())
    }

    /// A receiver of the generation, which is woken when it moves. It may skip generations, and
    /// never goes back; what it says can be read from then on.
    #[cfg(feature = "tokio")]
    pub fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        // Under the writers' lock: a change before it is in the generation that is read here, and
        // one after it finds the channel.
        let writer = sync::lock(&self.writer);
        let watch = self
            .watch
            .get_or_init(|| tokio::sync::watch::Sender::new(self.generation()));
        drop(writer);
        watch.subscribe()
    }

    /// Everything that is known now: one load, at any size.
    ///
    /// ```
    /// # #[cfg(feature = "dashmap")] {
    /// use lora_tracker::{LoraTracker, TrackerConfig};
    ///
    /// let tracker = LoraTracker::new(TrackerConfig::new());
    /// let snapshot = tracker.snapshot();
    /// assert!(snapshot.candidates("de-legal").first().is_none());
    /// assert_eq!(snapshot.generation(), 0);
    /// # }
    /// ```
    #[inline]
    #[must_use]
    pub fn snapshot(&self) -> LoraSnapshot<'_, M> {
        let unknown = self.config.unknown_capacity_may_load;
        LoraSnapshot::new(&self.published, &self.map, unknown)
    }

    /// Whether a worker, in whichever incarnation, has an adapter:
    /// [`LoraSnapshot::is_loaded`] of now.
    #[must_use]
    pub fn is_loaded(&self, worker: &WorkerWithDpRank, name: &str) -> bool {
        self.snapshot().is_loaded(worker, name)
    }

    /// How many adapters a worker has and can hold: [`LoraSnapshot::worker_slots`] of now.
    #[must_use]
    pub fn worker_slots(&self, worker: &WorkerWithDpRank) -> Option<Slots> {
        self.snapshot().worker_slots(worker)
    }

    /// The number of changes: one more after every call that made anything different, and after
    /// nothing else.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.published.load().generation
    }
}

fn names(entry: &ListedWorker) -> impl Iterator<Item = Option<&str>> {
    entry.loras.iter().map(|lora: &LoraInfo| Some(&*lora.name))
}

impl<M: LoraMap + Default> Default for LoraTracker<M> {
    fn default() -> Self {
        Self::on_an_empty_map(TrackerConfig::default())
    }
}

impl<M> fmt::Debug for LoraTracker<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.published.load();
        f.debug_struct("LoraTracker")
            .field("config", &self.config)
            .field("generation", &snapshot.generation)
            .field("workers", &snapshot.table.workers)
            .finish_non_exhaustive()
    }
}
