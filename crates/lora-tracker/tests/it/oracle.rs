//! Random streams of events and lists beside the naive model, on every map: every read is compared
//! after every call.

use std::collections::BTreeSet;

use crate::naive::Naive;
use lora_tracker::{
    ListedWorker, LoraEvent, LoraInfo, LoraMap, LoraNews, LoraSnapshot, LoraTracker, Slots, Tier,
    TrackerConfig, WorkerSlots,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use worker_id::{Ranks, WorkerRanks, WorkerWithDpRank};

crate::backends::on_every_backend! { every_read_is_as_the_model_says_after_every_call }

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn workers() -> Vec<WorkerWithDpRank> {
    let pairs = [(1, 0), (1, 1), (2, 0), (3, 0), (u64::MAX, u32::MAX)];
    pairs.map(WorkerWithDpRank::from).to_vec()
}

#[derive(Clone, Debug)]
enum Step {
    Event(LoraNews),
    Batch(Vec<LoraNews>),
    Replace(Option<u64>, ListedWorker),
    ReplaceAll(Option<u64>, Vec<ListedWorker>),
    /// Somebody takes a snapshot and keeps it, so that the next changes cannot reuse it; or lets go
    /// of all.
    Keep,
    LetGo,
}

fn worker() -> impl Strategy<Value = WorkerWithDpRank> {
    let life = prop_oneof![3 => Just((0, 0)), 4 => (Just(1), 0..3_u64), 4 => (Just(2), 0..3_u64)];
    (select(workers()), life).prop_map(|(worker, (kind, number))| match kind {
        0 => worker,
        1 => worker.with_incarnation(number),
        _ => worker.with_ordered_incarnation(number),
    })
}

fn capacity() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![
        2 => Just(None),
        4 => (0..4_u32).prop_map(Some),
        1 => Just(Some(u32::MAX)),
    ]
}

fn lora() -> impl Strategy<Value = LoraInfo> {
    let version = option::of(select(&["v1", "v2"][..]));
    let more = (version, option::of(8..10_u32), option::of(any::<bool>()));
    (select(&NAMES[..]), capacity(), more).prop_map(|(name, max, (version, rank, pinned))| {
        let mut lora = LoraInfo::new(name).with_capacity(max);
        lora.version = version.map(Into::into);
        lora.rank = rank;
        lora.pinned = pinned;
        lora
    })
}

fn event() -> impl Strategy<Value = LoraNews> {
    let event = prop_oneof![
        6 => (worker(), lora()).prop_map(|(worker, lora)| LoraEvent::Loaded { worker, lora }),
        2 => (worker(), lora()).prop_map(|(worker, lora)| LoraEvent::Loading { worker, lora }),
        1 => (worker(), lora()).prop_map(|(worker, lora)| LoraEvent::LoadFailed {
            worker, name: lora.name, reason: "no memory".into(),
        }),
        3 => (worker(), lora())
            .prop_map(|(worker, lora)| LoraEvent::Unloaded { worker, name: lora.name }),
        2 => (worker(), capacity())
            .prop_map(|(worker, capacity)| LoraEvent::WorkerJoined { worker, capacity }),
        2 => worker().prop_map(|worker| LoraEvent::WorkerLeft { worker: worker.into() }),
        1 => worker().prop_map(|worker| LoraEvent::WorkerLeft {
            worker: WorkerRanks { ranks: Ranks::All, ..worker.into() },
        }),
    ];
    (event, as_of()).prop_map(|(event, as_of)| LoraNews { event, as_of })
}

fn as_of() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![2 => Just(None), 3 => (0..12_u64).prop_map(Some)]
}

fn listed() -> impl Strategy<Value = ListedWorker> {
    (worker(), capacity(), vec(lora(), 0..4))
        .prop_map(|(worker, capacity, loras)| ListedWorker::new(worker, capacity, loras))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => event().prop_map(Step::Event),
        3 => vec(event(), 0..6).prop_map(Step::Batch),
        2 => (as_of(), listed()).prop_map(|(as_of, entry)| Step::Replace(as_of, entry)),
        1 => (as_of(), vec(listed(), 0..4)).prop_map(|(as_of, all)| Step::ReplaceAll(as_of, all)),
        1 => Just(Step::Keep),
        1 => Just(Step::LetGo),
    ]
}

fn config() -> impl Strategy<Value = TrackerConfig> {
    let capacity = prop_oneof![Just(None), Just(Some(0)), Just(Some(2))];
    (capacity, any::<(bool, bool)>()).prop_map(|(capacity, (unknown, registration))| {
        TrackerConfig::new()
            .with_default_capacity(capacity)
            .with_unknown_capacity_may_load(unknown)
            .with_registration_required(registration)
    })
}

fn every_read_is_as_the_model_says_after_every_call<M: LoraMap + Default>() {
    let cases = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        // Each step compares everything: long enough to be short of noise, and not for ever.
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    };
    proptest!(cases, |(config in config(), steps in vec(step(), 1..60))| {
        let tracker = LoraTracker::with_map(config, M::default());
        let mut naive = Naive::new(&config);
        let mut kept: Vec<(LoraSnapshot<'_, M>, String)> = Vec::new();
        for step in steps {
            match step {
                Step::Event(news) => {
                    let expected = naive.apply(&news);
                    assert_eq!(tracker.apply(news.clone()), Ok(expected), "{news:?}");
                }
                Step::Batch(news) => {
                    let expected = naive.apply_batch(&news);
                    assert_eq!(tracker.apply_batch(news), Ok(expected));
                }
                Step::Replace(as_of, entry) => {
                    let expected = naive.replace(as_of, &entry);
                    assert_eq!(tracker.replace_worker(as_of, entry), Ok(expected));
                }
                Step::ReplaceAll(as_of, fleet) => {
                    let expected = naive.replace_all(as_of, &fleet);
                    assert_eq!(tracker.replace_all(as_of, fleet), Ok(expected));
                }
                Step::Keep => {
                    let snapshot = tracker.snapshot();
                    let shown = everything(&snapshot);
                    kept.push((snapshot, shown));
                }
                Step::LetGo => kept.clear(),
            }
            assert_alike(&tracker, &naive);
            for (snapshot, shown) in &kept {
                assert_eq!(&everything(snapshot), shown, "what is kept does not change");
            }
        }
    });
}

