//! Each event, each read, and each rule about them, by example, on every map.

use std::sync::Arc;
use std::time::Duration;

use lora_tracker::{
    Candidates, LoadedWorkers, LoraEvent, LoraInfo, LoraMap, LoraTracker, LoraView, Loras,
    MAX_NAME_LEN, NameRule, Slots, TrackerConfig, WorkerSlots, Workers,
};
use quanta::Clock;
use static_assertions::assert_impl_all;
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! {
    a_worker_joins_loads_unloads_and_leaves,
    an_event_that_says_nothing_new_moves_nothing,
    a_worker_that_was_not_seen_joins_by_its_first_adapter,
    capacities,
    candidates_are_those_that_have_it_or_else_those_with_room,
    a_batch_is_one_change,
    a_worker_is_replaced_in_one_change,
    a_full_turnover_is_seen,
    a_restarted_worker_starts_anew,
    late_events_of_a_departed_incarnation_are_ignored_for_a_minute,
    an_event_without_an_incarnation_speaks_of_whichever_is_there,
    reordered_and_duplicated_events,
    bad_names_are_refused_and_given_back,
    an_answer_keeps_its_instant,
    places_are_used_again,
}

assert_impl_all!(LoraTracker<state_map::model::ReferenceMap<WorkerWithDpRank, lora_tracker::WorkerEntry>>: Send, Sync);
assert_impl_all!(LoadedWorkers: Send, Sync);
assert_impl_all!(Workers: Send, Sync);
assert_impl_all!(Candidates: Send, Sync);
assert_impl_all!(Loras: Send, Sync);
assert_impl_all!(LoraView: Send, Sync, Clone);

fn tracker<M: LoraMap + Default>() -> LoraTracker<M> {
    LoraTracker::default()
}

fn w(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(id)
}

fn loaded(worker: WorkerWithDpRank, name: &str, max: Option<u32>) -> LoraEvent {
    let lora = LoraInfo::new(name, max);
    LoraEvent::Loaded { worker, lora }
}

fn unloaded(worker: WorkerWithDpRank, name: &str) -> LoraEvent {
    let name = name.into();
    LoraEvent::Unloaded { worker, name }
}

fn joined(worker: WorkerWithDpRank, capacity: Option<u32>) -> LoraEvent {
    LoraEvent::WorkerJoined { worker, capacity }
}

fn left(worker: WorkerWithDpRank) -> LoraEvent {
    LoraEvent::WorkerLeft { worker }
}

fn slots(loaded: usize, capacity: Option<u32>) -> Option<Slots> {
    Some(Slots { loaded, capacity })
}

fn ids<'a>(workers: impl IntoIterator<Item = &'a WorkerSlots>) -> Vec<u64> {
    let mut ids: Vec<_> = workers
        .into_iter()
        .map(|each| each.worker.worker_id)
        .collect();
    ids.sort_unstable();
    ids
}

fn names<M: LoraMap>(tracker: &LoraTracker<M>) -> Vec<String> {
    let mut names: Vec<_> = tracker.loras().iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

fn a_worker_joins_loads_unloads_and_leaves<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    assert!(tracker.is_empty());
    assert_eq!(tracker.worker_slots(&w(1)), None);

    assert_eq!(tracker.apply(joined(w(1), Some(2))), Ok(true));
    assert!(!tracker.is_empty(), "a place to put an adapter");
    assert_eq!(tracker.worker_slots(&w(1)), slots(0, Some(2)));
    assert_eq!(ids(&tracker.workers_with_free_slots()), [1]);

    assert_eq!(tracker.apply(loaded(w(1), "a", Some(2))), Ok(true));
    assert_eq!(tracker.apply(loaded(w(1), "b", None)), Ok(true));
    assert_eq!(*tracker.loaded_workers("a"), [w(1)]);
    assert!(tracker.is_loaded(&w(1), "b") && !tracker.is_loaded(&w(1), "c"));
    assert_eq!(names(&tracker), ["a", "b"]);
    assert_eq!(tracker.worker_slots(&w(1)), slots(2, Some(2)));
    assert!(ids(&tracker.workers_with_free_slots()).is_empty());

    assert_eq!(tracker.apply(unloaded(w(1), "a")), Ok(true));
    assert!(tracker.loaded_workers("a").is_empty());
    assert_eq!(names(&tracker), ["b"]);
    assert_eq!(tracker.worker_slots(&w(1)), slots(1, Some(2)));

    assert_eq!(tracker.apply(left(w(1))), Ok(true));
    assert!(tracker.is_empty() && names(&tracker).is_empty());
    assert!(!tracker.is_loaded(&w(1), "b"));
    assert_eq!(tracker.worker_slots(&w(1)), None);
    assert_eq!((tracker.total_slots(), tracker.generation()), (0, 5));
}

