//! Recorded histories on every map: changes and selections are linearizable together, and so are
//! the changes and lookups of one id.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::backends::{Upstream, spec, worker};
use crate::naive::{Naive, Step};
use linearize::{Budget, Call, Plan, Rng, Spec, check, check_by_key, concurrent_pairs};
use router_snapshot::RouterClass::{External, HttpPd, HttpRegular};
use router_snapshot::{
    Role, RouterManager, RouterMap, RouterMode, SelectError, Selection, WorkerSpec,
};
use worker_id::{Effect, Ranks, WorkerRanks, WorkerState, WorkerWithDpRank};

crate::backends::on_every_backend! {
    changes_and_selections_are_linearizable,
    changes_and_lookups_of_an_id_are_linearizable,
}

type Manager<M> = RouterManager<Upstream, (), M>;

#[derive(Clone, Debug)]
enum Op {
    Change(Step),
    List(Vec<WorkerSpec>, Option<u64>),
    Replace(&'static str, u64),
    /// The model `m`, or none; whether PD is preferred; whether draining workers count.
    Select(bool, bool, bool),
    /// Several questions to one snapshot.
    Whole,
    Lookup(&'static str),
    LookupWorker(u64),
}

#[derive(Clone, Debug, PartialEq)]
enum Ret {
    Effect(Option<Effect>),
    /// The number of the router.
    Router(Option<u64>),
    Selected(Result<u64, SelectError>),
    /// Routers, workers by state, and the workers that a request of `m` may go to.
    Whole(
        u64,
        usize,
        [usize; 3],
        Vec<WorkerWithDpRank>,
        Vec<Option<WorkerState>>,
    ),
    State(Option<WorkerState>),
}

fn selection(named: bool, prefer_pd: bool, draining: bool) -> Selection<'static> {
    Selection {
        model: named.then_some("m"),
        prefer_pd,
        draining,
    }
}

fn run<M: RouterMap>(manager: &Manager<M>, op: &Op) -> Ret {
    let done = |effect| Ret::Effect(Some(effect));
    match op {
        Op::Change(step) => match step.clone() {
            Step::Register(id, class, number) => {
                let registered = manager.register(id, Upstream::new(class, number));
                Ret::Effect(registered.ok().map(|()| Effect::Changed))
            }
            Step::Deregister(id) => Ret::Router(manager.deregister(id).map(|router| router.number)),
            Step::SetDefault(id) => Ret::Effect(manager.set_default(id).ok()),
            Step::Upsert(spec, as_of) => {
                let updated = manager.update(|batch| {
                    batch.as_of(as_of).upsert_worker(spec);
                });
                Ret::Effect(updated.ok())
            }
            Step::Remove(ranks, None) => done(manager.remove_worker(ranks)),
            Step::SetState(ranks, state, None) => done(manager.set_state(ranks, state)),
            Step::Remove(ranks, as_of) => {
                let updated = manager.update(|batch| {
                    batch.as_of(as_of).remove_worker(ranks);
                });
                Ret::Effect(updated.ok())
            }
            Step::SetState(..) => unreachable!("none is generated"),
        },
        Op::List(fleet, as_of) => Ret::Effect(manager.replace_all(*as_of, fleet.clone()).ok()),
        Op::Replace(id, number) => {
            let router = Upstream::new(HttpRegular, *number);
            let replaced = manager.update(|batch| {
                batch.deregister(*id).register(*id, router);
            });
            Ret::Effect(replaced.ok())
        }
        Op::Select(named, prefer_pd, draining) => {
            let selected = manager.select(&selection(*named, *prefer_pd, *draining));
            Ret::Selected(selected.map(|router| router.number))
        }
        Op::Whole => {
            let snapshot = manager.snapshot();
            let count = snapshot.router_count();
            let states = WorkerState::ALL.map(|state| snapshot.workers_in(state));
            // Others change the maps meanwhile, and the answers are still of one instant.
            thread::yield_now();
            let eligible = snapshot.select(&Selection::of_model("m"));
            let mut workers: Vec<_> = eligible.map_or(Vec::new(), |eligible| {
                let all = eligible.regular().iter().chain(eligible.prefill().iter());
                let all = all.chain(eligible.decode().iter());
                all.map(|worker| worker.id).collect()
            });
            workers.sort_unstable();
            let known = (0..3).map(|number| snapshot.worker(&worker(number)));
            let known = known.map(|worker| worker.map(|worker| worker.state()));
            Ret::Whole(
                snapshot.generation(),
                count,
                states,
                workers,
                known.collect(),
            )
        }
        Op::Lookup(id) => Ret::Router(manager.router(id).map(|router| router.number)),
        Op::LookupWorker(number) => {
            let known = manager.worker(worker(*number));
            Ret::State(known.map(|worker| worker.state()))
        }
    }
}

/// The naive gateway, one call at a time.
struct Gateway;

impl Spec for Gateway {
    type Op = Op;
    type Ret = Ret;
    type State = Naive;

    fn initial(&self) -> Naive {
        Naive::default()
    }

