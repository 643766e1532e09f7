//! The races of a manager, each in a scenario of two or three threads, on the kind maps and on the adversarial ones.
#![cfg(inflight_loom)]

#[path = "it/backends.rs"]
mod backends;

use std::sync::Arc;

use backends::{AdversarialRouters, ReferenceRouters, Upstream, spec, worker};
use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use router_snapshot::RouterClass::{self, HttpPd, HttpRegular};
use router_snapshot::{RouterManager, RouterMap, RouterMode, SelectError, Selected, Selection};

type Manager<M> = Arc<RouterManager<Upstream, M>>;

const ANY: Selection<'static> = Selection {
    model: None,
    prefer_pd: false,
};
const NAMED: Selection<'static> = Selection {
    model: Some("m"),
    prefer_pd: false,
};

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

fn manager<M: RouterMap<Upstream> + Default>(mode: RouterMode) -> Manager<M> {
    Arc::new(RouterManager::with_map(mode, M::default()))
}

fn spawn<M, T>(manager: &Manager<M>, act: impl FnOnce(&Manager<M>) -> T + 'static) -> JoinHandle<T>
where
    M: RouterMap<Upstream> + 'static,
    T: 'static,
{
    let manager = Arc::clone(manager);
    thread::spawn(move || act(&manager))
}

fn register<M: RouterMap<Upstream>>(
    manager: &Manager<M>,
    id: &str,
    class: RouterClass,
    number: u64,
) -> bool {
    manager.register(id, Upstream::new(class, number)).is_ok()
}

/// None is lost, whoever publishes last; and each sees its own when its call has returned.
fn two_registrations_at_once<M: RouterMap<Upstream> + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        for (number, class) in [(1, HttpRegular), (2, HttpPd)] {
            manager.upsert_worker(spec(number, class, &["m"])).unwrap();
        }
        let other = spawn(&manager, |manager| {
            assert!(register(manager, "pd", HttpPd, 2));
            assert!(manager.router("pd").is_some());
            let prefer_pd = Selection {
                prefer_pd: true,
                ..ANY
            };
            assert_eq!(manager.select(&prefer_pd).unwrap().number, 2);
        });
        assert!(register(&manager, "regular", HttpRegular, 1));
        assert!(manager.router("regular").is_some());
        assert_eq!(manager.select(&ANY).unwrap().number, 1);
        other.join().unwrap();
        assert_eq!((manager.router_count(), manager.generation()), (2, 4));
        assert_eq!(manager.select(&ANY).unwrap().number, 1);
        assert_eq!(manager.select(&NAMED).unwrap().number, 2);
    });
}

/// Of one id: one of the two has it.
fn two_registrations_of_one_id<M: RouterMap<Upstream> + Default + 'static>() {
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
        assert_eq!(manager.router_count(), 1);
    });
}

/// Whichever comes first, the maps and the snapshot say the same afterwards.
fn register_against_deregister_of_the_same_id<M: RouterMap<Upstream> + Default + 'static>() {
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
        assert_eq!(manager.router_count(), usize::from(registered));
    });
}

/// A router that is gone is nobody's default, and the default is never one that was refused.
fn set_default_against_deregister_of_the_default<M: RouterMap<Upstream> + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Single);
        assert!(register(&manager, "a", HttpRegular, 1));
        assert!(register(&manager, "b", HttpRegular, 2));
        manager.set_default("a").unwrap();
        let gone = spawn(&manager, |manager| manager.deregister("a").is_some());
        let again = spawn(&manager, |manager| manager.set_default("a").is_ok());
        // Loom remembers the last access only: the reader is one of those that are spawned, or the main thread last.
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
    M: RouterMap<Upstream> + Default + 'static,
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
fn select_against_update<M: RouterMap<Upstream> + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        assert!(register(&manager, "a", HttpRegular, 1));
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        let old = manager.generation();
        let reading = spawn(&manager, move |manager| {
            let mut last = old;
            for request in [NAMED, ANY] {
                // In the old state the one worker is regular and so is the one router; in the new one both are PD.
                let selected = manager.select(&request).unwrap();
                selected.check();
                let generation = Selected::generation(&selected);
                assert!(generation >= last, "went back");
                last = generation;
                let new = generation > old;
                assert_eq!(selected.number, 1 + u64::from(new));
                assert_eq!(selected.class, if new { HttpPd } else { HttpRegular });
            }
        });
        manager
            .update(|batch| {
                batch.deregister("a").remove_worker(worker(1));
                batch.register("b", Upstream::new(HttpPd, 2));
                batch.upsert_worker(spec(2, HttpPd, &["m"]));
            })
            .unwrap();
        reading.join().unwrap();
        assert_eq!(manager.generation(), old + 1);
    });
}

/// What is selected can be found by its id, as long as no later snapshot is published.
fn what_is_selected_can_be_found<M: RouterMap<Upstream> + Default + 'static>() {
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
///
/// Loom does not see std's `Weak`, and so not the moment between a record's load and its router's upgrade: that one is
/// `tests/it/stress.rs`'s, whose readers look for a router that is replaced all the time.
fn replacing_against_lookups<M: RouterMap<Upstream> + Default + 'static>() {
    model(|| {
        let manager = manager::<M>(RouterMode::Multi);
        assert!(register(&manager, "a", HttpRegular, 1));
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        let reading = spawn(&manager, |manager| {
            let class = manager.worker(worker(1)).expect("it is replaced").class();
            assert!(matches!(class, HttpRegular | HttpPd));
            let Some(router) = manager.router("a") else {
                panic!("a router that is replaced was missed");
            };
            router.check();
        });
        manager
            .update(|batch| {
                batch.upsert_worker(spec(1, HttpPd, &["m"]));
                batch
                    .deregister("a")
                    .register("a", Upstream::new(HttpPd, 2));
            })
            .unwrap();
        reading.join().unwrap();
        assert_eq!(manager.router("a").unwrap().number, 2);
        assert_eq!(manager.worker(worker(1)).unwrap().class(), HttpPd);
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
        races! { $maps: two_registrations_at_once, two_registrations_of_one_id, register_against_deregister_of_the_same_id,
            set_default_against_deregister_of_the_default, set_default_to_another_against_deregister_of_the_default,
            select_against_update, what_is_selected_can_be_found, replacing_against_lookups }
    };
}

mod reference {
    races!(super::ReferenceRouters);
}

mod adversarial {
    races!(super::AdversarialRouters);
}
