//! The races of a counter, each in a scenario of two or three threads, on the kind map and on the
//! adversarial one.
#![cfg(inflight_loom)]

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use state_map::model::{AdversarialMap, ReferenceMap};
use worker_id::WorkerWithDpRank;
use worker_load::{
    Ask, Budget, Capacity, Cost, LeastLoaded, LoadMap, PinnedTurns, Refused, WorkerLoad,
    WorkerLoads,
};

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

fn worker(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::new(id, 0)
}

/// Worker 1, with room for so many requests.
fn world<M: LoadMap + Default>(requests: u32) -> (Arc<WorkerLoads<M>>, WorkerLoad) {
    let loads = Arc::new(WorkerLoads::with_map(M::default()));
    loads.join(worker(1), Capacity::requests(requests)).unwrap();
    let load = loads.worker(worker(1)).unwrap();
    (loads, load)
}

#[track_caller]
fn assert_at_rest(load: &WorkerLoad) {
    let counts = (load.requests(), load.tokens(), load.prefill_tokens());
    assert_eq!((counts, load.kv_bytes()), ((0, 0, 0), 0));
}

/// What a task does when it is woken, as far as this crate is concerned.
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One of them gets it, and the other is told that there is one in flight.
fn two_reserves_at_the_last_place<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, load) = world::<M>(1);
        let other = {
            let loads = Arc::clone(&loads);
            thread::spawn(move || loads.reserve(worker(1), Cost::tokens(3, 4)))
        };
        let own = loads.reserve(worker(1), Cost::tokens(3, 4));
        let other = other.join().unwrap();
        assert_eq!(load.requests(), 1);
        let refused = match (&own, &other) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            both => panic!("one of two: {both:?}"),
        };
        assert!(matches!(refused, Refused::AtCapacity { in_flight: 1, .. }));
        drop((own, other));
        assert_at_rest(&load);
    });
}

/// Two that fit by requests and not by tokens: the two counts are admitted together.
fn two_reserves_at_the_last_tokens<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, load) = world::<M>(2);
        let capacity = Capacity {
            tokens: Some(10),
            ..Capacity::requests(2)
        };
        loads.join(worker(1), capacity).unwrap();
        let other = {
            let load = load.clone();
            thread::spawn(move || load.reserve(Cost::tokens(3, 4)))
        };
        let own = load.reserve(Cost::tokens(3, 4));
        let other = other.join().unwrap();
        assert!(own.is_ok() != other.is_ok());
        assert_eq!((load.requests(), load.tokens()), (1, 7));
    });
}

/// Admitted before the drain, and then it is not drained; or refused. Never admitted after it.
fn reserve_against_drain<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, load) = world::<M>(8);
        let reserving = {
            let loads = Arc::clone(&loads);
            thread::spawn(move || loads.reserve(worker(1), Cost::request()))
        };
        let draining = loads.drain(worker(1), PinnedTurns::Refuse).unwrap();
        // From here on nothing is admitted: what is in flight now is all that there will be.
        let seen = draining.requests();
        let reserved = reserving.join().unwrap();
        match &reserved {
            Ok(_) => assert_eq!(seen, 1, "admitted after the drain had begun"),
            Err(refused) => {
                assert!(matches!(refused, Refused::Draining { requests: 0, .. }));
                assert!(draining.is_drained());
            }
        }
        drop(reserved);
        assert!(draining.is_drained());
        assert_at_rest(&load);
    });
}

/// A request with bytes that is refused as the drain begins keeps none of them.
fn reserve_with_bytes_against_drain<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, load) = world::<M>(8);
        let reserving = {
            let load = load.clone();
            let cost = Cost {
                kv_bytes: 100,
                ..Cost::tokens(1, 1)
            };
            thread::spawn(move || load.reserve(cost))
        };
        let draining = loads.drain(worker(1), PinnedTurns::Refuse).unwrap();
        let seen = draining.requests();
        let reserved = reserving.join().unwrap();
        assert_eq!(reserved.is_ok(), seen == 1);
        assert_eq!(load.kv_bytes(), if reserved.is_ok() { 100 } else { 0 });
        drop(reserved);
        assert_at_rest(&load);
    });
}

