//! Second keys: taken together with the worker, or not at all.

use worker_load::{Ask, Budget, Capacity, Cost, Holder, LeastLoaded, Limit, Refused};

use crate::{AnyMap, fleet, worker};

#[test]
fn all_are_taken_or_nothing_is() {
    let loads = fleet::<AnyMap>(1, Capacity::requests(8));
    let [model, tenant, key] = [8, 1, 8].map(|most| Budget::new("b", Capacity::requests(most)));
    let all = [&model, &tenant, &key];
    let ask = Ask::new(Cost::tokens(3, 4)).within(&all);
    let counts = || {
        let of = |budget: &Budget| (budget.requests(), budget.tokens());
        [
            of(&model),
            of(&tenant),
            of(&key),
            (loads.requests(worker(0)), 7),
        ]
    };
    let first = loads.reserve(worker(0), ask).unwrap();
    assert_eq!(counts(), [(1, 7); 4]);
    let refused = loads.reserve(worker(0), ask).unwrap_err();
    let expected = Refused::AtCapacity {
        at: Holder::Budget("b".into()),
        limit: Limit::Requests,
        in_flight: 1,
        cap: 1,
    };
    assert_eq!(refused, expected);
    assert_eq!(counts(), [(1, 7); 4]);
    drop(first);
    assert_eq!(model.requests() + tenant.requests() + key.requests(), 0);
    assert_eq!(loads.requests(worker(0)), 0);
}

/// A tenant over its quota leaves no mark on any worker, and a full worker none on the tenant.
#[test]
fn a_refusal_leaves_no_mark_on_the_others() {
    let loads = fleet::<AnyMap>(1, Capacity::requests(1));
    let tenant = Budget::new("tenant", Capacity::requests(1));
    let budgets = [&tenant];
    let ask = Ask::new(Cost::request()).within(&budgets);
    let other = loads.reserve(worker(0), Cost::request()).unwrap();
    assert!(loads.reserve(worker(0), ask).is_err());
    assert!(
        loads
            .pick(&loads.everyone(), ask, &LeastLoaded::default())
            .is_err()
    );
    assert_eq!(tenant.requests(), 0);
    drop(other);
    let _ = loads.snapshot();
    let own = loads.reserve(worker(0), ask).unwrap();
    assert!(loads.reserve(worker(0), ask).is_err());
    assert_eq!(loads.snapshot().workers()[0].most_requests, 1);
    drop(own);
}

#[test]
fn the_same_budget_twice_counts_twice() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    let tenant = Budget::new("tenant", Capacity::requests(3));
    let twice = [&tenant, &tenant];
    let ask = Ask::new(Cost::request()).within(&twice);
    let one = loads.reserve(worker(0), ask).unwrap();
    assert!(loads.reserve(worker(0), ask).is_err());
    assert_eq!(tenant.requests(), 2);
    drop(one);
    assert_eq!(tenant.requests(), 0);
}

#[test]
fn what_a_request_adds_is_added_to_its_budgets() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    let tenant = Budget::new("tenant", Capacity::unlimited());
    let budgets = [&tenant];
    let ask = Ask::new(Cost {
        kv_bytes: 9,
        ..Cost::tokens(10, 0)
    })
    .within(&budgets);
    let mut request = loads.reserve(worker(0), ask).unwrap();
    request.add(5);
    request.prefill_done();
    assert_eq!((tenant.tokens(), tenant.kv_bytes()), (15, 9));
    drop(request);
    assert_eq!((tenant.tokens(), tenant.kv_bytes()), (0, 0));
}

#[test]
fn a_budget_may_change_and_may_go_before_its_requests() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    let tenant = Budget::new("tenant \n acme", Capacity::requests(1));
    let budgets = [&tenant];
    let ask = Ask::new(Cost::request()).within(&budgets);
    let first = loads.reserve(worker(0), ask).unwrap();
    let refused = loads.reserve(worker(0), ask).unwrap_err().to_string();
    assert!(
        refused.starts_with(r#"the budget "tenant \n acme" has 1 requests"#),
        "{refused}"
    );
    tenant.set_capacity(Capacity::requests(2));
    let second = loads.reserve(worker(0), ask).unwrap();
    drop(tenant);
    drop((first, second));
    assert_eq!(loads.requests(worker(0)), 0);
}
