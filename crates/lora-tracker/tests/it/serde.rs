//! The form with named fields, in a format that is read by people and in one that is not
//! self-describing.

use lora_tracker::{
    ListedWorker, LoraEvent, LoraInfo, LoraMap, LoraNews, LoraTracker, Slots, TrackerConfig,
};
use proptest::prelude::*;
use serde_json::{from_value, json, to_value};
use state_map::model::ReferenceMap;
use worker_id::{WorkerRanks, WorkerWithDpRank};

prop_compose! {
    fn event()(
        kind in 0..7,
        (id, rank, life) in any::<(u64, u32, Option<u64>)>(),
        name in ".{0,12}",
        number: Option<u32>,
    ) -> LoraEvent {
        let worker = WorkerWithDpRank::new(id, rank);
        let worker = life.map_or(worker, |life| worker.with_incarnation(life));
        match kind {
            0 => LoraEvent::Loaded { worker, lora: LoraInfo::new(name).with_capacity(number) },
            1 => LoraEvent::Unloaded { worker, name: name.into() },
            2 => LoraEvent::WorkerJoined { worker, capacity: number },
            3 => {
                let lora = LoraInfo::new(name).with_version("v1").pinned();
                LoraEvent::Loading { worker, lora }
            }
            4 => LoraEvent::LoadFailed { worker, name: name.into(), reason: "no memory".into() },
            5 => LoraEvent::WorkerLeft { worker: WorkerRanks::all(id) },
            _ => LoraEvent::WorkerLeft { worker: worker.into() },
        }
    }
}

proptest! {
    #[test]
    fn events_round_trip(event in event()) {
        let json = serde_json::to_string(&event).unwrap();
        let binary = postcard::to_allocvec(&event).unwrap();
        let read: LoraEvent = serde_json::from_str(&json).unwrap();
        for back in [read, postcard::from_bytes(&binary).unwrap()] {
            prop_assert_eq!(&back, &event);
            // In this one the incarnation counts.
            prop_assert_eq!(back.worker(), event.worker());
        }
    }
}

#[test]
fn events_are_named_as_in_the_literal() {
    let worker = WorkerWithDpRank::new(7, 1);
    let shown = json!({"worker_id": 7, "dp_rank": 1});
    let loaded = LoraEvent::Loaded {
        worker,
        lora: LoraInfo::new("a").with_capacity(Some(4)),
    };
    let written = json!({"loaded": {"worker": shown, "lora": {"name": "a", "max_gpu_lora_count": 4,
            "version": null, "rank": null, "bytes": null, "pinned": null}}});
    assert_eq!(to_value(&loaded).unwrap(), written);
    let least = json!({"loaded": {"worker": shown, "lora": {"name": "a"}}});
    let expected = LoraEvent::Loaded {
        worker,
        lora: LoraInfo::new("a"),
    };
    assert_eq!(from_value::<LoraEvent>(least).unwrap(), expected);
    let joined = from_value::<LoraEvent>(json!({"worker_joined": {"worker": shown}}));
    assert_eq!(
        joined.unwrap(),
        LoraEvent::WorkerJoined {
            worker,
            capacity: None
        }
    );
    let left = from_value::<LoraEvent>(json!({"worker_left": {"worker": {"worker_id": 7}}}));
    let worker = WorkerRanks::all(7);
    assert_eq!(left.unwrap(), LoraEvent::WorkerLeft { worker });
    let news = json!({"worker_left": {"worker": {"worker_id": 7}}, "as_of": 9});
    let expected = LoraEvent::WorkerLeft { worker }.as_of(9);
    assert_eq!(from_value::<LoraNews>(news).unwrap(), expected);
    let entry = from_value::<ListedWorker>(json!({"worker": shown, "loras": [{"name": "a"}]}));
    let expected = ListedWorker::new((7, 1).into(), None, [LoraInfo::new("a")]);
    assert_eq!(entry.unwrap(), expected);
    let unknown = from_value::<LoraEvent>(json!({"laoded": {"worker": shown}}));
    assert!(unknown.unwrap_err().to_string().contains("laoded"));
}

#[test]
fn a_view_is_written_in_order() {
    fn fill<M: LoraMap>(tracker: &LoraTracker<M>, ids: [u64; 2]) {
        for id in ids {
            let worker = WorkerWithDpRank::from_worker_id(id);
            for name in ["b", "a"] {
                let lora = LoraInfo::new(name).with_capacity((id == 1).then_some(3));
                tracker.apply(LoraEvent::Loaded { worker, lora }).unwrap();
            }
        }
    }
    let one = LoraTracker::<ReferenceMap<_, _>>::default();
    fill(&one, [2, 1]);
    let other = LoraTracker::<ReferenceMap<_, _>>::default();
    fill(&other, [1, 2]);
    let [first, second] = [1, 2].map(|id| json!({"worker_id": id, "dp_rank": 0}));
    let expected = json!({
        "generation": 4,
        "total_slots": 3,
        "workers": [
            {"worker": first, "loaded": 2, "loading": 0, "capacity": 3},
            {"worker": second, "loaded": 2, "loading": 0, "capacity": null},
        ],
        "loras": [
            {"name": "a", "workers": [first, second]},
            {"name": "b", "workers": [first, second]},
        ],
    });
    assert_eq!(to_value(one.snapshot()).unwrap(), expected);
    assert_eq!(to_value(other.snapshot()).unwrap(), expected);
}

#[test]
fn configs_and_slots() {
    let config = TrackerConfig::new().with_default_capacity(4);
    let written = to_value(config).unwrap();
    assert_eq!(from_value::<TrackerConfig>(written).unwrap(), config);
    let some = json!({"default_capacity": 4});
    assert_eq!(from_value::<TrackerConfig>(some).unwrap(), config);
    assert_eq!(
        from_value::<TrackerConfig>(json!({})).unwrap(),
        TrackerConfig::default()
    );
    assert!(from_value::<TrackerConfig>(json!({"default_capacty": 4})).is_err());
    let slots = Slots {
        loaded: 1,
        loading: 2,
        capacity: None,
    };
    assert_eq!(
        from_value::<Slots>(to_value(slots).unwrap()).unwrap(),
        slots
    );
}
