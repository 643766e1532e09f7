//! What a request allocates: nothing, and where it counts for budgets one block, on every map; a
//! choice among thousands nothing more.
#![cfg(not(inflight_loom))]

#[path = "it/backends.rs"]
mod backends;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};

use alloc_count::{CountingAllocator, assert_no_alloc, measure};
use worker_id::WorkerWithDpRank;
use worker_load::{
    Ask, Budget, Capacity, Cost, LeastLoaded, LoadMap, Mix, Outcome, Policy, PowerOfTwo, Prefer,
    Random, RoundRobin, WeightedRandom, WorkerLoads,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

backends::on_every_backend! { a_request_allocates_nothing, a_request_of_budgets_allocates_one_block }

fn worker(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::new(id, 0)
}

fn fleet<M: LoadMap + Default>(workers: u64) -> WorkerLoads<M> {
    let loads = WorkerLoads::with_map(M::default());
    for id in 0..workers {
        loads.join(worker(id), Capacity::requests(1_000)).unwrap();
    }
    loads
}

fn a_request_allocates_nothing<M: LoadMap + Default>() {
    let loads = fleet::<M>(500);
    let everyone = loads.everyone();
    let prefer = Prefer {
        worker: worker(7),
        over: 3.0,
        mix: Mix::tokens(),
        otherwise: PowerOfTwo::default(),
    };
    let policies: [&dyn Policy; 6] = [
        &LeastLoaded::default(),
        &PowerOfTwo::default(),
        &RoundRobin::default(),
        &Random,
        &WeightedRandom,
        &prefer,
    ];
    let cost = Cost {
        kv_bytes: 9,
        ..Cost::tokens(100, 10)
    };
    let requests = || {
        for policy in policies {
            let mut request = loads.pick(&everyone, cost, policy).unwrap();
            request.prefill_done();
            request.add(50);
            request.complete(Outcome::Success);
        }
        drop(loads.reserve(worker(3), cost).unwrap());
        assert!(loads.reserve(worker(900), cost).is_err());
    };
    // A thread's first access may register it with the map's memory reclamation, and seeds its
    // random numbers.
    requests();
    assert_no_alloc(requests);

    let planted = catch_unwind(AssertUnwindSafe(|| {
        assert_no_alloc(|| {
            requests();
            drop(black_box(Box::new(7)));
        });
    }));
    assert!(planted.is_err(), "a planted allocation goes unnoticed");
}

/// The list of them, which the reservation has.
fn a_request_of_budgets_allocates_one_block<M: LoadMap + Default>() {
    let loads = fleet::<M>(8);
    let [tenant, model] = ["tenant", "model"].map(|name| Budget::new(name, Capacity::unlimited()));
    let budgets = [&tenant, &model];
    let ask = Ask::new(Cost::request()).within(&budgets);
    let everyone = loads.everyone();
    let request = || drop(loads.pick(&everyone, ask, &PowerOfTwo::default()).unwrap());
    request();
    let ((), counts) = measure(|| (0..100).for_each(|_| request()));
    assert_eq!((counts.allocations, counts.reallocations), (100, 0));
}

#[test]
fn ten_thousand_candidates_allocate_nothing() {
    type Map = state_map::model::ReferenceMap<WorkerWithDpRank, worker_load::WorkerLoad>;
    let loads = fleet::<Map>(10_000);
    let everyone = loads.everyone();
    let pick = |policy: &dyn Policy| {
        drop(loads.pick(&everyone, Cost::tokens(5, 5), policy).unwrap());
    };
    pick(&PowerOfTwo::default());
    assert_no_alloc(|| {
        pick(&LeastLoaded(Mix::tokens()));
        pick(&WeightedRandom);
    });
}
