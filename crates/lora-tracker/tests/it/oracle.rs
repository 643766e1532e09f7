//! Random streams of events beside the naive model, on every map: every read is compared after every event.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::naive::Naive;
use lora_tracker::{
    LoraEvent, LoraInfo, LoraMap, LoraTracker, LoraView, Slots, TrackerConfig, WorkerSlots,
};
use proptest::collection::vec;
use proptest::prelude::*;
use quanta::Clock;
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! { every_read_is_as_the_model_says_after_every_event }

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn workers() -> Vec<WorkerWithDpRank> {
    let pairs = [(1, 0), (1, 1), (2, 0), (3, 0), (u64::MAX, u32::MAX)];
    pairs.map(WorkerWithDpRank::from).to_vec()
}

#[derive(Clone, Debug)]
enum Step {
    Event(LoraEvent),
    Batch(Vec<LoraEvent>),
    Replace(WorkerWithDpRank, Option<u32>, Vec<LoraInfo>),
    /// Time passes, in seconds.
    Pass(u64),
    /// Somebody takes a view and keeps it, so that the next changes cannot reuse its snapshot; or lets go of all.
    Keep,
    LetGo,
}

fn worker() -> impl Strategy<Value = WorkerWithDpRank> {
    let incarnation = prop_oneof![3 => Just(None), 5 => (0..3_u64).prop_map(Some)];
    (prop::sample::select(workers()), incarnation)
        .prop_map(|(worker, life)| life.map_or(worker, |life| worker.with_incarnation(life)))
}

fn capacity() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![
        2 => Just(None),
        4 => (0..4_u32).prop_map(Some),
        1 => Just(Some(u32::MAX)),
    ]
}

fn lora() -> impl Strategy<Value = LoraInfo> {
    (prop::sample::select(&NAMES[..]), capacity()).prop_map(|(name, max)| LoraInfo::new(name, max))
}

fn event() -> impl Strategy<Value = LoraEvent> {
    prop_oneof![
        6 => (worker(), lora()).prop_map(|(worker, lora)| LoraEvent::Loaded { worker, lora }),
        3 => (worker(), lora())
            .prop_map(|(worker, lora)| LoraEvent::Unloaded { worker, name: lora.name }),
        2 => (worker(), capacity())
            .prop_map(|(worker, capacity)| LoraEvent::WorkerJoined { worker, capacity }),
        2 => worker().prop_map(|worker| LoraEvent::WorkerLeft { worker }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => event().prop_map(Step::Event),
        3 => vec(event(), 0..6).prop_map(Step::Batch),
        2 => (worker(), capacity(), vec(lora(), 0..4))
            .prop_map(|(worker, capacity, loras)| Step::Replace(worker, capacity, loras)),
        1 => prop_oneof![Just(1), Just(59), Just(60)].prop_map(Step::Pass),
        1 => Just(Step::Keep),
        1 => Just(Step::LetGo),
    ]
}

fn every_read_is_as_the_model_says_after_every_event<M: LoraMap + Default>() {
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        // Each step compares everything: long enough to be short of noise, and not for ever.
        max_shrink_iters: 1_000,
        ..ProptestConfig::default()
    };
    let default_capacity = prop_oneof![Just(None), Just(Some(0)), Just(Some(2))];
    proptest!(config, |(default_capacity in default_capacity, steps in vec(step(), 1..60))| {
        let (clock, time) = Clock::mock();
        let tracker = LoraTracker::with_map(TrackerConfig { default_capacity }, M::default());
        let tracker = tracker.with_clock(clock);
        let mut naive = Naive { default_capacity, ..Naive::default() };
        let mut kept: Vec<(LoraView, String)> = Vec::new();
        for step in steps {
            match step {
                Step::Event(event) => {
                    let expected = naive.apply(&event);
                    assert_eq!(tracker.apply(event), Ok(expected));
                }
                Step::Batch(events) => {
                    let expected = naive.apply_batch(&events);
                    assert_eq!(tracker.apply_batch(events), Ok(expected));
                }
                Step::Replace(worker, capacity, loras) => {
                    let expected = naive.replace(worker, capacity, &loras);
                    assert_eq!(tracker.replace_worker(worker, capacity, loras), Ok(expected));
                }
                Step::Pass(seconds) => {
                    naive.now += seconds;
                    time.increment(Duration::from_secs(seconds));
                }
                Step::Keep => {
                    let view = tracker.view();
                    let shown = format!("{view:?}");
                    kept.push((view, shown));
                }
                Step::LetGo => kept.clear(),
            }
            assert_alike(&tracker, &naive, &workers(), &NAMES);
            for (view, shown) in &kept {
                assert_eq!(&format!("{view:?}"), shown, "a view that is kept does not change");
            }
        }
    });
}

