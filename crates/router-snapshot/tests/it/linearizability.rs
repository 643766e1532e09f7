//! Recorded histories on every map: changes and selections are linearizable together, and so are the changes and lookups
//! of one id.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::backends::{Upstream, spec, worker};
use crate::naive::{Naive, Step};
use linearize::{Budget, Call, Plan, Rng, Spec, check, check_by_key, concurrent_pairs};
use router_snapshot::RouterClass::{External, HttpPd, HttpRegular};
use router_snapshot::{RouterManager, RouterMap, RouterMode, SelectError, Selection};

crate::backends::on_every_backend! { changes_and_selections_are_linearizable, changes_and_lookups_of_an_id_are_linearizable }

type Manager<M> = RouterManager<Upstream, M>;

#[derive(Clone, Debug)]
enum Op {
    Change(Step),
    Replace(&'static str, u64),
    /// The model `m`, or none.
    Select(bool, bool),
    Count,
    Lookup(&'static str),
    LookupWorker(u64),
}

#[derive(Clone, Debug, PartialEq)]
enum Ret {
    Done(bool),
    /// The number of the router.
    Router(Option<u64>),
    Selected(Result<u64, SelectError>),
    Count(usize),
    Healthy(Option<bool>),
}

fn run<M: RouterMap<Upstream>>(manager: &Manager<M>, op: &Op) -> Ret {
    match op {
        Op::Change(step) => match step.clone() {
            Step::Register(id, class, number) => {
                Ret::Done(manager.register(id, Upstream::new(class, number)).is_ok())
            }
            Step::Deregister(id) => Ret::Router(manager.deregister(id).map(|router| router.number)),
            Step::SetDefault(id) => Ret::Done(manager.set_default(id).is_ok()),
            Step::Upsert(spec) => Ret::Done(manager.upsert_worker(spec).is_ok()),
            Step::Remove(id) => Ret::Done(manager.remove_worker(id).is_some()),
            Step::SetHealth(id, healthy) => Ret::Done(manager.set_health(id, healthy)),
        },
        Op::Replace(id, number) => {
            let router = Upstream::new(HttpRegular, *number);
            let replaced = manager.update(|batch| {
                batch.deregister(*id).register(*id, router);
            });
            Ret::Done(replaced.is_ok())
        }
        Op::Select(named, prefer_pd) => {
            let model = named.then_some("m");
            let selected = manager.select(&Selection {
                model,
                prefer_pd: *prefer_pd,
            });
            Ret::Selected(selected.map(|router| router.number))
        }
        Op::Count => Ret::Count(manager.router_count()),
        Op::Lookup(id) => Ret::Router(manager.router(id).map(|router| router.number)),
        Op::LookupWorker(number) => {
            let known = manager.worker(worker(*number));
            Ret::Healthy(known.map(|spec| spec.healthy))
        }
    }
}

/// The naive gateway, one call at a time.
struct Gateway;

#[derive(Clone, PartialEq)]
struct State(Naive);

impl Eq for State {}

impl std::hash::Hash for State {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        self.0.routers.hash(hasher);
        self.0.default.hash(hasher);
        for worker in &self.0.workers {
            (worker.id, worker.healthy).hash(hasher);
        }
    }
}

impl Spec for Gateway {
    type Op = Op;
    type Ret = Ret;
    type State = State;

    fn initial(&self) -> State {
        State(Naive::default())
    }

