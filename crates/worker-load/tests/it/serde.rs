//! What a configuration may say, and what a look shows.

use worker_load::{Capacity, Cost, Mix};

use crate::{AnyMap, fleet};

#[test]
fn what_is_left_out_takes_its_default() {
    let capacity: Capacity = serde_json::from_str(r#"{"requests": 256}"#).unwrap();
    assert_eq!(capacity, Capacity::requests(256));
    let cost: Cost = serde_json::from_str(r#"{"prefill": 3}"#).unwrap();
    assert_eq!(cost, Cost::tokens(3, 0));
    let mix: Mix = serde_json::from_str("{}").unwrap();
    assert_eq!(mix, Mix::requests());
}

#[test]
fn what_is_not_known_is_refused() {
    assert!(serde_json::from_str::<Capacity>(r#"{"request": 256}"#).is_err());
    assert!(serde_json::from_str::<Capacity>(r#"{"weight": 0}"#).is_err());
    assert!(serde_json::from_str::<Cost>(r#"{"prefil": 3}"#).is_err());
}

#[test]
fn a_snapshot_can_be_shown() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    let shown = serde_json::to_value(loads.snapshot()).unwrap();
    assert_eq!(shown["workers"][0]["requests"], 0);
}
