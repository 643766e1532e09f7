//! Each event, each read, and each rule about them, by example, on every map.

use std::sync::Arc;

use lora_tracker::{
    ListedWorker, LoraEvent, LoraInfo, LoraMap, LoraNews, LoraSnapshot, LoraTracker, MAX_NAME_LEN,
    NameRule, Rejected, Slots, Tier, TrackerConfig, WorkerEntry, WorkerSlots,
};
use state_map::model::ReferenceMap;
use static_assertions::assert_impl_all;
use worker_id::Effect::{Changed, Unchanged};
use worker_id::{Effect, Ignored, WorkerRanks, WorkerWithDpRank};

crate::backends::on_every_backend! {
    a_worker_joins_loads_unloads_and_leaves,
    an_event_that_says_nothing_new_moves_nothing,
    a_worker_that_was_not_seen_joins_by_its_first_adapter,
    capacities,
    who_has_it_needs_no_free_slot,
    the_tiers_in_their_order,
    a_full_fleet_has_a_candidate_for_each_adapter_that_is_loaded,
    a_batch_is_one_change,
    a_worker_is_replaced_in_one_change,
    a_full_turnover_is_seen,
    a_restarted_worker_starts_anew,
    late_events_of_a_departed_incarnation_are_ignored,
    late_news_of_an_ordered_life_changes_nothing,
    a_flap_heals_by_a_full_list,
    a_list_is_one_change_and_leaves_nobody_over,
    a_list_changes_nothing_that_is_newer_than_itself,
    all_ranks_leave_by_one_call,
    other_weights_under_one_name_are_a_change,
    the_coldest_is_the_one_to_evict,
    who_has_not_registered_is_not_shown,
    an_event_without_an_incarnation_speaks_of_whichever_is_there,
    reordered_and_duplicated_events,
    reordered_events_with_revisions,
    bad_names_are_refused_and_given_back,
    an_answer_keeps_its_instant,
    places_are_used_again,
}

type AMap = ReferenceMap<WorkerWithDpRank, WorkerEntry>;
assert_impl_all!(LoraTracker<AMap>: Send, Sync);
assert_impl_all!(LoraSnapshot<'static, AMap>: Send, Sync);

fn tracker<M: LoraMap + Default>() -> LoraTracker<M> {
    LoraTracker::default()
}

fn w(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::from_worker_id(id)
}

fn loaded(worker: WorkerWithDpRank, name: &str, max: Option<u32>) -> LoraEvent {
    let lora = LoraInfo::new(name).with_capacity(max);
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
    LoraEvent::WorkerLeft {
        worker: worker.into(),
    }
}

fn loading(worker: WorkerWithDpRank, name: &str) -> LoraEvent {
    let lora = LoraInfo::new(name);
    LoraEvent::Loading { worker, lora }
}

fn listed(worker: WorkerWithDpRank, capacity: Option<u32>, names: &[&str]) -> ListedWorker {
    let loras = names.iter().map(|name| LoraInfo::new(*name));
    ListedWorker::new(worker, capacity, loras)
}

fn ignored(why: Ignored) -> Result<Effect, Rejected<LoraNews>> {
    Ok(Effect::Ignored(why))
}

/// The first tier that has anybody, and whom.
fn first<M: LoraMap>(tracker: &LoraTracker<M>, name: &str) -> Option<(Tier, Vec<u64>)> {
    let snapshot = tracker.snapshot();
    let (tier, workers) = snapshot.candidates(name).first()?;
    Some((tier, ids(workers)))
}

fn slots(loaded: usize, capacity: Option<u32>) -> Option<Slots> {
    Some(Slots {
        loaded,
        loading: 0,
        capacity,
    })
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
    let mut names: Vec<_> = tracker
        .snapshot()
        .loras()
        .map(|(name, _)| name.to_string())
        .collect();
    names.sort_unstable();
    names
}

fn a_worker_joins_loads_unloads_and_leaves<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    assert!(tracker.snapshot().is_empty());
    assert_eq!(tracker.worker_slots(&w(1)), None);

    assert_eq!(tracker.apply(joined(w(1), Some(2))), Ok(Changed));
    assert!(!tracker.snapshot().is_empty(), "a place to put an adapter");
    assert_eq!(tracker.worker_slots(&w(1)), slots(0, Some(2)));
    assert_eq!(ids(tracker.snapshot().workers_with_free_slots()), [1]);

    assert_eq!(tracker.apply(loaded(w(1), "a", Some(2))), Ok(Changed));
    assert_eq!(tracker.apply(loaded(w(1), "b", None)), Ok(Changed));
    assert_eq!(tracker.snapshot().loaded_workers("a"), [w(1)]);
    assert!(tracker.is_loaded(&w(1), "b") && !tracker.is_loaded(&w(1), "c"));
    assert_eq!(names(&tracker), ["a", "b"]);
    assert_eq!(tracker.worker_slots(&w(1)), slots(2, Some(2)));
    assert!(ids(tracker.snapshot().workers_with_free_slots()).is_empty());

    assert_eq!(tracker.apply(unloaded(w(1), "a")), Ok(Changed));
    assert!(tracker.snapshot().loaded_workers("a").is_empty());
    assert_eq!(names(&tracker), ["b"]);
    assert_eq!(tracker.worker_slots(&w(1)), slots(1, Some(2)));

    assert_eq!(tracker.apply(left(w(1))), Ok(Changed));
    assert!(tracker.snapshot().is_empty() && names(&tracker).is_empty());
    assert!(!tracker.is_loaded(&w(1), "b"));
    assert_eq!(tracker.worker_slots(&w(1)), None);
    assert_eq!(
        (tracker.snapshot().total_slots(), tracker.generation()),
        (0, 5)
    );
}

