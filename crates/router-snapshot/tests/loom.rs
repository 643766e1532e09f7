//! The races of a manager, each in a scenario of two or three threads, on the kind maps and on the
//! adversarial ones.
#![cfg(inflight_loom)]

#[path = "it/backends.rs"]
mod backends;

use std::sync::Arc;

use backends::{AdversarialRouters, ReferenceRouters, Upstream, spec, worker};
use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use router_snapshot::RouterClass::{self, External, HttpRegular};
use router_snapshot::{
    RouterManager, RouterMap, RouterMode, SelectError, Selected, Selection, WorkerSpec,
};
use worker_id::{Effect, Ignored, WorkerState};

type Manager<M> = Arc<RouterManager<Upstream, (), M>>;

const ANY: Selection<'static> = Selection {
    model: None,
    prefer_pd: false,
    draining: false,
};
const NAMED: Selection<'static> = Selection {
    model: Some("m"),
    prefer_pd: false,
    draining: false,
};

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

fn manager<M: RouterMap + Default>(mode: RouterMode) -> Manager<M> {
    Arc::new(RouterManager::with_map(mode, M::default()))
}

fn spawn<M, T>(manager: &Manager<M>, act: impl FnOnce(&Manager<M>) -> T + 'static) -> JoinHandle<T>
where
    M: RouterMap + 'static,
    T: 'static,
{
    let manager = Arc::clone(manager);
    thread::spawn(move || act(&manager))
}

fn register<M: RouterMap>(manager: &Manager<M>, id: &str, class: RouterClass, number: u64) -> bool {
    manager.register(id, Upstream::new(class, number)).is_ok()
}

/// None is lost, whoever publishes last; and each sees its own when its call has returned.
fn two_registrations_at_once<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        for (number, class) in [(1, HttpRegular), (2, External)] {
            manager.upsert_worker(spec(number, class, &["m"])).unwrap();
        }
        let other = spawn(&manager, |manager| {
            assert!(register(manager, "external", External, 2));
            assert!(manager.router("external").is_some());
            assert_eq!(manager.select(&NAMED).unwrap().number, 2);
        });
        assert!(register(&manager, "regular", HttpRegular, 1));
        assert!(manager.router("regular").is_some());
        assert!(manager.select(&ANY).is_ok());
        other.join().unwrap();
        assert_eq!(
            (manager.snapshot().router_count(), manager.generation()),
            (2, 4)
        );
        assert_eq!(manager.select(&NAMED).unwrap().number, 2);
    });
}

/// Of one id: one of the two has it.
fn two_registrations_of_one_id<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        let other = spawn(&manager, |manager| register(manager, "a", HttpRegular, 2));
        let first = register(&manager, "a", HttpRegular, 1);
        let second = other.join().unwrap();
        assert!(first != second, "exactly one has the id");
        let number = if first { 1 } else { 2 };
        assert_eq!(manager.router("a").unwrap().number, number);
        assert_eq!(manager.select(&ANY).unwrap().number, number);
        assert_eq!(manager.snapshot().router_count(), 1);
    });
}

/// Whichever comes first, the maps and the snapshot say the same afterwards.
fn register_against_deregister_of_the_same_id<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        assert!(register(&manager, "a", HttpRegular, 1));
        let other = spawn(&manager, |manager| register(manager, "a", HttpRegular, 2));
        assert_eq!(manager.deregister("a").unwrap().number, 1);
        let registered = other.join().unwrap();
        let found = manager.router("a").map(|router| router.number);
        assert_eq!(found, registered.then_some(2));
        let selected = manager.select(&ANY).map(|router| router.number);
        assert_eq!(selected.ok(), found);
        assert_eq!(manager.snapshot().router_count(), usize::from(registered));
    });
}

/// A router that is gone is nobody's default, and the default is never one that was refused.
fn set_default_against_deregister_of_the_default<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Single);
        assert!(register(&manager, "a", HttpRegular, 1));
        assert!(register(&manager, "b", HttpRegular, 2));
        manager.set_default("a").unwrap();
        let gone = spawn(&manager, |manager| manager.deregister("a").is_some());
        let again = spawn(&manager, |manager| manager.set_default("a").is_ok());
        // Loom remembers the last access only: the reader is one of those that are spawned, or the
        // main thread last.
        let seen = manager.select(&ANY).map(|router| router.number);
        assert!(matches!(seen, Ok(1) | Err(SelectError::NoDefault)));
        assert!(gone.join().unwrap());
        again.join().unwrap();
        let left = manager.select(&ANY).map(|router| router.number);
        assert_eq!(left, Err(SelectError::NoDefault));
        manager.set_default("b").unwrap();
        assert_eq!(manager.select(&ANY).unwrap().number, 2);
    });
}

