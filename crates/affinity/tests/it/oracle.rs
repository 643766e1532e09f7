//! A store against a naive one: random calls under a clock that is moved, on every map, compared after each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use affinity::{
    Binding, BindingKind, ExpireCause, Lease, LeaseError, Leg, MemoryStore, MemoryStoreConfig,
    SessionMap, SessionRef, StoreError, WhenFull, Written,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! { matches_the_naive_store }

const TTL: u64 = 10;
const CAPACITY: usize = 4;
const MAX_TURNS: u16 = 2;

/// Tenant, model, leg, session: in the order in which a store has them.
type Key = (Option<&'static str>, &'static str, u8);

fn session_ref((tenant, session, scope): Key) -> SessionRef<'static> {
    let key = SessionRef {
        tenant,
        ..SessionRef::new(session)
    };
    match scope {
        0 => key,
        1 => key.leg(Leg::Decode),
        _ => key.model("m"),
    }
}

#[derive(Debug, Clone)]
enum Call {
    Get(Key),
    Peek(Key),
    Bind(Key, u64, BindingKind),
    Claim(Key, u64, BindingKind),
    RefreshIf(Key, u64),
    /// With the generation that the key has, or with one that many generations earlier.
    RebindIf(Key, u64, u64, BindingKind),
    Remove(Key),
    RemoveIf(Key, u64),
    Acquire(Key),
    DropLease(prop::sample::Index),
    Release(Option<&'static str>, &'static str),
    UnbindWorker(u64),
    Advance(u64),
    Sweep(u64, usize),
}

fn any_call() -> impl Strategy<Value = Call> {
    let tenant = || prop_oneof![Just(None), Just(Some("t"))];
    let session = || prop_oneof![3 => Just("a"), 1 => Just("b")];
    let key = || (tenant(), session(), 0..3_u8);
    let worker = || 0..3_u64;
    let kind = || {
        prop_oneof![
            Just(BindingKind::RouterOnly),
            Just(BindingKind::EngineBacked)
        ]
    };
    let age = || prop_oneof![3 => Just(0), 1 => 1..3_u64];
    prop_oneof![
        4 => key().prop_map(Call::Get),
        2 => key().prop_map(Call::Peek),
        3 => (key(), worker(), kind()).prop_map(|(key, worker, kind)| Call::Bind(key, worker, kind)),
        6 => (key(), worker(), kind()).prop_map(|(key, worker, kind)| Call::Claim(key, worker, kind)),
        2 => (key(), worker()).prop_map(|(key, worker)| Call::RefreshIf(key, worker)),
        3 => (key(), age(), worker(), kind()).prop_map(|(key, age, worker, kind)| Call::RebindIf(key, age, worker, kind)),
        1 => key().prop_map(Call::Remove),
        1 => (key(), age()).prop_map(|(key, age)| Call::RemoveIf(key, age)),
        3 => key().prop_map(Call::Acquire),
        2 => any::<prop::sample::Index>().prop_map(Call::DropLease),
        1 => (tenant(), session()).prop_map(|(tenant, session)| Call::Release(tenant, session)),
        1 => worker().prop_map(Call::UnbindWorker),
        4 => (0..TTL).prop_map(Call::Advance),
        2 => (0..TTL, prop_oneof![0..3_usize, Just(usize::MAX)]).prop_map(|(time, budget)| Call::Sweep(time, budget)),
    ]
}

#[derive(Debug)]
struct NaivePin {
    binding: Binding,
    deadline: u64,
    used: bool,
    turns: u16,
}

