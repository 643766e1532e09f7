//! What may go where.

use static_assertions::{assert_impl_all, assert_not_impl_any};
use worker_load::{
    Budget, Candidates, Draining, LeastLoaded, Policy, PowerOfTwo, Refused, Reservation,
    RoundRobin, Snapshot, WorkerLoad, WorkerLoads,
};

use crate::AnyMap;

assert_impl_all!(Reservation: Send, Sync, Unpin);
assert_not_impl_any!(Reservation: Clone);
assert_impl_all!(WorkerLoads<AnyMap>: Send, Sync, Default);
assert_impl_all!(WorkerLoad: Send, Sync, Clone);
assert_impl_all!(Candidates: Send, Sync, Clone);
assert_impl_all!(Budget: Send, Sync, Clone);
assert_impl_all!(Draining: Send, Sync, Clone);
assert_impl_all!(Snapshot: Send, Sync);
assert_impl_all!(Refused: Send, Sync, std::error::Error, Clone, PartialEq);

fn is_static<T: 'static>() {}

#[test]
fn a_reservation_borrows_nothing() {
    is_static::<Reservation>();
}

#[test]
fn policies_can_be_chosen_at_run_time() {
    let policies: [Box<dyn Policy + Send + Sync>; 3] = [
        Box::new(LeastLoaded::default()),
        Box::new(PowerOfTwo::default()),
        Box::new(RoundRobin::default()),
    ];
    let loads = crate::fleet::<AnyMap>(2, worker_load::Capacity::unlimited());
    for policy in policies {
        let cost = worker_load::Cost::request();
        assert!(loads.pick(&loads.everyone(), cost, &policy).is_ok());
        assert!(loads.pick(&loads.everyone(), cost, &*policy).is_ok());
    }
}

/// What a log shows of each.
#[test]
fn everything_can_be_debugged() {
    let loads = crate::fleet::<AnyMap>(1, worker_load::Capacity::unlimited());
    let worker = crate::worker(0);
    let request = loads
        .reserve(worker, worker_load::Cost::tokens(2, 3))
        .unwrap();
    let text = format!(
        "{request:?} {:?} {:?}",
        loads.worker(worker),
        loads.everyone()
    );
    assert!(
        text.contains("tokens: 5") && text.contains("requests: 1"),
        "{text}"
    );
    assert!(format!("{loads:?}").contains("generation: 1"));
}
