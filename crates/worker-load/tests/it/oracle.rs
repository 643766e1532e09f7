//! Loads against naive ones: random calls on every map, compared after each.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use worker_load::{
    Ask, Budget, Capacity, Cost, Holder, Limit, LoadMap, PinnedTurns, Refused, Reservation,
    WorkerLoads,
};

use crate::{backends, worker};

backends::on_every_backend! { matches_the_naive_loads }

const OF_TENANT: u32 = 3;

#[derive(Clone, Debug)]
enum Call {
    Join(u64, Capacity),
    Leave(u64),
    Drain(u64, bool),
    Resume(u64),
    Reserve {
        at: u64,
        cost: Cost,
        pinned: bool,
        within: bool,
    },
    /// The least loaded by requests: any of those that are.
    Pick(Cost),
    Add(prop::sample::Index, u32),
    PrefillDone(prop::sample::Index),
    Drop(prop::sample::Index),
}

fn any_cost() -> impl Strategy<Value = Cost> {
    (0..40_u32, 0..20_u32, 0..100_u64).prop_map(|(prefill, decode, kv_bytes)| Cost {
        kv_bytes,
        ..Cost::tokens(prefill, decode)
    })
}

fn any_call() -> impl Strategy<Value = Call> {
    let which = any::<prop::sample::Index>;
    let capacity =
        (0..5_u32, 0..150_u64, 0..300_u64).prop_map(|(requests, tokens, bytes)| Capacity {
            tokens: Some(tokens),
            kv_bytes: Some(bytes),
            ..Capacity::requests(requests)
        });
    prop_oneof![
        3 => (0..4_u64, capacity).prop_map(|(id, capacity)| Call::Join(id, capacity)),
        1 => (0..4_u64).prop_map(Call::Leave),
        1 => (0..4_u64, any::<bool>()).prop_map(|(id, pinned)| Call::Drain(id, pinned)),
        1 => (0..4_u64).prop_map(Call::Resume),
        6 => (0..4_u64, any_cost(), any::<(bool, bool)>())
            .prop_map(|(at, cost, (pinned, within))| Call::Reserve { at, cost, pinned, within }),
        4 => any_cost().prop_map(Call::Pick),
        3 => (which(), 0..30_u32).prop_map(|(which, tokens)| Call::Add(which, tokens)),
        1 => which().prop_map(Call::PrefillDone),
        4 => which().prop_map(Call::Drop),
    ]
}

/// One life, and what it has, by going over its requests each time.
#[derive(Clone, Copy)]
struct Life {
    number: usize,
    capacity: Capacity,
    draining: Option<bool>,
}

#[derive(Clone, Copy)]
struct Request {
    life: usize,
    cost: Cost,
    decoded: u64,
    prefilling: bool,
    within: bool,
}

impl Request {
    fn tokens(&self) -> u64 {
        u64::from(self.cost.prefill) + self.decoded.max(self.cost.decode.into())
    }
}

#[derive(Default)]
struct Naive {
    lives: usize,
    there: BTreeMap<u64, Life>,
    requests: Vec<Request>,
}

impl Naive {
    fn sums(&self, life: usize) -> [u64; 4] {
        let its = self.requests.iter().filter(|request| request.life == life);
        its.fold([0; 4], |[requests, tokens, prefill, bytes], request| {
            let prefilling = if request.prefilling {
                request.cost.prefill
            } else {
                0
            };
            [
                requests + 1,
                tokens + request.tokens(),
                prefill + u64::from(prefilling),
                bytes + request.cost.kv_bytes,
            ]
        })
    }

    fn within(&self) -> u64 {
        self.requests
            .iter()
            .filter(|request| request.within)
            .count() as u64
    }

    fn judge(&self, id: u64, cost: &Cost, pinned: bool) -> Result<usize, Refused> {
        let worker = worker(id);
        let life = self.there.get(&id).ok_or(Refused::Gone { worker })?;
        let [requests, tokens, _, bytes] = self.sums(life.number);
        if life.draining.is_some_and(|lets_in| !(pinned && lets_in)) {
            return Err(Refused::Draining { worker, requests });
        }
        let full = |limit, in_flight, cap: u64| Refused::AtCapacity {
            at: Holder::Worker(worker),
            limit,
            in_flight,
            cap,
        };
        let caps = life.capacity;
        let (most, most_tokens) = (caps.requests.unwrap().into(), caps.tokens.unwrap());
        if requests >= most {
            return Err(full(Limit::Requests, requests, most));
        }
        let more = u64::from(cost.prefill + cost.decode);
        if more > 0 && tokens + more > most_tokens {
            return Err(full(Limit::Tokens, tokens, most_tokens));
        }
        let most_bytes = caps.kv_bytes.unwrap();
        if cost.kv_bytes > 0 && bytes + cost.kv_bytes > most_bytes {
            return Err(full(Limit::KvBytes, bytes, most_bytes));
        }
        Ok(life.number)
    }

    fn begin(&mut self, life: usize, cost: Cost, within: bool) {
        self.requests.push(Request {
            life,
            cost,
            decoded: 0,
            prefilling: true,
            within,
        });
    }
}

struct Pair<M> {
    loads: WorkerLoads<M>,
    tenant: Budget,
    held: Vec<Reservation>,
    naive: Naive,
}