fn an_event_that_says_nothing_new_moves_nothing<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker.apply(loaded(w(1), "a", Some(2))).unwrap();
    let same = [
        loaded(w(1), "a", Some(2)),
        loaded(w(1), "a", None),
        loading(w(1), "a"),
        joined(w(1), Some(2)),
        joined(w(1), None),
        unloaded(w(1), "b"),
    ];
    for event in same.clone() {
        assert_eq!(tracker.apply(event.clone()), Ok(Unchanged), "{event:?}");
    }
    let of_nobody = [unloaded(w(2), "a"), left(w(2))];
    for event in of_nobody.clone() {
        assert_eq!(tracker.apply(event.clone()), ignored(Ignored::Absent));
    }
    let ignored_alone = tracker.apply_batch(of_nobody.clone());
    assert_eq!(ignored_alone, Ok(Effect::Ignored(Ignored::Absent)));
    let both = same.into_iter().chain(of_nobody);
    assert_eq!(tracker.apply_batch(both), Ok(Unchanged));
    assert_eq!(tracker.apply_batch([] as [LoraEvent; 0]), Ok(Unchanged));
    let there_and_back = [
        loaded(w(1), "b", None),
        unloaded(w(1), "b"),
        joined(w(2), None),
        left(w(2)),
    ];
    assert_eq!(tracker.apply_batch(there_and_back), Ok(Unchanged));
    let around = [left(w(1)), loaded(w(1), "a", Some(2))];
    assert_eq!(tracker.apply_batch(around), Ok(Unchanged));
    assert_eq!(
        tracker.replace_worker(None, listed(w(1), Some(2), &["a"])),
        Ok(Unchanged)
    );
    assert_eq!(tracker.generation(), 1);
    assert_eq!(tracker.worker_slots(&w(2)), None);
}

fn a_worker_that_was_not_seen_joins_by_its_first_adapter<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    assert_eq!(tracker.apply(loaded(w(1), "a", None)), Ok(Changed));
    assert_eq!(tracker.worker_slots(&w(1)), slots(1, None));
    assert_eq!(tracker.apply(unloaded(w(1), "a")), Ok(Changed));
    assert_eq!(tracker.worker_slots(&w(1)), slots(0, None), "it stays");
}

