//! Configuration comes in as text, and what goes out comes back.

use router_snapshot::{Connection, Role, RouterClass, RouterId, RouterMode, Runtime, WorkerSpec};
use serde_json::{from_value, json, to_value};
use worker_id::{AsText, WorkerState, WorkerWithDpRank};

#[test]
fn a_worker_goes_out_and_comes_back() {
    let spec = WorkerSpec::<()>::new(WorkerWithDpRank::new(7, 1), ["a", "b"])
        .with_role(Role::Decode)
        .with_connection(Connection::Grpc)
        .with_runtime(Runtime::External)
        .with_state(WorkerState::Draining);
    let json = to_value(&spec).unwrap();
    assert_eq!(json["models"], json!(["a", "b"]));
    assert_eq!(
        [&json["role"], &json["connection"], &json["runtime"]],
        ["decode", "grpc", "external"]
    );
    assert_eq!(json["state"], "draining");
    assert_eq!(from_value::<WorkerSpec>(json).unwrap(), spec);
    let least = json!({"id": {"worker_id": 7, "dp_rank": 1}, "models": ["a", "b"]});
    let least: WorkerSpec<std::net::TcpStream> = from_value(least).unwrap();
    assert_eq!((least.role, least.state), (Role::Regular, None));
    assert!(
        least.payload.is_none(),
        "what belongs to a worker is not written"
    );
    let by_id = std::collections::BTreeMap::from([(AsText(spec.id), spec.role)]);
    assert_eq!(to_value(by_id).unwrap(), json!({"7:1": "decode"}));
}

#[test]
fn names_are_those_that_are_displayed() {
    for class in RouterClass::ALL {
        assert_eq!(to_value(class).unwrap(), class.to_string());
    }
    for role in [Role::Regular, Role::Prefill, Role::Decode] {
        assert_eq!(to_value(role).unwrap(), role.to_string());
    }
    for connection in [Connection::Http, Connection::Grpc] {
        assert_eq!(to_value(connection).unwrap(), connection.to_string());
    }
    for runtime in [Runtime::Local, Runtime::External] {
        assert_eq!(to_value(runtime).unwrap(), runtime.to_string());
    }
    for mode in [
        RouterMode::Single,
        RouterMode::Multi,
        RouterMode::MultiOrDefault,
    ] {
        assert_eq!(to_value(mode).unwrap(), mode.to_string());
    }
    let id: RouterId = from_value(json!("http")).unwrap();
    assert_eq!(
        (id.as_str(), to_value(&id).unwrap()),
        ("http", json!("http"))
    );
}
