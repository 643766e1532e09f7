//! What changes do, and what they refuse, on every map.

use std::sync::{Arc, OnceLock};

use crate::backends::{Upstream, all_of, spec, worker};
use router_snapshot::RouterClass::{GrpcPd, HttpPd, HttpRegular};
use router_snapshot::{
    Batch, ChangeError, Choice, Rejected, Router, RouterClass, RouterEntry, RouterId,
    RouterManager, RouterMap, RouterMode, SelectError, Selected, Selection, WorkerSpec,
};
use state_map::model::{AdversarialMap, ReferenceMap};
use static_assertions::assert_impl_all;
use worker_id::{Effect, Incarnation, WorkerState, WorkerWithDpRank};

type OnMaps = RouterManager<dyn Router, (), crate::backends::ReferenceRouters>;
assert_impl_all!(OnMaps: Send, Sync, std::fmt::Debug);
assert_impl_all!(Selected<dyn Router>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Rejected<Arc<dyn Router>>: Send, Sync, std::error::Error, Clone);
assert_impl_all!(Rejected<Batch>: Send, Sync, std::error::Error);
assert_impl_all!(SelectError: Send, Sync, std::error::Error);
assert_impl_all!(WorkerSpec: Send, Sync, Clone);
assert_impl_all!(Choice<dyn Router>: Send, Sync, Clone);

crate::backends::on_every_backend! {
    routers_come_and_go,
    workers_come_and_go,
    refused_changes_change_nothing,
    a_batch_is_all_or_nothing,
    what_changes_nothing_is_not_published,
    a_router_is_replaced_in_one_update,
    routers_are_dropped_at_once_and_outside_of_locks
}

const ANY: Selection<'static> = Selection {
    model: None,
    prefer_pd: false,
    draining: false,
};

fn manager<M: RouterMap + Default>() -> RouterManager<Upstream, (), M> {
    RouterManager::with_map(RouterMode::Multi, M::default())
}

/// In the order of their names.
fn models<M: RouterMap>(manager: &RouterManager<Upstream, (), M>) -> Vec<Arc<str>> {
    let mut models: Vec<_> = manager.snapshot().models().cloned().collect();
    models.sort_unstable();
    models
}

fn routers_come_and_go<M: RouterMap + Default>() {
    let manager = manager::<M>();
    assert_eq!(
        (manager.snapshot().router_count(), manager.generation()),
        (0, 0)
    );
    manager
        .register("a", Upstream::new(HttpRegular, 1))
        .unwrap();
    manager.register("b", Upstream::new(HttpPd, 2)).unwrap();
    assert_eq!(
        (manager.snapshot().router_count(), manager.generation()),
        (2, 2)
    );
    assert_eq!(manager.router("b").unwrap().number, 2);
    assert!(manager.router("c").is_none());

    assert_eq!(manager.deregister("a").unwrap().number, 1);
    assert!(manager.router("a").is_none());
    assert_eq!(
        (manager.snapshot().router_count(), manager.generation()),
        (1, 3)
    );
    manager.register("a", Upstream::new(GrpcPd, 3)).unwrap();
    assert_eq!(manager.router("a").unwrap().number, 3);
}