fn capacities<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker.apply(joined(w(1), None)).unwrap();
    assert!(
        ids(tracker.snapshot().workers_with_free_slots()).is_empty(),
        "unknown is not free"
    );
    assert_eq!(tracker.snapshot().total_slots(), 0);
    tracker.apply(joined(w(1), Some(0))).unwrap();
    assert_eq!(tracker.worker_slots(&w(1)), slots(0, Some(0)));
    assert!(
        ids(tracker.snapshot().workers_with_free_slots()).is_empty(),
        "no room at all"
    );
    tracker.apply(loaded(w(1), "a", Some(1))).unwrap();
    tracker.apply(loaded(w(1), "b", None)).unwrap();
    let over = tracker.worker_slots(&w(1)).unwrap();
    assert_eq!((over.loaded, over.capacity), (2, Some(1)), "as it is");
    assert_eq!((over.free(), over.has_room()), (Some(0), false));
    tracker.apply(loaded(w(1), "b", Some(u32::MAX))).unwrap();
    tracker.apply(joined(w(2), Some(u32::MAX))).unwrap();
    assert_eq!(tracker.snapshot().total_slots(), 2 * u64::from(u32::MAX));
    assert_eq!(
        tracker.worker_slots(&w(1)).unwrap().free(),
        Some(u32::MAX as usize - 2)
    );
    assert_eq!(ids(tracker.snapshot().workers_with_free_slots()), [1, 2]);

    let config = TrackerConfig::new().with_default_capacity(4);
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
    tracker
        .replace_worker(None, listed(w(1), None, &[]))
        .unwrap();
    assert_eq!(
        tracker.worker_slots(&w(1)),
        slots(0, Some(4)),
        "and no more, once it is not"
    );
}

fn who_has_it_needs_no_free_slot<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker.apply(loaded(w(1), "a", Some(2))).unwrap();
    tracker.apply(loaded(w(1), "b", Some(2))).unwrap();
    assert_eq!(first(&tracker, "a"), Some((Tier::Resident, vec![1])));
    // Nor with an empty worker beside it: it has the adapter, and that one does not.
    tracker.apply(joined(w(2), Some(2))).unwrap();
    assert_eq!(first(&tracker, "a"), Some((Tier::Resident, vec![1])));
    assert_eq!(first(&tracker, "c"), Some((Tier::Room, vec![2])));
}

fn the_tiers_in_their_order<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    // 1 has it; 2 is loading it; 3 has room; 4 says no capacity; 5 is full; 6 is full of what
    // stays.
    tracker.apply(loaded(w(1), "a", Some(1))).unwrap();
    tracker.apply(loading(w(2), "a")).unwrap();
    tracker.apply(joined(w(2), Some(1))).unwrap();
    tracker.apply(joined(w(3), Some(2))).unwrap();
    tracker.apply(joined(w(4), None)).unwrap();
    tracker.apply(loaded(w(5), "b", Some(1))).unwrap();
    let pinned = LoraInfo::new("b").with_capacity(2).pinned();
    let worker = w(6);
    tracker
        .apply(LoraEvent::Loaded {
            worker,
            lora: pinned,
        })
        .unwrap();
    tracker.apply(loading(w(6), "c")).unwrap();

    let snapshot = tracker.snapshot();
    let candidates = snapshot.candidates("a");
    let tiers: Vec<_> = candidates
        .tiers()
        .map(|(tier, each)| (tier, ids(each)))
        .collect();
    assert_eq!(
        tiers,
        [
            (Tier::Resident, vec![1]),
            (Tier::Loading, vec![2]),
            (Tier::Room, vec![3]),
            (Tier::UnknownCapacity, vec![4]),
            (Tier::CouldEvict, vec![1, 5]),
        ]
    );
    let each: Vec<_> = candidates
        .iter()
        .map(|(tier, row)| (tier, row.worker.worker_id))
        .collect();
    assert_eq!(
        each,
        [
            (Tier::Resident, 1),
            (Tier::Loading, 2),
            (Tier::Room, 3),
            (Tier::UnknownCapacity, 4),
            (Tier::CouldEvict, 5),
        ]
    );
    let room = candidates.tier(Tier::Room);
    assert_eq!(
        (room.len(), room.get(0).map(|row| row.worker)),
        (1, Some(w(3)))
    );
    assert!(room.get(1).is_none());
    let nobody_knows = TrackerConfig::new().with_unknown_capacity_may_load(false);
    let strict = LoraTracker::with_map(nobody_knows, M::default());
    strict.apply(joined(w(4), None)).unwrap();
    assert_eq!(first(&strict, "a"), None);
}