type Told = (SessionRef<'static>, u64, ExpireCause);

#[derive(Debug, Default)]
struct Naive {
    when_full: WhenFull,
    now: u64,
    generation: u64,
    pins: BTreeMap<Key, NaivePin>,
    told: Vec<(Key, u64, ExpireCause)>,
}

impl Naive {
    fn end(&mut self, key: Key, cause: ExpireCause) {
        let pin = self.pins.remove(&key).expect("it is there");
        if pin.binding.kind == BindingKind::EngineBacked {
            self.told.push((key, pin.binding.generation, cause));
        }
    }

    fn end_all(&mut self, cause: ExpireCause, which: impl Fn(&Key, &NaivePin) -> bool) -> usize {
        let keys: Vec<_> = self
            .pins
            .iter()
            .filter(|(key, pin)| which(key, pin))
            .map(|(key, _)| *key)
            .collect();
        keys.iter().for_each(|key| self.end(*key, cause));
        keys.len()
    }

    fn advance(&mut self, by: u64) {
        self.now += by;
        let now = self.now;
        self.end_all(ExpireCause::Idle, |_, pin| {
            pin.turns == 0 && pin.deadline <= now
        });
    }

    fn now(&self, key: Key) -> Option<Binding> {
        self.pins.get(&key).map(|pin| pin.binding)
    }

    fn used(&mut self, key: Key) -> Option<Binding> {
        let deadline = self.now + TTL;
        let pin = self.pins.get_mut(&key)?;
        (pin.deadline, pin.used) = (deadline, true);
        Some(pin.binding)
    }

    /// Of those that are equally old, an eviction ends any: the one that `is_gone`.
    fn bind(
        &mut self,
        key: Key,
        worker: u64,
        kind: BindingKind,
        is_gone: impl Fn(Key) -> bool,
    ) -> Result<Written, StoreError> {
        if self.pins.remove(&key).is_none() && self.pins.len() == CAPACITY {
            let age = |pin: &NaivePin| (pin.used, pin.deadline);
            let idle = || self.pins.iter().filter(|(_, pin)| pin.turns == 0);
            let least = idle().map(|(_, pin)| age(pin)).min();
            let oldest: Vec<Key> = idle()
                .filter(|(_, pin)| Some(age(pin)) == least)
                .map(|(key, _)| *key)
                .collect();
            let gone = oldest.iter().find(|key| is_gone(**key));
            let oldest = gone.or(oldest.first()).copied();
            match (self.when_full, oldest) {
                (WhenFull::Unpinned, _) => return Ok(Written::declined(None)),
                (WhenFull::EvictOldestIdle, Some(oldest)) => self.end(oldest, ExpireCause::Evicted),
                _ => return Err(StoreError::Full { capacity: CAPACITY }),
            }
        }
        self.generation += 1;
        let binding = Binding {
            worker: worker.into(),
            kind,
            generation: self.generation,
        };
        let deadline = self.now + TTL;
        self.pins.insert(
            key,
            NaivePin {
                binding,
                deadline,
                used: false,
                turns: 0,
            },
        );
        Ok(Written::applied(Some(binding)))
    }

    fn if_observed(&self, key: Key, age: u64) -> (u64, bool) {
        let generation = self.now(key).map_or(0, |binding| binding.generation);
        (generation.saturating_sub(age), generation > 0 && age == 0)
    }
}

/// The naive store, the real one, and the leases that are held of both.
struct Pair<M> {
    naive: Naive,
    store: MemoryStore<M>,
    told: Arc<Mutex<Vec<Told>>>,
    leases: Vec<(Key, Lease)>,
}

fn comparable<T: std::fmt::Debug, E: std::fmt::Debug>(result: &Result<T, E>) -> String {
    format!("{result:?}")
}

impl<M: SessionMap + Default> Pair<M> {
    fn new(when_full: WhenFull) -> Self {
        let config = MemoryStoreConfig {
            ttl: Duration::from_millis(TTL),
            capacity: CAPACITY,
            max_turns: MAX_TURNS,
            when_full,
            ..MemoryStoreConfig::default()
        };
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let store = MemoryStore::with_map(config, M::default())
            .unwrap()
            .on_expire(move |expired| {
                let key = expired.key.as_ref();
                let key = keys()
                    .find(|known| *known == key)
                    .expect("a key that was bound");
                telling
                    .lock()
                    .unwrap()
                    .push((key, expired.binding.generation, expired.cause));
            });
        let naive = Naive {
            when_full,
            ..Naive::default()
        };
        Self {
            naive,
            store,
            told,
            leases: Vec::new(),
        }
    }

    /// What the store answers, and what the naive one does.
    fn call(&mut self, call: &Call) -> (String, String) {
        let (naive, store) = (&mut self.naive, &self.store);
        let is_gone = |key| matches!(store.peek(session_ref(key)), Ok(None));
        let written = |real: Result<Written, StoreError>, naive: Result<Written, StoreError>| {
            (comparable(&real), comparable(&naive))
        };
        let found = |real: Result<Option<Binding>, StoreError>, naive: Option<Binding>| {
            (comparable(&real), comparable(&Ok::<_, StoreError>(naive)))
        };
        match *call {
            Call::Get(key) => found(store.get(session_ref(key)), naive.used(key)),
            Call::Peek(key) => found(store.peek(session_ref(key)), naive.now(key)),
            Call::Bind(key, worker, kind) => {
                let real = store.bind(session_ref(key), worker.into(), kind);
                written(real, naive.bind(key, worker, kind, is_gone))
            }
            Call::Claim(key, worker, kind) => {
                let real = store.claim(session_ref(key), worker.into(), kind);
                written(
                    real,
                    match naive.now(key) {
                        Some(holder) => Ok(Written::declined(Some(holder))),
                        None => naive.bind(key, worker, kind, is_gone),
                    },
                )
            }
            Call::RefreshIf(key, worker) => {
                let worker = WorkerWithDpRank::from(worker);
                let real = store.refresh_if(session_ref(key), worker);
                written(
                    real,
                    Ok(match naive.now(key) {
                        Some(holder) if holder.worker == worker => {
                            Written::applied(naive.used(key))
                        }
                        other => Written::declined(other),
                    }),
                )
            }
            Call::RebindIf(key, age, worker, kind) => {
                let (observed, applies) = naive.if_observed(key, age);
                let real = store.rebind_if(session_ref(key), observed, worker.into(), kind);
                written(
                    real,
                    if applies {
                        naive.bind(key, worker, kind, is_gone)
                    } else {
                        Ok(Written::declined(naive.now(key)))
                    },
                )
            }
            Call::Remove(key) => {
                let removed = naive.pins.remove(&key).is_some();
                written(
                    store.remove(session_ref(key)),
                    Ok(Written {
                        applied: removed,
                        now: None,
                    }),
                )
            }
            Call::RemoveIf(key, age) => {
                let (observed, applies) = naive.if_observed(key, age);
                if applies {
                    naive.pins.remove(&key);
                }
                let real = store.remove_if(session_ref(key), observed);
                written(
                    real,
                    Ok(Written {
                        applied: applies,
                        now: naive.now(key),
                    }),
                )
            }
            Call::Acquire(key) => {
                let real = store.acquire(session_ref(key));
                let turns = naive.pins.get(&key).map_or(0, |pin| pin.turns);
                let expected = if turns == MAX_TURNS {
                    Err(LeaseError::Busy { turns })
                } else {
                    if let Some(pin) = naive.pins.get_mut(&key) {
                        pin.turns += 1;
                    }
                    Ok(naive.used(key))
                };
                let seen = real
                    .as_ref()
                    .map(|lease| lease.as_ref().map(Lease::binding));
                let answers = (comparable(&seen), comparable(&expected));
                self.leases
                    .extend(real.ok().flatten().map(|lease| (key, lease)));
                answers
            }
            Call::DropLease(index) => {
                if !self.leases.is_empty() {
                    let (key, lease) = self.leases.swap_remove(index.index(self.leases.len()));
                    let pin = naive.pins.get_mut(&key);
                    if pin.is_some_and(|pin| {
                        let its_own = pin.binding.generation == lease.binding().generation;
                        pin.turns -= u16::from(its_own);
                        its_own
                    }) {
                        naive.used(key);
                    }
                    drop(lease);
                }
                Default::default()
            }
            Call::Release(tenant, session) => {
                let released = naive.end_all(ExpireCause::Released, |key, _| {
                    (key.0, key.1) == (tenant, session)
                });
                let real = store.release(tenant, session);
                (
                    comparable(&real),
                    comparable(&Ok::<_, StoreError>(released)),
                )
            }
            Call::UnbindWorker(worker) => {
                let left = WorkerWithDpRank::from(worker);
                let ended =
                    naive.end_all(ExpireCause::Released, |_, pin| pin.binding.worker == left);
                (store.unbind_worker(left).to_string(), ended.to_string())
            }
            Call::Advance(by) => {
                naive.advance(by);
                store.advance_to(Duration::from_millis(naive.now));
                Default::default()
            }
            Call::Sweep(by, budget) => {
                naive.advance(by);
                let swept = store.sweep(Duration::from_millis(naive.now), budget);
                let within = swept.looked <= budget && swept.ended <= swept.looked;
                let finished = swept.more || store.len() == naive.pins.len();
                (format!("{within} {finished}"), "true true".to_owned())
            }
        }
    }

    /// Nobody is told of anything that has not ended, nor twice; `all`: everybody is told of everything.
    fn check_told(&self, all: bool) -> Result<(), TestCaseError> {
        let mut expected: Vec<Told> = self
            .naive
            .told
            .iter()
            .map(|(key, generation, cause)| (session_ref(*key), *generation, *cause))
            .collect();
        let mut told = self.told.lock().unwrap().clone();
        expected.sort_by_key(|told| told.1);
        told.sort_by_key(|told| told.1);
        if !all {
            expected.retain(|each| told.contains(each));
        }
        prop_assert_eq!(told, expected);
        Ok(())
    }
}

fn keys() -> impl Iterator<Item = SessionRef<'static>> {
    [None, Some("t")].into_iter().flat_map(|tenant| {
        ["a", "b"]
            .into_iter()
            .flat_map(move |session| (0..3).map(move |scope| session_ref((tenant, session, scope))))
    })
}

