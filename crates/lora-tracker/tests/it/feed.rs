//! A feed of 100,000 events, doubled, out of order and with lost stretches, and then a full list:
//! what is known then is the list. Three seeds, or as many as `INFLIGHT_SEEDS` says.

use std::collections::BTreeMap;

use linearize::Rng;
use lora_tracker::{
    ListedWorker, LoraEvent, LoraInfo, LoraMap, LoraNews, LoraTracker, TrackerConfig,
};
use worker_id::{Effect, WorkerWithDpRank};

crate::backends::on_every_backend! { after_a_full_list_the_fleet_is_the_list }

const EVENTS: u64 = 100_000;
const WORKERS: u64 = 40;
const NAMES: u64 = 12;

/// What is true of a worker that is there: its capacity, and the version of each adapter.
type There = (u32, BTreeMap<u64, u64>);

/// The fleet as it is, which changes an event at a time.
struct Truth {
    rng: Rng,
    revision: u64,
    lives: BTreeMap<u64, u64>,
    there: BTreeMap<u64, There>,
    ordered: bool,
}

impl Truth {
    fn worker(&self, id: u64) -> WorkerWithDpRank {
        let (life, worker) = (
            self.lives[&id],
            WorkerWithDpRank::new(id / 2, (id % 2) as u32),
        );
        if self.ordered {
            worker.with_ordered_incarnation(life)
        } else {
            // As random as a lease: nothing says which came first.
            worker.with_incarnation(life.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        }
    }

    fn next(&mut self) -> LoraEvent {
        self.revision += 1;
        let id = self.rng.below(WORKERS);
        let number = self.rng.below(NAMES);
        let name = |number: u64| format!("adapter-{number}");
        if !self.there.contains_key(&id) {
            *self.lives.entry(id).or_default() += 1;
            let capacity = 4 + (id % 8) as u32;
            self.there.insert(id, (capacity, BTreeMap::new()));
            return LoraEvent::WorkerJoined {
                worker: self.worker(id),
                capacity: Some(capacity),
            };
        }
        let worker = self.worker(id);
        if self.rng.below(50) == 0 {
            self.there.remove(&id);
            return LoraEvent::WorkerLeft {
                worker: worker.into(),
            };
        }
        let version = self.revision % 3;
        let Some((_, loras)) = self.there.get_mut(&id) else {
            unreachable!("it is there")
        };
        if loras.remove(&number).is_some() && self.rng.below(3) > 0 {
            let name = name(number).into();
            return LoraEvent::Unloaded { worker, name };
        }
        loras.insert(number, version);
        let lora = LoraInfo::new(name(number)).with_version(version.to_string());
        LoraEvent::Loaded { worker, lora }
    }

    fn list(&self) -> Vec<ListedWorker> {
        let there = self.there.iter().map(|(id, (capacity, loras))| {
            let loras = loras.iter().map(|(name, version)| {
                LoraInfo::new(format!("adapter-{name}")).with_version(version.to_string())
            });
            ListedWorker::new(self.worker(*id), *capacity, loras)
        });
        there.collect()
    }
}

/// All that a list says, as texts.
fn shown<'a>(
    worker: WorkerWithDpRank,
    capacity: Option<u32>,
    loras: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> String {
    let mut loras: Vec<_> = loras.collect();
    loras.sort_unstable();
    format!("{worker} {capacity:?} {loras:?}")
}

fn known<M: LoraMap>(tracker: &LoraTracker<M>) -> Vec<String> {
    let snapshot = tracker.snapshot();
    let mut all: Vec<_> = snapshot
        .workers()
        .map(|row| {
            let held = snapshot.adapters_of(&row.worker).iter();
            let held = held.map(|lora| (&**lora.name(), lora.version().map(|text| &**text)));
            assert_eq!(snapshot.adapters_of(&row.worker).len(), row.slots.loaded);
            shown(row.worker, row.slots.capacity, held)
        })
        .collect();
    all.sort_unstable();
    all
}

fn listed(fleet: &[ListedWorker]) -> Vec<String> {
    let all = fleet.iter().map(|entry| {
        let loras = entry.loras.iter();
        let loras = loras.map(|lora| (&*lora.name, lora.version.as_deref()));
        shown(entry.worker, entry.capacity, loras)
    });
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all
}

fn run<M: LoraMap + Default>(seed: u64) {
    let tracker = LoraTracker::with_map(TrackerConfig::new(), M::default());
    let (ordered, revisions) = (!seed.is_multiple_of(3), seed % 3 != 1);
    let mut truth = Truth {
        rng: Rng::new(seed),
        revision: 0,
        lives: BTreeMap::new(),
        there: BTreeMap::new(),
        ordered,
    };
    let mut rng = Rng::new(seed + 1_000);
    let as_of = |revision: u64| revisions.then_some(revision);
    // What is on its way, and may overtake.
    let mut coming: Vec<LoraNews> = Vec::new();
    let mut lost = 0;
    let mut effects = [0_u64; 3];
    for _ in 0..EVENTS {
        let event = truth.next();
        let news = LoraNews {
            event,
            as_of: as_of(truth.revision),
        };
        if rng.below(2_000) == 0 {
            lost = 500;
        }
        if lost > 0 {
            lost -= 1;
            // A list in the middle, taken before what is on its way has arrived.
            if lost == 0 {
                let fleet = truth.list();
                tracker.replace_all(as_of(truth.revision), fleet).unwrap();
            }
            continue;
        }
        if rng.below(10) == 0 {
            coming.push(news.clone());
        }
        coming.push(news);
        while coming.len() > 8 {
            let next = rng.below(coming.len() as u64);
            let next = coming.swap_remove(usize::try_from(next).unwrap());
            effects[match tracker.apply(next).unwrap() {
                Effect::Changed => 0,
                Effect::Unchanged => 1,
                Effect::Ignored(_) => 2,
            }] += 1;
        }
    }
    assert!(effects.iter().all(|count| *count > 100), "{effects:?}");
    let fleet = truth.list();
    tracker
        .replace_all(as_of(truth.revision), fleet.clone())
        .unwrap();
    assert_eq!(known(&tracker), listed(&fleet), "seed {seed}");

    // Where there are revisions, what still comes is known to be older.
    if revisions {
        for news in coming {
            let late = tracker.apply(news).unwrap();
            assert!(late.ignored().is_some(), "{late:?}");
        }
    }
    let generation = tracker.generation();
    let again = tracker.replace_all(as_of(truth.revision), fleet.clone());
    assert_eq!(again, Ok(Effect::Unchanged));
    assert_eq!(tracker.generation(), generation);
    assert_eq!(known(&tracker), listed(&fleet), "seed {seed}");
}

fn after_a_full_list_the_fleet_is_the_list<M: LoraMap + Default>() {
    let seeds = std::env::var("INFLIGHT_SEEDS").ok();
    let seeds = seeds.map_or(3, |seeds| seeds.parse().expect("a number of seeds"));
    (0..seeds).for_each(run::<M>);
}