fn a_full_fleet_has_a_candidate_for_each_adapter_that_is_loaded<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for name in 0..200_u64 {
        for copy in 0..2 {
            let worker = w((name * 2 + copy) % 50);
            tracker
                .apply(loaded(worker, &name.to_string(), Some(8)))
                .unwrap();
        }
    }
    assert!(tracker.snapshot().workers_with_free_slots().is_empty());
    for name in 0..200_u64 {
        let (tier, workers) = first(&tracker, &name.to_string()).unwrap();
        assert_eq!((tier, workers.len()), (Tier::Resident, 2), "{name}");
    }
}

fn a_batch_is_one_change<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let batch = (1..=100).map(|id| loaded(w(id), "a", Some(1)));
    assert_eq!(tracker.apply_batch(batch), Ok(Changed));
    assert_eq!(tracker.generation(), 1);
    assert_eq!(tracker.snapshot().loaded_workers("a").len(), 100);
    let all: Vec<_> = (1..=100).map(w).collect();
    assert_eq!(tracker.snapshot().loaded_workers("a"), all, "in order");
    // A worker that leaves and comes back within one change.
    let around = [
        left(w(50)),
        loaded(w(101), "b", None),
        joined(w(50), Some(3)),
    ];
    assert_eq!(tracker.apply_batch(around), Ok(Changed));
    assert_eq!(tracker.worker_slots(&w(50)), slots(0, Some(3)));
    assert_eq!(tracker.worker_slots(&w(101)), slots(1, None));
    assert_eq!(tracker.generation(), 2);
}

fn a_worker_is_replaced_in_one_change<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for name in ["a", "b"] {
        tracker.apply(loaded(w(1), name, Some(2))).unwrap();
    }
    let now = listed(w(1), Some(5), &["b", "c", "c"]);
    assert_eq!(tracker.replace_worker(None, now), Ok(Changed));
    assert_eq!(names(&tracker), ["b", "c"]);
    assert_eq!(tracker.worker_slots(&w(1)), slots(2, Some(5)));
    assert_eq!(tracker.generation(), 3);
    let now = [
        LoraInfo::new("c").with_capacity(Some(7)),
        LoraInfo::new("d").with_capacity(Some(8)),
    ];
    assert_eq!(
        tracker.replace_worker(None, ListedWorker::new(w(1), 6, now)),
        Ok(Changed)
    );
    assert_eq!(
        tracker.worker_slots(&w(1)),
        slots(2, Some(8)),
        "the last that is said"
    );
    assert_eq!(
        tracker.replace_worker(None, listed(w(2), None, &[])),
        Ok(Changed),
        "joins"
    );
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
    assert_eq!(tracker.apply_batch(turnover), Ok(Changed));
    assert_eq!(tracker.snapshot().loaded_workers("a"), [w(3), w(4)]);
    assert_eq!(tracker.generation(), before + 1);
}

fn a_restarted_worker_starts_anew<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let [first, second] = [1, 2].map(|life| w(7).with_incarnation(life));
    tracker.apply(loaded(first, "a", Some(2))).unwrap();
    assert_eq!(tracker.apply(loaded(second, "b", None)), Ok(Changed));
    assert!(
        tracker.snapshot().loaded_workers("a").is_empty(),
        "it went with the first"
    );
    assert!(tracker.snapshot().loaded_workers("b")[0].same_incarnation(&second));
    assert_eq!(tracker.worker_slots(&w(7)), slots(1, None));
    assert_eq!(tracker.generation(), 2);
    assert_eq!(
        tracker.apply(joined(w(7).with_incarnation(3), None)),
        Ok(Changed)
    );
    assert_eq!(tracker.worker_slots(&w(7)), slots(0, None));
    // One that is not known is not taken for one that is.
    tracker.apply(joined(w(8), Some(1))).unwrap();
    assert_eq!(
        tracker.apply(joined(w(8).with_incarnation(1), None)),
        Ok(Changed)
    );
    assert_eq!(tracker.worker_slots(&w(8)), slots(0, None));
}

