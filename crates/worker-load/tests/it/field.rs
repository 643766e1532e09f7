//! What has gone wrong in public with counts of requests in flight, each as a scenario that ends
//! with the right count.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use worker_load::{Capacity, Cost, Joined, LeastLoaded, LoadMap, Outcome};

use crate::{backends, fleet, worker};

backends::on_every_backend! {
    a_guard_dropped_before_dispatch,
    an_endpoint_that_flaps_between_increment_and_decrement,
    a_stream_aborted_in_mid_body,
    a_retry_on_a_second_worker,
    cancelled_before_the_first_byte,
    counts_after_a_restart,
    a_handler_that_panics,
    a_count_that_nobody_reaps,
}

/// Counted when it was chosen, and never sent: as many releases as choices.
fn a_guard_dropped_before_dispatch<M: LoadMap + Default>() {
    let loads = fleet::<M>(2, Capacity::requests(1));
    let fleet = loads.everyone();
    for _ in 0..100 {
        drop(
            loads
                .pick(&fleet, Cost::tokens(10, 10), &LeastLoaded::default())
                .unwrap(),
        );
    }
    assert_eq!(loads.snapshot().totals().requests, 0);
}

/// The endpoint is taken out and put back while requests run: no count sinks below zero, none is
/// left over.
fn an_endpoint_that_flaps_between_increment_and_decrement<M: LoadMap + Default>() {
    let loads = fleet::<M>(1, Capacity::requests(2));
    let mut held = Vec::new();
    for flap in 0..50 {
        held.push(loads.reserve(worker(0), Cost::tokens(5, 5)).unwrap());
        let left = loads.leave(worker(0)).unwrap();
        assert_eq!(left.requests(), 1);
        assert!(matches!(
            loads.join(worker(0), Capacity::requests(2)),
            Ok(Joined::New)
        ));
        if flap % 3 == 0 {
            held.clear();
        }
        assert_eq!(loads.requests(worker(0)), 0);
    }
    drop(held);
    assert_eq!(loads.requests(worker(0)), 0);
    let both = [(); 2].map(|()| loads.reserve(worker(0), Cost::request()));
    assert!(
        both.iter().all(Result::is_ok),
        "the whole capacity is there"
    );
}

/// The client hangs up after some tokens: what was added on the way is given back as well.
fn a_stream_aborted_in_mid_body<M: LoadMap + Default>() {
    let loads = fleet::<M>(1, Capacity::unlimited());
    let mut request = loads.reserve(worker(0), Cost::tokens(100, 2)).unwrap();
    request.prefill_done();
    (0..10).for_each(|_| request.add(1));
    assert_eq!(loads.snapshot().totals().tokens, 110);
    thread::spawn(move || drop(request)).join().unwrap();
    let row = loads.snapshot().workers()[0];
    assert_eq!((row.requests, row.tokens, row.abandoned), (0, 0, 1));
}

/// Two reservations while the second worker is asked, then one: each is given back where it was
/// taken.
fn a_retry_on_a_second_worker<M: LoadMap + Default>() {
    let loads = fleet::<M>(2, Capacity::unlimited());
    let first = loads.reserve(worker(0), Cost::request()).unwrap();
    let second = loads.reserve(worker(1), Cost::request()).unwrap();
    assert_eq!(loads.snapshot().totals().requests, 2);
    first.complete(Outcome::Failure);
    assert_eq!(
        (loads.requests(worker(0)), loads.requests(worker(1))),
        (0, 1)
    );
    second.complete(Outcome::Success);
    assert_eq!(loads.snapshot().totals().requests, 0);
}

/// The future that held it is dropped without ever having been polled.
fn cancelled_before_the_first_byte<M: LoadMap + Default>() {
    let loads = fleet::<M>(1, Capacity::unlimited());
    let request = loads.reserve(worker(0), Cost::request()).unwrap();
    let handler = async move {
        let _request = request;
        std::future::pending::<()>().await;
    };
    assert_eq!(loads.requests(worker(0)), 1);
    drop(handler);
    assert_eq!(loads.requests(worker(0)), 0);
}

/// A worker that crashed with requests in flight is not full when it is back, nor are they
/// subtracted from its new ones.
fn counts_after_a_restart<M: LoadMap + Default>() {
    let loads = fleet::<M>(0, Capacity::unlimited());
    let life = |incarnation| worker(7).with_ordered_incarnation(incarnation);
    loads.join(life(1), Capacity::requests(4)).unwrap();
    let old = [(); 4].map(|()| loads.reserve(worker(7), Cost::request()).unwrap());
    // Nobody said that it had left.
    loads.join(life(2), Capacity::requests(4)).unwrap();
    let new = [(); 4].map(|()| loads.reserve(worker(7), Cost::request()).unwrap());
    drop(old);
    assert_eq!(loads.requests(worker(7)), 4);
    assert!(loads.reserve(worker(7), Cost::request()).is_err());
    drop(new);
    assert_eq!(loads.requests(worker(7)), 0);
}

fn a_handler_that_panics<M: LoadMap + Default>() {
    let loads = fleet::<M>(1, Capacity::unlimited());
    let handled = catch_unwind(AssertUnwindSafe(|| {
        let _request = loads.reserve(worker(0), Cost::tokens(1, 1)).unwrap();
        // Not `panic!`: the hook would print it.
        resume_unwind(Box::new("planted"));
    }));
    assert!(handled.is_err());
    assert_eq!(loads.requests(worker(0)), 0);
}

/// A request that runs for longer than any reaper's patience is counted to its end.
fn a_count_that_nobody_reaps<M: LoadMap + Default>() {
    let loads = fleet::<M>(1, Capacity::unlimited());
    let request = loads.reserve(worker(0), Cost::request()).unwrap();
    loads.advance_to(std::time::Duration::from_secs(86_400));
    let _ = loads.snapshot();
    assert_eq!(loads.requests(worker(0)), 1);
    drop(loads.leave(worker(0)));
    drop(loads);
    assert_eq!(request.load().requests(), 1);
    drop(request);
}
