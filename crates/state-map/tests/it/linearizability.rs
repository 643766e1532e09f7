//! Recorded histories of every backend: operations on one key are linearizable.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use linearize::{Budget, Plan, Rng, Spec, check_by_key, concurrent_pairs};
use state_map::{MapSession, Retire, StateMap};

#[derive(Clone, Copy, Debug)]
enum Op {
    Insert(u8, u64),
    Read(u8),
    Remove(u8),
    /// Removes where the value is even.
    RemoveIfEven(u8),
}

impl Op {
    fn key(&self) -> u8 {
        match *self {
            Op::Insert(key, _) | Op::Read(key) | Op::Remove(key) | Op::RemoveIfEven(key) => key,
        }
    }
}

/// The contract on one thread. An insertion answers the occupant that was in its way, all others the value
/// they read or removed.
struct Contract;

impl Spec for Contract {
    type Op = Op;
    type Ret = Option<u64>;
    type State = BTreeMap<u8, u64>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn step(&self, map: &mut Self::State, op: &Op) -> Option<u64> {
        match *op {
            Op::Insert(key, value) => {
                let occupant = map.get(&key).copied();
                map.entry(key).or_insert(value);
                occupant
            }
            Op::Read(key) => map.get(&key).copied(),
            Op::Remove(key) => map.remove(&key),
            Op::RemoveIfEven(key) => map
                .get(&key)
                .is_some_and(|value| value % 2 == 0)
                .then(|| map.remove(&key))?,
        }
    }
}

/// A value that hands itself over.
struct Number(u64);

impl Number {
    /// Reads the number. Some numbers let the other threads get in between, so that calls overlap however
    /// few cores there are.
    fn linger(&self) -> u64 {
        if self.0 % 4 < 2 {
            thread::yield_now();
        }
        self.0
    }
}

impl Retire for Number {
    type Payload = u64;

    fn retire(&self) -> u64 {
        self.0
    }
}

fn run(session: &impl MapSession<Key = u8, Value = Number>, op: &Op) -> Option<u64> {
    match *op {
        Op::Insert(key, value) => session
            .insert_if_absent(key, Number(value), Number::linger)
            .err()
            .map(|taken| taken.occupant),
        Op::Read(key) => session.read(&key, Number::linger),
        Op::Remove(key) => session.remove(&key),
        Op::RemoveIfEven(key) => session.remove_if(&key, |value| value.linger() % 2 == 0),
    }
}

fn generate(rng: &mut Rng, _thread: usize) -> Op {
    let key = *rng.pick(&[0, 1]);
    match rng.below(6) {
        0 | 1 => Op::Insert(key, rng.next_u64()),
        2 | 3 => Op::Read(key),
        4 => Op::Remove(key),
        _ => Op::RemoveIfEven(key),
    }
}

/// 2,000 histories, half of them with a session for each thread's whole part.
fn histories_are_linearizable<M: StateMap<Key = u8, Value = Number> + Default>() {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let mut overlapping = 0;
    for (one_session, seed) in [(false, 1), (true, 2)] {
        Plan {
            threads: 3,
            calls: 10,
            histories: 1_000,
            seed,
        }
        .record(
            M::default,
            generate,
            |map, ops, recorder| {
                let held = map.session();
                for op in ops {
                    recorder.call(op, |op| {
                        if one_session {
                            run(&held, op)
                        } else {
                            run(&map.session(), op)
                        }
                    });
                }
            },
            |history| {
                overlapping += concurrent_pairs(history);
                check_by_key(&Contract, history, Op::key, Budget::default()).assert_linearizable();
            },
        );
    }
    println!("{overlapping} pairs of calls overlapped");
    assert!(
        overlapping > 2_000,
        "only {overlapping} pairs of calls overlapped: nothing was tested"
    );
}

#[cfg(feature = "dashmap")]
#[test]
fn dashmap() {
    histories_are_linearizable::<state_map::DashMapBackend<u8, Number>>();
}

#[cfg(feature = "papaya")]
#[test]
fn papaya() {
    histories_are_linearizable::<state_map::PapayaBackend<u8, Number>>();
}

#[cfg(feature = "scc")]
#[test]
fn scc() {
    histories_are_linearizable::<state_map::SccBackend<u8, Number>>();
}

#[cfg(feature = "rwlock")]
#[test]
fn rwlock() {
    histories_are_linearizable::<state_map::RwLockBackend<u8, Number>>();
}

#[cfg(feature = "model")]
#[test]
fn models() {
    histories_are_linearizable::<state_map::model::ReferenceMap<u8, Number>>();
    histories_are_linearizable::<state_map::model::AdversarialMap<u8, Number>>();
}