fn late_events_of_a_departed_incarnation_are_ignored<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let [first, second] = [1, 2].map(|life| w(7).with_incarnation(life));
    tracker.apply(loaded(first, "a", None)).unwrap();
    tracker.apply(left(first)).unwrap();
    for event in [loaded(first, "a", None), joined(first, Some(1))] {
        assert_eq!(tracker.apply(event), ignored(Ignored::Departed));
    }
    for event in [left(first), unloaded(first, "a")] {
        assert_eq!(tracker.apply(event), ignored(Ignored::Absent));
    }
    tracker.apply(loaded(second, "a", None)).unwrap();
    for event in [loaded(first, "a", None), joined(first, Some(1))] {
        assert_eq!(tracker.apply(event), ignored(Ignored::Departed));
    }
    for event in [left(first), unloaded(first, "a")] {
        assert_eq!(tracker.apply(event), ignored(Ignored::OtherLife));
    }
    assert!(tracker.snapshot().loaded_workers("a")[0].same_incarnation(&second));
}

fn late_news_of_an_ordered_life_changes_nothing<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let [first, second] = [41, 42].map(|life| w(7).with_ordered_incarnation(life));
    tracker.apply(loaded(first, "a", None)).unwrap();
    tracker.apply(loaded(second, "a", None)).unwrap();
    for event in [
        loaded(first, "b", None),
        joined(first, Some(1)),
        unloaded(first, "a"),
        left(first),
    ] {
        assert_eq!(tracker.apply(event), ignored(Ignored::Late));
    }
    assert!(tracker.snapshot().loaded_workers("a")[0].same_incarnation(&second));
    assert_eq!(tracker.generation(), 2);
}

fn a_flap_heals_by_a_full_list<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let life = w(7).with_incarnation(41);
    tracker.apply(joined(life, Some(2))).unwrap();
    tracker.apply(left(life)).unwrap();
    let back = tracker.replace_worker(None, listed(life, Some(2), &["a"]));
    assert_eq!(back, Ok(Changed));
    assert_eq!(tracker.worker_slots(&w(7)), slots(1, Some(2)));
    // And so do events of it from then on.
    assert_eq!(tracker.apply(loaded(life, "b", None)), Ok(Changed));
}

fn a_list_is_one_change_and_leaves_nobody_over<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for id in 1..=3 {
        tracker.apply(loaded(w(id), "a", Some(2))).unwrap();
    }
    let fleet = [listed(w(2), Some(2), &["a"]), listed(w(4), None, &["b"])];
    assert_eq!(tracker.replace_all(None, fleet.clone()), Ok(Changed));
    assert_eq!(tracker.generation(), 4);
    let snapshot = tracker.snapshot();
    assert_eq!(ids(snapshot.workers()), [2, 4]);
    assert_eq!(snapshot.loaded_workers("a"), [w(2)]);
    drop(snapshot);
    assert_eq!(tracker.replace_all(None, fleet), Ok(Unchanged));
    assert_eq!(tracker.generation(), 4);
}

fn a_list_changes_nothing_that_is_newer_than_itself<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for (event, as_of) in [
        (loaded(w(1), "a", Some(2)), 1),
        (left(w(1)), 9),
        (loaded(w(2), "a", Some(2)), 2),
        (unloaded(w(2), "a"), 9),
        (loaded(w(2), "b", None), 9),
        (joined(w(3), Some(1)), 9),
        (loaded(w(4), "a", None), 3),
    ] {
        assert_eq!(tracker.apply(event.as_of(as_of)), Ok(Changed));
    }
    // As of 8: 1 is there, 2 has only "a", 3 is not there, and 4 has left.
    let fleet = [listed(w(1), Some(2), &["a"]), listed(w(2), Some(2), &["a"])];
    assert_eq!(tracker.replace_all(Some(8), fleet.clone()), Ok(Changed));
    let snapshot = tracker.snapshot();
    assert_eq!(ids(snapshot.workers()), [2, 3]);
    assert!(snapshot.loaded_workers("a").is_empty());
    assert_eq!(snapshot.loaded_workers("b"), [w(2)]);
    // An event that the list has in it is not said again; nor is an older list.
    let old = tracker.apply(loaded(w(2), "c", None).as_of(8));
    assert_eq!(old, ignored(Ignored::Older));
    assert_eq!(
        tracker.replace_all(Some(7), fleet.clone()),
        Ok(Effect::Ignored(Ignored::Older))
    );
    assert_eq!(tracker.replace_all(Some(9), fleet), Ok(Changed));
    assert_eq!(ids(tracker.snapshot().workers()), [1, 2]);
}