fn an_event_that_says_nothing_new_moves_nothing<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker.apply(loaded(w(1), "a", Some(2))).unwrap();
    let same = [
        loaded(w(1), "a", Some(2)),
        loaded(w(1), "a", None),
        joined(w(1), Some(2)),
        joined(w(1), None),
        unloaded(w(1), "b"),
        unloaded(w(2), "a"),
        left(w(2)),
    ];
    for event in same.clone() {
        assert_eq!(tracker.apply(event.clone()), Ok(false), "{event:?}");
    }
    assert_eq!(tracker.apply_batch(same), Ok(false));
    assert_eq!(tracker.apply_batch([]), Ok(false));
    let there_and_back = [
        loaded(w(1), "b", None),
        unloaded(w(1), "b"),
        joined(w(2), None),
        left(w(2)),
    ];
    assert_eq!(tracker.apply_batch(there_and_back), Ok(false));
    assert_eq!(
        tracker.replace_worker(w(1), Some(2), [LoraInfo::new("a", None)]),
        Ok(false)
    );
    assert_eq!(tracker.generation(), 1);
    assert_eq!(tracker.worker_slots(&w(2)), None);
}

fn a_worker_that_was_not_seen_joins_by_its_first_adapter<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    assert_eq!(tracker.apply(loaded(w(1), "a", None)), Ok(true));
    assert_eq!(tracker.worker_slots(&w(1)), slots(1, None));
    assert_eq!(tracker.apply(unloaded(w(1), "a")), Ok(true));
    assert_eq!(tracker.worker_slots(&w(1)), slots(0, None), "it stays");
}

fn capacities<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker.apply(joined(w(1), None)).unwrap();
    assert!(
        ids(&tracker.workers_with_free_slots()).is_empty(),
        "unknown is not free"
    );
    assert_eq!(tracker.total_slots(), 0);
    tracker.apply(joined(w(1), Some(0))).unwrap();
    assert_eq!(tracker.worker_slots(&w(1)), slots(0, Some(0)));
    assert!(
        ids(&tracker.workers_with_free_slots()).is_empty(),
        "no room at all"
    );
    tracker.apply(loaded(w(1), "a", Some(1))).unwrap();
    tracker.apply(loaded(w(1), "b", None)).unwrap();
    let over = tracker.worker_slots(&w(1)).unwrap();
    assert_eq!((over.loaded, over.capacity), (2, Some(1)), "as it is");
    assert_eq!((over.free(), over.has_room()), (Some(0), false));
    tracker.apply(loaded(w(1), "b", Some(u32::MAX))).unwrap();
    tracker.apply(joined(w(2), Some(u32::MAX))).unwrap();
    assert_eq!(tracker.total_slots(), 2 * u64::from(u32::MAX));
    assert_eq!(
        tracker.worker_slots(&w(1)).unwrap().free(),
        Some(u32::MAX as usize - 2)
    );
    assert_eq!(ids(&tracker.workers_with_free_slots()), [1, 2]);

    let config = TrackerConfig {
        default_capacity: Some(4),
    };
    let tracker = LoraTracker::with_map(config, M::default());
    assert_eq!(*tracker.config(), config);
    tracker.apply(joined(w(1), None)).unwrap();
    assert_eq!(tracker.worker_slots(&w(1)), slots(0, Some(4)));
    tracker.apply(loaded(w(1), "a", Some(1))).unwrap();
    assert_eq!(
        tracker.worker_slots(&w(1)),
        slots(1, Some(1)),
        "what is said counts"
    );
    tracker.replace_worker(w(1), None, []).unwrap();
    assert_eq!(
        tracker.worker_slots(&w(1)),
        slots(0, Some(4)),
        "and no more, once it is not"
    );
}