fn workers_come_and_go<M: RouterMap + Default>() {
    let manager = manager::<M>();
    let first = WorkerSpec {
        id: worker(1).with_incarnation(1),
        ..spec(1, HttpRegular, &["a", "b"])
    };
    manager.upsert_worker(first.clone()).unwrap();
    assert_eq!(**manager.worker(worker(1)).unwrap(), first);
    assert!(manager.worker(WorkerWithDpRank::new(1, 1)).is_none());
    assert_eq!(models(&manager), ["a".into(), "b".into()]);

    let second = WorkerSpec {
        id: worker(1).with_incarnation(2),
        ..first.clone()
    };
    manager.upsert_worker(second).unwrap();
    assert_eq!(
        manager.worker(worker(1)).unwrap().id.incarnation(),
        Some(Incarnation::Opaque(2))
    );
    assert_eq!(manager.generation(), 2, "another incarnation is a change");

    let third = spec(1, HttpPd, &["b", "c"]);
    manager.upsert_worker(third).unwrap();
    assert_eq!(models(&manager), ["b".into(), "c".into()]);
    manager.upsert_worker(spec(2, HttpPd, &["c"])).unwrap();
    assert_eq!(
        manager.remove_worker(worker(1)),
        Effect::Changed,
        "whichever incarnation"
    );
    assert!(manager.worker(worker(1)).is_none());
    assert_eq!(models(&manager), ["c".into()]);

    // A model that is named twice is named once.
    manager.upsert_worker(spec(3, HttpPd, &["d", "d"])).unwrap();
    assert_eq!(models(&manager).len(), 2);
    assert!(manager.remove_worker(worker(3)).is_changed());
    assert_eq!(models(&manager), ["c".into()]);
    assert!(manager.remove_worker(worker(2)).is_changed());
    assert!(models(&manager).is_empty());
}

fn refused_changes_change_nothing<M: RouterMap + Default>() {
    let manager = manager::<M>();
    manager
        .register("a", Upstream::new(HttpRegular, 1))
        .unwrap();
    let generation = manager.generation();

    let refused = manager.register("a", Upstream::new(HttpPd, 2)).unwrap_err();
    assert_eq!(
        refused.reason,
        ChangeError::DuplicateRouter { id: "a".into() }
    );
    assert_eq!(refused.rejected.number, 2, "it is given back");
    assert!(refused.to_string().contains("`a` is registered already"));
    assert_eq!(manager.router("a").unwrap().number, 1);

    let refused = manager.set_default("b").unwrap_err();
    assert_eq!(
        refused.reason,
        ChangeError::UnknownRouter { id: "b".into() }
    );
    assert_eq!(refused.rejected, RouterId::from("b"));

    let nameless = spec(7, HttpRegular, &["m", ""]);
    let refused = manager.upsert_worker(nameless.clone()).unwrap_err();
    assert_eq!(refused.reason, ChangeError::EmptyModel { id: worker(7) });
    assert_eq!(refused.rejected, nameless);
    assert!(manager.worker(worker(7)).is_none() && models(&manager).is_empty());
    assert_eq!(
        (manager.snapshot().router_count(), manager.generation()),
        (1, generation)
    );
}

fn a_batch_is_all_or_nothing<M: RouterMap + Default>() {
    let manager = manager::<M>();
    manager
        .register("a", Upstream::new(HttpRegular, 1))
        .unwrap();
    manager.set_default("a").unwrap();
    manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
    let generation = manager.generation();

    let refused = manager
        .update(|batch| {
            batch
                .deregister("a")
                .register("b", Upstream::new(HttpRegular, 2))
                .remove_worker(worker(1))
                .upsert_worker(spec(2, HttpRegular, &["n"]))
                .set_default("a");
        })
        .unwrap_err();
    assert_eq!(
        refused.reason,
        ChangeError::UnknownRouter { id: "a".into() },
        "it was deregistered before"
    );
    assert_eq!(manager.generation(), generation);
    assert_eq!(manager.router("a").unwrap().number, 1);
    assert!(manager.router("b").is_none() && manager.worker(worker(2)).is_none());
    assert_eq!(models(&manager), ["m".into()]);

    // Given back as it was, so that it can be mended; the change that was refused still is.
    let mut batch = refused.rejected;
    assert!(format!("{batch:?}").contains('5'));
    batch.register("a", Upstream::new(HttpPd, 3));
    let refused = manager.update(|all| *all = batch).unwrap_err();
    assert!(format!("{:?}", refused.rejected).contains('6'));

    manager
        .update(|batch| {
            assert_eq!(manager.snapshot().router_count(), 1, "no lock is held");
            batch
                .deregister("a")
                .register("b", Upstream::new(HttpRegular, 2))
                .remove_worker(worker(1))
                .upsert_worker(spec(2, HttpRegular, &["n"]))
                .set_state(worker(2), WorkerState::Ill)
                .set_state(worker(2), WorkerState::Healthy)
                .set_default("b");
        })
        .unwrap();
    assert_eq!(manager.generation(), generation + 1, "published once");
    assert!(manager.router("a").is_none() && manager.worker(worker(1)).is_none());
    assert_eq!(manager.select(&ANY).unwrap().number, 2);
    assert_eq!(models(&manager), ["n".into()]);
}