fn all_ranks_leave_by_one_call<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    for rank in 0..8 {
        tracker.apply(joined((7, rank).into(), Some(1))).unwrap();
    }
    tracker.apply(joined(w(8), Some(1))).unwrap();
    let worker = WorkerRanks::all(7);
    assert_eq!(tracker.apply(LoraEvent::WorkerLeft { worker }), Ok(Changed));
    assert_eq!(ids(tracker.snapshot().workers()), [8]);
    assert_eq!(tracker.generation(), 10);
    assert_eq!(
        tracker.apply(LoraEvent::WorkerLeft { worker }),
        ignored(Ignored::Absent)
    );
}

fn other_weights_under_one_name_are_a_change<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let said = |lora: LoraInfo| {
        let worker = w(1);
        tracker.apply(LoraEvent::Loaded { worker, lora })
    };
    let policy = || LoraInfo::new("policy");
    assert_eq!(
        said(policy().with_version("v1").with_rank(8).with_bytes(7)),
        Ok(Changed)
    );
    assert_eq!(
        said(policy()),
        Ok(Unchanged),
        "it says nothing of the version"
    );
    assert!(tracker.touch(&w(1), "policy", 5));
    assert_eq!(said(policy().with_version("v2")), Ok(Changed));
    assert_eq!(said(policy().with_version("v2")), Ok(Unchanged));
    let snapshot = tracker.snapshot();
    let lora = snapshot.lora(&w(1), "policy").unwrap();
    assert_eq!(lora.version().map(|version| &**version), Some("v2"));
    assert_eq!(
        (lora.rank(), lora.bytes()),
        (None, None),
        "that was of the old weights"
    );
    assert_eq!(lora.last_used(), 5);
    assert_eq!(snapshot.generation(), 2);
}

fn the_coldest_is_the_one_to_evict<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let coldest = || {
        let snapshot = tracker.snapshot();
        snapshot.coldest(&w(1)).map(|lora| lora.name().to_string())
    };
    assert_eq!(coldest(), None);
    for name in ["b", "a", "c"] {
        tracker.apply(loaded(w(1), name, None)).unwrap();
    }
    let lora = LoraInfo::new("pinned").pinned();
    let worker = w(1);
    tracker.apply(LoraEvent::Loaded { worker, lora }).unwrap();
    tracker.apply(loading(w(1), "coming")).unwrap();
    assert_eq!(
        coldest().as_deref(),
        Some("a"),
        "never touched, and the first by name"
    );
    assert!(tracker.touch(&w(1), "a", 10) && tracker.touch(&w(1), "b", 30));
    assert_eq!(coldest().as_deref(), Some("c"));
    assert!(tracker.touch(&w(1), "c", 20));
    assert_eq!(coldest().as_deref(), Some("a"));
    assert!(tracker.touch(&w(1), "a", 40) && tracker.touch(&w(1), "a", 35));
    assert_eq!(coldest().as_deref(), Some("c"), "time does not go back");
    assert!(!tracker.touch(&w(1), "nothing", 1) && !tracker.touch(&w(2), "a", 1));
    assert_eq!(tracker.generation(), 5, "a touch is no event");
}

