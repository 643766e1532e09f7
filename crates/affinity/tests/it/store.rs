//! What a memory store has beyond the contract: bounds, sweeps, leases, ends of many bindings, callbacks.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use affinity::BindingKind::{EngineBacked, RouterOnly};
use affinity::{
    ConfigError, ExpireCause, Expired, LeaseError, Leg, MemoryStore, MemoryStoreConfig,
    SessionEntry, SessionFingerprint, SessionKey, SessionMap, SessionRef, StoreError, WhenFull,
    Written,
};
use state_map::model::ReferenceMap;
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! {
    expired_entries_never_count_as_full,
    what_is_in_flight_is_not_evicted,
    a_late_turn_gives_back_its_own_lease_only,
    a_sweep_goes_by_its_budget_in_bites,
    a_panicking_callback_loses_no_other,
    a_callback_may_use_the_store,
    a_release_ends_all_scopes_of_its_tenants_session,
    a_worker_that_left_takes_its_pins_along,
}

const A: WorkerWithDpRank = WorkerWithDpRank::new(1, 0);
const B: WorkerWithDpRank = WorkerWithDpRank::new(2, 0);
const TTL: Duration = Duration::from_secs(60);

type Reference = ReferenceMap<SessionFingerprint, SessionEntry>;

fn config(capacity: usize, when_full: WhenFull) -> MemoryStoreConfig {
    MemoryStoreConfig {
        ttl: TTL,
        capacity,
        when_full,
        ..MemoryStoreConfig::default()
    }
}

fn store<M: SessionMap + Default>(capacity: usize, when_full: WhenFull) -> MemoryStore<M> {
    MemoryStore::with_map(config(capacity, when_full), M::default()).unwrap()
}

type Told = Arc<Mutex<Vec<Expired>>>;
type Callback = Box<dyn Fn(Expired)>;

fn telling<M: SessionMap>(store: MemoryStore<M>) -> (MemoryStore<M>, Told) {
    let told = Told::default();
    let telling = Arc::clone(&told);
    let store = store.on_expire(move |each| telling.lock().unwrap().push(each));
    (store, told)
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}-{number}"))
        .collect()
}

fn expired_entries_never_count_as_full<M: SessionMap + Default>() {
    for when_full in [
        WhenFull::Reject,
        WhenFull::Unpinned,
        WhenFull::EvictOldestIdle,
    ] {
        let (store, told) = telling(store::<M>(600, when_full));
        for session in names("old", 600) {
            assert!(store.claim(&session, A, EngineBacked).unwrap().applied);
        }
        store.advance_to(TTL / 2);
        for session in names("old", 599) {
            assert!(store.get(&session).unwrap().is_some());
        }
        store.advance_to(TTL);
        assert!(
            store.claim("new", B, RouterOnly).unwrap().applied,
            "one of 600 has run out"
        );
        assert_eq!(store.len(), 600);
        let told = told.lock().unwrap();
        let told: Vec<_> = told
            .iter()
            .map(|each| (each.key.as_ref().session, each.cause))
            .collect();
        assert_eq!(
            told,
            [("old-599", ExpireCause::Idle)],
            "under {when_full:?}"
        );
    }
}

fn what_is_in_flight_is_not_evicted<M: SessionMap + Default>() {
    let store = store::<M>(600, WhenFull::EvictOldestIdle);
    let mut leases = Vec::new();
    for session in names("turn", 600) {
        assert!(store.claim(&session, A, RouterOnly).unwrap().applied);
        leases.push(store.acquire(&session).unwrap().unwrap());
    }
    store.advance_to(TTL * 3);
    assert!(matches!(
        store.claim("new", B, RouterOnly),
        Err(StoreError::Full { capacity: 600 })
    ));
    // The last in every order.
    drop(leases.remove(599));
    store.advance_to(TTL * 3 + Duration::from_millis(1));
    assert!(store.claim("new", B, RouterOnly).unwrap().applied);
    assert_eq!(store.peek("turn-599").unwrap(), None);
    drop(leases);
    assert_eq!(store.len(), 600);
}