/// Another default is kept, whenever the old one goes.
fn set_default_to_another_against_deregister_of_the_default<M>()
where
    M: RouterMap + Default + 'static,
{
    model(|| {
        let manager = manager::<M>(RouterMode::Single);
        assert!(register(&manager, "a", HttpRegular, 1));
        assert!(register(&manager, "b", HttpRegular, 2));
        manager.set_default("a").unwrap();
        let gone = spawn(&manager, |manager| manager.deregister("a").is_some());
        manager.set_default("b").unwrap();
        assert_eq!(manager.select(&ANY).unwrap().number, 2);
        assert!(gone.join().unwrap());
        assert_eq!(manager.select(&ANY).unwrap().number, 2);
    });
}

/// A reader sees the old or the new, never a mixture; never goes back; and finds what it selects.
fn select_against_update<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        assert!(register(&manager, "a", HttpRegular, 1));
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        let old = manager.generation();
        let reading = spawn(&manager, move |manager| {
            let mut last = old;
            for request in [NAMED, ANY] {
                // In the old state the one worker is regular and so is the one router; in the new
                // one both are external.
                let selected = manager.select(&request).unwrap();
                selected.check();
                let generation = Selected::generation(&selected);
                assert!(generation >= last, "went back");
                last = generation;
                let new = generation > old;
                assert_eq!(selected.number, 1 + u64::from(new));
                assert_eq!(selected.class, if new { External } else { HttpRegular });
            }
        });
        manager
            .update(|batch| {
                batch.deregister("a").remove_worker(worker(1));
                batch.register("b", Upstream::new(External, 2));
                batch.upsert_worker(spec(2, External, &["m"]));
            })
            .unwrap();
        reading.join().unwrap();
        assert_eq!(manager.generation(), old + 1);
    });
}

/// What is selected can be found by its id, as long as no later snapshot is published.
fn what_is_selected_can_be_found<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        let reading = spawn(&manager, |manager| {
            let Ok(selected) = manager.select(&ANY) else {
                return;
            };
            let found = manager.router(Selected::id(&selected).as_str());
            let still = manager.generation() == Selected::generation(&selected);
            assert!(found.is_some() || !still, "selected, and not in the map");
        });
        assert!(register(&manager, "a", HttpRegular, 1));
        drop(manager.deregister("a"));
        reading.join().unwrap();
        assert!(manager.router("a").is_none());
    });
}

/// A worker that is replaced is there all the while, and so is a router that an update replaces.
fn replacing_against_lookups<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        assert!(register(&manager, "a", HttpRegular, 1));
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        let reading = spawn(&manager, |manager| {
            let class = manager.worker(worker(1)).expect("it is replaced").class();
            assert!(matches!(class, HttpRegular | External));
            let Some(router) = manager.router("a") else {
                panic!("a router that is replaced was missed");
            };
            router.check();
        });
        manager
            .update(|batch| {
                batch.upsert_worker(spec(1, External, &["m"]));
                batch
                    .deregister("a")
                    .register("a", Upstream::new(External, 2));
            })
            .unwrap();
        reading.join().unwrap();
        assert_eq!(manager.router("a").unwrap().number, 2);
        assert_eq!(manager.worker(worker(1)).unwrap().class(), External);
    });
}

/// A worker begins to drain while requests are selected: from when `set_state` has returned nothing
/// new goes there, and what is pinned still does.
fn drain_against_select<M: RouterMap + Default + 'static>() {
    const PINNED: Selection<'static> = Selection {
        draining: true,
        ..NAMED
    };
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        assert!(register(&manager, "a", HttpRegular, 1));
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        let reading = spawn(&manager, |manager| {
            let [before, after] = [(); 2].map(|()| {
                let snapshot = manager.snapshot();
                let open = snapshot
                    .workers_for(&NAMED)
                    .map_or(0, |workers| workers.len());
                // The two questions are of one instant: whoever may have new requests may have all.
                assert_eq!(snapshot.workers_for(&PINNED).unwrap().len(), 1);
                assert_eq!(open, snapshot.workers_in(WorkerState::Healthy));
                open
            });
            assert!(after <= before, "it takes requests again");
        });
        assert_eq!(
            manager.set_state(worker(1), WorkerState::Draining),
            Effect::Changed
        );
        assert!(manager.select(&NAMED).is_err());
        assert_eq!(manager.select(&PINNED).unwrap().number, 1);
        reading.join().unwrap();
    });
}