fn who_has_not_registered_is_not_shown<M: LoraMap + Default>() {
    let config = TrackerConfig::new().with_registration_required(true);
    let tracker = LoraTracker::with_map(config, M::default());
    tracker.apply(loaded(w(1), "a", Some(2))).unwrap();
    tracker.apply(loaded(w(2), "b", Some(2))).unwrap();
    tracker.apply(unloaded(w(2), "b")).unwrap();
    let snapshot = tracker.snapshot();
    assert!(snapshot.loaded_workers("a").is_empty() && snapshot.workers().next().is_none());
    assert!(snapshot.candidates("a").first().is_none());
    assert_eq!(snapshot.worker_slots(&w(1)), None);
    drop(snapshot);
    assert_eq!(tracker.apply(joined(w(1), None)), Ok(Changed));
    assert_eq!(first(&tracker, "a"), Some((Tier::Resident, vec![1])));
    assert_eq!(tracker.worker_slots(&w(1)), slots(1, Some(2)));
    // A list registers, too.
    tracker
        .replace_worker(None, listed(w(2), Some(2), &["a"]))
        .unwrap();
    assert_eq!(first(&tracker, "a"), Some((Tier::Resident, vec![1, 2])));
}

fn an_event_without_an_incarnation_speaks_of_whichever_is_there<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker
        .apply(joined(w(7).with_incarnation(1), None))
        .unwrap();
    assert_eq!(tracker.apply(loaded(w(7), "a", None)), Ok(Changed));
    assert_eq!(
        tracker.snapshot().loaded_workers("a")[0].incarnation(),
        Some(worker_id::Incarnation::Opaque(1))
    );
    assert_eq!(tracker.apply(unloaded(w(7), "a")), Ok(Changed));
    assert_eq!(tracker.apply(left(w(7))), Ok(Changed));
    assert!(tracker.snapshot().is_empty());
    // Without one, nothing tells a late event from a new life.
    assert_eq!(tracker.apply(loaded(w(7), "a", None)), Ok(Changed));
}

fn reordered_and_duplicated_events<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let life = w(7).with_incarnation(1);
    assert_eq!(
        tracker.apply(left(life)),
        ignored(Ignored::Absent),
        "before it has come"
    );
    assert_eq!(
        tracker.apply(joined(life, Some(1))),
        ignored(Ignored::Departed)
    );
    assert_eq!(tracker.apply(unloaded(w(8), "a")), ignored(Ignored::Absent));
    for _ in 0..2 {
        let _ = tracker.apply(loaded(w(8), "a", Some(1)));
    }
    assert_eq!(tracker.worker_slots(&w(8)), slots(1, Some(1)));
    assert_eq!(tracker.apply(left(w(8))), Ok(Changed));
    assert_eq!(tracker.apply(left(w(8))), ignored(Ignored::Absent));
    assert_eq!(tracker.generation(), 2);
    // Of another incarnation than the one that is there, and of none that has departed.
    let [first, second, third] = [1, 2, 3].map(|life| w(9).with_incarnation(life));
    tracker.apply(joined(first, None)).unwrap();
    assert_eq!(tracker.apply(left(second)), ignored(Ignored::OtherLife));
    assert_eq!(
        tracker.apply(joined(second, None)),
        ignored(Ignored::Departed)
    );
    assert_eq!(
        tracker.apply(unloaded(third, "a")),
        ignored(Ignored::OtherLife)
    );
    assert_eq!(tracker.apply(joined(third, Some(1))), Ok(Changed));
}

fn reordered_events_with_revisions<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    // Facts of one worker, out of order: none is lost, and none is taken back.
    for (event, as_of, effect) in [
        (loaded(w(1), "b", None), 6, Changed),
        (loaded(w(1), "a", None), 5, Changed),
        (joined(w(1), Some(4)), 4, Changed),
        (joined(w(1), Some(2)), 3, Unchanged),
        (unloaded(w(1), "c"), 9, Unchanged),
        (loaded(w(1), "c", None), 8, Effect::Ignored(Ignored::Older)),
        (unloaded(w(1), "b"), 5, Effect::Ignored(Ignored::Older)),
        (left(w(1)), 2, Effect::Ignored(Ignored::Older)),
        (left(w(1)), 10, Changed),
        (loaded(w(1), "a", None), 7, Effect::Ignored(Ignored::Older)),
        (loaded(w(1), "a", None), 11, Changed),
    ] {
        assert_eq!(
            tracker.apply(event.clone().as_of(as_of)),
            Ok(effect),
            "{event:?} {as_of}"
        );
    }
    assert_eq!(tracker.worker_slots(&w(1)), slots(1, None));
}

