//! The generation as others follow it: never ahead of what can be selected, never backwards, and
//! the last one for sure.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use crate::backends::{ReferenceRouters, Upstream, spec, worker};
use router_snapshot::RouterClass::HttpRegular;
use router_snapshot::{RouterManager, RouterMode};
use worker_id::WorkerState;

type Manager = RouterManager<Upstream, (), ReferenceRouters>;

/// Uses the manager while it is woken: under its lock that would never return.
struct Asking(Manager);

impl Wake for Asking {
    fn wake(self: Arc<Self>) {
        self.0.remove_worker(worker(1));
    }
}

#[test]
fn changes_are_told_when_they_are_published_and_no_lock_is_held() {
    let asking = Arc::new(Asking(RouterManager::with_map(
        RouterMode::Multi,
        ReferenceRouters::default(),
    )));
    let manager = &asking.0;
    let mut watch = manager.subscribe();
    assert_eq!(*watch.borrow_and_update(), 0);
    let waker = Waker::from(Arc::clone(&asking));
    let mut context = Context::from_waker(&waker);
    {
        let mut changed = std::pin::pin!(watch.changed());
        assert!(changed.as_mut().poll(&mut context).is_pending());
        manager.upsert_worker(spec(1, HttpRegular, &["m"])).unwrap();
        assert!(matches!(
            changed.as_mut().poll(&mut context),
            Poll::Ready(Ok(()))
        ));
    }
    assert!(
        manager.worker(worker(1)).is_none(),
        "the woken one removed it"
    );
    assert_eq!(*watch.borrow_and_update(), 2);
    assert!(!manager.set_state(worker(1), WorkerState::Ill).is_changed());
    assert!(!watch.has_changed().unwrap());
}

#[test]
fn of_changes_that_race_the_last_generation_stays() {
    const THREADS: u64 = 4;
    const EACH: u64 = 500;
    let manager = Manager::with_map(RouterMode::Multi, ReferenceRouters::default());
    let watch = manager.subscribe();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let manager = &manager;
            scope.spawn(move || {
                for _ in 0..EACH / 2 {
                    manager
                        .upsert_worker(spec(thread, HttpRegular, &["m"]))
                        .unwrap();
                    thread::yield_now();
                    assert!(manager.remove_worker(worker(thread)).is_changed());
                }
            });
        }
        let (mut watch, manager) = (manager.subscribe(), &manager);
        scope.spawn(move || {
            let mut last = 0;
            while last < THREADS * EACH {
                let told = *watch.borrow_and_update();
                assert!(told >= last, "the generation went back");
                assert!(manager.generation() >= told, "told before it was published");
                last = told;
                thread::yield_now();
            }
        });
    });
    assert_eq!(*watch.borrow(), manager.generation());
}