/// A list that has the worker, against the news that it has gone: by revision the later one counts,
/// in whatever order they come; a refresh of that life is believed only as long as it is there.
fn flap_against_resync<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        let life = worker(1).with_incarnation(41);
        let spec = move || WorkerSpec::<()>::new(life, ["m"]);
        manager.upsert_worker(spec()).unwrap();
        let resync = spawn(&manager, move |manager| {
            manager.replace_all(Some(8), [spec()]).unwrap();
        });
        manager
            .update(|batch| {
                batch.as_of(9).remove_worker(life);
            })
            .unwrap();
        resync.join().unwrap();
        assert!(manager.worker(life).is_none(), "the dead came back");
        assert!(manager.upsert_worker(spec()).unwrap().ignored().is_some());
        assert_eq!(
            manager.replace_all(Some(10), [spec()]).unwrap(),
            Effect::Changed
        );
    });
}

/// News of the life that was, against the life that comes.
fn late_news_against_rejoin<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        assert!(register(&manager, "a", HttpRegular, 1));
        let [first, second] = [41, 42].map(|life| worker(1).with_ordered_incarnation(life));
        let spec = |id| WorkerSpec::<()>::new(id, ["m"]);
        manager.upsert_worker(spec(first)).unwrap();
        let late = spawn(&manager, move |manager| {
            let _ = manager.set_state(first, WorkerState::Ill);
            let _ = manager.remove_worker(first);
            let again = manager.upsert_worker(spec(first)).unwrap();
            assert!(again.ignored().is_some(), "it had left: {again:?}");
        });
        assert_eq!(
            manager.upsert_worker(spec(second)).unwrap(),
            Effect::Changed
        );
        assert_eq!(manager.select(&NAMED).unwrap().number, 1);
        late.join().unwrap();
        let there = manager.worker(second).expect("the second life is there");
        assert!(there.id.same_incarnation(&second));
        assert_eq!(there.state(), WorkerState::Healthy);
        let late = Effect::Ignored(Ignored::Late);
        assert_eq!(manager.remove_worker(first), late);
    });
}

/// What is asked by id of a snapshot that is held is of its instant, though the maps are ahead.
fn held_snapshot_against_the_maps<M: RouterMap + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        assert!(register(&manager, "a", HttpRegular, 1));
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        let reading = spawn(&manager, |manager| {
            let snapshot = manager.snapshot();
            let workers: Vec<_> = snapshot.workers().map(|row| row.id).collect();
            for number in [1, 2] {
                let found = snapshot.worker(&worker(number)).is_some();
                assert_eq!(found, workers.contains(&worker(number)));
            }
            assert_eq!(snapshot.router("a").is_some(), snapshot.router_count() == 1);
        });
        manager.remove_worker(worker(1));
        manager.upsert_worker(spec(2, HttpRegular, &["m"])).unwrap();
        drop(manager.deregister("a"));
        reading.join().unwrap();
    });
}

macro_rules! races {
    ($maps:ty: $($race:ident),+ $(,)?) => {
        $(
            #[test]
            fn $race() {
                super::$race::<$maps>();
            }
        )+
    };
    ($maps:ty) => {
        races! { $maps: two_registrations_at_once,
            two_registrations_of_one_id,
            register_against_deregister_of_the_same_id,
            set_default_against_deregister_of_the_default,
            set_default_to_another_against_deregister_of_the_default,
            select_against_update,
            what_is_selected_can_be_found,
            replacing_against_lookups,
            drain_against_select,
            flap_against_resync,
            late_news_against_rejoin,
            held_snapshot_against_the_maps }
    };
}

mod reference {
    races!(super::ReferenceRouters);
}

mod adversarial {
    races!(super::AdversarialRouters);
}
