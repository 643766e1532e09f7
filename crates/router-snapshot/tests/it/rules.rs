//! Each rule of selection, by example.

use crate::backends::{ReferenceRouters, Upstream, spec, worker};
use router_snapshot::RouterClass::{External, GrpcPd, GrpcRegular, HttpPd, HttpRegular};
use router_snapshot::{
    Connection, Role, RouterClass, RouterManager, RouterMode, Runtime, SelectError, Selected,
    Selection, WorkerSpec,
};

type Manager = RouterManager<Upstream, ReferenceRouters>;

fn manager(mode: RouterMode) -> Manager {
    RouterManager::with_map(mode, ReferenceRouters::default())
}

/// Routers named as their classes, in this order; workers of these classes, all serving `m`.
fn with(routers: &[RouterClass], workers: &[RouterClass], default: Option<RouterClass>) -> Manager {
    let manager = manager(RouterMode::Multi);
    manager
        .update(|batch| {
            for (class, number) in routers.iter().zip(0..) {
                batch.register(class.to_string(), Upstream::new(*class, number));
            }
            for (class, number) in workers.iter().zip(0..) {
                batch.upsert_worker(spec(number, *class, &["m"]));
            }
            if let Some(class) = default {
                batch.set_default(class.to_string());
            }
        })
        .unwrap();
    manager
}

fn class_for(
    manager: &Manager,
    model: Option<&str>,
    prefer_pd: bool,
) -> Result<RouterClass, SelectError> {
    let selected = manager.select(&Selection { model, prefer_pd })?;
    selected.check();
    assert_eq!(Selected::class(&selected), selected.class);
    assert_eq!(Selected::id(&selected).as_str(), selected.class.to_string());
    Ok(selected.class)
}

#[test]
fn a_model_is_served_by_the_best_class_that_has_a_router_and_a_worker() {
    for (at, best) in RouterClass::ALL.into_iter().enumerate() {
        // Registered from the worst to the best, so that order does not help.
        let rest: Vec<_> = RouterClass::ALL[at..].iter().rev().copied().collect();
        let all: Vec<_> = RouterClass::ALL.into_iter().rev().collect();
        for prefer_pd in [false, true] {
            let named = |manager: &Manager| class_for(manager, Some("m"), prefer_pd);
            assert_eq!(named(&with(&all, &rest, None)), Ok(best), "by workers");
            assert_eq!(named(&with(&rest, &all, None)), Ok(best), "by routers");
        }
    }
}

#[test]
fn a_model_without_a_class_is_served_by_the_default_router_if_its_kind_has_a_worker() {
    let none = Err(SelectError::NoWorkers);
    // Routers, workers (all of the model `m`), default, and what the models `m` and `unknown` get.
    let cases: [(&[_], &[_], _, _, _); 9] = [
        (&[], &[HttpRegular], None, none.clone(), none.clone()),
        (&[HttpPd], &[HttpRegular], None, none.clone(), none.clone()),
        (
            &[HttpPd],
            &[HttpRegular],
            Some(HttpPd),
            none.clone(),
            none.clone(),
        ),
        (&[HttpPd], &[GrpcPd], Some(HttpPd), Ok(HttpPd), Ok(HttpPd)),
        (
            &[HttpRegular],
            &[GrpcPd],
            Some(HttpRegular),
            none.clone(),
            none.clone(),
        ),
        (
            &[HttpRegular],
            &[External],
            Some(HttpRegular),
            Ok(HttpRegular),
            Ok(HttpRegular),
        ),
        (
            &[External],
            &[GrpcRegular],
            Some(External),
            Ok(External),
            Ok(External),
        ),
        (
            &[GrpcRegular, HttpPd],
            &[HttpPd, GrpcRegular],
            Some(GrpcRegular),
            Ok(HttpPd),
            Ok(GrpcRegular),
        ),
        (&[GrpcRegular], &[], Some(GrpcRegular), none.clone(), none),
    ];
    for (routers, workers, default, m, unknown) in cases {
        let manager = with(routers, workers, default);
        let case = format!("{routers:?} {workers:?} {default:?}");
        assert_eq!(class_for(&manager, Some("m"), false), m, "{case}");
        assert_eq!(
            class_for(&manager, Some("unknown"), true),
            unknown,
            "{case}"
        );
    }
}