fn a_late_turn_gives_back_its_own_lease_only<M: SessionMap + Default>() {
    let store = store::<M>(8, WhenFull::Reject);
    assert!(store.bind("s", A, RouterOnly).unwrap().applied);
    let [early, late] = [(); 2].map(|()| store.acquire("s").unwrap().unwrap());
    let rebound = store.bind("s", B, RouterOnly).unwrap().now;
    drop(early);
    let turn = store.acquire("s").unwrap().unwrap();
    drop(late);
    assert_eq!(store.sweep(TTL * 5, usize::MAX).ended, 0);
    assert_eq!(store.peek("s").unwrap(), rebound);
    drop(turn);
    assert_eq!(store.sweep(TTL * 6, usize::MAX).ended, 1);

    assert!(store.bind("s", A, RouterOnly).unwrap().applied);
    let outlives = store.acquire("s").unwrap().unwrap();
    drop(store);
    assert_eq!(outlives.binding().worker, A);
    drop(outlives);
}

fn a_sweep_goes_by_its_budget_in_bites<M: SessionMap + Default>() {
    let (store, told) = telling(store::<M>(10_000, WhenFull::Reject));
    for session in names("s", 2_000) {
        assert!(store.claim(&session, A, EngineBacked).unwrap().applied);
    }
    store.advance_to(TTL / 2);
    for session in names("s", 1_000) {
        assert!(store.get(&session).unwrap().is_some());
    }
    let none = store.sweep(TTL, 0);
    assert!(none.looked == 0 && none.more, "{none:?}");
    let some = store.sweep(TTL, 100);
    assert!(
        some.looked == 100 && some.largest_bite == 100 && some.more,
        "{some:?}"
    );
    let rest = store.sweep(TTL, usize::MAX);
    assert_eq!(
        (some.looked + rest.looked, some.ended + rest.ended),
        (2_000, 1_000)
    );
    assert_eq!((rest.largest_bite, rest.more), (256, false));
    assert_eq!((told.lock().unwrap().len(), store.len()), (1_000, 1_000));

    let again = store.sweep(TTL + TTL / 2 - Duration::from_millis(1), usize::MAX);
    assert_eq!(
        again.looked, 0,
        "an entry is looked at once in its time to live"
    );
    assert_eq!(store.sweep(TTL + TTL / 2, usize::MAX).ended, 1_000);
    assert!(store.is_empty());
}

fn a_panicking_callback_loses_no_other<M: SessionMap + Default>() {
    let told = Told::default();
    let telling = Arc::clone(&told);
    let store = store::<M>(10_000, WhenFull::Reject).on_expire(move |each| {
        let mut told = telling
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        told.push(each);
        assert!(told.len() % 3 != 0, "planted");
    });
    for session in names("s", 1_000) {
        assert!(store.claim(&session, A, EngineBacked).unwrap().applied);
    }
    assert_eq!(store.sweep(TTL, usize::MAX).ended, 1_000);
    let told = told
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    assert_eq!(told.len(), 1_000);
    assert!(
        store.claim("s-1", A, RouterOnly).unwrap().applied,
        "the store goes on"
    );
}

/// It runs outside of every lock: that of the map, too.
fn a_callback_may_use_the_store<M: SessionMap + Default + 'static>() {
    thread_local! {
        static AGAIN: RefCell<Option<Callback>> = const { RefCell::new(None) };
    }
    let store = store::<M>(3, WhenFull::EvictOldestIdle)
        .on_expire(|each| AGAIN.with_borrow(|again| again.as_ref().expect("set below")(each)));
    let store = Arc::new(store);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (inner, inner_seen) = (Arc::clone(&store), Arc::clone(&seen));
    AGAIN.set(Some(Box::new(move |each| {
        let key = each.key.as_ref();
        let found = inner.peek(key).unwrap().is_some();
        inner_seen
            .lock()
            .unwrap()
            .push((key.session.to_owned(), each.cause, found));
        assert!(!inner.remove(key).unwrap().applied);
        let _ = inner.sweep(inner.now(), 1);
        let _ = inner.unbind_worker(B);
    })));
    for session in ["evicted", "idle", "released", "last"] {
        assert!(store.claim(session, A, EngineBacked).unwrap().applied);
        store.advance_to(store.now() + Duration::from_millis(1));
    }
    assert_eq!(store.release(None, "released").unwrap(), 1);
    assert!(store.remove("last").unwrap().applied);
    assert_eq!(store.sweep(store.now() + TTL, usize::MAX).ended, 1);
    AGAIN.set(None);
    let expected = [
        ("evicted", ExpireCause::Evicted),
        ("released", ExpireCause::Released),
        ("idle", ExpireCause::Idle),
    ];
    let expected = expected.map(|(session, cause)| (session.to_owned(), cause, false));
    assert_eq!(*seen.lock().unwrap(), expected);
}