fn candidates_are_those_that_have_it_or_else_those_with_room<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for id in 1..=4 {
        tracker.apply(joined(w(id), Some(2))).unwrap();
    }
    let nowhere = tracker.candidates("a");
    assert!(!nowhere.are_loaded());
    assert_eq!(ids(&nowhere), [1, 2, 3, 4]);
    for id in [3, 1] {
        tracker.apply(loaded(w(id), "a", None)).unwrap();
    }
    tracker.apply(loaded(w(1), "b", None)).unwrap();
    let some = tracker.candidates("a");
    assert!(some.are_loaded());
    assert!(
        some.iter().eq([&WorkerSlots {
            worker: w(3),
            slots: slots(1, Some(2)).unwrap()
        }]),
        "the other is full"
    );
    tracker.apply(loaded(w(3), "b", None)).unwrap();
    let full = tracker.candidates("a");
    assert!(!full.are_loaded());
    assert_eq!(ids(&full), [2, 4]);
    assert_eq!(format!("{some:?}").matches("worker_id: 3").count(), 1);
}

fn a_batch_is_one_change<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let batch = (1..=100).map(|id| loaded(w(id), "a", Some(1)));
    assert_eq!(tracker.apply_batch(batch), Ok(true));
    assert_eq!(tracker.generation(), 1);
    assert_eq!(tracker.loaded_workers("a").len(), 100);
    let all: Vec<_> = (1..=100).map(w).collect();
    assert_eq!(*tracker.loaded_workers("a"), *all, "in order");
    // A worker that leaves and comes back within one change.
    let around = [
        left(w(50)),
        loaded(w(101), "b", None),
        joined(w(50), Some(3)),
    ];
    assert_eq!(tracker.apply_batch(around), Ok(true));
    assert_eq!(tracker.worker_slots(&w(50)), slots(0, Some(3)));
    assert_eq!(tracker.worker_slots(&w(101)), slots(1, None));
    assert_eq!(tracker.generation(), 2);
}

fn a_worker_is_replaced_in_one_change<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for name in ["a", "b"] {
        tracker.apply(loaded(w(1), name, Some(2))).unwrap();
    }
    let now = ["b", "c", "c"].map(|name| LoraInfo::new(name, None));
    assert_eq!(tracker.replace_worker(w(1), Some(5), now), Ok(true));
    assert_eq!(names(&tracker), ["b", "c"]);
    assert_eq!(tracker.worker_slots(&w(1)), slots(2, Some(5)));
    assert_eq!(tracker.generation(), 3);
    let now = [LoraInfo::new("c", Some(7)), LoraInfo::new("d", Some(8))];
    assert_eq!(tracker.replace_worker(w(1), Some(6), now), Ok(true));
    assert_eq!(
        tracker.worker_slots(&w(1)),
        slots(2, Some(8)),
        "the last that is said"
    );
    assert_eq!(tracker.replace_worker(w(2), None, []), Ok(true), "joins");
    assert_eq!(tracker.worker_slots(&w(2)), slots(0, None));
}

fn a_full_turnover_is_seen<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for id in [1, 2] {
        tracker.apply(loaded(w(id), "a", Some(1))).unwrap();
    }
    let before = tracker.generation();
    let turnover = [
        left(w(1)),
        left(w(2)),
        loaded(w(3), "a", Some(1)),
        loaded(w(4), "a", Some(1)),
    ];
    assert_eq!(tracker.apply_batch(turnover), Ok(true));
    assert_eq!(*tracker.loaded_workers("a"), [w(3), w(4)]);
    assert_eq!(tracker.generation(), before + 1);
}