#[test]
fn without_a_model_kind_comes_first_and_then_the_order_of_registration() {
    let none = Err(SelectError::NoWorkers);
    // Routers, workers, and what requests get that prefer regular routers, and PD ones.
    let cases: [(&[_], &[_], _, _); 9] = [
        (&[], &[], none.clone(), none.clone()),
        (&[HttpRegular, HttpPd], &[], none.clone(), none.clone()),
        (&[], &[HttpRegular, HttpPd], none.clone(), none.clone()),
        (
            &[HttpPd, HttpRegular],
            &[HttpPd, HttpRegular],
            Ok(HttpRegular),
            Ok(HttpPd),
        ),
        (&[HttpPd, HttpRegular], &[HttpPd], Ok(HttpPd), Ok(HttpPd)),
        (
            &[HttpPd, HttpRegular],
            &[HttpRegular],
            Ok(HttpRegular),
            Ok(HttpRegular),
        ),
        (&[HttpPd], &[HttpRegular], none.clone(), none),
        // Within a kind no class is better, and a worker of any of its classes will do.
        (
            &[HttpRegular, GrpcRegular, External, HttpPd, GrpcPd],
            &[External, GrpcPd],
            Ok(HttpRegular),
            Ok(HttpPd),
        ),
        (
            &[GrpcPd, HttpPd, External, HttpRegular],
            &[HttpPd, HttpRegular],
            Ok(External),
            Ok(GrpcPd),
        ),
    ];
    for (routers, workers, regular, pd) in cases {
        // The default router plays no part.
        for default in [None, routers.last().copied()] {
            let manager = with(routers, workers, default);
            let case = format!("{routers:?} {workers:?}");
            assert_eq!(class_for(&manager, None, false), regular, "{case}");
            assert_eq!(class_for(&manager, None, true), pd, "{case}");
        }
    }
}

#[test]
fn the_first_of_a_class_serves_it_and_then_the_next() {
    let manager = manager(RouterMode::Multi);
    manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
    let requests = [None, Some("m")].map(|model| Selection {
        model,
        prefer_pd: false,
    });
    // Names in another order than registrations.
    for (id, number) in [("c", 0), ("a", 1), ("b", 2)] {
        manager
            .register(id, Upstream::new(HttpRegular, number))
            .unwrap();
    }
    let serves = |manager: &Manager| {
        requests.map(|request| Selected::id(&manager.select(&request).unwrap()).to_string())
    };
    assert_eq!(serves(&manager), ["c", "c"]);
    manager.deregister("c").unwrap();
    assert_eq!(serves(&manager), ["a", "a"]);
    manager
        .register("c", Upstream::new(HttpRegular, 3))
        .unwrap();
    assert_eq!(serves(&manager), ["a", "a"], "who comes again comes last");
    manager.deregister("b").unwrap();
    manager.deregister("a").unwrap();
    assert_eq!(serves(&manager), ["c", "c"]);
    assert_eq!(manager.select_owned(&requests[0]).unwrap().number, 3);
}

#[test]
fn in_single_router_mode_the_default_router_serves_everything() {
    let manager = manager(RouterMode::Single);
    let requests = [
        (None, false),
        (None, true),
        (Some("m"), false),
        (Some("unknown"), true),
        (Some(""), false),
    ]
    .map(|(model, prefer_pd)| Selection { model, prefer_pd });
    manager.register("a", Upstream::new(GrpcPd, 1)).unwrap();
    manager.upsert_worker(spec(1, GrpcPd, &["m"])).unwrap();
    for request in requests {
        let refused = manager.select(&request).unwrap_err();
        assert_eq!(refused, SelectError::NoDefault, "{request:?}");
    }
    manager
        .register("b", Upstream::new(HttpRegular, 2))
        .unwrap();
    manager.set_default("b").unwrap();
    for request in requests {
        assert_eq!(manager.select(&request).unwrap().number, 2, "{request:?}");
    }
    manager.deregister("b").unwrap();
    assert_eq!(
        manager.select(&requests[0]).unwrap_err(),
        SelectError::NoDefault
    );
}