/// Whether those that may have it have it already, and who they are.
fn candidates(naive: &Naive, name: &str) -> (bool, BTreeSet<(String, usize, Option<u32>)>) {
    let has_it = naive.workers(|there, slots| there.adapters.contains(name) && free(slots) > 0);
    if has_it.is_empty() {
        (false, naive.workers(|_, slots| free(slots) > 0))
    } else {
        (true, has_it)
    }
}

fn free(slots: Slots) -> i64 {
    let loaded = i64::try_from(slots.loaded).unwrap();
    slots
        .capacity
        .map_or(0, |capacity| i64::from(capacity) - loaded)
}

/// Asks a tracker everything there is to ask, about these workers and names, and compares.
fn assert_alike<M: LoraMap>(
    tracker: &LoraTracker<M>,
    naive: &Naive,
    workers: &[WorkerWithDpRank],
    names: &[&str],
) {
    let set = |items: &mut dyn Iterator<Item = &WorkerSlots>| {
        let mut met = 0;
        let set: BTreeSet<_> = items
            .inspect(|_| met += 1)
            .map(|WorkerSlots { worker, slots }| (worker.to_string(), slots.loaded, slots.capacity))
            .collect();
        assert_eq!(met, set.len(), "a worker is met once");
        set
    };
    let everybody = naive.workers(|_, _| true);
    let adapters = naive.fleet.values().flat_map(|there| &there.adapters);
    let adapters: BTreeSet<&str> = adapters.map(|name| &**name).collect();
    let view = tracker.view();

    assert_eq!(tracker.generation(), naive.generation);
    assert_eq!(tracker.is_empty(), naive.fleet.is_empty());
    let total = everybody.iter().map(|row| u64::from(row.2.unwrap_or(0)));
    assert_eq!(tracker.total_slots(), total.sum::<u64>());
    assert_eq!(set(&mut tracker.workers().iter()), everybody);
    assert_eq!(
        set(&mut tracker.workers_with_free_slots().iter()),
        naive.workers(|_, slots| free(slots) > 0)
    );
    let loras = tracker.loras();
    assert_eq!(loras.iter().len(), adapters.len());
    assert_eq!(
        loras.iter().map(|name| &**name).collect::<BTreeSet<_>>(),
        adapters
    );

    for name in names {
        let loaded = tracker.loaded_workers(name);
        let shown: Vec<_> = loaded.iter().map(ToString::to_string).collect();
        assert_eq!(shown, naive.loaded_workers(name), "{name}");
        assert_eq!(*loaded, *view.loaded_workers(name));
        let answer = tracker.candidates(name);
        let (are_loaded, expected) = candidates(naive, name);
        assert_eq!(answer.are_loaded(), are_loaded, "{name}");
        assert_eq!(set(&mut answer.iter()), expected, "{name}");
        for worker in workers {
            let there = naive.fleet.get(worker);
            let expected = there.is_some_and(|there| there.adapters.contains(*name));
            assert_eq!(tracker.is_loaded(worker, name), expected, "{worker} {name}");
        }
    }
    for worker in workers {
        assert_eq!(
            tracker.worker_slots(worker),
            naive.slots(worker),
            "{worker}"
        );
    }

    assert_eq!(view.generation(), naive.generation);
    assert_eq!(view.is_empty(), tracker.is_empty());
    assert_eq!(view.total_slots(), tracker.total_slots());
    assert_eq!(set(&mut view.workers()), everybody);
    let in_view: BTreeSet<&str> = view.loras().map(|(name, _)| &**name).collect();
    assert_eq!(in_view, adapters);
    for (name, workers) in view.loras() {
        assert_eq!(*workers, *tracker.loaded_workers(name));
    }
}