fn a_restarted_worker_starts_anew<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let [first, second] = [1, 2].map(|life| w(7).with_incarnation(life));
    tracker.apply(loaded(first, "a", Some(2))).unwrap();
    assert_eq!(tracker.apply(loaded(second, "b", None)), Ok(true));
    assert!(
        tracker.loaded_workers("a").is_empty(),
        "it went with the first"
    );
    assert!(tracker.loaded_workers("b")[0].same_incarnation(&second));
    assert_eq!(tracker.worker_slots(&w(7)), slots(1, None));
    assert_eq!(tracker.generation(), 2);
    assert_eq!(
        tracker.apply(joined(w(7).with_incarnation(3), None)),
        Ok(true)
    );
    assert_eq!(tracker.worker_slots(&w(7)), slots(0, None));
    // One that is not known is not taken for one that is.
    tracker.apply(joined(w(8), Some(1))).unwrap();
    assert_eq!(
        tracker.apply(joined(w(8).with_incarnation(1), None)),
        Ok(true)
    );
    assert_eq!(tracker.worker_slots(&w(8)), slots(0, None));
}

fn late_events_of_a_departed_incarnation_are_ignored_for_a_minute<M: LoraMap + Default>() {
    let (clock, time) = Clock::mock();
    let tracker = tracker::<M>().with_clock(clock);
    let [first, second] = [1, 2].map(|life| w(7).with_incarnation(life));
    tracker.apply(loaded(first, "a", None)).unwrap();
    tracker.apply(left(first)).unwrap();
    let late = [
        loaded(first, "a", None),
        joined(first, Some(1)),
        left(first),
        unloaded(first, "a"),
    ];
    for event in late.clone() {
        assert_eq!(tracker.apply(event), Ok(false));
    }
    assert_eq!(tracker.replace_worker(first, Some(1), []), Ok(false));
    tracker.apply(loaded(second, "a", None)).unwrap();
    for event in late {
        assert_eq!(tracker.apply(event), Ok(false));
    }
    assert!(tracker.loaded_workers("a")[0].same_incarnation(&second));
    time.increment(Duration::from_secs(59));
    assert_eq!(tracker.apply(loaded(first, "a", None)), Ok(false));
    time.increment(Duration::from_secs(1));
    assert_eq!(
        tracker.apply(loaded(first, "a", None)),
        Ok(true),
        "forgotten"
    );
}

fn an_event_without_an_incarnation_speaks_of_whichever_is_there<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker
        .apply(joined(w(7).with_incarnation(1), None))
        .unwrap();
    assert_eq!(tracker.apply(loaded(w(7), "a", None)), Ok(true));
    assert_eq!(tracker.loaded_workers("a")[0].incarnation(), Some(1));
    assert_eq!(tracker.apply(unloaded(w(7), "a")), Ok(true));
    assert_eq!(tracker.apply(left(w(7))), Ok(true));
    assert!(tracker.is_empty());
    // Without one, nothing tells a late event from a new life.
    assert_eq!(tracker.apply(loaded(w(7), "a", None)), Ok(true));
}

fn reordered_and_duplicated_events<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let life = w(7).with_incarnation(1);
    assert_eq!(tracker.apply(left(life)), Ok(false), "before it has come");
    assert_eq!(
        tracker.apply(joined(life, Some(1))),
        Ok(false),
        "it has departed"
    );
    assert_eq!(
        tracker.apply(unloaded(w(8), "a")),
        Ok(false),
        "before it is loaded"
    );
    for _ in 0..2 {
        let _ = tracker.apply(loaded(w(8), "a", Some(1)));
    }
    assert_eq!(tracker.worker_slots(&w(8)), slots(1, Some(1)));
    assert_eq!(tracker.apply(left(w(8))), Ok(true));
    assert_eq!(tracker.apply(left(w(8))), Ok(false));
    assert_eq!(tracker.generation(), 2);
    // Of another incarnation than the one that is there, and of none that has departed.
    tracker
        .apply(joined(w(9).with_incarnation(1), None))
        .unwrap();
    assert_eq!(tracker.apply(left(w(9).with_incarnation(2))), Ok(false));
    assert_eq!(
        tracker.apply(joined(w(9).with_incarnation(2), None)),
        Ok(false)
    );
    assert_eq!(
        tracker.apply(unloaded(w(9).with_incarnation(3), "a")),
        Ok(false)
    );
    assert_eq!(
        tracker.apply(joined(w(9).with_incarnation(3), Some(1))),
        Ok(true)
    );
}

