//! Recorded histories of three routers on one server: operations on one session are linearizable.

use std::sync::atomic::{AtomicU64, Ordering};

use affinity::{AffinityStore, Binding, BindingKind, SessionRef, Written};
use affinity_redis::RedisStore;
use linearize::{Budget, Plan, Rng, Spec, check_by_key, concurrent_pairs};
use tokio::runtime::Runtime;

use crate::server;

/// Each binding is to a worker of its own, and known by it.
type Worker = u64;

#[derive(Clone, Copy, Debug)]
enum Op {
    Get(u64),
    Peek(u64),
    Bind(u64, Worker),
    Claim(u64, Worker),
    RefreshIf(u64, Worker),
    /// If bound to the first, to the second.
    RebindIf(u64, Worker, Worker),
    Remove(u64),
    RemoveIf(u64, Worker),
}

impl Op {
    fn session(&self) -> u64 {
        match *self {
            Op::Get(session)
            | Op::Peek(session)
            | Op::Bind(session, _)
            | Op::Claim(session, _)
            | Op::RefreshIf(session, _)
            | Op::RebindIf(session, ..)
            | Op::Remove(session)
            | Op::RemoveIf(session, _) => session,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Ret {
    applied: bool,
    now: Option<Worker>,
}

struct Session;

impl Spec for Session {
    type Op = Op;
    type Ret = Ret;
    type State = Option<Worker>;

    fn initial(&self) -> Option<Worker> {
        None
    }

    fn step(&self, held: &mut Option<Worker>, op: &Op) -> Ret {
        let (applied, then) = match *op {
            Op::Get(_) | Op::Peek(_) => (false, *held),
            Op::Bind(_, worker) => (true, Some(worker)),
            Op::Claim(_, worker) => (held.is_none(), Some(worker)),
            Op::RefreshIf(_, worker) => (*held == Some(worker), *held),
            Op::RebindIf(_, observed, worker) => (*held == Some(observed), Some(worker)),
            Op::Remove(_) => (held.is_some(), None),
            Op::RemoveIf(_, observed) => (*held == Some(observed), None),
        };
        if applied {
            *held = then;
        }
        Ret {
            applied,
            now: *held,
        }
    }
}

/// What is done; what it is done to, a thread fills in from what it has seen.
fn generate(rng: &mut Rng, _thread: usize) -> Op {
    let session = rng.below(2);
    match rng.below(10) {
        0 | 1 => Op::Get(session),
        2 => Op::Peek(session),
        3 => Op::Bind(session, 0),
        4 | 5 => Op::Claim(session, 0),
        6 => Op::RefreshIf(session, 0),
        7 => Op::RebindIf(session, 0, 0),
        8 => Op::Remove(session),
        _ => Op::RemoveIf(session, 0),
    }
}

async fn carry_out(
    store: &RedisStore,
    history: u64,
    op: &Op,
    observed: u64,
) -> (Ret, Option<Binding>) {
    let name = format!("history {history}, session {}", op.session());
    let (key, kind) = (SessionRef::from(&name), BindingKind::EngineBacked);
    let looked = |now| Written {
        applied: false,
        now,
    };
    let written = match *op {
        Op::Get(_) => store.get(key).await.map(looked),
        Op::Peek(_) => store.peek(key).await.map(looked),
        Op::Bind(_, worker) => store.bind(key, worker.into(), kind).await,
        Op::Claim(_, worker) => store.claim(key, worker.into(), kind).await,
        Op::RefreshIf(_, worker) => store.refresh_if(key, worker.into()).await,
        Op::RebindIf(_, _, worker) => store.rebind_if(key, observed, worker.into(), kind).await,
        Op::Remove(_) => store.remove(key).await,
        Op::RemoveIf(..) => store.remove_if(key, observed).await,
    }
    .expect("the server is there");
    let ret = Ret {
        applied: written.applied,
        now: written.now.map(|binding| binding.worker.worker_id),
    };
    (ret, written.now)
}

#[test]
fn histories_of_three_routers_are_linearizable() {
    let runtime = Runtime::new().expect("a runtime can be made");
    let Some(server) = runtime.block_on(server::start()) else {
        return;
    };
    let routers = [(); 3].map(|()| runtime.block_on(server.store()));
    let (histories, workers) = (AtomicU64::new(0), AtomicU64::new(1));
    let mut overlaps = 0;
    let plan = Plan {
        threads: 3,
        calls: 10,
        histories: 300,
        seed: 8,
    };
    plan.record(
        || histories.fetch_add(1, Ordering::Relaxed),
        generate,
        |history, ops, recorder| {
            let store = &routers[recorder.thread()];
            // The binding that this thread saw last, of each session.
            let mut seen: [Option<Binding>; 2] = [None; 2];
            for op in ops {
                let new = workers.fetch_add(1, Ordering::Relaxed);
                let index = usize::from(op.session() == 1);
                let last = seen[index].map_or(0, |binding| binding.worker.worker_id);
                let generation = seen[index].map_or(0, |binding| binding.generation);
                let op = match op {
                    Op::Bind(session, _) => Op::Bind(session, new),
                    Op::Claim(session, _) => Op::Claim(session, new),
                    Op::RefreshIf(session, _) => Op::RefreshIf(session, last),
                    Op::RebindIf(session, ..) => Op::RebindIf(session, last, new),
                    Op::RemoveIf(session, _) => Op::RemoveIf(session, last),
                    other => other,
                };
                recorder.call(op, |op| {
                    let (ret, now) = runtime.block_on(carry_out(store, *history, op, generation));
                    seen[index] = now.or(seen[index]);
                    ret
                });
            }
        },
        |history| {
            overlaps += concurrent_pairs(history);
            check_by_key(&Session, history, Op::session, Budget::default()).assert_linearizable();
        },
    );
    assert!(overlaps > 0, "no two calls were in flight at once");
}
