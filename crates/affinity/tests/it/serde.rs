//! The form with named fields of what is configured, and of bindings.

use std::time::Duration;

use affinity::{Binding, BindingKind, ExpireCause, Leg, MemoryStoreConfig, Stickiness, WhenFull};
use serde_json::{from_value, json, to_value};

#[test]
fn a_config_round_trips_and_refuses_what_it_does_not_know() {
    let config = MemoryStoreConfig {
        ttl: Duration::from_millis(1_500),
        capacity: 7,
        when_full: WhenFull::EvictOldestIdle,
        ..MemoryStoreConfig::default()
    };
    let value = to_value(config).unwrap();
    assert_eq!(value["when_full"], "evict_oldest_idle");
    assert_eq!(from_value::<MemoryStoreConfig>(value).unwrap(), config);
    assert_eq!(
        from_value::<MemoryStoreConfig>(json!({})).unwrap(),
        MemoryStoreConfig::default()
    );
    let error = from_value::<MemoryStoreConfig>(json!({"capcity": 1})).unwrap_err();
    assert!(error.to_string().contains("capcity"), "{error}");
}

#[test]
fn bindings_and_names_round_trip() {
    let worker = "7:1@41".parse().unwrap();
    let binding = Binding {
        worker,
        kind: BindingKind::EngineBacked,
        generation: 3,
    };
    let value = to_value(binding).unwrap();
    assert_eq!(
        (&value["kind"], &value["generation"]),
        (&json!("engine_backed"), &json!(3))
    );
    let back: Binding = from_value(value).unwrap();
    assert!(back == binding && back.worker.same_incarnation(&worker));
    assert_eq!(
        to_value((Leg::Prefill, Stickiness::Hard, ExpireCause::Idle)).unwrap(),
        json!(["prefill", "hard", "idle"])
    );
}