fn bad_names_are_refused_and_given_back<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    let longest = "n".repeat(MAX_NAME_LEN);
    assert_eq!(tracker.apply(loaded(w(1), &longest, None)), Ok(Changed));
    assert!(tracker.is_loaded(&w(1), &longest));

    let long = "é".repeat(5_000);
    for (name, rule) in [
        ("", NameRule::Empty),
        (&*long, NameRule::TooLong { len: 10_000 }),
    ] {
        for event in [loaded(w(2), name, Some(1)), unloaded(w(1), name)] {
            let error = tracker.apply(event.clone()).unwrap_err();
            assert_eq!(
                (&error.given.event, error.index, error.rule),
                (&event, 0, rule)
            );
            assert!(error.name.len() <= 256);
        }
        let batch = vec![
            joined(w(3), None),
            loaded(w(3), "a", None),
            loaded(w(3), name, None),
        ];
        let error = tracker.apply_batch(batch.clone()).unwrap_err();
        let given: Vec<_> = error.given.into_iter().map(|news| news.event).collect();
        assert_eq!((given, error.index, error.rule), (batch, 2, rule));
        let entry = listed(w(1), None, &["a", name]);
        let error = tracker.replace_worker(None, entry.clone()).unwrap_err();
        assert_eq!((&*error.given, error.index, error.rule), (&entry, 1, rule));
        let fleet = vec![listed(w(1), None, &["a"]), entry];
        let error = tracker.replace_all(None, fleet.clone()).unwrap_err();
        assert_eq!((&*error.given, error.index, error.rule), (&fleet, 1, rule));
        let error = tracker.begin_load(name, &Tier::ALL).unwrap_err();
        assert_eq!((&**error.given, error.rule), (name, rule));
        assert!(
            tracker.snapshot().loaded_workers(name).is_empty() && !tracker.is_loaded(&w(1), name)
        );
    }
    assert_eq!(
        tracker.generation(),
        1,
        "none was applied, in part or whole"
    );
    let error = tracker.apply(loaded(w(1), "", None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the adapter name \"\" at index 0 is empty; a name has 1 to 4096 bytes: leave it out, or \
         name the adapter by less"
    );
}

fn an_answer_keeps_its_instant<M: LoraMap + Default>() {
    let tracker = tracker::<M>();
    tracker.apply(loaded(w(1), "a", Some(2))).unwrap();
    let snapshots = [tracker.snapshot(), tracker.snapshot().detach()];
    for round in 0..5 {
        tracker.apply(loaded(w(2 + round), "b", Some(1))).unwrap();
        tracker.apply(left(w(1))).unwrap();
        for snapshot in &snapshots {
            assert_eq!(snapshot.loaded_workers("a"), [w(1)]);
            assert_eq!(ids(snapshot.workers_with_free_slots()), [1]);
            assert_eq!(ids(snapshot.candidates("a").tier(Tier::Resident)), [1]);
            assert!(snapshot.loras().map(|(name, _)| &**name).eq(["a"]));
            assert_eq!((snapshot.generation(), snapshot.workers().count()), (1, 1));
            // Also what is asked by worker, though the map has forgotten it.
            assert_eq!(snapshot.worker_slots(&w(1)), slots(1, Some(2)));
            assert_eq!(snapshot.worker_slots(&w(2)), None);
        }
    }
    let (first, again) = (tracker.snapshot(), tracker.snapshot());
    assert_eq!(first.loaded_workers("b").len(), 5);
    let [first, again] = [&first, &again].map(|each| each.loaded_workers("b"));
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
    assert_eq!(tracker.snapshot().workers().count(), 108);
}

#[test]
fn names_are_shared_by_all_who_mention_them() {
    let event = loaded(w(1), "a", None);
    assert_eq!(event.worker(), w(1).into());
    assert_eq!(event.lora_name().map(|name| &**name), Some("a"));
    assert_eq!(left(w(1)).lora_name(), None);
    let info = LoraInfo::new(Arc::<str>::from("a")).with_capacity(Some(1));
    assert_eq!(
        LoraInfo::new(String::from("a")).with_capacity(Some(1)),
        info
    );
}
