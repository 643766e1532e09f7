//! Records what threads do to a shared object, and decides whether it could have happened one call at a time.
//!
//! An object is *linearizable* when every concurrent history of it can be explained by an order of its calls that a
//! sequential [`Spec`] allows, and that keeps each call between its invocation and its return. This crate records
//! histories of real threads ([`Plan::record`]), searches for such an order ([`check`], [`check_by_key`]), and draws the
//! history in which there is none ([`Counterexample`]).
//!
//! ```
//! use linearize::{Budget, Plan, Rng, Spec, check_by_key};
//! use std::{collections::BTreeMap, sync::Mutex};
//!
//! #[derive(Clone, Debug)]
//! enum Op { Insert(u8, u64), Read(u8), Remove(u8) }
//!
//! struct Map; // the specification: insert if absent, read, remove
//!
//! impl Spec for Map {
//!     type Op = Op;
//!     type Ret = Option<u64>; // of an insert: the occupant that was in the way
//!     type State = BTreeMap<u8, u64>;
//!
//!     fn initial(&self) -> Self::State { BTreeMap::new() }
//!
//!     fn step(&self, map: &mut Self::State, op: &Op) -> Option<u64> {
//!         match *op {
//!             Op::Insert(k, v) => match map.get(&k) {
//!                 Some(&occupant) => Some(occupant),
//!                 None => map.insert(k, v),
//!             },
//!             Op::Read(k) => map.get(&k).copied(),
//!             Op::Remove(k) => map.remove(&k),
//!         }
//!     }
//! }
//!
//! fn generate(rng: &mut Rng, _thread: usize) -> Op {
//!     let key = *rng.pick(&[0, 1]);
//!     match rng.below(3) {
//!         0 => Op::Insert(key, rng.next_u64()),
//!         1 => Op::Read(key),
//!         _ => Op::Remove(key),
//!     }
//! }
//!
//! let plan = Plan { threads: 3, calls: 8, histories: 50, seed: 1 };
//! plan.record(
//!     || Mutex::new(BTreeMap::new()),                        // a fresh subject for every history
//!     generate,
//!     |subject, ops, recorder| {                             // what a thread does in one history
//!         for op in ops {                                    // a session would be opened before this loop
//!             recorder.call(op, |op| Map.step(&mut subject.lock().unwrap(), op));
//!         }
//!     },
//!     |history| {
//!         let key = |op: &Op| match *op { Op::Insert(k, _) | Op::Read(k) | Op::Remove(k) => k };
//!         check_by_key(&Map, history, key, Budget::default()).assert_linearizable();
//!     },
//! );
//! ```
//!
//! # Design
//!
//! The search is Wing and Gong's: take any call that no other unplaced call precedes, see whether the specification
//! answers as the object did, go on from there, and step back where it does not. It remembers, as Lowe proposes, each
//! pair of *calls placed* and *state reached*, and never explores the same pair twice.
//!
//! # Why
//!
//! - Three verdicts, because a search that gave up has proved nothing: it is [`Verdict::Unknown`], and
//!   [`Verdict::assert_linearizable`] fails on it.
//! - Linearizability is local: a history of independent objects is linearizable exactly if the history of each is. Where
//!   calls touch one key each, [`check_by_key`] turns one search that is exponential in the calls into many small ones.
//! - Many short histories rather than a long one: a race needs two or three calls, and a short history can be both
//!   searched to the end and read by a human.
//!
//! # Invariants
//!
//! - No false alarm from the clock: a call precedes another only if it returned strictly before the other was invoked.
//!   See [`Recorder::call`] for what the stamps themselves promise.
//! - `NotLinearizable` is said only after the whole space was searched, `Linearizable` only with an order in hand.
//!
//! # What it cannot see
//!
//! The recorder orders memory around each call, so a missing fence *between* two calls of one thread (store buffering)
//! stays hidden here; that is the model checker's to find. And an order it did not happen to record, it did not check:
//! [`concurrent_pairs`] tells whether calls overlapped at all.
#![forbid(unsafe_code)]

mod barrier;
mod check;
mod history;
mod record;
mod rng;
mod verdict;

pub use check::{Budget, PARTITION_MAX, WHOLE_MAX, check, check_by_key};
pub use history::{Call, Spec, concurrent_pairs};
pub use record::{Plan, Recorder};
pub use rng::Rng;
pub use verdict::{Counterexample, Unknown, Verdict};