fn bad_names_are_refused_and_given_back<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let longest = "n".repeat(MAX_NAME_LEN);
    assert_eq!(tracker.apply(loaded(w(1), &longest, None)), Ok(true));
    assert!(tracker.is_loaded(&w(1), &longest));

    let long = "é".repeat(5_000);
    for (name, rule) in [
        ("", NameRule::Empty),
        (&*long, NameRule::TooLong { len: 10_000 }),
    ] {
        for event in [loaded(w(2), name, Some(1)), unloaded(w(1), name)] {
            let error = tracker.apply(event.clone()).unwrap_err();
            assert_eq!((&error.given, error.index, error.rule), (&event, 0, rule));
            assert!(error.name.len() <= 256);
        }
        let batch = vec![
            joined(w(3), None),
            loaded(w(3), "a", None),
            loaded(w(3), name, None),
        ];
        let error = tracker.apply_batch(batch.clone()).unwrap_err();
        assert_eq!((&error.given, error.index, error.rule), (&batch, 2, rule));
        let loras = vec![LoraInfo::new("a", None), LoraInfo::new(name, None)];
        let error = tracker
            .replace_worker(w(1), None, loras.clone())
            .unwrap_err();
        assert_eq!((&error.given, error.index, error.rule), (&loras, 1, rule));
        assert!(tracker.loaded_workers(name).is_empty() && !tracker.is_loaded(&w(1), name));
    }
    assert_eq!(
        tracker.generation(),
        1,
        "none was applied, in part or whole"
    );
    let error = tracker.apply(loaded(w(1), "", None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the adapter name \"\" at index 0 is empty; a name has 1 to 4096 bytes: leave it out, or name the adapter by less"
    );
}

fn an_answer_keeps_its_instant<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker.apply(loaded(w(1), "a", Some(2))).unwrap();
    let (slice, free, candidates) = (
        tracker.loaded_workers("a"),
        tracker.workers_with_free_slots(),
        tracker.candidates("a"),
    );
    let (loras, view) = (tracker.loras(), tracker.view());
    for round in 0..5 {
        tracker.apply(loaded(w(2 + round), "b", Some(1))).unwrap();
        tracker.apply(left(w(1))).unwrap();
        assert_eq!(*slice, [w(1)]);
        assert_eq!((ids(&free), ids(&candidates)), (vec![1], vec![1]));
        assert!(loras.iter().map(|name| &**name).eq(["a"]));
        assert_eq!((view.generation(), view.workers().count()), (1, 1));
    }
    assert_eq!(tracker.loaded_workers("b").len(), 5);
    let (first, again) = (tracker.view(), tracker.view());
    let [(_, first), (_, again)] = [&first, &again].map(|view| view.loras().next().unwrap());
    assert!(std::ptr::eq(first, again), "shared while nothing changes");
}

fn places_are_used_again<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for id in 0..100 {
        tracker.apply(loaded(w(id), "a", Some(1))).unwrap();
    }
    for id in (0..100).step_by(2).chain([99, 97]) {
        tracker.apply(left(w(id))).unwrap();
    }
    for id in 200..260 {
        tracker.apply(loaded(w(id), "b", Some(2))).unwrap();
    }
    for id in 0..300 {
        let expected = match id {
            0..97 if id % 2 == 1 => slots(1, Some(1)),
            200..260 => slots(1, Some(2)),
            _ => None,
        };
        assert_eq!(tracker.worker_slots(&w(id)), expected, "{id}");
    }
    assert_eq!(tracker.workers().iter().count(), 108);
}

#[test]
fn names_are_shared_by_all_who_mention_them() {
    let event = loaded(w(1), "a", None);
    assert_eq!(event.worker(), w(1));
    assert_eq!(event.lora_name().map(|name| &**name), Some("a"));
    assert_eq!(left(w(1)).lora_name(), None);
    let info = LoraInfo::new(Arc::<str>::from("a"), Some(1));
    assert_eq!(LoraInfo::new(String::from("a"), Some(1)), info);
}
