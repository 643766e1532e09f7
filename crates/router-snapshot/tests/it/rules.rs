//! Each rule of selection, by example.

use std::sync::Arc;

use crate::backends::{ReferenceRouters, Upstream, all_of, spec, worker};
use router_snapshot::RouterClass::{External, GrpcPd, GrpcRegular, HttpPd, HttpRegular};
use router_snapshot::{
    Connection, Role, RouterClass, RouterManager, RouterMode, Runtime, SelectError, Selected,
    Selection, WorkerSpec,
};
use worker_id::{Effect, Ignored, WorkerRanks, WorkerState};

type Manager = RouterManager<Upstream, (), ReferenceRouters>;

fn manager(mode: RouterMode) -> Manager {
    RouterManager::with_map(mode, ReferenceRouters::default())
}

/// Routers named as their classes, in this order; workers of these classes, all serving `m`.
fn with(routers: &[RouterClass], workers: &[RouterClass], default: Option<RouterClass>) -> Manager {
    let manager = manager(RouterMode::MultiOrDefault);
    manager
        .update(|batch| {
            for (class, number) in routers.iter().zip(0..) {
                batch.register(class.to_string(), Upstream::new(*class, number));
            }
            for (class, number) in workers.iter().zip(0..) {
                for spec in all_of(number, *class, &["m"]) {
                    batch.upsert_worker(spec);
                }
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
    let selected = manager.select(&Selection {
        model,
        prefer_pd,
        ..Selection::default()
    })?;
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

/// Nobody can serve a request: of the workers that could, so many are ill, draining, and healthy.
const fn nobody(ill: usize, draining: usize, unmatched: usize) -> Result<RouterClass, SelectError> {
    Err(SelectError::NobodyServes {
        ill,
        draining,
        unmatched,
    })
}

fn unknown(model: &str) -> Result<RouterClass, SelectError> {
    Err(SelectError::UnknownModel {
        model: model.into(),
    })
}

#[test]
fn what_nothing_suits_goes_to_the_default_router_where_the_mode_says_so() {
    let none = || Err(SelectError::NoWorkers);
    // Routers, workers (all of the model `m`), default, and what `m` and `unknown` get.
    let cases: [(&[_], &[_], _, _, _); 7] = [
        (
            &[],
            &[HttpRegular],
            None,
            nobody(0, 0, 1),
            unknown("unknown"),
        ),
        (
            &[HttpPd],
            &[HttpRegular],
            Some(HttpPd),
            nobody(0, 0, 1),
            unknown("unknown"),
        ),
        (
            &[HttpPd],
            &[GrpcPd],
            Some(HttpPd),
            nobody(0, 0, 2),
            unknown("unknown"),
        ),
        (
            &[HttpRegular],
            &[External],
            Some(HttpRegular),
            nobody(0, 0, 1),
            unknown("unknown"),
        ),
        (
            &[External],
            &[External],
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
        (&[GrpcRegular], &[], Some(GrpcRegular), none(), none()),
    ];
    for (routers, workers, default, m, other) in cases {
        let manager = with(routers, workers, default);
        let case = format!("{routers:?} {workers:?} {default:?}");
        assert_eq!(class_for(&manager, Some("m"), false), m, "{case}");
        assert_eq!(class_for(&manager, Some("unknown"), true), other, "{case}");
    }
    // In the plain mode the default router plays no part.
    let manager = manager(RouterMode::Multi);
    manager
        .register("external", Upstream::new(External, 1))
        .unwrap();
    manager.set_default("external").unwrap();
    manager.upsert_worker(spec(1, External, &["m"])).unwrap();
    assert_eq!(
        class_for(&manager, Some("unknown"), false),
        unknown("unknown")
    );
}

#[test]
fn half_a_pair_serves_nothing() {
    // Routers `pd` and `http`; a regular worker, and one half of a pair alone, all of `glm`.
    for role in [Role::Prefill, Role::Decode] {
        let manager = with(&[HttpPd, HttpRegular], &[], None);
        manager
            .upsert_worker(spec(1, HttpRegular, &["glm"]))
            .unwrap();
        let half = spec(2, HttpPd, &["glm"]).with_role(role);
        manager.upsert_worker(half).unwrap();
        assert_eq!(class_for(&manager, Some("glm"), false), Ok(HttpRegular));
        assert_eq!(class_for(&manager, None, true), Ok(HttpRegular));

        let missing = if role == Role::Prefill {
            Role::Decode
        } else {
            Role::Prefill
        };
        let other = spec(3, HttpPd, &["glm"]).with_role(missing);
        manager.upsert_worker(other).unwrap();
        assert_eq!(class_for(&manager, Some("glm"), false), Ok(HttpPd));
        // And not when one of the halves falls ill.
        for (half, state) in [(2, WorkerState::Ill), (3, WorkerState::Draining)] {
            manager.set_state(worker(half), state);
            assert_eq!(class_for(&manager, Some("glm"), false), Ok(HttpRegular));
            manager.set_state(worker(half), WorkerState::Healthy);
            assert_eq!(class_for(&manager, Some("glm"), false), Ok(HttpPd));
        }
        // Halves of two models are no pair.
        let elsewhere = spec(3, HttpPd, &["other"]).with_role(missing);
        manager.upsert_worker(elsewhere).unwrap();
        assert_eq!(class_for(&manager, Some("glm"), false), Ok(HttpRegular));
        assert_eq!(class_for(&manager, None, true), Ok(HttpRegular));
        // With nothing else, the request is refused, and the refusal says what there is.
        manager.remove_worker(worker(1));
        assert_eq!(class_for(&manager, Some("glm"), false), nobody(0, 0, 1));
        assert_eq!(class_for(&manager, None, false), nobody(0, 0, 2));
    }
}

#[test]
fn unknown_and_nobody_healthy_and_nothing_at_all_are_told_apart() {
    let manager = with(&[HttpRegular], &[], None);
    assert_eq!(
        class_for(&manager, Some("llama"), false),
        Err(SelectError::NoWorkers)
    );
    manager
        .upsert_worker(spec(1, HttpRegular, &["llama"]))
        .unwrap();
    manager
        .upsert_worker(spec(2, HttpRegular, &["llama"]))
        .unwrap();
    manager.set_state(worker(1), WorkerState::Ill);
    manager.set_state(worker(2), WorkerState::Draining);
    assert_eq!(class_for(&manager, Some("llama"), false), nobody(1, 1, 0));
    assert_eq!(class_for(&manager, None, false), nobody(1, 1, 0));
    assert_eq!(
        class_for(&manager, Some("no-such-model"), false),
        unknown("no-such-model")
    );
    let refused = class_for(&manager, Some(&"x".repeat(100_000)), false).unwrap_err();
    assert!(refused.to_string().len() < 200, "{refused}");
    manager.deregister("http_regular");
    manager.set_state(worker(1), WorkerState::Healthy);
    assert_eq!(class_for(&manager, Some("llama"), false), nobody(0, 1, 1));
}

#[test]
fn a_draining_worker_takes_requests_of_pinned_sessions_only() {
    let manager = with(&[HttpRegular], &[HttpRegular, HttpRegular], None);
    assert_eq!(
        manager.set_state(worker(0), WorkerState::Draining),
        Effect::Changed
    );
    assert_eq!(
        manager.set_state(worker(0), WorkerState::Draining),
        Effect::Unchanged
    );
    let fresh = Selection::of_model("m");
    let pinned = Selection {
        draining: true,
        ..fresh
    };
    let ids = |selection| {
        let snapshot = manager.snapshot();
        let workers = snapshot.workers_for(selection).unwrap();
        let mut ids: Vec<_> = workers.iter().map(|worker| worker.id.worker_id).collect();
        assert_eq!(
            workers.get(0).map(|first| first.id.worker_id),
            ids.first().copied()
        );
        ids.sort_unstable();
        ids
    };
    assert_eq!((ids(&fresh), ids(&pinned)), (vec![1], vec![0, 1]));
    // The last one drains: nothing new is sent anywhere, and what is pinned still is.
    manager.set_state(worker(1), WorkerState::Draining);
    assert!(manager.select(&fresh).is_err());
    assert_eq!(manager.select(&pinned).unwrap().number, 0);
    assert_eq!(ids(&pinned), [0, 1]);
    assert_eq!(manager.snapshot().workers_in(WorkerState::Draining), 2);
}

#[test]
fn a_worker_is_chosen_from_the_snapshot_that_the_router_is_of() {
    let manager = RouterManager::<Upstream, &'static str, ReferenceRouters>::with_map(
        RouterMode::Multi,
        ReferenceRouters::default(),
    );
    manager.register("pd", Upstream::new(HttpPd, 1)).unwrap();
    let id = |number: u64| worker(number);
    for (number, role, address) in [
        (1, Role::Prefill, "10.0.0.1"),
        (2, Role::Decode, "10.0.0.2"),
        (3, Role::Decode, "10.0.0.3"),
    ] {
        let spec = WorkerSpec::new(id(number), ["m"])
            .with_role(role)
            .with_payload(address);
        manager.upsert_worker(spec).unwrap();
    }
    let snapshot = manager.snapshot();
    let eligible = snapshot.select(&Selection::of_model("m")).unwrap();
    // What changes meanwhile does not tear the two apart.
    manager.deregister("pd");
    manager.remove_worker(id(3));
    assert_eq!((eligible.id().as_str(), eligible.class()), ("pd", HttpPd));
    assert_eq!(eligible.router().number, 1);
    let addresses = |workers: router_snapshot::Workers<'_, &'static str>| -> Vec<&str> {
        workers
            .iter()
            .map(|worker| **worker.payload.as_ref().unwrap())
            .collect()
    };
    assert_eq!(addresses(eligible.prefill()), ["10.0.0.1"]);
    assert_eq!(addresses(eligible.decode()), ["10.0.0.2", "10.0.0.3"]);
    assert!(eligible.regular().is_empty());
    assert!(
        manager
            .snapshot()
            .select(&Selection::of_model("m"))
            .is_err()
    );

    // A payload that is not said stays; the same one changes nothing; another one does.
    let shared = Arc::new("10.0.0.9");
    let spec = || WorkerSpec::new(id(2), ["m"]).with_role(Role::Decode);
    assert_eq!(manager.upsert_worker(spec()).unwrap(), Effect::Unchanged);
    let with = |payload| manager.upsert_worker(spec().with_payload(payload)).unwrap();
    assert_eq!(with(Arc::clone(&shared)), Effect::Changed);
    assert_eq!(with(Arc::clone(&shared)), Effect::Unchanged);
    let known = manager.worker(id(2)).unwrap();
    assert!(Arc::ptr_eq(known.payload.as_ref().unwrap(), &shared));
}

#[test]
fn without_a_model_kind_comes_first_and_then_the_order_of_registration() {
    let none = || Err(SelectError::NoWorkers);
    // Routers, workers, and what requests get that prefer regular routers, and PD ones.
    let cases: [(&[_], &[_], _, _); 9] = [
        (&[], &[], none(), none()),
        (&[HttpRegular, HttpPd], &[], none(), none()),
        (
            &[],
            &[HttpRegular, HttpPd],
            nobody(0, 0, 3),
            nobody(0, 0, 3),
        ),
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
        (&[HttpPd], &[HttpRegular], nobody(0, 0, 1), nobody(0, 0, 1)),
        // Within a kind no class is better, and only those count that have workers of their own.
        (
            &[HttpRegular, GrpcRegular, External, HttpPd, GrpcPd],
            &[External, GrpcPd],
            Ok(External),
            Ok(GrpcPd),
        ),
        (
            &[GrpcPd, HttpPd, External, HttpRegular],
            &[HttpPd, HttpRegular],
            Ok(HttpRegular),
            Ok(HttpPd),
        ),
    ];
    for (routers, workers, regular, pd) in cases {
        let manager = with(routers, workers, None);
        let case = format!("{routers:?} {workers:?}");
        assert_eq!(class_for(&manager, None, false), regular, "{case}");
        assert_eq!(class_for(&manager, None, true), pd, "{case}");
    }
}

#[test]
fn the_first_of_a_class_serves_it_and_then_the_next() {
    let manager = manager(RouterMode::Multi);
    manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
    let requests = [None, Some("m")].map(|model| Selection {
        model,
        ..Selection::default()
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
    assert!(manager.deregister("c").is_some());
    assert_eq!(serves(&manager), ["a", "a"]);
    manager
        .register("c", Upstream::new(HttpRegular, 3))
        .unwrap();
    assert_eq!(serves(&manager), ["a", "a"], "who comes again comes last");
    assert!(manager.deregister("b").is_some());
    assert!(manager.deregister("a").is_some());
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
    .map(|(model, prefer_pd)| Selection {
        model,
        prefer_pd,
        ..Selection::default()
    });
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
    assert!(manager.deregister("b").is_some());
    assert_eq!(
        manager.select(&requests[0]).unwrap_err(),
        SelectError::NoDefault
    );
}

#[test]
fn late_news_of_an_earlier_life_strikes_nobody() {
    let manager = with(&[HttpRegular], &[], None);
    let [first, second] = [41, 42].map(|life| worker(7).with_ordered_incarnation(life));
    let upsert = |id| {
        let spec = WorkerSpec::new(id, ["m"]);
        manager.upsert_worker(spec).unwrap()
    };
    assert_eq!(upsert(first), Effect::Changed);
    assert_eq!(upsert(second), Effect::Changed);
    let late = Effect::Ignored(Ignored::Late);
    assert_eq!(manager.set_state(first, WorkerState::Ill), late);
    assert_eq!(manager.remove_worker(first), late);
    assert_eq!(upsert(first), late);
    assert_eq!(class_for(&manager, Some("m"), false), Ok(HttpRegular));
    assert!(
        manager
            .worker(worker(7))
            .unwrap()
            .id
            .same_incarnation(&second)
    );
    // Of opaque lives nothing says which is the later one; the one that was displaced is
    // remembered.
    let [first, second] = [41, 42].map(|life| worker(8).with_incarnation(life));
    assert_eq!(
        (upsert(first), upsert(second)),
        (Effect::Changed, Effect::Changed)
    );
    assert_eq!(upsert(first), Effect::Ignored(Ignored::Departed));
    let other = Effect::Ignored(Ignored::OtherLife);
    assert_eq!(manager.remove_worker(first), other);
    assert_eq!(manager.set_state(first, WorkerState::Ill), other);
    assert_eq!(
        manager.set_state(worker(8), WorkerState::Ill),
        Effect::Changed,
        "whichever"
    );
}

#[test]
fn a_refresh_does_not_make_an_ill_worker_healthy() {
    let manager = with(&[HttpRegular], &[], None);
    let refresh = || manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
    refresh();
    manager.set_state(worker(1), WorkerState::Ill);
    assert_eq!(refresh(), Effect::Unchanged);
    assert_eq!(class_for(&manager, Some("m"), false), nobody(1, 0, 0));
    // Who says so means it; and a new life is healthy.
    let healthy = spec(1, HttpRegular, &["m"]).with_state(WorkerState::Healthy);
    assert_eq!(manager.upsert_worker(healthy).unwrap(), Effect::Changed);
    manager.set_state(worker(1), WorkerState::Ill);
    let restarted = WorkerSpec::new(worker(1).with_incarnation(2), ["m"]);
    assert_eq!(manager.upsert_worker(restarted).unwrap(), Effect::Changed);
    assert_eq!(class_for(&manager, Some("m"), false), Ok(HttpRegular));
}

#[test]
fn a_list_is_one_change_and_leaves_nobody_over() {
    let manager = with(&[HttpRegular], &[], None);
    for number in 1..=3 {
        manager
            .upsert_worker(spec(number, HttpRegular, &["m"]))
            .unwrap();
    }
    let generation = manager.generation();
    let list = || [2, 4].map(|number| spec(number, HttpRegular, &["m"]));
    assert_eq!(manager.replace_all(None, list()).unwrap(), Effect::Changed);
    let ids = || {
        let snapshot = manager.snapshot();
        let mut ids: Vec<_> = snapshot
            .workers()
            .map(|worker| worker.id.worker_id)
            .collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(), [2, 4]);
    assert_eq!(
        manager.replace_all(None, list()).unwrap(),
        Effect::Unchanged
    );
    assert_eq!(manager.generation(), generation + 1);

    // A list that was taken before a departure does not bring the dead back, and one after it does.
    manager
        .update(|batch| {
            batch.as_of(9).remove_worker(worker(2));
            batch.as_of(9).upsert_worker(spec(5, HttpRegular, &["m"]));
        })
        .unwrap();
    assert_eq!(
        manager.replace_all(Some(8), list()).unwrap(),
        Effect::Unchanged
    );
    assert_eq!(ids(), [4, 5]);
    let older = Effect::Ignored(Ignored::Older);
    assert_eq!(manager.replace_all(Some(7), list()).unwrap(), older);
    assert_eq!(
        manager.replace_all(Some(10), list()).unwrap(),
        Effect::Changed
    );
    assert_eq!(ids(), [2, 4]);
}

#[test]
fn a_flap_heals_by_a_full_list() {
    let manager = with(&[HttpRegular], &[], None);
    let spec = || WorkerSpec::new(worker(7).with_incarnation(41), ["m"]);
    manager.upsert_worker(spec()).unwrap();
    assert_eq!(manager.remove_worker(worker(7)), Effect::Changed);
    let departed = Effect::Ignored(Ignored::Departed);
    assert_eq!(manager.upsert_worker(spec()).unwrap(), departed);
    assert_eq!(
        manager.replace_all(None, [spec()]).unwrap(),
        Effect::Changed
    );
    assert_eq!(class_for(&manager, Some("m"), false), Ok(HttpRegular));
}

#[test]
fn all_ranks_of_a_worker_are_addressed_at_once() {
    let manager = with(&[HttpRegular], &[], None);
    for rank in 0..8 {
        let spec = WorkerSpec::new((7, rank).into(), ["m"]);
        manager.upsert_worker(spec).unwrap();
    }
    let all = WorkerRanks::all(7);
    assert_eq!(
        manager.set_state(all, WorkerState::Draining),
        Effect::Changed
    );
    assert_eq!(class_for(&manager, Some("m"), false), nobody(0, 8, 0));
    assert_eq!(manager.remove_worker(all), Effect::Changed);
    assert_eq!(manager.snapshot().worker_count(), 0);
    assert_eq!(manager.remove_worker(all), Effect::Ignored(Ignored::Absent));
}

#[test]
fn a_request_without_a_model_is_asked_for_one_if_there_are_several() {
    let manager = manager(RouterMode::Multi);
    let resolve = |model: Option<&str>| {
        let snapshot = manager.snapshot();
        snapshot.resolve_model(model).map(str::to_owned)
    };
    assert_eq!(resolve(Some("any")).unwrap(), "any");
    assert_eq!(resolve(None), Err(SelectError::NoWorkers));
    assert_eq!(resolve(Some("")), Err(SelectError::EmptyModel));
    manager.upsert_worker(spec(1, HttpPd, &["b"])).unwrap();
    manager.upsert_worker(spec(2, External, &["b"])).unwrap();
    manager
        .upsert_worker(WorkerSpec::new(worker(9), [] as [&str; 0]))
        .unwrap();
    manager.set_state(worker(2), WorkerState::Ill);
    assert_eq!(resolve(None).unwrap(), "b", "ill or not");
    manager
        .upsert_worker(spec(2, External, &["b", "a"]))
        .unwrap();
    let required = resolve(None).unwrap_err();
    assert_eq!(
        required.to_string(),
        "the request names no model, and 2 are served: name one of `a`, `b`"
    );
    let names: Vec<_> = (0..100).map(|number| format!("m{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    manager.upsert_worker(spec(3, External, &names)).unwrap();
    let many = resolve(None).unwrap_err().to_string();
    assert!(
        many.contains("102 are served") && many.ends_with(", and 94 more"),
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
        let local = WorkerSpec::<()>::new(worker(1), ["m"]);
        let local = local.with_role(role).with_connection(connection);
        assert_eq!(local.class(), class);
        let external = local.with_runtime(Runtime::External);
        assert_eq!(external.class(), External, "whatever is behind it");
    }
    assert!(RouterClass::ALL.is_sorted(), "best first");
    let pd = RouterClass::ALL.into_iter().filter(|class| class.is_pd());
    assert!(pd.eq([GrpcPd, HttpPd]), "external is of the regular kind");
}