impl<M: LoadMap + Default> Pair<M> {
    fn call(&mut self, call: &Call) {
        let (loads, naive) = (&self.loads, &mut self.naive);
        match *call {
            Call::Join(id, capacity) => {
                loads.join(worker(id), capacity).unwrap();
                let number = naive.lives;
                naive.lives += 1;
                let life = naive.there.entry(id).or_insert(Life {
                    number,
                    capacity,
                    draining: None,
                });
                life.capacity = capacity;
            }
            Call::Leave(id) => {
                let left = loads.leave(worker(id)).map(|left| left.requests());
                let life = naive.there.remove(&id);
                assert_eq!(left.ok(), life.map(|life| naive.sums(life.number)[0]));
            }
            Call::Drain(id, lets_in) => {
                let pinned = if lets_in {
                    PinnedTurns::Admit
                } else {
                    PinnedTurns::Refuse
                };
                let drained = loads
                    .drain(worker(id), pinned)
                    .map(|left| left.is_drained());
                let life = naive.there.get_mut(&id).map(|life| {
                    life.draining = Some(lets_in);
                    life.number
                });
                assert_eq!(drained.ok(), life.map(|number| naive.sums(number)[0] == 0));
            }
            Call::Resume(id) => {
                let life = naive.there.get_mut(&id).map(|life| life.draining = None);
                assert_eq!(loads.resume(worker(id)).ok(), life);
            }
            Call::Reserve {
                at,
                cost,
                pinned,
                within,
            } => {
                let budgets = [&self.tenant];
                let budgets = if within { &budgets[..] } else { &[] };
                let ask = Ask::new(cost).within(budgets);
                let ask = if pinned { ask.pinned() } else { ask };
                let real = loads.reserve(worker(at), ask);
                let in_flight = naive.within();
                let expected =
                    if within && in_flight == u64::from(OF_TENANT) && naive.there.contains_key(&at)
                    {
                        Err(Refused::AtCapacity {
                            at: Holder::Budget("tenant".into()),
                            limit: Limit::Requests,
                            in_flight,
                            cap: in_flight,
                        })
                    } else {
                        naive.judge(at, &cost, pinned)
                    };
                assert_eq!(real.as_ref().err(), expected.as_ref().err());
                self.held.extend(real);
                if let Ok(life) = expected {
                    naive.begin(life, cost, within);
                }
            }
            Call::Pick(cost) => {
                let real = loads.pick(
                    &loads.everyone(),
                    cost,
                    &worker_load::LeastLoaded::default(),
                );
                let judged = naive
                    .there
                    .keys()
                    .map(|id| (*id, naive.judge(*id, &cost, false)));
                let takers: Vec<_> = judged
                    .filter_map(|(id, life)| Some((id, life.ok()?)))
                    .collect();
                let Ok(reservation) = real else {
                    assert!(takers.is_empty());
                    return;
                };
                let load = |life: usize| naive.sums(life)[0];
                let least = takers.iter().map(|(_, life)| load(*life)).min();
                let id = reservation.worker().worker_id;
                let (_, life) = takers
                    .iter()
                    .find(|(taker, _)| *taker == id)
                    .expect("it takes");
                assert_eq!(Some(load(*life)), least);
                naive.begin(*life, cost, false);
                self.held.push(reservation);
            }
            Call::Add(which, tokens) if !self.held.is_empty() => {
                let at = which.index(self.held.len());
                self.held[at].add(tokens);
                naive.requests[at].decoded += u64::from(tokens);
            }
            Call::PrefillDone(which) if !self.held.is_empty() => {
                let at = which.index(self.held.len());
                self.held[at].prefill_done();
                naive.requests[at].prefilling = false;
            }
            Call::Drop(which) if !self.held.is_empty() => {
                let at = which.index(self.held.len());
                drop(self.held.swap_remove(at));
                naive.requests.swap_remove(at);
            }
            Call::Add(..) | Call::PrefillDone(_) | Call::Drop(_) => {}
        }
    }

    fn compare(&self) {
        let snapshot = self.loads.snapshot();
        let rows = snapshot.workers().iter().map(|row| {
            let counts = [row.requests, row.tokens, row.prefill_tokens, row.kv_bytes];
            (row.worker.worker_id, row.draining, counts)
        });
        let naive = self
            .naive
            .there
            .iter()
            .map(|(id, life)| (*id, life.draining.is_some(), self.naive.sums(life.number)));
        assert!(rows.eq(naive), "{snapshot:?}");
        assert_eq!(self.tenant.requests(), self.naive.within());
        let each = self.held.iter().zip(&self.naive.requests);
        for (real, naive) in each {
            assert_eq!(real.load().requests(), self.naive.sums(naive.life)[0]);
        }
    }
}

fn matches_the_naive_loads<M: LoadMap + Default>() {
    let config = Config {
        cases: 128,
        failure_persistence: None,
        ..Config::default()
    };
    let calls = vec(any_call(), 1..80);
    let outcome = TestRunner::new(config).run(&calls, |calls| {
        let mut pair = Pair {
            loads: WorkerLoads::with_map(M::default()),
            tenant: Budget::new("tenant", Capacity::requests(OF_TENANT)),
            held: Vec::new(),
            naive: Naive::default(),
        };
        for call in &calls {
            pair.call(call);
            pair.compare();
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
