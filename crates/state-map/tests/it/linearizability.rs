//! Recorded histories of every backend: operations on one key are linearizable.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use linearize::{Budget, Plan, Rng, Spec, check_by_key, concurrent_pairs};
use state_map::{Access, StateMap};

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

/// The contract on one thread. An insertion answers whether the key was taken, all others the value
/// that they read or removed.
struct Contract;

impl Spec for Contract {
    type Op = Op;
    type Ret = Answer;
    type State = BTreeMap<u8, u64>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn step(&self, map: &mut Self::State, op: &Op) -> Answer {
        Answer::Value(match *op {
            Op::Insert(key, value) => {
                let taken = map.contains_key(&key);
                map.entry(key).or_insert(value);
                return Answer::Taken(taken);
            }
            Op::Read(key) => map.get(&key).copied(),
            Op::Remove(key) => map.remove(&key),
            Op::RemoveIfEven(key) => {
                let even = map.get(&key).is_some_and(|value| value % 2 == 0);
                if even { map.remove(&key) } else { None }
            }
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Taken(bool),
    Value(Option<u64>),
}

struct Number(u64);

impl Number {
    /// Reads the number. Some numbers let the other threads get in between, so that calls overlap
    /// however few cores there are.
    fn linger(&self) -> u64 {
        if self.0 % 4 < 2 {
            thread::yield_now();
        }
        self.0
    }
}

fn run<M: StateMap<Key = u8, Value = Number>>(access: &Access<'_, M>, op: &Op) -> Answer {
    // What a removal removes is what its condition accepted last.
    let remove_if = |key: u8, condition: fn(u64) -> bool| {
        let mut accepted = None;
        let removed = access.remove_if(&key, |value| {
            accepted = Some(value.linger());
            accepted.is_some_and(condition)
        });
        accepted.filter(|_| removed)
    };
    Answer::Value(match *op {
        Op::Insert(key, value) => {
            let rejected = access.insert_if_absent(key, Number(value)).err();
            assert!(rejected.as_ref().is_none_or(|mine| mine.0 == value));
            return Answer::Taken(rejected.is_some());
        }
        Op::Read(key) => access.read(&key, Number::linger),
        Op::Remove(key) => remove_if(key, |_| true),
        Op::RemoveIfEven(key) => remove_if(key, |value| value % 2 == 0),
    })
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

/// 2,000 histories, half of them with one access for each thread's whole part.
fn histories_are_linearizable<M: StateMap<Key = u8, Value = Number> + Default>() {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let mut overlapping = 0;
    for (one_access, seed) in [(false, 1), (true, 2)] {
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
                let held = map.access();
                for op in ops {
                    recorder.call(op, |op| {
                        if one_access {
                            run(&held, op)
                        } else {
                            run(&map.access(), op)
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