fn matches_the_naive_store<M: SessionMap + Default>() {
    let policies = prop_oneof![
        Just(WhenFull::Reject),
        Just(WhenFull::Unpinned),
        Just(WhenFull::EvictOldestIdle)
    ];
    let mut runner = TestRunner::new(Config {
        cases: 512,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&(policies, vec(any_call(), 1..60)), |(when_full, calls)| {
        let mut pair = Pair::<M>::new(when_full);
        for call in calls {
            let (real, naive) = pair.call(&call);
            prop_assert_eq!(real, naive, "{:?}", call);
            pair.check_told(false)?;
            prop_assert!(pair.store.len() >= pair.naive.pins.len() && pair.store.len() <= CAPACITY);
        }
        for tenant in [None, Some("t")] {
            for session in ["a", "b"] {
                for scope in 0..3 {
                    let key = (tenant, session, scope);
                    prop_assert_eq!(
                        pair.store.peek(session_ref(key)).unwrap(),
                        pair.naive.now(key)
                    );
                }
            }
        }
        let _ = pair.store.sweep(pair.store.now(), usize::MAX);
        prop_assert_eq!(pair.store.len(), pair.naive.pins.len());
        pair.check_told(true)
    });
    if let Err(failure) = outcome {
        panic!("the store and the naive one disagree: {failure}");
    }
}