/// All that a snapshot answers, as a text.
fn everything<M: LoraMap>(snapshot: &LoraSnapshot<'_, M>) -> String {
    let slots = workers().map_all(|worker| snapshot.worker_slots(worker));
    let held = workers().map_all(|worker| format!("{:?}", snapshot.adapters_of(worker)));
    let candidates = NAMES.map(|name| format!("{:?}", snapshot.candidates(name)));
    format!("{snapshot:?} {slots:?} {held:?} {candidates:?}")
}

trait MapAll<T> {
    fn map_all<U>(&self, f: impl FnMut(&T) -> U) -> Vec<U>;
}

impl<T> MapAll<T> for Vec<T> {
    fn map_all<U>(&self, f: impl FnMut(&T) -> U) -> Vec<U> {
        self.iter().map(f).collect()
    }
}

fn set<'a>(items: impl IntoIterator<Item = &'a WorkerSlots>) -> BTreeSet<(String, Slots)> {
    let mut met = 0;
    let items = items.into_iter().inspect(|_| met += 1);
    let set: BTreeSet<_> = items
        .map(|row| (row.worker.to_string(), row.slots))
        .collect();
    assert_eq!(met, set.len(), "a worker is met once");
    set
}

/// Asks a tracker everything there is to ask, and compares.
fn assert_alike<M: LoraMap>(tracker: &LoraTracker<M>, naive: &Naive) {
    let shown = |workers: &[WorkerWithDpRank]| -> Vec<String> {
        workers.iter().map(ToString::to_string).collect()
    };
    let snapshot = tracker.snapshot();
    assert_eq!(snapshot.generation(), naive.generation);
    assert_eq!(snapshot.is_empty(), naive.fleet.is_empty());
    let total: u64 = naive
        .fleet
        .values()
        .map(|there| u64::from(there.capacity.unwrap_or(0)))
        .sum();
    assert_eq!(snapshot.total_slots(), total);
    let registered = naive.fleet.iter().filter(|(_, there)| there.registered);
    let everybody = registered.map(|(worker, there)| (there.shown(worker), there.slots()));
    assert_eq!(set(snapshot.workers()), everybody.collect());
    let resident = NAMES
        .iter()
        .filter(|name| !naive.having(name, false).is_empty());
    assert_eq!(
        snapshot
            .loras()
            .map(|(name, _)| &**name)
            .collect::<BTreeSet<_>>(),
        resident.copied().collect()
    );
    let unknown = tracker.config().unknown_capacity_may_load;
    for name in NAMES {
        assert_eq!(
            shown(snapshot.loaded_workers(name)),
            naive.having(name, false),
            "{name}"
        );
        assert_eq!(
            shown(snapshot.loading_workers(name)),
            naive.having(name, true),
            "{name}"
        );
        let candidates = snapshot.candidates(name);
        let mut first = None;
        let mut all = BTreeSet::new();
        for tier in Tier::ALL {
            let expected = naive.tier(tier, name, unknown);
            assert_eq!(set(candidates.tier(tier)), expected, "{tier} {name}");
            assert_eq!(candidates.tier(tier).len(), expected.len());
            first = first.or((!expected.is_empty()).then_some(tier));
            all.extend(expected);
        }
        assert_eq!(candidates.first().map(|(tier, _)| tier), first);
        assert_eq!(set(candidates.iter().map(|(_, row)| row)), all, "{name}");
        for worker in workers() {
            let there = naive.fleet.get(&worker).filter(|there| there.registered);
            let lora = there.and_then(|there| there.loras.get(name));
            let known = snapshot.lora(&worker, name);
            assert_eq!(known.is_some(), lora.is_some(), "{worker} {name}");
            let resident = lora.is_some_and(|lora| !lora.loading);
            assert_eq!(
                tracker.is_loaded(&worker, name),
                resident,
                "{worker} {name}"
            );
            if let (Some(known), Some(lora)) = (known, lora) {
                assert_eq!(
                    known.version().map(|version| &**version),
                    lora.version.as_deref()
                );
                assert_eq!((known.rank(), known.bytes()), (lora.rank, lora.bytes));
                assert_eq!(
                    (known.is_pinned(), known.is_loading()),
                    (lora.pinned, lora.loading)
                );
            }
        }
    }
    assert_eq!(
        set(snapshot.workers_with_free_slots()),
        naive.tier(Tier::Room, "", unknown)
    );
    for worker in workers() {
        assert_eq!(
            snapshot.worker_slots(&worker),
            naive.slots(&worker),
            "{worker}"
        );
        let there = naive.fleet.get(&worker).filter(|there| there.registered);
        let held = snapshot.adapters_of(&worker).iter();
        let held: BTreeSet<&str> = held.map(|lora| &**lora.name()).collect();
        let expected = there.map_or(BTreeSet::new(), |there| {
            there.loras.keys().map(|name| &**name).collect()
        });
        assert_eq!(held, expected, "{worker}");
    }
}