fn what_changes_nothing_is_not_published<M: RouterMap + Default>() {
    let manager = manager::<M>();
    manager
        .register("a", Upstream::new(HttpRegular, 1))
        .unwrap();
    manager.set_default("a").unwrap();
    manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
    let generation = manager.generation();
    assert!(manager.deregister("b").is_none());
    assert!(manager.remove_worker(worker(2)).ignored().is_some());
    assert!(
        manager
            .set_state(worker(2), WorkerState::Ill)
            .ignored()
            .is_some()
    );
    assert_eq!(
        manager.set_state(worker(1), WorkerState::Healthy),
        Effect::Unchanged
    );
    assert_eq!(manager.set_default("a").unwrap(), Effect::Unchanged);
    let again = manager.upsert_worker(spec(1, HttpRegular, &["m"]));
    assert_eq!(again.unwrap(), Effect::Unchanged);
    assert_eq!(manager.update(|_| ()).unwrap(), Effect::Unchanged);
    manager
        .update(|batch| {
            batch
                .register("c", Upstream::new(HttpPd, 2))
                .deregister("c");
            batch
                .set_state(worker(1), WorkerState::Ill)
                .set_state(worker(1), WorkerState::Healthy);
            batch
                .upsert_worker(spec(3, HttpPd, &["n"]))
                .remove_worker(worker(3));
        })
        .unwrap();
    assert_eq!(manager.generation(), generation);
    assert_eq!(manager.snapshot().router_count(), 1);
}

fn a_router_is_replaced_in_one_update<M: RouterMap + Default>() {
    let manager = manager::<M>();
    manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
    manager
        .register("a", Upstream::new(HttpRegular, 1))
        .unwrap();
    manager.set_default("a").unwrap();
    let selected = manager.select(&ANY).unwrap();
    manager
        .update(|batch| {
            batch
                .deregister("a")
                .register("a", Upstream::new(HttpPd, 2));
        })
        .unwrap();
    assert_eq!(manager.router("a").unwrap().number, 2);
    assert_eq!(manager.snapshot().router_count(), 1);
    assert_eq!(selected.number, 1, "a selection stays as it was");
    let named = Selection {
        model: Some("x"),
        ..ANY
    };
    assert!(
        manager.select(&named).is_err(),
        "the default went with the first"
    );
    assert_eq!(manager.deregister("a").unwrap().number, 2);
}

