//! A million events: the generation is exact, nothing is left behind in any index, and memory
//! returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloc_count::process_live_bytes;
use linearize::Rng;
use lora_tracker::{
    LoraEvent, LoraInfo, LoraMap, LoraSession, LoraTracker, TrackerConfig, WorkerEntry,
};
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! { a_million_events_leave_nothing_behind }

const EVENTS: usize = 1_000_000;
const WORKERS: u64 = 48;
const NAMES: u64 = 64;

/// A map of one's own: any other, with a count of its entries.
#[derive(Default)]
struct Counted<M> {
    map: M,
    entries: Arc<AtomicUsize>,
}

struct CountedSession<'a, S>(S, &'a AtomicUsize);

impl<M: LoraMap> LoraMap for Counted<M> {
    type Session<'a>
        = CountedSession<'a, M::Session<'a>>
    where
        Self: 'a;

    fn open(&self) -> Self::Session<'_> {
        CountedSession(self.map.open(), &self.entries)
    }
}

impl<S: LoraSession> LoraSession for CountedSession<'_, S> {
    fn find(&self, worker: &WorkerWithDpRank) -> Option<WorkerEntry> {
        self.0.find(worker)
    }

    fn store(&self, worker: WorkerWithDpRank, entry: WorkerEntry) {
        assert_eq!(self.0.find(&worker), None, "stored over an entry");
        self.0.store(worker, entry);
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    fn forget(&self, worker: &WorkerWithDpRank) {
        if self.0.find(worker).is_some() {
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
        self.0.forget(worker);
    }
}

fn a_million_events_leave_nothing_behind<M: LoraMap + Default>() {
    let _turn = crate::alone();

    let names: Vec<Arc<str>> = (0..NAMES)
        .map(|name| format!("adapter-{name}").into())
        .collect();
    let map = Counted::<M>::default();
    let entries = Arc::clone(&map.entries);
    let tracker = LoraTracker::with_map(TrackerConfig::default(), map);
    let mut rng = Rng::new(7);
    let mut changes = 0;
    let mut half = |rng: &mut Rng, events: usize| {
        for _ in 0..events {
            let worker = WorkerWithDpRank::from_worker_id(rng.below(WORKERS));
            let name = Arc::clone(rng.pick(&names));
            let event = match rng.below(100) {
                0 => LoraEvent::WorkerLeft {
                    worker: worker.into(),
                },
                1 => LoraEvent::WorkerJoined {
                    worker,
                    capacity: Some(8),
                },
                2..50 => LoraEvent::Unloaded { worker, name },
                _ => LoraEvent::Loaded {
                    worker,
                    lora: LoraInfo::new(name),
                },
            };
            changes += u64::from(tracker.apply(event).unwrap().is_changed());
        }
        for id in 0..WORKERS {
            let worker = WorkerWithDpRank::from_worker_id(id);
            let left = LoraEvent::WorkerLeft {
                worker: worker.into(),
            };
            changes += u64::from(tracker.apply(left).unwrap().is_changed());
        }
        assert_eq!(tracker.generation(), changes, "one for each change");
        assert!(tracker.snapshot().is_empty() && tracker.snapshot().loras().count() == 0);
        assert_eq!(
            (
                tracker.snapshot().workers().count(),
                tracker.snapshot().total_slots()
            ),
            (0, 0)
        );
        assert_eq!(
            entries.load(Ordering::Relaxed),
            0,
            "places left behind in the map"
        );
    };
    // What the maps keep for themselves they have by then.
    half(&mut rng, EVENTS / 2);
    let before = process_live_bytes();
    half(&mut rng, EVENTS / 2);
    assert!(
        changes > EVENTS as u64 / 4,
        "too few of the events did anything"
    );
    let grown = process_live_bytes().saturating_sub(before);
    println!("{changes} changes; {grown} bytes more after the second half million");
    // The map for models at its worst keeps a shell of every entry, by its contract.
    if !std::any::type_name::<M>().contains("Adversarial") {
        assert!(grown < 64 << 10, "{grown} bytes are not given back");
    }
}
