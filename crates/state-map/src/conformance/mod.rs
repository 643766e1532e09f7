//! The conformance suite: what a map must pass to call itself a [`StateMap`].
//!
//! One macro call, [`conformance!`](crate::conformance!), mounts it, in a test of the crate that
//! has the map. A map for any key and value is named with both left open, and passes the whole
//! suite:
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
//! A map for one crate alone, from its keys to its entries, is named as it is: the crate's entries
//! are a [`Sample`], with its feature `conformance`.
//!
//! 1. Each test is a function over the map, in a module by subject. Racing tests start a few
//!    threads at a gate, let each do one thing to the same key, and look at what all of them were
//!    told; a few hundred times, because a race that can go wrong rarely does. Nothing waits for
//!    time to pass.
//! 2. Every property has a deliberately broken map that fails it, in `tests/conformance/teeth.rs`.

#![expect(
    clippy::missing_panics_doc,
    reason = "every check panics where its property fails"
)]

pub mod destructors;
pub mod lookups;
pub mod memory;
pub mod oracle;
pub mod panics;
pub mod races;

use std::hash::Hash;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::{Access, StateMap};

/// A map for any key and value. [`conformance!`](crate::conformance!) implements it.
pub trait Backend: 'static {
    /// The map from `K` to `V`.
    type Map<K, V>: StateMap<Key = K, Value = V> + Default + 'static
    where
        K: Eq + Hash + Send + Sync + 'static,
        V: Send + Sync + 'static;
}

/// A value that the suite can make, for a map that has its own. Each crate's entries are one.
pub trait Sample: Send + Sync + Sized + 'static {
    /// The keys of its maps.
    type Key: Eq + Hash + Send + Sync + 'static;

    /// The key of a number: equal keys for equal numbers, and for no others.
    fn key(number: u64) -> Self::Key;

    /// The value of a number below 2^24.
    fn sample(stamp: u64) -> Self;

    /// The number that it was made of.
    fn stamp(&self) -> u64;
}

/// A map of samples: every [`StateMap`] of the right key and value that can be made empty.
pub trait MapOf<V: Sample>: StateMap<Key = V::Key, Value = V> + Default + 'static {}

impl<V: Sample, M: StateMap<Key = V::Key, Value = V> + Default + 'static> MapOf<V> for M {}

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
/// The argument is a map for any key and value, with both left open, or a map from one crate's keys
/// to its entries: see [`conformance`](crate::conformance). The tests that count allocations run
/// where a [`Meter`](crate::conformance::Meter) is given, with the shares of a burst's memory that
/// the map documents to keep, [drained and shrunk](crate::conformance::memory::MemoryBounds).
#[macro_export]
macro_rules! conformance {
    (
        |$key:ident, $value:ident| $map:ty,
        meter: $meter:expr, drained: $drained:expr, shrunk: $shrunk:expr
    ) => {
        $crate::conformance!(|$key, $value| $map);

        #[test]
        fn lookups_by_borrowed_key_allocate_nothing() {
            use $crate::conformance::lookups::lookups_by_borrowed_key_allocate_nothing;
            lookups_by_borrowed_key_allocate_nothing::<Subject>($meter);
        }

        #[test]
        fn memory_after_a_burst_is_bounded() {
            use $crate::conformance::memory::{MemoryBounds, memory_after_a_burst_is_bounded};
            let bounds = MemoryBounds { drained: $drained, shrunk: $shrunk };
            memory_after_a_burst_is_bounded::<Subject>($meter, bounds);
        }
    };
    (|$key:ident, $value:ident| $map:ty) => {
        #[derive(Debug)]
        struct Subject;

        impl $crate::conformance::Backend for Subject {
            type Map<$key, $value>
                = $map
            where
                $key: Eq + ::std::hash::Hash + Send + Sync + 'static,
                $value: Send + Sync + 'static;
        }

        $crate::conformance!(
            <Subject as $crate::conformance::Backend>::Map<u64, $crate::conformance::Probe>
        );
        $crate::conformance!(@mount Subject; lookups: keys_are_found_in_borrowed_form);
        $crate::conformance!(@mount Subject; races: no_update_is_lost);
        $crate::conformance!(@mount Subject; destructors:
            a_dropped_map_drops_everything,
            destructors_may_use_the_map,
            a_panicking_destructor_leaves_the_map_usable);
        $crate::conformance!(@mount Subject; panics: a_panicking_key_leaves_the_map_usable);
    };
    ($map:ty) => {
        $crate::conformance!(@mount $map, _; oracle:
            matches_the_oracle,
            a_large_map_keeps_every_entry);
        $crate::conformance!(@mount $map, _; lookups: an_access_sees_its_own_writes);
        $crate::conformance!(@mount $map, _; races:
            an_absent_key_is_won_once,
            a_removal_succeeds_once,
            insertions_and_removals_balance,
            a_removal_takes_what_its_condition_accepted,
            an_iteration_meets_what_stays);
        $crate::conformance!(@mount $map, _; panics: a_panicking_closure_leaves_the_map_usable);
    };
    (@mount $subject:ty $(, $sample:tt)?; $module:ident: $($test:ident),+) => {
        $crate::conformance!(@each [$subject $(, $sample)?] $module: $($test),+);
    };
    (@each $subject:tt $module:ident: $($test:ident),+) => {
        $($crate::conformance!(@one $subject $module: $test);)+
    };
    (@one [$($subject:tt)+] $module:ident: $test:ident) => {
        #[test]
        fn $test() {
            $crate::conformance::$module::$test::<$($subject)+>();
        }
    };
}

