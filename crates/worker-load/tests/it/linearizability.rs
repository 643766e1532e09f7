//! Recorded histories of every map: each counter is linearizable, a worker's with all that closes
//! it, and a budget's.
//!
//! Two counters of one request are not of one moment: it is in its budget before it is on its
//! worker. So each history is checked twice, for its workers and for its budget, without the calls
//! that the other one refused, which change nothing. And a budget refuses while a request that its
//! worker is about to refuse has its place: a refusal by the budget is left out where it overlaps
//! such a request, and there only.

use std::sync::{Mutex, PoisonError};
use std::thread;

use linearize::{Budget as Search, Call, Plan, Rng, Spec, check, concurrent_pairs};
use worker_load::{
    Ask, Budget, Capacity, Cost, Holder, Joined, LoadMap, PinnedTurns, Refused, Reservation,
    WorkerLoads,
};

use crate::{backends, worker};

backends::on_every_backend! { histories_are_linearizable }

const CAP: u64 = 2;
const OF_BUDGET: u64 = 2;
const TOKENS: u64 = 10;

#[derive(Clone, Copy, Debug)]
struct Op {
    thread: usize,
    act: Act,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Reserve {
        at: usize,
        tokens: u32,
        within: bool,
    },
    /// The request that the thread has had longest.
    Release,
    /// One more token of it.
    Add,
    Look(usize),
    Drain(usize),
    Resume(usize),
    Leave(usize),
    Join(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ret {
    Taken,
    /// By the worker: at what count.
    Full(u64),
    /// By the budget.
    OverBudget(u64),
    Draining(u64),
    Gone,
    NothingHeld,
    Done(bool),
    Seen(u64, u64),
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    workers: [Option<Life>; 2],
    lives: u32,
    budget: u64,
    held: [Vec<Held>; 3],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Life {
    number: u32,
    requests: u64,
    tokens: u64,
    draining: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Held {
    at: usize,
    life: u32,
    tokens: u64,
    within: bool,
}

/// Of the workers, or of the budget.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Workers,
    Budget,
}

impl Spec for Of {
    type Op = Op;
    type Ret = Ret;
    type State = State;

    fn initial(&self) -> State {
        let life = |number| Life {
            number,
            requests: 0,
            tokens: 0,
            draining: false,
        };
        State {
            workers: [Some(life(0)), Some(life(1))],
            lives: 2,
            budget: 0,
            held: Default::default(),
        }
    }

    fn step(&self, state: &mut State, op: &Op) -> Ret {
        let held = &mut state.held[op.thread];
        match op.act {
            Act::Reserve { at, tokens, within } => {
                if *self == Of::Budget {
                    if within && state.budget == OF_BUDGET {
                        return Ret::OverBudget(state.budget);
                    }
                    state.budget += u64::from(within);
                    held.push(Held {
                        at,
                        life: u32::MAX,
                        tokens: 0,
                        within,
                    });
                    return Ret::Taken;
                }
                let Some(life) = &mut state.workers[at] else {
                    return Ret::Gone;
                };
                if life.draining {
                    return Ret::Draining(life.requests);
                }
                let tokens = u64::from(tokens);
                if life.requests == CAP {
                    return Ret::Full(life.requests);
                }
                if life.tokens + tokens > TOKENS {
                    return Ret::Full(life.tokens);
                }
                life.requests += 1;
                life.tokens += tokens;
                held.push(Held {
                    at,
                    life: life.number,
                    tokens,
                    within,
                });
                Ret::Taken
            }
            Act::Release if held.is_empty() => Ret::NothingHeld,
            Act::Release => {
                let held = held.remove(0);
                if *self == Of::Budget {
                    state.budget -= u64::from(held.within);
                }
                let life = state.workers[held.at].as_mut();
                if let Some(life) = life.filter(|life| life.number == held.life) {
                    life.requests -= 1;
                    life.tokens -= held.tokens;
                }
                Ret::Done(true)
            }
            Act::Add => match held.first_mut() {
                None => Ret::NothingHeld,
                Some(held) => {
                    held.tokens += 1;
                    let life = state.workers[held.at].as_mut();
                    if let Some(life) = life.filter(|life| life.number == held.life) {
                        life.tokens += 1;
                    }
                    Ret::Done(true)
                }
            },
            Act::Look(at) => {
                state.workers[at].map_or(Ret::Gone, |life| Ret::Seen(life.requests, life.tokens))
            }
            Act::Drain(at) | Act::Resume(at) => match &mut state.workers[at] {
                None => Ret::Done(false),
                Some(life) => {
                    life.draining = matches!(op.act, Act::Drain(_));
                    Ret::Done(true)
                }
            },
            Act::Leave(at) => Ret::Done(state.workers[at].take().is_some()),
            Act::Join(at) if state.workers[at].is_some() => Ret::Done(false),
            Act::Join(at) => {
                state.workers[at] = Some(Life {
                    number: state.lives,
                    requests: 0,
                    tokens: 0,
                    draining: false,
                });
                state.lives += 1;
                Ret::Done(true)
            }
        }
    }
}

struct Subject<M> {
    loads: WorkerLoads<M>,
    budget: Budget,
    /// What threads still had at the end: it must not go within the history, where nobody records
    /// it.
    kept: Mutex<Vec<Reservation>>,
}

fn capacity() -> Capacity {
    Capacity {
        tokens: Some(TOKENS),
        ..Capacity::requests(2)
    }
}

fn subject<M: LoadMap + Default>() -> Subject<M> {
    Subject {
        loads: crate::fleet(2, capacity()),
        budget: Budget::new("budget", Capacity::requests(2)),
        kept: Mutex::default(),
    }
}

fn run<M: LoadMap>(subject: &Subject<M>, held: &mut Vec<Reservation>, act: Act) -> Ret {
    let loads = &subject.loads;
    let at = |at: usize| worker(at as u64);
    match act {
        Act::Reserve {
            at: to,
            tokens,
            within,
        } => {
            let budgets = [&subject.budget];
            let budgets = if within { &budgets[..] } else { &[] };
            let ask = Ask::new(Cost::tokens(tokens, 0)).within(budgets);
            match loads.reserve(at(to), ask) {
                Ok(reservation) => {
                    held.push(reservation);
                    Ret::Taken
                }
                Err(Refused::AtCapacity { at, in_flight, .. }) => match at {
                    Holder::Budget(_) => Ret::OverBudget(in_flight),
                    _ => Ret::Full(in_flight),
                },
                Err(Refused::Draining { requests, .. }) => Ret::Draining(requests),
                Err(Refused::Gone { .. }) => Ret::Gone,
                Err(other) => panic!("nobody picks here: {other}"),
            }
        }
        Act::Release | Act::Add if held.is_empty() => Ret::NothingHeld,
        Act::Release => {
            drop(held.remove(0));
            Ret::Done(true)
        }
        Act::Add => {
            held[0].add(1);
            Ret::Done(true)
        }
        Act::Look(to) => match loads.snapshot().worker(at(to)) {
            Some(row) => Ret::Seen(row.requests, row.tokens),
            None => Ret::Gone,
        },
        Act::Drain(to) => Ret::Done(loads.drain(at(to), PinnedTurns::Refuse).is_ok()),
        Act::Resume(to) => Ret::Done(loads.resume(at(to)).is_ok()),
        Act::Leave(to) => Ret::Done(loads.leave(at(to)).is_ok()),
        Act::Join(to) => {
            let joined = loads.join(at(to), capacity()).unwrap();
            Ret::Done(matches!(joined, Joined::New))
        }
    }
}

/// The calls that the workers decided, or the budget.
fn part(of: Of, history: &[Call<Op, Ret>]) -> Vec<Call<Op, Ret>> {
    let by_worker = |ret| matches!(ret, Ret::Full(_) | Ret::Draining(_) | Ret::Gone);
    let rolled_back = |call: &Call<Op, Ret>| {
        matches!(call.op.act, Act::Reserve { within: true, .. }) && by_worker(call.ret)
    };
    let overlap = |one: &Call<Op, Ret>, other: &Call<Op, Ret>| {
        one.invoked <= other.returned && other.invoked <= one.returned
    };
    let is_part = |call: &Call<Op, Ret>| match (of, call.op.act, call.ret) {
        (Of::Workers, _, ret) => !matches!(ret, Ret::OverBudget(_)),
        (Of::Budget, Act::Reserve { .. }, Ret::OverBudget(_)) => {
            let mut others = history.iter().filter(|other| rolled_back(other));
            !others.any(|other| overlap(call, other))
        }
        (Of::Budget, Act::Reserve { .. }, ret) => !by_worker(ret),
        (Of::Budget, act, _) => matches!(act, Act::Release),
    };
    history
        .iter()
        .filter(|call| is_part(call))
        .cloned()
        .collect()
}

fn histories_are_linearizable<M: LoadMap + Default>() {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let mut overlapping = 0;
    let plan = Plan {
        threads: 3,
        calls: 7,
        histories: 1_500,
        seed: 18,
    };
    plan.record(
        subject::<M>,
        |rng: &mut Rng, thread| {
            let at = usize::from(rng.below(4) == 0);
            let reserve = |rng: &mut Rng| Act::Reserve {
                at,
                tokens: u32::try_from(rng.below(7)).unwrap(),
                within: rng.below(2) == 0,
            };
            let act = match rng.below(16) {
                0..=5 => reserve(rng),
                6..=8 => Act::Release,
                9 => Act::Add,
                10 => Act::Look(at),
                11 => Act::Drain(at),
                12 => Act::Resume(at),
                13 => Act::Leave(at),
                _ => Act::Join(at),
            };
            Op { thread, act }
        },
        |subject, ops, recorder| {
            let mut held = Vec::new();
            for (at, op) in ops.into_iter().enumerate() {
                recorder.call(op, |op| {
                    // Somewhere within a call, so that calls overlap however few cores there are.
                    if at % 3 == 0 {
                        thread::yield_now();
                    }
                    run(subject, &mut held, op.act)
                });
            }
            let mut kept = subject.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.append(&mut held);
        },
        |history| {
            overlapping += concurrent_pairs(history);
            for of in [Of::Workers, Of::Budget] {
                check(&of, &part(of, history), Search::default()).assert_linearizable();
            }
        },
    );
    assert!(
        overlapping > 2_000,
        "only {overlapping} pairs of calls overlapped: nothing was tested"
    );
}
