//! Whom each policy chooses.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use worker_load::{
    Among, Ask, Capacity, Cost, LeastLoaded, Mix, PinnedTurns, Policy, PowerOfTwo, Prefer, Random,
    Refused, Reservation, RoundRobin, WeightedRandom, WorkerLoads,
};

use crate::{AnyMap, fleet, worker};

fn pick(loads: &WorkerLoads<AnyMap>, policy: &dyn Policy) -> Reservation {
    let cost = Cost::tokens(10, 0);
    loads.pick(&loads.everyone(), cost, policy).unwrap()
}

fn picked(loads: &WorkerLoads<AnyMap>, policy: &dyn Policy) -> u64 {
    pick(loads, policy).worker().worker_id
}

/// How often each of `workers` was picked of 10,000 times, each time given back at once.
fn shares(loads: &WorkerLoads<AnyMap>, policy: &dyn Policy) -> BTreeMap<u64, u32> {
    let mut shares = BTreeMap::new();
    for _ in 0..10_000 {
        *shares.entry(picked(loads, policy)).or_default() += 1;
    }
    shares
}

fn with_weights<const N: usize>(weights: [u32; N]) -> WorkerLoads<AnyMap> {
    let loads = WorkerLoads::default();
    for (id, weight) in (0..).zip(weights) {
        let weight = NonZeroU32::new(weight).unwrap();
        let capacity = Capacity {
            weight,
            ..Capacity::unlimited()
        };
        loads.join(worker(id), capacity).unwrap();
    }
    loads
}

#[test]
fn least_loaded_by_requests_and_by_tokens() {
    let loads = fleet::<AnyMap>(3, Capacity::unlimited());
    let _zero = loads.reserve(worker(0), Cost::tokens(1, 1)).unwrap();
    let _zero_again = loads.reserve(worker(0), Cost::tokens(1, 1)).unwrap();
    let _one = loads.reserve(worker(1), Cost::tokens(500, 0)).unwrap();
    let _two = [(); 3].map(|()| loads.reserve(worker(2), Cost::tokens(1, 0)).unwrap());
    assert_eq!(picked(&loads, &LeastLoaded(Mix::requests())), 1);
    assert_eq!(picked(&loads, &LeastLoaded(Mix::tokens())), 2);
    let mixed = Mix {
        request: 10.0,
        decode_token: 1.0,
        prefill_token: 0.0,
        ..Mix::tokens()
    };
    // Prefills count for nothing, so that one request is the least.
    assert_eq!(picked(&loads, &LeastLoaded(mixed)), 1);
    let by_bytes = Mix {
        kv_byte: 1.0,
        ..Mix::requests()
    };
    let bytes = Cost {
        kv_bytes: 1 << 40,
        ..Cost::request()
    };
    let _bytes = loads.reserve(worker(1), bytes).unwrap();
    assert_eq!(picked(&loads, &LeastLoaded(by_bytes)), 0);
}

/// None of those that are equal is always the first.
#[test]
fn ties_rotate() {
    let loads = fleet::<AnyMap>(8, Capacity::unlimited());
    let ids: Vec<u64> = (0..16)
        .map(|_| picked(&loads, &LeastLoaded::default()))
        .collect();
    let distinct: std::collections::BTreeSet<_> = ids[..8].iter().collect();
    assert_eq!(distinct.len(), 8, "{ids:?}");
    assert_eq!(ids[..8], ids[8..]);
}

#[test]
fn two_choices_are_nearly_even() {
    let loads = fleet::<AnyMap>(100, Capacity::unlimited());
    let held: Vec<_> = (0..1_000)
        .map(|_| pick(&loads, &PowerOfTwo::default()))
        .collect();
    let most = loads
        .snapshot()
        .workers()
        .iter()
        .map(|row| row.requests)
        .max();
    assert!(most < Some(16), "{most:?} on one of 100, of 1,000");
    drop(held);
    let random: Vec<_> = (0..1_000).map(|_| pick(&loads, &Random)).collect();
    let by_chance = loads
        .snapshot()
        .workers()
        .iter()
        .map(|row| row.requests)
        .max();
    assert!(
        by_chance > most,
        "no better than chance: {most:?}, {by_chance:?}"
    );
    drop(random);
    // One alone, and two: there is always one to choose.
    for workers in [1, 2] {
        let loads = fleet::<AnyMap>(workers, Capacity::unlimited());
        assert_eq!(shares(&loads, &PowerOfTwo::default()).len() as u64, workers);
    }
}

/// However few take the request: they are found.
#[test]
fn the_only_one_with_room_is_found() {
    let policies: [&dyn Policy; 5] = [
        &LeastLoaded::default(),
        &PowerOfTwo::default(),
        &RoundRobin::default(),
        &Random,
        &WeightedRandom,
    ];
    let loads = fleet::<AnyMap>(50, Capacity::requests(1));
    let full: Vec<_> = (0..49).map(|_| pick(&loads, &Random)).collect();
    for policy in policies {
        drop(pick(&loads, policy));
    }
    let _last = pick(&loads, &Random);
    loads.drain(worker(7), PinnedTurns::Refuse).unwrap();
    let fleet = loads.everyone();
    loads.leave(worker(8)).unwrap();
    for policy in policies {
        let refused = loads.pick(&fleet, Cost::request(), policy).unwrap_err();
        let expected = Refused::NoCandidate {
            candidates: 50,
            at_capacity: 48,
            draining: 1,
            gone: 1,
        };
        assert_eq!(refused, expected);
    }
    drop(full);
}