fn a_release_ends_all_scopes_of_its_tenants_session<M: SessionMap + Default>() {
    let (store, told) = telling(store::<M>(10_000, WhenFull::Reject));
    let models = names("model", 600);
    let plain = SessionRef::new("s");
    let scopes = |tenant: Option<&'static str>, session: &'static str| {
        let key = SessionRef {
            tenant,
            ..SessionRef::new(session)
        };
        let models = models.iter().map(move |model| key.model(model));
        models
            .chain([key, key.leg(Leg::Prefill), key.leg(Leg::Decode)])
            .collect::<Vec<_>>()
    };
    let strangers = [
        (None, "s"),
        (Some("t"), "s2"),
        (Some("t"), "r"),
        (Some("u"), "s"),
        (Some(""), "s"),
    ];
    for key in strangers
        .iter()
        .flat_map(|(tenant, session)| scopes(*tenant, session))
        .chain(scopes(Some("t"), "s"))
    {
        assert!(store.claim(key, A, EngineBacked).unwrap().applied);
    }
    let lease = store.acquire(plain.tenant("t")).unwrap().unwrap();
    assert_eq!(store.release(Some("t"), "s").unwrap(), 603);
    assert_eq!(store.release(Some("t"), "s").unwrap(), 0);
    assert_eq!(store.len(), 5 * 603);
    for key in scopes(Some("t"), "s") {
        assert_eq!(store.peek(key).unwrap(), None, "{key}");
    }
    for (tenant, session) in strangers {
        for key in scopes(tenant, session) {
            assert!(
                store.peek(key).unwrap().is_some(),
                "{key} is somebody else's"
            );
        }
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 603);
    assert!(
        told.iter().all(
            |each| each.cause == ExpireCause::Released && each.key.as_ref().tenant == Some("t")
        )
    );
    drop(lease);
    assert_eq!(
        store.peek(plain.tenant("t")).unwrap(),
        None,
        "a lease holds nothing that was released"
    );
}

fn a_worker_that_left_takes_its_pins_along<M: SessionMap + Default>() {
    let (store, told) = telling(store::<M>(10_000, WhenFull::Reject));
    let workers = [
        A.with_incarnation(1),
        A.with_incarnation(2),
        A,
        B,
        WorkerWithDpRank::new(1, 1),
    ];
    let sessions = names("s", 2_000);
    let pins: Vec<_> = sessions.iter().zip(workers.into_iter().cycle()).collect();
    let (old, new) = pins.split_at(1_000);
    let bind = |pins: &[(&String, WorkerWithDpRank)]| {
        for (session, worker) in pins {
            assert!(
                store
                    .claim(*session, *worker, EngineBacked)
                    .unwrap()
                    .applied
            );
        }
    };
    // Half of them are known to be in use, and lie where others do not.
    bind(old);
    store.advance_to(Duration::from_millis(1));
    for (session, _) in old {
        assert!(store.get(*session).unwrap().is_some());
    }
    let swept = store.sweep(TTL, usize::MAX);
    assert_eq!((swept.looked, swept.ended), (1_000, 0));
    bind(new);
    assert_eq!(store.unbind_worker(A.with_incarnation(3)), 0);
    assert_eq!(store.unbind_worker(A.with_incarnation(1)), 400);
    assert_eq!(store.unbind_worker(A), 800, "its other lives");
    assert_eq!(store.unbind_worker(A), 0);
    assert_eq!(store.len(), 800);
    assert!(
        store
            .peek("s-3")
            .unwrap()
            .is_some_and(|binding| binding.worker == B)
    );
    let told = told.lock().unwrap();
    assert!(told.len() == 1_200 && told.iter().all(|each| each.cause == ExpireCause::Released));
}

#[test]
fn turns_in_flight_have_a_cap() {
    let config = MemoryStoreConfig {
        max_turns: 2,
        ..config(10, WhenFull::Reject)
    };
    let store = MemoryStore::with_map(config, Reference::default()).unwrap();
    assert!(
        store.acquire("s").unwrap().is_none(),
        "there is nothing to hold"
    );
    assert!(store.claim("s", A, RouterOnly).unwrap().applied);
    let turns = [(); 2].map(|()| store.acquire("s").unwrap().unwrap());
    let error = store.acquire("s").unwrap_err();
    assert!(matches!(error, LeaseError::Busy { turns: 2 }), "{error}");
    store.advance_to(TTL * 10);
    assert!(store.get("s").unwrap().is_some());
    drop(turns);
    assert!(store.acquire("s").unwrap().is_some());
    store.advance_to(TTL * 11);
    assert_eq!(
        store.peek("s").unwrap(),
        None,
        "the time runs from the release"
    );
    assert!(matches!(
        store.acquire(""),
        Err(LeaseError::Store(StoreError::EmptySession))
    ));
}

