//! One worker's counter, one thread: what is admitted, what it counts for, and what refusals say.

use worker_load::{Capacity, Cost, Holder, Limit, Outcome, Refused, WorkerLoad};

use crate::{AnyMap, fleet, worker};

fn load(capacity: Capacity) -> WorkerLoad {
    fleet::<AnyMap>(1, capacity).worker(worker(0)).unwrap()
}

fn counts(load: &WorkerLoad) -> [u64; 4] {
    [
        load.requests(),
        load.tokens(),
        load.prefill_tokens(),
        load.kv_bytes(),
    ]
}

#[track_caller]
fn assert_full(refused: &Refused, limit: Limit, in_flight: u64, cap: u64) {
    let at = Holder::Worker(worker(0));
    let expected = Refused::AtCapacity {
        at,
        limit,
        in_flight,
        cap,
    };
    assert_eq!(*refused, expected);
}

#[test]
fn a_reservation_counts_for_its_cost_until_it_is_dropped() {
    let load = load(Capacity::unlimited());
    let cost = Cost {
        kv_bytes: 4_096,
        ..Cost::tokens(100, 20)
    };
    let one = load.reserve(cost).unwrap();
    let two = load.reserve(Cost::request()).unwrap();
    assert_eq!(counts(&load), [2, 120, 100, 4_096]);
    assert_eq!((one.worker(), one.load().requests()), (worker(0), 2));
    drop(one);
    assert_eq!(counts(&load), [1, 0, 0, 0]);
    drop(two);
    assert_eq!(counts(&load), [0; 4]);
}

#[test]
fn each_cap_refuses_by_itself_and_says_what_it_saw() {
    let load = load(Capacity {
        tokens: Some(100),
        kv_bytes: Some(1_000),
        ..Capacity::requests(2)
    });
    let bytes = |kv_bytes| Cost {
        kv_bytes,
        ..Cost::request()
    };
    let first = load.reserve(bytes(600)).unwrap();
    assert_full(
        &load.reserve(bytes(401)).unwrap_err(),
        Limit::KvBytes,
        600,
        1_000,
    );
    let refused = load.reserve(Cost::tokens(100, 1)).unwrap_err();
    assert_full(&refused, Limit::Tokens, 0, 100);
    let second = load.reserve(Cost::tokens(100, 0)).unwrap();
    let refused = load.reserve(Cost::request()).unwrap_err();
    assert_full(&refused, Limit::Requests, 2, 2);
    assert_eq!(
        refused.to_string(),
        "the worker 0:0 has 2 requests in flight, of 2: wait for one to end, or raise the cap"
    );
    assert_eq!(counts(&load), [2, 100, 100, 600]);
    drop((first, second));
    assert_eq!(counts(&load), [0; 4]);
}

/// At both ends of the range, and no count runs into another.
#[test]
fn caps_and_costs_at_their_ends() {
    let closed = load(Capacity::requests(0));
    assert!(closed.reserve(Cost::request()).is_err());
    let no_tokens = load(Capacity {
        tokens: Some(0),
        kv_bytes: Some(0),
        ..Capacity::requests(u32::MAX)
    });
    assert!(no_tokens.reserve(Cost::tokens(0, 1)).is_err());
    let most = load(Capacity {
        tokens: Some(u64::MAX),
        kv_bytes: Some(u64::MAX),
        ..Capacity::requests(u32::MAX)
    });
    let cost = Cost {
        prefill: u32::MAX,
        decode: u32::MAX,
        kv_bytes: u64::MAX - 1,
    };
    let mut one = most.reserve(cost).unwrap();
    let refused = most.reserve(cost).unwrap_err();
    assert_full(&refused, Limit::KvBytes, u64::MAX - 1, u64::MAX);
    one.add(u32::MAX);
    assert_eq!(
        counts(&most),
        [1, Cost::MOST_TOKENS, Cost::MOST_TOKENS, u64::MAX - 1]
    );
    drop(one);
    let all: Vec<_> = (0..262_143)
        .map(|_| most.reserve(Cost::tokens(0, u32::MAX)).unwrap())
        .collect();
    assert_eq!(most.requests(), 262_143);
    assert_eq!(most.tokens(), 262_143 * Cost::MOST_TOKENS);
    let refused = most.reserve(Cost::request()).unwrap_err();
    assert_full(&refused, Limit::Requests, 262_143, 262_143);
    drop(all);
    assert_eq!(counts(&most), [0; 4]);
}

#[test]
fn tokens_are_added_from_the_end_of_the_estimate_on() {
    let load = load(Capacity::unlimited());
    let mut request = load.reserve(Cost::tokens(100, 20)).unwrap();
    request.add(15);
    assert_eq!(load.tokens(), 120);
    request.add(10);
    assert_eq!(load.tokens(), 125);
    request.add(1);
    assert_eq!(load.tokens(), 126);
    drop(request);
    assert_eq!(counts(&load), [0; 4]);
}

#[test]
fn a_prefill_that_is_done_stays_in_the_cache() {
    let load = load(Capacity::unlimited());
    let mut request = load.reserve(Cost::tokens(100, 20)).unwrap();
    request.prefill_done();
    request.prefill_done();
    assert_eq!(counts(&load), [1, 120, 0, 0]);
    drop(request);
    assert_eq!(counts(&load), [0; 4]);
}

/// A running request cannot be refused: it passes the cap, which is counted, and keeps others out.
#[test]
fn what_is_added_over_the_cap_is_overrun() {
    let loads = fleet::<AnyMap>(
        1,
        Capacity {
            tokens: Some(100),
            ..Capacity::unlimited()
        },
    );
    let mut request = loads.reserve(worker(0), Cost::tokens(90, 0)).unwrap();
    request.add(8);
    let overrun = || loads.snapshot().workers()[0].overrun;
    assert_eq!(overrun(), 0);
    request.add(5);
    assert_eq!(overrun(), 3);
    request.add(5);
    assert_eq!(overrun(), 8);
    let refused = loads.reserve(worker(0), Cost::tokens(1, 0)).unwrap_err();
    assert_full(&refused, Limit::Tokens, 108, 100);
    // What costs no tokens is not refused for others' overrun.
    assert!(loads.reserve(worker(0), Cost::request()).is_ok());
    drop(request);
    assert_eq!((loads.requests(worker(0)), overrun()), (0, 8));
}

#[test]
fn a_lower_cap_holds_from_the_next_call_on() {
    let loads = fleet::<AnyMap>(1, Capacity::requests(2));
    let held = [(); 2].map(|()| loads.reserve(worker(0), Cost::request()).unwrap());
    loads.join(worker(0), Capacity::requests(1)).unwrap();
    let refused = loads.reserve(worker(0), Cost::request()).unwrap_err();
    assert_full(&refused, Limit::Requests, 2, 1);
    drop(held);
    assert!(loads.reserve(worker(0), Cost::request()).is_ok());
}

#[test]
fn how_requests_ended_is_counted() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    for outcome in [Outcome::Success, Outcome::Success, Outcome::Failure] {
        loads
            .reserve(worker(0), Cost::request())
            .unwrap()
            .complete(outcome);
    }
    drop(loads.reserve(worker(0), Cost::request()).unwrap());
    let row = loads.snapshot().workers()[0];
    assert_eq!((row.succeeded, row.failed, row.abandoned), (2, 1, 1));
}
