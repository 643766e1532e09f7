//! Recorded histories of every map: operations on one session are linearizable, and with the clock and leases, too.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use affinity::BindingKind::RouterOnly;
use affinity::{Binding, Lease, MemoryStore, MemoryStoreConfig, SessionMap, Written};
use linearize::{Budget, Plan, Rng, Spec, check, check_by_key, concurrent_pairs};

crate::backends::on_every_backend! { writes_are_linearizable, expiry_and_leases_are_linearizable }

const TTL: u64 = 10;

/// Every binding is to a worker of its own, by whose id it is known: `key`, thread and number of the call.
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
    Acquire(u64),
    /// Of a lease on the binding to this worker.
    Drop(u64, Worker),
    AdvanceTo(u64),
    SweepAt(u64),
}

impl Op {
    fn key(&self) -> u64 {
        match *self {
            Op::Get(key)
            | Op::Peek(key)
            | Op::Bind(key, _)
            | Op::Claim(key, _)
            | Op::RefreshIf(key, _)
            | Op::RebindIf(key, ..)
            | Op::Remove(key)
            | Op::RemoveIf(key, _)
            | Op::Acquire(key)
            | Op::Drop(key, _) => key,
            Op::AdvanceTo(_) | Op::SweepAt(_) => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Ret {
    applied: bool,
    now: Option<Worker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Pin {
    now: u64,
    bound: Option<(Worker, u64, u32)>,
}

struct Session;

impl Spec for Session {
    type Op = Op;
    type Ret = Ret;
    type State = Pin;

    fn initial(&self) -> Pin {
        Pin::default()
    }

    fn step(&self, pin: &mut Pin, op: &Op) -> Ret {
        let deadline = pin.now + TTL;
        let held = pin.bound.map(|(worker, ..)| worker);
        let mut applied = false;
        match *op {
            Op::Get(_) | Op::Acquire(_) => {
                if let Some((_, until, leases)) = &mut pin.bound {
                    *until = deadline;
                    *leases += u32::from(matches!(op, Op::Acquire(_)));
                }
            }
            Op::Peek(_) => {}
            Op::Bind(_, worker) => (applied, pin.bound) = (true, Some((worker, deadline, 0))),
            Op::Claim(_, worker) => {
                applied = held.is_none();
                if applied {
                    pin.bound = Some((worker, deadline, 0));
                }
            }
            Op::RefreshIf(_, worker) => {
                if let Some((_, until, _)) = pin.bound.as_mut().filter(|bound| bound.0 == worker) {
                    (applied, *until) = (true, deadline);
                }
            }
            Op::RebindIf(_, observed, worker) => {
                applied = held == Some(observed);
                if applied {
                    pin.bound = Some((worker, deadline, 0));
                }
            }
            Op::Remove(_) => applied = pin.bound.take().is_some(),
            Op::RemoveIf(_, observed) => {
                applied = held == Some(observed);
                if applied {
                    pin.bound = None;
                }
            }
            Op::Drop(_, worker) => {
                if let Some((_, until, leases)) =
                    pin.bound.as_mut().filter(|bound| bound.0 == worker)
                {
                    *until = deadline;
                    *leases -= 1;
                }
                return Ret { applied, now: None };
            }
            Op::AdvanceTo(to) | Op::SweepAt(to) => {
                pin.now = pin.now.max(to);
                pin.bound = pin
                    .bound
                    .filter(|(_, until, leases)| *leases > 0 || *until > pin.now);
                return Ret { applied, now: None };
            }
        }
        Ret {
            applied,
            now: pin.bound.map(|(worker, ..)| worker),
        }
    }
}

/// What a thread remembers between its calls.
#[derive(Default)]
struct Memory {
    seen: [Option<Binding>; 2],
    lease: Option<Lease>,
}

fn worker(binding: Option<Binding>) -> Option<Worker> {
    binding.map(|binding| binding.worker.worker_id)
}

fn run<M: SessionMap>(store: &MemoryStore<M>, memory: &mut Memory, op: &Op) -> Ret {
    let key = op.key();
    let session = ["a", "b"][usize::from(key == 1)];
    let observed =
        |memory: &Memory| memory.seen[usize::from(key == 1)].map_or(0, |seen| seen.generation);
    let found = |now: Option<Binding>| Written::declined(now);
    let written = match *op {
        Op::Get(_) => found(store.get(session).unwrap()),
        Op::Peek(_) => found(store.peek(session).unwrap()),
        Op::Bind(_, worker) => store.bind(session, worker.into(), RouterOnly).unwrap(),
        Op::Claim(_, worker) => store.claim(session, worker.into(), RouterOnly).unwrap(),
        Op::RefreshIf(_, worker) => store.refresh_if(session, worker.into()).unwrap(),
        Op::RebindIf(_, _, worker) => store
            .rebind_if(session, observed(memory), worker.into(), RouterOnly)
            .unwrap(),
        Op::Remove(_) => store.remove(session).unwrap(),
        Op::RemoveIf(..) => store.remove_if(session, observed(memory)).unwrap(),
        Op::Acquire(_) => {
            let lease = store.acquire(session).unwrap();
            let binding = lease.as_ref().map(Lease::binding);
            memory.lease = lease;
            found(binding)
        }
        Op::Drop(..) => {
            memory.lease = None;
            return Ret {
                applied: false,
                now: None,
            };
        }
        Op::AdvanceTo(to) => {
            store.advance_to(Duration::from_millis(to));
            return Ret {
                applied: false,
                now: None,
            };
        }
        Op::SweepAt(to) => {
            let _ = store.sweep(Duration::from_millis(to), usize::MAX);
            return Ret {
                applied: false,
                now: None,
            };
        }
    };
    if let Some(now) = written.now {
        memory.seen[usize::from(key == 1)] = Some(now);
    }
    Ret {
        applied: written.applied,
        now: worker(written.now),
    }
}

/// Fills in what only the thread knows when it comes to the call: what it has seen last, and which lease it has.
fn fill_in(op: Op, memory: &Memory, fresh: Worker) -> Op {
    let seen = |key: u64| worker(memory.seen[usize::from(key == 1)]).unwrap_or(u64::MAX);
    match op {
        Op::Bind(key, _) => Op::Bind(key, fresh),
        Op::Claim(key, _) => Op::Claim(key, fresh),
        Op::RefreshIf(key, _) => Op::RefreshIf(key, seen(key)),
        Op::RebindIf(key, ..) => Op::RebindIf(key, seen(key), fresh),
        Op::RemoveIf(key, _) => Op::RemoveIf(key, seen(key)),
        Op::Acquire(key) | Op::Drop(key, _) => match &memory.lease {
            Some(lease) => Op::Drop(key, lease.binding().worker.worker_id),
            None => Op::Acquire(key),
        },
        other => other,
    }
}

fn writes(rng: &mut Rng, _thread: usize) -> Op {
    let key = rng.below(2);
    match rng.below(12) {
        0..=2 => Op::Get(key),
        3 => Op::Peek(key),
        4 => Op::Bind(key, 0),
        5 | 6 => Op::Claim(key, 0),
        7 => Op::RefreshIf(key, 0),
        8 | 9 => Op::RebindIf(key, 0, 0),
        10 => Op::Remove(key),
        _ => Op::RemoveIf(key, 0),
    }
}

/// All of one session, since the clock is shared by all.
fn with_time(rng: &mut Rng, _thread: usize) -> Op {
    match rng.below(14) {
        0..=3 => Op::Get(0),
        4 => Op::Peek(0),
        5..=7 => Op::Claim(0, 0),
        8 => Op::RebindIf(0, 0, 0),
        9..=10 => Op::Acquire(0),
        11 | 12 => Op::AdvanceTo(rng.below(40)),
        _ => Op::SweepAt(rng.below(40)),
    }
}

fn record<M: SessionMap + Default + Send>(
    plan: Plan,
    generate: fn(&mut Rng, usize) -> Op,
    by_key: bool,
) {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let config = MemoryStoreConfig {
        ttl: Duration::from_millis(TTL),
        ..MemoryStoreConfig::default()
    };
    let mut overlapping = 0;
    plan.record(
        // A lease that its thread still has in the end is kept: giving it back would be a call that nobody recorded.
        || {
            let kept = Mutex::new(Vec::new());
            (MemoryStore::with_map(config, M::default()).unwrap(), kept)
        },
        generate,
        |(store, kept), ops, recorder| {
            let mut memory = Memory::default();
            for (number, op) in (0..).zip(ops) {
                let thread = u64::try_from(recorder.thread()).unwrap();
                let op = fill_in(op, &memory, 100 * (thread + 1) + number);
                recorder.call(op, |op| {
                    // Somewhere within a call, so that calls overlap however few cores there are.
                    if number % 3 == 0 {
                        thread::yield_now();
                    }
                    run(store, &mut memory, op)
                });
            }
            kept.lock().unwrap().extend(memory.lease);
        },
        |history| {
            overlapping += concurrent_pairs(history);
            if by_key {
                check_by_key(&Session, history, Op::key, Budget::default()).assert_linearizable();
            } else {
                check(&Session, history, Budget::default()).assert_linearizable();
            }
        },
    );
    assert!(
        overlapping > plan.histories,
        "only {overlapping} pairs of calls overlapped: nothing was tested"
    );
}

fn writes_are_linearizable<M: SessionMap + Default + Send>() {
    let plan = Plan {
        threads: 3,
        calls: 10,
        histories: 2_000,
        seed: 3,
    };
    record::<M>(plan, writes, true);
}

fn expiry_and_leases_are_linearizable<M: SessionMap + Default + Send>() {
    let plan = Plan {
        threads: 3,
        calls: 8,
        histories: 2_000,
        seed: 5,
    };
    record::<M>(plan, with_time, false);
}
