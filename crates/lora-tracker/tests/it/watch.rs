//! Who watches is told when the generation moves, outside of every lock, and never of an older one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use lora_tracker::{LoraEvent, LoraInfo, LoraMap, LoraTracker};
use tokio::sync::watch::Receiver;
use worker_id::{Effect, WorkerWithDpRank};

crate::backends::on_every_backend! {
    a_watcher_is_told_of_each_change_and_of_nothing_else,
    a_waker_may_use_the_tracker,
    generations_do_not_go_back,
    the_first_subscriber_misses_no_change,
}

fn loaded(id: u64, name: &str) -> LoraEvent {
    LoraEvent::Loaded {
        worker: WorkerWithDpRank::from_worker_id(id),
        lora: LoraInfo::new(name),
    }
}

fn a_watcher_is_told_of_each_change_and_of_nothing_else<M: LoraMap + Default>() {
    let tracker = LoraTracker::<M>::default();
    let mut receiver = tracker.subscribe();
    assert_eq!(receiver.has_changed().ok(), Some(false));
    for generation in 1..4 {
        tracker.apply(loaded(generation, "a")).unwrap();
        assert_eq!(receiver.has_changed().ok(), Some(true));
        assert_eq!(*receiver.borrow_and_update(), generation);
        tracker.apply(loaded(generation, "a")).unwrap();
        assert_eq!(
            receiver.has_changed().ok(),
            Some(false),
            "nothing is different"
        );
    }
    assert_eq!(*tracker.subscribe().borrow(), 3);
    drop(tracker);
    assert!(receiver.has_changed().is_err(), "nothing comes any more");
}

/// Reads and writes while it is woken: under the writer's lock, or one of the map, that would never
/// return.
struct Using<M>(OnceLock<Arc<LoraTracker<M>>>, AtomicU64);

impl<M: LoraMap + 'static> Wake for Using<M> {
    fn wake(self: Arc<Self>) {
        let tracker = self.0.get().expect("a tracker");
        let seen = tracker.generation();
        assert_eq!(
            tracker.snapshot().loaded_workers("a").len() as u64,
            seen,
            "what it is told of is there"
        );
        self.1.fetch_max(seen, Ordering::Relaxed);
        assert_eq!(tracker.apply(loaded(99, "b")), Ok(Effect::Changed));
    }
}

fn a_waker_may_use_the_tracker<M: LoraMap + Default + 'static>() {
    let tracker = Arc::new(LoraTracker::<M>::default());
    let using = Arc::new(Using(
        OnceLock::from(Arc::clone(&tracker)),
        AtomicU64::new(0),
    ));
    let waker = Waker::from(Arc::clone(&using));
    let mut receiver = tracker.subscribe();
    let mut changed = Box::pin(receiver.changed());
    assert!(
        changed
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    tracker.apply(loaded(1, "a")).unwrap();
    assert_eq!(
        using.1.load(Ordering::Relaxed),
        1,
        "it was woken, with the change in place"
    );
    assert!(matches!(
        changed.as_mut().poll(&mut Context::from_waker(&waker)),
        Poll::Ready(Ok(()))
    ));
    drop(changed);
    assert_eq!(tracker.generation(), 2);
    assert_eq!(*receiver.borrow(), 2);
}

fn generations_do_not_go_back<M: LoraMap + Default>() {
    const CHANGES: u64 = 2_000;
    let tracker = LoraTracker::<M>::default();
    let watch = |mut receiver: Receiver<u64>| {
        let mut newest = 0;
        while newest < 2 * CHANGES {
            let seen = *receiver.borrow_and_update();
            assert!(seen >= newest, "{seen} after {newest}");
            assert!(tracker.generation() >= seen, "told before it could be read");
            newest = seen;
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| watch(tracker.subscribe()));
        for name in ["a", "b"] {
            let tracker = &tracker;
            scope.spawn(move || {
                for id in 0..CHANGES {
                    tracker.apply(loaded(id, name)).unwrap();
                    if id % 16 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
}

/// The channel is made by the first who subscribes: a change that comes meanwhile is in the
/// generation that it begins with, or is told.
fn the_first_subscriber_misses_no_change<M: LoraMap + Default>() {
    for _ in 0..200 {
        let tracker = LoraTracker::<M>::default();
        thread::scope(|scope| {
            let first = scope.spawn(|| tracker.subscribe());
            tracker.apply(loaded(1, "a")).unwrap();
            assert_eq!(*first.join().unwrap().borrow(), 1);
        });
    }
}