/// It is given back to the life that it was of, and the next life begins at 0, whichever comes
/// first.
fn release_against_leave_and_rejoin<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, before) = world::<M>(8);
        let request = loads.reserve(worker(1), Cost::tokens(3, 4)).unwrap();
        let releasing = thread::spawn(move || drop(request));
        let left = loads.leave(worker(1)).unwrap();
        loads.join(worker(1), Capacity::requests(8)).unwrap();
        let now = loads.worker(worker(1)).unwrap();
        assert_at_rest(&now);
        let request = loads.reserve(worker(1), Cost::request()).unwrap();
        releasing.join().unwrap();
        assert!(left.is_drained());
        assert_at_rest(&before);
        assert_eq!(now.requests(), 1);
        drop(request);
        assert_at_rest(&now);
    });
}

/// A request that is under way while the worker restarts is on the one life or the other, or
/// refused; never on none.
fn reserve_against_leave_and_rejoin<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, before) = world::<M>(8);
        let reserving = {
            let loads = Arc::clone(&loads);
            thread::spawn(move || loads.reserve(worker(1), Cost::request()))
        };
        let left = loads.leave(worker(1)).unwrap();
        let seen = left.requests();
        loads.join(worker(1), Capacity::requests(8)).unwrap();
        let now = loads.worker(worker(1)).unwrap();
        match reserving.join().unwrap() {
            Ok(_request) => {
                assert_eq!(
                    before.requests(),
                    seen,
                    "reserved on a worker that had left"
                );
                assert_eq!(before.requests() + now.requests(), 1);
            }
            Err(refused) => assert!(matches!(refused, Refused::Gone { .. })),
        }
        assert_at_rest(&before);
        assert_at_rest(&now);
    });
}

/// The worker that leaves is picked before it has left, or the other one is.
fn pick_against_leave<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, first) = world::<M>(8);
        loads.join(worker(2), Capacity::requests(8)).unwrap();
        let fleet = loads.everyone();
        let picking = {
            let loads = Arc::clone(&loads);
            let policy = LeastLoaded::default();
            thread::spawn(move || loads.pick(&fleet, Cost::request(), &policy))
        };
        let left = loads.leave(worker(1)).unwrap();
        let seen = left.requests();
        let picked = picking.join().unwrap().expect("one is there all the time");
        assert_eq!(picked.worker() == worker(1), seen == 1);
        drop(picked);
        assert_at_rest(&first);
    });
}

/// Two picks and two places: both are admitted, though both policies may have named the same
/// worker.
fn two_picks_at_the_last_places<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, first) = world::<M>(1);
        loads.join(worker(2), Capacity::requests(1)).unwrap();
        let fleet = Arc::new(loads.everyone());
        let other = {
            let (loads, fleet) = (Arc::clone(&loads), Arc::clone(&fleet));
            let policy = LeastLoaded::default();
            thread::spawn(move || loads.pick(&fleet, Cost::request(), &policy))
        };
        let own = loads.pick(&fleet, Cost::request(), &LeastLoaded::default());
        let other = other.join().unwrap();
        let (own, other) = (own.unwrap(), other.unwrap());
        assert_ne!(own.worker(), other.worker());
        drop((own, other));
        assert_at_rest(&first);
    });
}

/// Two requests of one tenant, which has one place: one has it, and the other has kept nothing, on
/// any worker.
fn two_reserves_at_the_last_place_of_a_budget<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, load) = world::<M>(8);
        let model = Budget::new("model", Capacity::unlimited());
        let tenant = Budget::new("tenant", Capacity::requests(1));
        let other = {
            let (load, model, tenant) = (load.clone(), model.clone(), tenant.clone());
            thread::spawn(move || {
                load.reserve(Ask::new(Cost::request()).within(&[&model, &tenant]))
            })
        };
        let own = loads.reserve(
            worker(1),
            Ask::new(Cost::request()).within(&[&model, &tenant]),
        );
        let other = other.join().unwrap();
        assert!(own.is_ok() != other.is_ok());
        let counts = [load.requests(), tenant.requests(), model.requests()];
        assert_eq!(counts, [1, 1, 1]);
        drop((own, other));
        let counts = [load.requests(), tenant.requests(), model.requests()];
        assert_eq!(counts, [0, 0, 0]);
    });
}

