//! The conformance suite: what a map must pass to call itself a [`StateMap`].
//!
//! One macro call, [`conformance!`](crate::conformance!), mounts every test on a map. It is public for whoever
//! writes a map of their own, in a test of the crate that defines it:
//!
//! ```
//! # #[cfg(feature = "dashmap")]
//! mod my_map {
//!     use state_map::DashMapBackend as MyMap;
//!
//!     state_map::conformance!(|K, V| MyMap<K, V>);
//! }
//! ```
//!
//! # Design
//!
//! Each test is a function over a [`Backend`], in a module by subject. Racing tests start a few threads at
//! a gate, let each do one thing to the same key, and look at what all of them were told afterwards; they do
//! so a few hundred times, because a race that can go wrong rarely does. Nothing waits for time to pass.
//!
//! # Invariants
//!
//! Every property has a deliberately broken map that fails it, in this crate's `tests/conformance/teeth.rs`.

#![expect(
    clippy::missing_panics_doc,
    reason = "every check panics where its property fails"
)]

pub mod lookups;
pub mod memory;
pub mod oracle;
pub mod panics;
pub mod races;
pub mod release;

use std::fmt::Debug;
use std::hash::Hash;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::{Retire, StateMap, TakeOnce};

/// The map under test, for any key and value. [`conformance!`](crate::conformance!) implements it.
pub trait Backend: 'static {
    /// The map from `K` to `V`.
    type Map<K, V>: StateMap<Key = K, Value = V> + Default + 'static
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Retire + Send + Sync + 'static;
}

/// What the calling thread has allocated so far, as the test binary's global allocator counts it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// How often it has allocated.
    pub allocations: u64,
    /// How many bytes it has allocated, less those it has freed.
    pub live_bytes: i64,
}

/// Reads the test binary's counting allocator.
pub type Meter = fn() -> Reading;

/// Mounts the conformance suite on a map, as one `#[test]` for each property.
///
/// The first argument names the map with its key and value types left open. The tests that count
/// allocations run where a [`Meter`](crate::conformance::Meter) is given, with the shares of a burst's memory
/// that the map documents to keep, [drained and shrunk](crate::conformance::memory::MemoryBounds).
#[macro_export]
macro_rules! conformance {
    (|$key:ident, $value:ident| $map:ty, meter: $meter:expr, drained: $drained:expr, shrunk: $shrunk:expr) => {
        $crate::conformance!(|$key, $value| $map);

        #[test]
        fn lookups_by_borrowed_key_allocate_nothing() {
            $crate::conformance::lookups::lookups_by_borrowed_key_allocate_nothing::<Subject>($meter);
        }

        #[test]
        fn memory_after_a_burst_is_bounded() {
            use $crate::conformance::memory::{MemoryBounds, memory_after_a_burst_is_bounded};
            memory_after_a_burst_is_bounded::<Subject>($meter, MemoryBounds { drained: $drained, shrunk: $shrunk });
        }
    };
    (|$key:ident, $value:ident| $map:ty) => {
        #[derive(Debug)]
        struct Subject;

        impl $crate::conformance::Backend for Subject {
            type Map<$key, $value>
                = $map
            where
                $key: Eq + ::std::hash::Hash + Clone + Send + Sync + 'static,
                $value: $crate::Retire + Send + Sync + 'static;
        }

        $crate::conformance!(@mount oracle: matches_the_oracle, a_large_map_keeps_every_entry);
        $crate::conformance!(@mount lookups: keys_are_found_in_borrowed_form, a_session_sees_its_own_writes);
        $crate::conformance!(@mount races:
            no_update_is_lost,
            an_absent_key_is_won_once,
            a_removal_hands_over_once,
            insertions_and_removals_balance,
            a_removal_takes_what_its_condition_accepted,
            an_iteration_meets_what_stays,
            racing_retains_hand_over_once);
        $crate::conformance!(@mount release:
            a_payload_is_released_with_a_session_open,
            a_rejected_value_comes_back,
            a_dropped_map_drops_everything);
        $crate::conformance!(@mount panics: a_panicking_closure_leaves_the_map_usable);
    };
    (@mount $module:ident: $($test:ident),+) => {
        $(
            #[test]
            fn $test() {
                $crate::conformance::$module::$test::<Subject>();
            }
        )+
    };
}

/// The value that the suite stores: it knows who it is, counts what happens to it, and holds a payload.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) stamp: u64,
    pub(crate) hits: AtomicU64,
    pub(crate) retired: Arc<AtomicUsize>,
    payload: TakeOnce<Payload>,
    _alive: Alive,
}

impl Probe {
    pub(crate) fn new(stamp: u64, ledger: &Ledger) -> Self {
        Self {
            stamp,
            hits: AtomicU64::new(0),
            retired: Arc::new(AtomicUsize::new(0)),
            payload: TakeOnce::new(Payload {
                stamp,
                _alive: Alive::new(&ledger.payloads),
            }),
            _alive: Alive::new(&ledger.values),
        }
    }
}

impl Retire for Probe {
    type Payload = Option<Payload>;

    fn retire(&self) -> Self::Payload {
        self.retired.fetch_add(1, Ordering::Relaxed);
        self.payload.take()
    }
}

/// What a [`Probe`] hands over.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) stamp: u64,
    _alive: Alive,
}

/// Counts the values and the payloads that have not been dropped.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) values: Arc<AtomicI64>,
    pub(crate) payloads: Arc<AtomicI64>,
}

impl Ledger {
    pub(crate) fn live_values(&self) -> i64 {
        self.values.load(Ordering::Acquire)
    }

    pub(crate) fn live_payloads(&self) -> i64 {
        self.payloads.load(Ordering::Acquire)
    }
}

/// One unit in a counter of a [`Ledger`].
#[derive(Debug)]
struct Alive(Arc<AtomicI64>);

impl Alive {
    fn new(counter: &Arc<AtomicI64>) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(counter))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Lets `threads` threads go at once, and returns what each one's `act` returned, by thread number.
pub(crate) fn race<T: Send>(threads: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let waiting = AtomicUsize::new(threads);
    let (act, waiting) = (&act, &waiting);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn(move || {
                    waiting.fetch_sub(1, Ordering::AcqRel);
                    while waiting.load(Ordering::Acquire) > 0 {
                        thread::yield_now();
                    }
                    act(number)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Inserts a value where the suite knows the key to be absent.
pub(crate) fn insert_new<S>(session: &S, key: S::Key, value: S::Value)
where
    S: crate::MapSession,
    S::Key: Debug,
{
    let shown = format!("{key:?}");
    assert!(
        session.insert_if_absent(key, value, |_| ()).is_ok(),
        "key {shown} is absent, yet it was taken"
    );
}
