//! The recorder on real threads: what it records is true, and a broken object does not get past it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::yield_now;

use linearize::{
    Budget, Call, Plan, Recorder, Rng, Spec, Verdict, check, check_by_key, concurrent_pairs,
};

use crate::specs::{Map, MapOp, Register, RegisterOp};

const PLAN: Plan = Plan {
    threads: 4,
    calls: 6,
    histories: 500,
    seed: 7,
};

fn register_op(rng: &mut Rng, _thread: usize) -> RegisterOp {
    match rng.below(2) {
        0 => RegisterOp::Read,
        _ => RegisterOp::Write(rng.next_u64()),
    }
}

fn map_op(rng: &mut Rng, _thread: usize) -> MapOp {
    MapOp::any(rng, 2, 3)
}

#[test]
fn a_register_under_a_lock_always_checks_out() {
    let mut histories = 0;
    PLAN.record(
        || Mutex::new(0),
        register_op,
        |register, ops, recorder| {
            for op in ops {
                recorder.call(op, |op| {
                    Register.step(&mut register.lock().expect("no panic under the lock"), op)
                });
            }
        },
        |history| {
            check(&Register, history, Budget::default()).assert_linearizable();
            histories += 1;
        },
    );
    assert_eq!(histories, PLAN.histories);
}

/// Without the recorder's fences it would not: a store would still be on its way when its call is stamped as over.
#[test]
fn an_atomic_register_checks_out_down_to_relaxed_stores() {
    let plan = Plan {
        threads: 2,
        calls: 12,
        histories: 5_000,
        seed: 1,
    };
    plan.record(
        || AtomicU64::new(0),
        register_op,
        |register, ops, recorder| {
            for op in ops {
                recorder.call(op, |op| match *op {
                    RegisterOp::Read => register.load(Ordering::Relaxed),
                    RegisterOp::Write(value) => {
                        register.store(value, Ordering::Relaxed);
                        0
                    }
                });
            }
        },
        |history| check(&Register, history, Budget::default()).assert_linearizable(),
    );
}

#[test]
fn a_register_that_reads_through_a_stale_cache_is_caught() {
    let refuted = RefCell::new(0);
    PLAN.record(
        || AtomicU64::new(0),
        register_op,
        |register, ops, recorder| {
            let mut cached = None;
            for op in ops {
                recorder.call(op, |op| match *op {
                    RegisterOp::Read => {
                        *cached.get_or_insert_with(|| register.load(Ordering::SeqCst))
                    }
                    RegisterOp::Write(value) => {
                        register.store(value, Ordering::SeqCst);
                        0
                    }
                });
            }
        },
        |history| match check(&Register, history, Budget::default()) {
            Verdict::Linearizable => {}
            Verdict::NotLinearizable(_) => *refuted.borrow_mut() += 1,
            Verdict::Unknown(reason) => panic!("{reason}"),
        },
    );
    let refuted = refuted.into_inner();
    assert!(refuted > PLAN.histories / 2, "{refuted} histories refuted");
}

/// A map whose insert looks and writes in two steps, and is right whenever no other thread comes between.
fn torn_step(map: &Mutex<BTreeMap<u8, u64>>, op: &MapOp) -> Option<u64> {
    let locked = || map.lock().expect("no panic under the lock");
    if let MapOp::Insert(key, value) = *op {
        let found = locked().get(&key).copied();
        yield_now();
        if found.is_none() {
            locked().insert(key, value);
        }
        return found;
    }
    Map.step(&mut locked(), op)
}

#[test]
fn a_map_whose_insert_is_torn_is_caught() {
    let mut refuted = 0;
    PLAN.record(
        || Mutex::new(BTreeMap::new()),
        map_op,
        |map, ops, recorder| {
            for op in ops {
                recorder.call(op, |op| torn_step(map, op));
            }
        },
        |history| {
            let verdict = check_by_key(&Map, history, MapOp::key, Budget::default());
            refuted += usize::from(matches!(verdict, Verdict::NotLinearizable(_)));
        },
    );
    assert!(refuted > 0, "no history caught it");
}

#[test]
fn calls_overlap_and_are_recorded_as_overlapping() {
    // Each call waits, though not for ever, until another thread is within one: possible only if recording one call
    // does not keep another from starting.
    let meet = |inside: &AtomicUsize| {
        inside.fetch_add(1, Ordering::SeqCst);
        let met = || inside.load(Ordering::SeqCst) == 2;
        (0..1_000_000).any(|_| {
            met() || {
                yield_now();
                false
            }
        })
    };
    let plan = Plan {
        threads: 2,
        calls: 1,
        histories: 50,
        seed: 0,
    };
    plan.record(
        || AtomicUsize::new(0),
        |_, _| (),
        |inside, _, recorder| {
            recorder.call((), |()| meet(inside));
        },
        |history| {
            assert!(history.iter().all(|call| call.ret), "{history:?}");
            assert_eq!(concurrent_pairs(history), 1, "{history:?}");
        },
    );
}