/// The budget was taken and the worker refuses, for it drains by now: nothing is kept of the
/// budget.
fn a_budget_taken_against_a_drain<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, load) = world::<M>(8);
        let tenant = Budget::new("tenant", Capacity::requests(1));
        let reserving = {
            let (loads, tenant) = (Arc::clone(&loads), tenant.clone());
            thread::spawn(move || {
                loads.reserve(worker(1), Ask::new(Cost::request()).within(&[&tenant]))
            })
        };
        loads.drain(worker(1), PinnedTurns::Refuse).unwrap();
        let reserved = reserving.join().unwrap();
        assert_eq!(tenant.requests(), u64::from(reserved.is_ok()));
        assert_eq!(load.requests(), u64::from(reserved.is_ok()));
    });
}

/// Whoever waits is woken by the last release, however the wait and the release meet; and finds
/// everything given back.
fn drained_against_the_last_release<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, load) = world::<M>(8);
        let tenant = Budget::new("tenant", Capacity::requests(1));
        let budgets = [&tenant];
        let cost = Cost {
            kv_bytes: 100,
            ..Cost::tokens(3, 4)
        };
        let request = load.reserve(Ask::new(cost).within(&budgets)).unwrap();
        let draining = loads.drain(worker(1), PinnedTurns::Refuse).unwrap();
        let releasing = thread::spawn(move || drop(request));
        let task = Arc::new(Task(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&task));
        let mut drained = Box::pin(draining.drained());
        let polled = drained.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            assert_at_rest(&load);
            assert_eq!(tenant.requests(), 0);
        }
        releasing.join().unwrap();
        assert_eq!(
            task.0.load(Ordering::SeqCst),
            usize::from(polled.is_pending())
        );
        if polled.is_pending() {
            let again = drained.as_mut().poll(&mut Context::from_waker(&waker));
            assert_eq!(again, Poll::Ready(()));
        }
    });
}

/// The last release and the drain itself: one of them tells whoever waits.
fn drained_against_a_drain_and_a_release<M: LoadMap + Default + 'static>() {
    model(|| {
        let (loads, load) = world::<M>(8);
        let request = load.reserve(Cost::request()).unwrap();
        // Waits from before: the worker was draining, and was resumed.
        let draining = loads.drain(worker(1), PinnedTurns::Refuse).unwrap();
        let task = Arc::new(Task(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&task));
        let mut drained = Box::pin(draining.drained());
        let mut poll = || drained.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll().is_pending());
        loads.resume(worker(1)).unwrap();
        let releasing = thread::spawn(move || drop(request));
        loads.drain(worker(1), PinnedTurns::Refuse).unwrap();
        releasing.join().unwrap();
        assert!(task.0.load(Ordering::SeqCst) > 0, "nobody told it");
        assert!(poll().is_ready());
    });
}

/// Tokens that come over the cap, beside a release and an admission: every token is given back.
fn add_against_reserve<M: LoadMap + Default + 'static>() {
    model(|| {
        let (_, load) = world::<M>(2);
        let mut request = load.reserve(Cost::tokens(3, 1)).unwrap();
        let running = thread::spawn(move || {
            request.add(5);
            request.prefill_done();
        });
        let other = load.reserve(Cost::tokens(1, 1));
        running.join().unwrap();
        assert!(other.is_ok());
        assert_eq!((load.requests(), load.tokens()), (1, 2));
        drop(other);
        assert_at_rest(&load);
    });
}

macro_rules! races {
    ($map:ident: $($race:ident),+ $(,)?) => {
        type Map = super::$map<super::WorkerWithDpRank, super::WorkerLoad>;
        $(
            #[test]
            fn $race() {
                super::$race::<Map>();
            }
        )+
    };
    ($map:ident) => {
        races!($map:
            two_reserves_at_the_last_place,
            two_reserves_at_the_last_tokens,
            reserve_against_drain,
            reserve_with_bytes_against_drain,
            release_against_leave_and_rejoin,
            reserve_against_leave_and_rejoin,
            pick_against_leave,
            two_picks_at_the_last_places,
            two_reserves_at_the_last_place_of_a_budget,
            a_budget_taken_against_a_drain,
            drained_against_the_last_release,
            drained_against_a_drain_and_a_release,
            add_against_reserve,
        );
    };
}

mod reference {
    races!(ReferenceMap);
}

mod adversarial {
    races!(AdversarialMap);
}