/// What the suite stores in a map for any key and value. Counts what happens to it.
#[derive(Debug)]
pub struct Probe {
    stamp: u64,
    pub(crate) hits: AtomicU64,
}

impl Sample for Probe {
    type Key = u64;

    fn key(number: u64) -> u64 {
        number
    }

    fn sample(stamp: u64) -> Self {
        Self {
            stamp,
            hits: AtomicU64::new(0),
        }
    }

    fn stamp(&self) -> u64 {
        self.stamp
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

/// What `act` returns, on a thread of its own. `stuck` is the complaint where it does not return,
/// because of a lock that stays held, and `panics` where it panics.
pub(crate) fn watched<T: Send + 'static>(
    stuck: &str,
    panics: &str,
    act: impl FnOnce() -> T + Send + 'static,
) -> T {
    /// Longer than any of these takes on a busy machine.
    const STUCK: Duration = Duration::from_secs(5);
    let (done, finished) = channel();
    thread::spawn(move || {
        let _ = done.send(act());
    });
    match finished.recv_timeout(STUCK) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => panic!("{stuck}"),
        Err(RecvTimeoutError::Disconnected) => panic!("{panics}"),
    }
}

/// Inserts a value where the suite knows the key to be absent.
pub(crate) fn insert_new<V: Sample, M: MapOf<V>>(access: &Access<'_, M>, number: u64, stamp: u64) {
    let inserted = access.insert_if_absent(V::key(number), V::sample(stamp));
    assert!(inserted.is_ok(), "key {number} is absent, yet it was taken");
}

/// The stamp that a key reads as.
pub(crate) fn stamp_of<V: Sample, M: MapOf<V>>(access: &Access<'_, M>, number: u64) -> Option<u64> {
    access.read(&V::key(number), V::stamp)
}

/// Removes an entry, and says which it was: the one that the condition accepted last.
pub(crate) fn take<V: Sample, M: MapOf<V>>(
    access: &Access<'_, M>,
    number: u64,
    mut condition: impl FnMut(u64) -> bool,
) -> Option<u64> {
    let mut accepted = None;
    let removed = access.remove_if(&V::key(number), |value| {
        accepted = Some(value.stamp());
        condition(value.stamp())
    });
    accepted.filter(|_| removed)
}