#[test]
fn stamps_follow_the_order_that_the_threads_themselves_enforce() {
    // The threads take turns by a ticket, so no two calls overlap and each ticket says what its stamps must say.
    let plan = Plan {
        threads: 3,
        calls: 5,
        histories: 50,
        seed: 0,
    };
    plan.record(
        || AtomicUsize::new(0),
        |_, _| (),
        |turn, ops, recorder| {
            for (round, ()) in ops.into_iter().enumerate() {
                let mine = round * plan.threads + recorder.thread();
                while turn.load(Ordering::SeqCst) < mine {
                    yield_now();
                }
                let ticket = *recorder.call((), |()| mine);
                turn.store(ticket + 1, Ordering::SeqCst);
            }
        },
        |history| {
            assert!(history.is_sorted_by_key(|call| call.invoked));
            let mut history = history.to_vec();
            history.sort_by_key(|call| call.ret);
            let tickets: Vec<_> = history.iter().map(|call| call.ret).collect();
            assert_eq!(tickets, (0..15).collect::<Vec<_>>());
            let ordered = history
                .windows(2)
                .all(|two| two[0].returned <= two[1].invoked);
            assert!(ordered, "{history:?}");
        },
    );
}

#[test]
fn the_stamps_of_one_thread_keep_the_order_of_its_calls() {
    let plan = Plan {
        threads: 1,
        calls: 100,
        histories: 20,
        seed: 0,
    };
    plan.record(
        || (),
        |_, _| (),
        |(), ops, recorder| {
            for op in ops {
                recorder.call(op, |()| ());
            }
        },
        |history| {
            assert_eq!(concurrent_pairs(history), 0, "{history:?}");
        },
    );
}

#[test]
fn a_subject_may_borrow_and_each_history_has_its_own() {
    let made = AtomicUsize::new(0);
    let mut seen = Vec::new();
    PLAN.record(
        || (&made, made.fetch_add(1, Ordering::SeqCst)),
        |_, _| (),
        |(made, number), ops, recorder| {
            for op in ops {
                recorder.call(op, |()| (made.load(Ordering::SeqCst), *number));
            }
        },
        |history| {
            assert_eq!(history.len(), PLAN.threads * PLAN.calls);
            let (made, number) = history[0].ret;
            assert_eq!(made, number + 1);
            assert!(history.iter().all(|call| call.ret == (made, number)));
            seen.push(number);
        },
    );
    assert_eq!(seen, (0..PLAN.histories).collect::<Vec<_>>());
}

#[test]
fn the_seed_determines_the_operations_of_each_thread() {
    let operations = |seed| {
        let mut all = Vec::new();
        Plan {
            seed,
            histories: 5,
            ..PLAN
        }
        .record(
            || (),
            map_op,
            |(), ops, recorder| {
                for op in ops {
                    recorder.call(op, |_| ());
                }
            },
            |history: &[Call<MapOp, ()>]| {
                for thread in 0..PLAN.threads {
                    let calls = history.iter().filter(|call| call.thread == thread);
                    all.push(calls.map(|call| call.op).collect::<Vec<_>>());
                }
            },
        );
        all
    };
    let of_one = operations(1);
    assert_eq!(of_one, operations(1));
    assert_ne!(of_one, operations(2));
    assert_ne!(of_one[0], of_one[1], "two threads");
    assert_ne!(of_one[0], of_one[PLAN.threads], "two histories");
}

/// The panic that a run of trivial calls ends with, when one of its closures panics.
fn panic_of(
    subject: impl FnMut(),
    body: impl Fn(usize) + Sync,
    check: impl FnMut(&[Call<(), ()>]),
) -> &'static str {
    let body = |(): &(), ops, recorder: &mut Recorder<_, _>| {
        let thread = recorder.thread();
        for op in ops {
            recorder.call(op, |()| body(thread));
        }
    };
    let run = || PLAN.record(subject, |_, _| (), body, check);
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("the run did not panic");
    panic.downcast_ref::<&str>().copied().expect("a literal")
}

#[test]
fn a_panic_in_a_call_ends_the_run() {
    for victim in 0..PLAN.threads {
        let calls = AtomicUsize::new(0);
        let body = |thread| {
            if thread == victim && calls.fetch_add(1, Ordering::SeqCst) == 20 {
                panic!("planted in a call");
            }
        };
        assert_eq!(panic_of(|| (), body, |_| ()), "planted in a call");
        assert_eq!(calls.into_inner(), 21, "the victim went on");
    }
}

#[test]
fn a_panic_between_two_histories_ends_the_run() {
    let mut made = 0;
    let subject = || {
        made += 1;
        assert!(made < 4, "planted in the factory");
    };
    assert_eq!(panic_of(subject, |_| (), |_| ()), "planted in the factory");
    let check = |_: &[_]| panic!("planted in the check");
    assert_eq!(panic_of(|| (), |_| (), check), "planted in the check");
}
