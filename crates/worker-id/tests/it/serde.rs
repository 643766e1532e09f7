//! The form with named fields, in a format that is read by people and in one that is not

//! self-describing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{from_str, json, to_value};
use worker_id::{AsText, EndpointInstanceId, Ranks, WorkerRanks, WorkerState, WorkerWithDpRank};

fn any_worker() -> impl Strategy<Value = WorkerWithDpRank> {
    any::<(u64, u32, Option<u64>, bool)>().prop_map(|(id, rank, incarnation, ordered)| {
        let worker = WorkerWithDpRank::new(id, rank);
        match incarnation {
            Some(number) if ordered => worker.with_ordered_incarnation(number),
            Some(number) => worker.with_incarnation(number),
            None => worker,
        }
    })
}

fn any_ranks() -> impl Strategy<Value = WorkerRanks> {
    (any_worker(), any::<bool>()).prop_map(|(worker, all)| {
        let ranks = if all {
            Ranks::All
        } else {
            Ranks::One(worker.dp_rank)
        };
        WorkerRanks {
            ranks,
            ..worker.into()
        }
    })
}

proptest! {
    #[test]
    fn workers_round_trip(workers in prop::collection::vec(any_worker(), 0..4)) {
        // In a sequence, so that a field too few or too many spoils the one behind it.
        let json = serde_json::to_string(&workers).unwrap();
        let binary = postcard::to_allocvec(&workers).unwrap();
        for back in [from_str(&json).unwrap(), postcard::from_bytes::<Vec<_>>(&binary).unwrap()] {
            let back: Vec<WorkerWithDpRank> = back;
            prop_assert_eq!(back.len(), workers.len());
            prop_assert!(back.iter().zip(&workers).all(|(a, b)| a.same_incarnation(b)));
        }
    }

    #[test]
    fn ranks_round_trip(ranks in prop::collection::vec(any_ranks(), 0..4)) {
        let json = serde_json::to_string(&ranks).unwrap();
        let binary = postcard::to_allocvec(&ranks).unwrap();
        prop_assert_eq!(&from_str::<Vec<WorkerRanks>>(&json).unwrap(), &ranks);
        prop_assert_eq!(postcard::from_bytes::<Vec<WorkerRanks>>(&binary).unwrap(), ranks);
    }

    #[test]
    fn text_is_a_key_and_reads_back(
        workers in prop::collection::btree_map(any_worker(), 0..9, 0..4),
    ) {
        let load: BTreeMap<_, i32> = workers.iter().map(|(w, n)| (AsText(*w), *n)).collect();
        let json = serde_json::to_string(&load).unwrap();
        let back: BTreeMap<AsText<WorkerWithDpRank>, i32> = from_str(&json).unwrap();
        prop_assert_eq!(back.len(), load.len());
        for ((a, n), (b, m)) in back.iter().zip(&load) {
            prop_assert!(a.0.same_incarnation(&b.0) && n == m);
        }
        let binary = postcard::to_allocvec(&load).unwrap();
        prop_assert_eq!(postcard::from_bytes::<BTreeMap<_, _>>(&binary).unwrap(), load);
    }

    #[test]
    fn instances_round_trip(names in prop::array::uniform3("[^/\\s\\pC]{1,20}"), id: u64) {
        let [namespace, component, endpoint] = names;
        let instance = EndpointInstanceId::new(&namespace, &component, &endpoint, id).unwrap();
        let json = serde_json::to_string(&instance).unwrap();
        prop_assert_eq!(&from_str::<EndpointInstanceId>(&json).unwrap(), &instance);
        let binary = postcard::to_allocvec(&instance).unwrap();
        prop_assert_eq!(postcard::from_bytes::<EndpointInstanceId>(&binary).unwrap(), instance);
    }
}

#[test]
fn json_has_named_fields_and_leaves_out_an_unknown_incarnation() {
    let worker = WorkerWithDpRank::new(7, 1);
    assert_eq!(
        to_value(worker).unwrap(),
        json!({"worker_id": 7, "dp_rank": 1})
    );
    assert_eq!(
        to_value(worker.with_incarnation(0)).unwrap(),
        json!({"worker_id": 7, "dp_rank": 1, "incarnation": 0})
    );
    assert_eq!(
        to_value(worker.with_ordered_incarnation(42)).unwrap(),
        json!({"worker_id": 7, "dp_rank": 1, "ordered_incarnation": 42})
    );
    assert_eq!(
        to_value(WorkerRanks::all(7).with_ordered_incarnation(42)).unwrap(),
        json!({"worker_id": 7, "ordered_incarnation": 42})
    );
    assert_eq!(
        to_value(WorkerRanks::from(worker)).unwrap(),
        to_value(worker).unwrap()
    );
    assert_eq!(to_value(WorkerState::Draining).unwrap(), json!("draining"));
    let instance: EndpointInstanceId = "a/b/c/1".parse().unwrap();
    assert_eq!(
        to_value(instance).unwrap(),
        json!({"namespace": "a", "component": "b", "endpoint": "c", "instance_id": 1})
    );
}

#[test]
fn only_the_incarnation_may_be_missing_and_unknown_fields_are_ignored() {
    for text in [
        r#"{"worker_id": 7, "dp_rank": 1}"#,
        r#"{"worker_id": 7, "dp_rank": 1, "incarnation": null, "zone": "b"}"#,
        "[7, 1]",
    ] {
        let worker: WorkerWithDpRank = from_str(text).unwrap();
        assert!(
            worker.same_incarnation(&WorkerWithDpRank::new(7, 1)),
            "{text}"
        );
    }
    for text in [
        r#"{"worker_id": 7}"#,
        r#"{"dp_rank": 1}"#,
        r#"{"worker_id": 7, "dp_rank": 1, "incarnation": 1, "ordered_incarnation": 1}"#,
        r#"{"worker_id": -7, "dp_rank": 1}"#,
    ] {
        assert!(from_str::<WorkerWithDpRank>(text).is_err(), "{text}");
    }

    let instance = r#"{"namespace": "\u0061", "component": "b", "endpoint": "c", "instance_id": 1, "zone": "b"}"#;
    assert_eq!(
        from_str::<EndpointInstanceId>(instance)
            .unwrap()
            .to_string(),
        "a/b/c/1"
    );
    assert!(
        from_str::<EndpointInstanceId>(r#"{"namespace": "a", "component": "b", "endpoint": "c"}"#)
            .is_err()
    );
}

#[test]
fn a_text_that_is_none_is_refused_with_the_rule() {
    let error = from_str::<AsText<WorkerWithDpRank>>(r#""7""#).unwrap_err();
    assert!(error.to_string().contains("dp_rank is missing"), "{error}");
    assert!(from_str::<AsText<WorkerWithDpRank>>("7").is_err());
}

#[test]
fn names_are_validated_as_the_constructor_does() {
    let error = from_str::<EndpointInstanceId>(
        r#"{"namespace": "a", "component": "b/x", "endpoint": "c", "instance_id": 1}"#,
    );
    let expected = EndpointInstanceId::new("a", "b/x", "c", 1)
        .unwrap_err()
        .to_string();
    assert!(error.unwrap_err().to_string().starts_with(&expected));
}