#[test]
fn as_many_turns_as_can_be_counted() {
    let store = store::<Reference>(10, WhenFull::Reject);
    assert!(store.claim("s", A, EngineBacked).unwrap().applied);
    let turns: Vec<_> = (0..65_535)
        .map(|_| store.acquire("s").unwrap().unwrap())
        .collect();
    assert!(matches!(
        store.acquire("s"),
        Err(LeaseError::Busy { turns: 65_535 })
    ));
    assert_eq!(
        store.peek("s").unwrap().unwrap().kind,
        EngineBacked,
        "the count stays in its bits"
    );
    drop(turns);
    assert_eq!(store.sweep(TTL, 1).ended, 1);
}

#[test]
fn a_config_that_makes_no_sense_is_refused() {
    let with = |change: fn(&mut MemoryStoreConfig)| {
        let mut config = MemoryStoreConfig::default();
        change(&mut config);
        MemoryStore::with_map(config, Reference::default())
            .map(drop)
            .unwrap_err()
    };
    let micro = Duration::from_micros(999);
    assert_eq!(
        with(|config| config.ttl = Duration::ZERO),
        ConfigError::Ttl {
            value: Duration::ZERO
        }
    );
    assert_eq!(
        with(|config| config.ttl = Duration::from_micros(999)),
        ConfigError::Ttl { value: micro }
    );
    assert_eq!(with(|config| config.capacity = 0), ConfigError::Capacity);
    assert_eq!(
        with(|config| config.max_key_len = 0),
        ConfigError::MaxKeyLen { value: 0 }
    );
    let value = SessionKey::MAX_LEN + 1;
    assert_eq!(
        with(|config| config.max_key_len = SessionKey::MAX_LEN + 1),
        ConfigError::MaxKeyLen { value }
    );
    assert_eq!(with(|config| config.max_turns = 0), ConfigError::MaxTurns);
}

#[test]
fn the_longest_time_to_live_is_for_ever() {
    let config = MemoryStoreConfig {
        ttl: Duration::MAX,
        ..config(2, WhenFull::EvictOldestIdle)
    };
    let store = MemoryStore::with_map(config, Reference::default()).unwrap();
    assert!(store.claim("s", A, RouterOnly).unwrap().applied);
    store.advance_to(Duration::MAX);
    assert!(store.get("s").unwrap().is_some());
    assert_eq!(store.sweep(Duration::MAX, usize::MAX).looked, 0);
    assert!(store.claim("t", A, RouterOnly).unwrap().applied);
    assert!(store.claim("u", A, RouterOnly).unwrap().applied);
    assert_eq!(store.peek("t").unwrap(), None, "never used, so evicted");
    drop(store.acquire("s").unwrap());
    assert!(store.peek("s").unwrap().is_some());
}

#[test]
fn the_clock_never_goes_back() {
    let store = store::<Reference>(2, WhenFull::Reject);
    store.advance_to(TTL);
    store.advance_to(Duration::ZERO);
    assert_eq!(store.now(), TTL);
    assert!(store.claim("s", A, RouterOnly).unwrap().applied);
    store.advance_to(TTL + TTL - Duration::from_micros(1));
    assert!(store.peek("s").unwrap().is_some(), "to the millisecond");
    store.advance_to(TTL + TTL);
    assert_eq!(store.peek("s").unwrap(), None);
}

#[test]
fn the_longest_keys_are_keys() {
    let config = MemoryStoreConfig {
        max_key_len: SessionKey::MAX_LEN,
        ..config(10, WhenFull::Reject)
    };
    let store = MemoryStore::with_map(config, Reference::default()).unwrap();
    let long = "x".repeat(SessionKey::MAX_LEN - 2);
    let keys = [
        SessionRef::new("s").tenant(&long).model("m"),
        SessionRef::new("s").tenant("t").model(&long),
        SessionRef::new(&long).tenant("t").model("m"),
    ];
    for key in keys {
        assert!(store.claim(key, A, RouterOnly).unwrap().applied);
        assert!(store.get(key).unwrap().is_some());
    }
    let longer = SessionRef::new("s2").tenant(&long).model("m");
    let error = store.bind(longer, A, RouterOnly).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::KeyTooLong {
                len: 8_191,
                max: 8_190
            }
        ),
        "{error}"
    );
    assert_eq!(store.remove("nobody").unwrap(), Written::declined(None));
}