    fn step(&self, naive: &mut Naive, op: &Op) -> Ret {
        let number_of = |naive: &Naive, id: &str| {
            let known = naive.routers.iter().find(|(known, ..)| known == id);
            known.map(|(_, _, number)| *number)
        };
        let state = |naive: &Naive, number| {
            let known = naive.workers.get(&worker(number));
            known.map(|worker| worker.state)
        };
        match op {
            Op::Change(step @ Step::Deregister(id)) => {
                let gone = number_of(naive, id);
                let _ = naive.update(std::slice::from_ref(step));
                Ret::Router(gone)
            }
            Op::Change(step) => Ret::Effect(naive.update(std::slice::from_ref(step)).ok()),
            Op::List(fleet, as_of) => Ret::Effect(naive.replace_all(fleet, *as_of).ok()),
            Op::Replace(id, number) => {
                let steps = [
                    Step::Deregister(id),
                    Step::Register(id, HttpRegular, *number),
                ];
                Ret::Effect(naive.update(&steps).ok())
            }
            Op::Select(named, prefer_pd, draining) => {
                let selected = naive.select(&selection(*named, *prefer_pd, *draining));
                Ret::Selected(selected.map(|(number, _)| number))
            }
            Op::Whole => {
                let states = WorkerState::ALL.map(|state| {
                    let workers = naive.workers.values();
                    workers.filter(|worker| worker.state == state).count()
                });
                let selected = naive.select(&Selection::of_model("m"));
                let workers = selected.map_or(Vec::new(), |(_, class)| {
                    naive.open(Some("m"), class, None, false)
                });
                let known = (0..3).map(|number| state(naive, number)).collect();
                Ret::Whole(
                    naive.generation,
                    naive.routers.len(),
                    states,
                    workers,
                    known,
                )
            }
            Op::Lookup(id) => Ret::Router(number_of(naive, id)),
            Op::LookupWorker(number) => Ret::State(state(naive, *number)),
        }
    }
}

fn as_of(rng: &mut Rng) -> Option<u64> {
    (rng.below(2) == 0).then(|| rng.below(4))
}

fn any_spec(rng: &mut Rng) -> WorkerSpec {
    let class = *rng.pick(&[HttpRegular, HttpPd, External]);
    let spec = spec(rng.below(3), class, &["m"]);
    let spec = match rng.below(2) {
        0 if class == HttpPd => spec.with_role(Role::Decode),
        _ => spec,
    };
    let id = match rng.below(4) {
        0 => spec.id.with_incarnation(rng.below(2)),
        1 => spec.id.with_ordered_incarnation(rng.below(2)),
        _ => spec.id,
    };
    let state = *rng.pick(&[None, None, Some(WorkerState::Ill)]);
    WorkerSpec { id, state, ..spec }
}

fn any_change(rng: &mut Rng) -> Op {
    let id = *rng.pick(&["a", "b"]);
    let class = *rng.pick(&[HttpRegular, HttpPd, External]);
    let one = WorkerRanks::from(worker(rng.below(3)));
    let ranks = *rng.pick(&[one.ranks, Ranks::All]);
    Op::Change(match rng.below(14) {
        0..=2 => Step::Register(id, class, rng.next_u64()),
        3 | 4 => Step::Deregister(id),
        5 => return Op::Replace(id, rng.next_u64()),
        6 => Step::SetDefault(id),
        7..=10 => Step::Upsert(any_spec(rng), as_of(rng)),
        11 => Step::Remove(WorkerRanks { ranks, ..one }, as_of(rng)),
        _ => Step::SetState(one, *rng.pick(&WorkerState::ALL), None),
    })
}

fn histories<M: RouterMap + Default + Send>(
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

fn changes_and_selections_are_linearizable<M: RouterMap + Default + Send>() {
    let generate = |rng: &mut Rng, _: usize| match rng.below(10) {
        0..=2 => Op::Select(rng.below(2) == 0, rng.below(2) == 0, rng.below(2) == 0),
        3 | 4 => Op::Whole,
        5 => {
            let fleet = rng.below(3);
            Op::List((0..fleet).map(|_| any_spec(rng)).collect(), as_of(rng))
        }
        _ => any_change(rng),
    };
    histories::<M>(5, generate, |history| {
        check(&Gateway, history, Budget::default()).assert_linearizable();
    });
}

fn changes_and_lookups_of_an_id_are_linearizable<M: RouterMap + Default + Send>() {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Key {
        Router(&'static str),
        Worker(u64),
    }
    let generate = |rng: &mut Rng, _: usize| match rng.below(5) {
        0 | 1 => Op::Lookup(["a", "b"][usize::from(rng.below(2) == 0)]),
        2 => Op::LookupWorker(rng.below(3)),
        // What it answers depends on which other router is the default one.
        _ => loop {
            match any_change(rng) {
                Op::Change(Step::SetDefault(_)) => {}
                change => return change,
            }
        },
    };
    let key = |op: &Op| match op {
        Op::Change(Step::Register(id, ..) | Step::Deregister(id) | Step::SetDefault(id))
        | Op::Replace(id, _)
        | Op::Lookup(id) => Key::Router(id),
        Op::Change(Step::Upsert(spec, _)) => Key::Worker(spec.id.worker_id),
        Op::Change(Step::Remove(ranks, _) | Step::SetState(ranks, ..)) => {
            Key::Worker(ranks.worker_id)
        }
        Op::LookupWorker(number) => Key::Worker(*number),
        Op::Select(..) | Op::Whole | Op::List(..) => unreachable!("touches more than an id"),
    };
    histories::<M>(6, generate, |history| {
        check_by_key(&Gateway, history, key, Budget::default()).assert_linearizable();
    });
}