#[test]
fn nobody_to_choose_among() {
    let loads = fleet::<AnyMap>(0, Capacity::unlimited());
    let refused = loads.pick(&loads.everyone(), Cost::request(), &PowerOfTwo::default());
    let text = refused.unwrap_err().to_string();
    assert_eq!(
        text,
        "none of 0 candidates takes the request: 0 at capacity, 0 draining, 0 gone"
    );
    assert_eq!(loads.candidates([worker(3)]).len(), 0);
}

#[test]
fn round_robin_is_one_after_the_other() {
    let loads = fleet::<AnyMap>(4, Capacity::unlimited());
    let policy = RoundRobin::default();
    let ids: Vec<u64> = (0..8).map(|_| picked(&loads, &policy)).collect();
    assert_eq!(ids, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn chance_is_even_and_weights_are_kept() {
    let loads = with_weights([1, 2, 5]);
    for (id, share) in shares(&loads, &Random) {
        assert!((2_900..3_800).contains(&share), "{id}: {share}");
    }
    let shares = shares(&loads, &WeightedRandom);
    for (id, expected) in [(0, 1_250), (1, 2_500), (2, 6_250)] {
        let share = shares[&id];
        assert!(
            share.abs_diff(expected) < 350,
            "{id}: {share} for {expected}"
        );
    }
}

/// A worker of twice the weight has twice the requests.
#[test]
fn the_least_loaded_for_its_weight() {
    let loads = with_weights([1, 2, 5]);
    let held: Vec<_> = (0..80)
        .map(|_| pick(&loads, &LeastLoaded::default()))
        .collect();
    let requests = [0, 1, 2].map(|id| loads.requests(worker(id)));
    assert_eq!(requests, [10, 20, 50]);
    drop(held);
}

#[test]
fn who_has_just_joined_gets_less_for_a_while() {
    let loads = fleet::<AnyMap>(3, Capacity::unlimited());
    loads.advance_to(Duration::from_secs(600));
    loads.join(worker(3), Capacity::unlimited()).unwrap();
    let policy = LeastLoaded(Mix {
        slow_start: Duration::from_secs(60),
        ..Mix::requests()
    });
    let of_newcomer = || {
        let held: Vec<_> = (0..300).map(|_| pick(&loads, &policy)).collect();
        held.iter()
            .filter(|held| held.worker() == worker(3))
            .count()
    };
    // A tenth of a share beside three whole ones.
    assert_eq!(of_newcomer(), 9);
    loads.advance_to(Duration::from_secs(630));
    assert!((42..=44).contains(&of_newcomer()));
    loads.advance_to(Duration::from_secs(660));
    assert_eq!(of_newcomer(), 75);
}

#[test]
fn the_preferred_one_unless_it_is_over_its_fair_share() {
    let loads = fleet::<AnyMap>(4, Capacity::requests(40));
    let prefer = Prefer {
        worker: worker(2),
        over: 6.0,
        mix: Mix::requests(),
        otherwise: LeastLoaded::default(),
    };
    // 8 on it are 6 over the fair share of 2: the ninth still goes there, the tenth does not.
    let held: Vec<_> = (0..10).map(|_| pick(&loads, &prefer)).collect();
    let ids: Vec<u64> = held.iter().map(|held| held.worker().worker_id).collect();
    assert!(ids[..9].iter().all(|id| *id == 2) && ids[9] != 2, "{ids:?}");
    // Not if it is no candidate, or takes nothing.
    let others = loads.candidates([0, 1, 3].map(worker));
    assert!(loads.pick(&others, Cost::request(), &prefer).is_ok());
    drop(held);
    loads.drain(worker(2), PinnedTurns::Admit).unwrap();
    assert_ne!(picked(&loads, &prefer), 2);
    let turn = Ask::new(Cost::request()).pinned();
    let pinned = loads.pick(&loads.everyone(), turn, &prefer).unwrap();
    assert_eq!(pinned.worker(), worker(2));
}

/// A policy may be wrong, and may panic: nothing is kept.
#[test]
fn a_policy_that_does_its_worst() {
    struct Wild(Option<usize>);
    impl Policy for Wild {
        fn choose(&self, _: &Among<'_>) -> Option<usize> {
            self.0
        }
    }
    struct Panics;
    impl Policy for Panics {
        fn choose(&self, _: &Among<'_>) -> Option<usize> {
            std::panic::resume_unwind(Box::new("planted"))
        }
    }
    let loads = fleet::<AnyMap>(2, Capacity::requests(1));
    let fleet = loads.everyone();
    assert!(
        loads.pick(&fleet, Cost::request(), &Wild(None)).is_err(),
        "it declined"
    );
    // There is none at that place, so each is asked once.
    assert!(loads.pick(&fleet, Cost::request(), &Wild(Some(9))).is_ok());
    let _full = loads.reserve(worker(0), Cost::request()).unwrap();
    let picked = loads.pick(&fleet, Cost::request(), &Wild(Some(0))).unwrap();
    assert_eq!(
        picked.worker(),
        worker(1),
        "0 is full, whatever the policy says"
    );

    let tenant = worker_load::Budget::new("tenant", Capacity::requests(1));
    let budgets = [&tenant];
    let ask = Ask::new(Cost::request()).within(&budgets);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        loads.pick(&fleet, ask, &Panics)
    }));
    assert!(unwound.is_err());
    assert_eq!(tenant.requests(), 0);
}
