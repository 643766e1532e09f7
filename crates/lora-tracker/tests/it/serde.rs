//! The form with named fields, in a format that is read by people and in one that is not self-describing.

use lora_tracker::{LoraEvent, LoraInfo, LoraMap, LoraTracker, Slots, TrackerConfig};
use proptest::prelude::*;
use serde_json::{from_value, json, to_value};
use state_map::model::ReferenceMap;
use worker_id::WorkerWithDpRank;

prop_compose! {
    fn event()(
        kind in 0..4,
        (id, rank, life) in any::<(u64, u32, Option<u64>)>(),
        name in ".{0,12}",
        number: Option<u32>,
    ) -> LoraEvent {
        let worker = WorkerWithDpRank::new(id, rank);
        let worker = life.map_or(worker, |life| worker.with_incarnation(life));
        match kind {
            0 => LoraEvent::Loaded { worker, lora: LoraInfo::new(name, number) },
            1 => LoraEvent::Unloaded { worker, name: name.into() },
            2 => LoraEvent::WorkerJoined { worker, capacity: number },
            _ => LoraEvent::WorkerLeft { worker },
        }
    }
}

proptest! {
    #[test]
    fn events_round_trip(event in event()) {
        let json = serde_json::to_string(&event).unwrap();
        let binary = postcard::to_allocvec(&event).unwrap();
        for back in [serde_json::from_str(&json).unwrap(), postcard::from_bytes::<LoraEvent>(&binary).unwrap()] {
            prop_assert_eq!(&back, &event);
            prop_assert!(back.worker().same_incarnation(&event.worker()));
        }
    }
}

#[test]
fn events_are_named_as_in_the_literal() {
    let worker = WorkerWithDpRank::new(7, 1);
    let shown = json!({"worker_id": 7, "dp_rank": 1});
    let loaded = LoraEvent::Loaded {
        worker,
        lora: LoraInfo::new("a", Some(4)),
    };
    let written =
        json!({"loaded": {"worker": shown, "lora": {"name": "a", "max_gpu_lora_count": 4}}});
    assert_eq!(to_value(&loaded).unwrap(), written);
    let least = json!({"loaded": {"worker": shown, "lora": {"name": "a"}}});
    let expected = LoraEvent::Loaded {
        worker,
        lora: LoraInfo::new("a", None),
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
    let unknown = from_value::<LoraEvent>(json!({"laoded": {"worker": shown}}));
    assert!(unknown.unwrap_err().to_string().contains("laoded"));
}

#[test]
fn a_view_is_written_in_order() {
    fn fill<M: LoraMap>(tracker: &LoraTracker<M>, ids: [u64; 2]) {
        for id in ids {
            let worker = WorkerWithDpRank::from_worker_id(id);
            for name in ["b", "a"] {
                let lora = LoraInfo::new(name, (id == 1).then_some(3));
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
            {"worker": first, "loaded": 2, "capacity": 3},
            {"worker": second, "loaded": 2, "capacity": null},
        ],
        "loras": [
            {"name": "a", "workers": [first, second]},
            {"name": "b", "workers": [first, second]},
        ],
    });
    assert_eq!(to_value(one.view()).unwrap(), expected);
    assert_eq!(to_value(other.view()).unwrap(), expected);
}

#[test]
fn configs_and_slots() {
    let config = TrackerConfig {
        default_capacity: Some(4),
    };
    assert_eq!(to_value(config).unwrap(), json!({"default_capacity": 4}));
    assert_eq!(
        from_value::<TrackerConfig>(json!({})).unwrap(),
        TrackerConfig::default()
    );
    assert!(from_value::<TrackerConfig>(json!({"default_capacty": 4})).is_err());
    let slots = Slots {
        loaded: 1,
        capacity: None,
    };
    assert_eq!(
        from_value::<Slots>(to_value(slots).unwrap()).unwrap(),
        slots
    );
}