/// Uses the manager of its own when it is dropped: under a lock of it, or of a map, that would
/// never return.
struct Asking {
    manager: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl Router for Asking {
    fn class(&self) -> RouterClass {
        self.ask();
        HttpRegular
    }
}

impl Asking {
    fn ask(&self) {
        if let Some(ask) = self.manager.get() {
            ask();
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.ask();
    }
}

fn routers_are_dropped_at_once_and_outside_of_locks<M: RouterMap + Default>() {
    let manager = manager::<M>();
    for number in 0..100 {
        let id = number.to_string();
        let router = Upstream::new(HttpRegular, number);
        let alive = Arc::downgrade(&router);
        manager.register(id.as_str(), router).unwrap();
        let found = manager.router(&id).unwrap();
        let gone = manager.deregister(id.as_str()).unwrap();
        assert!(Arc::ptr_eq(&found, &gone));
        drop((found, gone));
        assert_eq!(alive.strong_count(), 0, "a map or a snapshot still has it");
    }
}

fn a_router_may_use_the_manager_while_it_is_dropped<M>()
where
    M: RouterMap + Default + 'static,
{
    let manager = Arc::new(RouterManager::<Asking, (), M>::with_map(
        RouterMode::Multi,
        M::default(),
    ));
    let slot = Arc::new(OnceLock::new());
    let asking = || {
        Arc::new(Asking {
            manager: Arc::clone(&slot),
        })
    };
    for number in 0..64 {
        manager.register(number.to_string(), asking()).unwrap();
    }
    let weak = Arc::downgrade(&manager);
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let ask = move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let Some(manager) = weak.upgrade() else {
            return;
        };
        let _ = manager.upsert_worker(spec(9, HttpRegular, &["m"]));
        let _ = manager.remove_worker(worker(9));
        for number in 0..64 {
            let _ = manager.router(&number.to_string());
        }
        let _ = manager.deregister("there is none");
        let _ = manager.select(&ANY);
    };
    assert!(slot.set(Box::new(ask)).is_ok());

    drop(manager.deregister("0"));
    manager
        .update(|batch| {
            batch
                .deregister("1")
                .register("1", asking())
                .deregister("2");
            batch.register("new", asking()).deregister("new");
        })
        .unwrap();
    drop(manager.register("3", asking()).unwrap_err());
    drop(manager.update(|batch| {
        batch.register("new", asking()).register("3", asking());
    }));
    let selected = manager.select(&ANY);
    assert!(selected.is_err());
    let asked_of = asked.load(std::sync::atomic::Ordering::Relaxed);
    // Classes of five registrations, and ends of `0`, `1`, `2`, `new`, and the three that were
    // refused.
    assert_eq!(asked_of, 5 + 7);
    drop(manager);
}

macro_rules! by_hand {
    ($($name:ident if $cfg:meta: $map:ty),+ $(,)?) => {
        mod asking {
            $(
                #[cfg($cfg)]
                #[test]
                fn $name() {
                    super::a_router_may_use_the_manager_while_it_is_dropped::<$map>();
                }
            )+
        }
    };
}

type Modelled = (
    ReferenceMap<RouterId, RouterEntry>,
    AdversarialMap<WorkerWithDpRank, router_snapshot::WorkerEntry>,
);

by_hand! {
    dashmap if feature = "dashmap": router_snapshot::DashMapRouters,
    papaya if feature = "papaya": router_snapshot::PapayaRouters,
    scc if feature = "scc": router_snapshot::SccRouters,
    rwlock if feature = "rwlock": router_snapshot::RwLockRouters,
    models if not(inflight_loom): super::Modelled,
}

#[test]
fn routers_of_any_type_share_a_manager() {
    struct Other;
    impl Router for Other {
        fn class(&self) -> RouterClass {
            GrpcPd
        }
    }
    let manager: RouterManager<dyn Router, (), Modelled> =
        RouterManager::with_map(RouterMode::default(), Default::default());
    manager
        .register("a", Upstream::new(HttpRegular, 1))
        .unwrap();
    manager.register("b", Arc::new(Other)).unwrap();
    for spec in all_of(1, GrpcPd, &["m"]) {
        manager.upsert_worker(spec).unwrap();
    }
    assert_eq!(manager.select(&ANY).unwrap().class(), GrpcPd);
    assert_eq!(manager.router("a").unwrap().class(), HttpRegular);
    assert!(format!("{:?}", manager.select(&ANY).unwrap()).contains("GrpcPd"));
    assert!(format!("{manager:?}").contains("routers: 2"));
}

#[cfg(feature = "dashmap")]
#[test]
fn the_default_manager_is_on_dashmap_and_of_any_router() {
    let manager: RouterManager = RouterManager::new(RouterMode::Multi);
    let named: &RouterManager<dyn Router, (), router_snapshot::DashMapRouters> = &manager;
    assert_eq!(named.snapshot().router_count(), 0);
}