#[test]
fn workers_that_are_not_healthy_serve_nothing_and_are_known() {
    let manager = with(&[HttpRegular, HttpPd], &[HttpRegular, HttpPd], None);
    assert_eq!(class_for(&manager, Some("m"), false), Ok(HttpPd));
    assert!(manager.set_health(worker(1), false));
    assert_eq!(class_for(&manager, Some("m"), false), Ok(HttpRegular));
    assert_eq!(class_for(&manager, None, true), Ok(HttpRegular));
    assert!(manager.set_health(worker(0), false));
    assert_eq!(
        class_for(&manager, Some("m"), false),
        Err(SelectError::NoWorkers)
    );
    assert_eq!(class_for(&manager, None, true), Err(SelectError::NoWorkers));
    assert_eq!(manager.resolve_model(None).unwrap(), "m");
    assert!(manager.set_health(worker(1), true));
    assert_eq!(class_for(&manager, None, false), Ok(HttpPd));
}

#[test]
fn a_request_without_a_model_is_asked_for_one_if_there_are_several() {
    let manager = manager(RouterMode::Multi);
    assert_eq!(manager.resolve_model(Some("any")).unwrap(), "any");
    assert_eq!(
        manager.resolve_model(None).unwrap_err(),
        SelectError::NoWorkers
    );
    assert_eq!(
        manager.resolve_model(Some("")).unwrap_err(),
        SelectError::EmptyModel
    );
    manager.upsert_worker(spec(1, HttpPd, &["b"])).unwrap();
    manager.upsert_worker(spec(2, External, &["b"])).unwrap();
    assert_eq!(manager.resolve_model(None).unwrap(), "b");
    manager
        .upsert_worker(spec(2, External, &["b", "a"]))
        .unwrap();
    let required = manager.resolve_model(None).unwrap_err();
    assert_eq!(
        required,
        SelectError::ModelRequired {
            available: vec!["a".into(), "b".into()]
        }
    );
    assert_eq!(
        required.to_string(),
        "the request names no model, and 2 are served: name one of `a`, `b`"
    );
    let names: Vec<_> = (0..100).map(|number| format!("m{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    manager.upsert_worker(spec(3, External, &names)).unwrap();
    let many = manager.resolve_model(None).unwrap_err().to_string();
    assert!(
        many.contains("102 are served") && many.ends_with("`m05`, and 94 more"),
        "{many}"
    );
}

#[test]
fn an_empty_model_is_an_error_and_not_an_unknown_model() {
    let manager = with(&[HttpRegular], &[HttpRegular], Some(HttpRegular));
    assert_eq!(
        class_for(&manager, Some(""), false),
        Err(SelectError::EmptyModel)
    );
}

#[test]
fn a_worker_needs_the_router_of_its_class() {
    for (role, connection, class) in [
        (Role::Regular, Connection::Http, HttpRegular),
        (Role::Regular, Connection::Grpc, GrpcRegular),
        (Role::Prefill, Connection::Http, HttpPd),
        (Role::Prefill, Connection::Grpc, GrpcPd),
        (Role::Decode, Connection::Http, HttpPd),
        (Role::Decode, Connection::Grpc, GrpcPd),
    ] {
        let local = WorkerSpec {
            role,
            connection,
            ..WorkerSpec::new(worker(1), ["m"])
        };
        assert_eq!(local.class(), class);
        let external = WorkerSpec {
            runtime: Runtime::External,
            ..local
        };
        assert_eq!(external.class(), External, "whatever is behind it");
    }
    assert!(RouterClass::ALL.is_sorted(), "best first");
    let pd = RouterClass::ALL.into_iter().filter(|class| class.is_pd());
    assert!(pd.eq([GrpcPd, HttpPd]), "external is of the regular kind");
}
