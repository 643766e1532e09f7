//! Configuration comes in as text, and what goes out comes back.

use router_snapshot::{Connection, Role, RouterClass, RouterId, RouterMode, Runtime, WorkerSpec};
use serde_json::{from_value, json, to_value};
use worker_id::WorkerWithDpRank;

#[test]
fn a_worker_goes_out_and_comes_back() {
    let spec = WorkerSpec {
        role: Role::Decode,
        connection: Connection::Grpc,
        runtime: Runtime::External,
        healthy: false,
        ..WorkerSpec::new(WorkerWithDpRank::new(7, 1), ["a", "b"])
    };
    let json = to_value(&spec).unwrap();
    assert_eq!(json["models"], json!(["a", "b"]));
    assert_eq!(
        [&json["role"], &json["connection"], &json["runtime"]],
        ["decode", "grpc", "external"]
    );
    assert_eq!(from_value::<WorkerSpec>(json).unwrap(), spec);
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
    assert_eq!(to_value(RouterMode::Single).unwrap(), "single");
    let id: RouterId = from_value(json!("http")).unwrap();
    assert_eq!(
        (id.as_str(), to_value(&id).unwrap()),
        ("http", json!("http"))
    );
}