    fn step(&self, State(naive): &mut State, op: &Op) -> Ret {
        let number_of = |naive: &Naive, id: &str| {
            let known = naive.routers.iter().find(|(known, ..)| known == id);
            known.map(|(_, _, number)| *number)
        };
        let healthy = |naive: &Naive, id| {
            let known = naive.workers.iter().find(|worker| worker.id == id);
            known.map(|worker| worker.healthy)
        };
        match op {
            Op::Change(step @ Step::Deregister(id)) => {
                let gone = number_of(naive, id);
                naive.step(step);
                Ret::Router(gone)
            }
            Op::Change(step @ Step::Remove(id)) => {
                let known = healthy(naive, *id).is_some();
                naive.step(step);
                Ret::Done(known)
            }
            Op::Change(step @ Step::SetHealth(id, to)) => {
                let news = healthy(naive, *id).is_some_and(|healthy| healthy != *to);
                naive.step(step);
                Ret::Done(news)
            }
            Op::Change(step) => Ret::Done(naive.step(step)),
            Op::Replace(id, number) => {
                naive.step(&Step::Deregister(id));
                Ret::Done(naive.step(&Step::Register(id, HttpRegular, *number)))
            }
            Op::Select(named, prefer_pd) => {
                Ret::Selected(naive.select(named.then_some("m"), *prefer_pd))
            }
            Op::Count => Ret::Count(naive.routers.len()),
            Op::Lookup(id) => Ret::Router(number_of(naive, id)),
            Op::LookupWorker(number) => Ret::Healthy(healthy(naive, worker(*number))),
        }
    }
}

fn any_change(rng: &mut Rng) -> Op {
    let id = *rng.pick(&["a", "b"]);
    let number = rng.below(3);
    let class = *rng.pick(&[HttpRegular, HttpPd, External]);
    Op::Change(match rng.below(12) {
        0..=3 => Step::Register(id, class, rng.next_u64()),
        4 | 5 => Step::Deregister(id),
        6 => return Op::Replace(id, rng.next_u64()),
        7 => Step::SetDefault(id),
        8 | 9 => Step::Upsert(spec(number, class, &["m"])),
        10 => Step::Remove(worker(number)),
        _ => Step::SetHealth(worker(number), rng.below(2) == 0),
    })
}

fn histories<M: RouterMap<Upstream> + Default + Send>(
    seed: u64,
    generate: impl Fn(&mut Rng, usize) -> Op + Sync,
    check: impl Fn(&[Call<Op, Ret>]),
) {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let mut overlapping = 0;
    Plan {
        threads: 3,
        calls: 7,
        histories: 1_500,
        seed,
    }
    .record(
        || Manager::with_map(RouterMode::Multi, M::default()),
        generate,
        |manager, ops, recorder| {
            for (at, op) in ops.into_iter().enumerate() {
                recorder.call(op, |op| {
                    // Somewhere within a call, so that calls overlap however few cores there are.
                    if at % 2 == 0 {
                        thread::yield_now();
                    }
                    let answer = run(manager, op);
                    if at % 3 == 0 {
                        thread::yield_now();
                    }
                    answer
                });
            }
        },
        |history| {
            overlapping += concurrent_pairs(history);
            check(history);
        },
    );
    assert!(
        overlapping > 1_500,
        "only {overlapping} pairs of calls overlapped: nothing was tested"
    );
}

fn changes_and_selections_are_linearizable<M: RouterMap<Upstream> + Default + Send>() {
    let generate = |rng: &mut Rng, _: usize| match rng.below(5) {
        0 | 1 => Op::Select(rng.below(2) == 0, rng.below(2) == 0),
        2 => Op::Count,
        _ => any_change(rng),
    };
    histories::<M>(5, generate, |history| {
        check(&Gateway, history, Budget::default()).assert_linearizable();
    });
}

fn changes_and_lookups_of_an_id_are_linearizable<M: RouterMap<Upstream> + Default + Send>() {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Key {
        Router(&'static str),
        Worker(u64),
    }
    let generate = |rng: &mut Rng, _: usize| match rng.below(5) {
        0 | 1 => Op::Lookup(["a", "b"][usize::from(rng.below(2) == 0)]),
        2 => Op::LookupWorker(rng.below(3)),
        _ => any_change(rng),
    };
    let key = |op: &Op| match op {
        Op::Change(Step::Register(id, ..) | Step::Deregister(id) | Step::SetDefault(id))
        | Op::Replace(id, _)
        | Op::Lookup(id) => Key::Router(id),
        Op::Change(Step::Upsert(spec)) => Key::Worker(spec.id.worker_id),
        Op::Change(Step::Remove(id) | Step::SetHealth(id, _)) => Key::Worker(id.worker_id),
        Op::LookupWorker(number) => Key::Worker(*number),
        Op::Select(..) | Op::Count => unreachable!("touches more than an id"),
    };
    histories::<M>(6, generate, |history| {
        check_by_key(&Gateway, history, key, Budget::default()).assert_linearizable();
    });
}
