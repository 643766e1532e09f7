//! The conformance suite: what a store must pass to call itself an [`AffinityStore`].
//!
//! One macro call, [`conformance!`](crate::conformance!), mounts every test on a store. It is public for whoever writes a
//! store of their own, in a test of the crate that defines it:
//!
//! ```
//! # #[cfg(feature = "dashmap")]
//! mod my_store {
//!     use std::sync::{Arc, Mutex};
//!     use std::time::Duration;
//!
//!     use affinity::conformance::Subject;
//!     use affinity::{Expired, MemoryStore as MyStore, MemoryStoreConfig};
//!
//!     struct Mine(MyStore, Arc<Mutex<Vec<Expired>>>);
//!
//!     impl Subject for Mine {
//!         type Store = MyStore;
//!         const TTL: Duration = Duration::from_secs(60);
//!
//!         fn store(&self) -> &MyStore { &self.0 }
//!
//!         async fn elapse(&self, time: Duration) {
//!             let _ = self.0.sweep(self.0.now() + time, usize::MAX);
//!         }
//!
//!         fn expired(&self) -> Vec<Expired> { self.1.lock().unwrap().clone() }
//!     }
//!
//!     async fn start() -> Mine {
//!         let expired = Arc::new(Mutex::new(Vec::new()));
//!         let told = Arc::clone(&expired);
//!         let config = MemoryStoreConfig { ttl: Mine::TTL, ..MemoryStoreConfig::default() };
//!         let store = MyStore::new(config).unwrap();
//!         Mine(store.on_expire(move |each| told.lock().unwrap().push(each)), expired)
//!     }
//!
//!     affinity::conformance!(start: start, block_on: |test| pollster::block_on(test));
//! }
//! ```
//!
//! # Design
//!
//! Each test is an async function over a [`Subject`], an empty deployment of the store, in a module by subject. Time passes
//! through the subject alone, so that a store with a mock clock is tested in no time, and one with a clock of its own, on
//! another machine, all the same. Races are of futures that run in one task: for a store in this process the races of
//! threads are its own tests' business.
//!
//! # Invariants
//!
//! Every test has a deliberately broken store that fails it, in this crate's `tests/it/teeth.rs`.

#![expect(
    clippy::missing_panics_doc,
    reason = "every check panics where its property fails"
)]

pub mod bindings;
pub mod expiry;
pub mod keys;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use worker_id::WorkerWithDpRank;

use crate::{AffinityStore, Expired};

/// One deployment of the store under test, empty at the start.
pub trait Subject: Send + Sync + 'static {
    /// The store.
    type Store: AffinityStore + 'static;

    /// The time to live that it was made with. With a mock clock any; with a real one, long against what an operation may
    /// take on a busy machine: the tests let three quarters of it pass and then expect a binding to be there.
    const TTL: Duration;

    /// The most bytes of a key that it was made with.
    const MAX_KEY_LEN: usize = 256;

    /// The store. It has room for all sessions of the suite, a thousand at most.
    fn store(&self) -> &Self::Store;

    /// Returns when so much more of the store's time has passed, and what ran out before was swept or soon will be.
    fn elapse(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// What `on_expire` has been called with so far.
    fn expired(&self) -> Vec<Expired>;
}

/// Mounts the conformance suite on a store, as one `#[test]` for each property.
///
/// `start` is an async function that makes a [`Subject`](crate::conformance::Subject), and `block_on` runs a test's future
/// to its end.
#[macro_export]
macro_rules! conformance {
    (start: $start:expr, block_on: $block_on:expr) => {
        $crate::conformance!(@mount $start, $block_on, bindings:
            an_unbound_session_has_nothing,
            a_binding_comes_back_whole,
            a_bind_replaces,
            a_claim_loses_to_who_is_there,
            racing_claims_have_one_winner,
            a_refresh_is_the_workers_own,
            a_rebind_goes_by_generation,
            racing_rebinds_have_one_winner,
            a_removal_ends_what_it_observed,
            a_generation_is_never_given_twice);
        $crate::conformance!(@mount $start, $block_on, keys:
            scopes_are_strangers,
            odd_ids_are_ids,
            empty_and_oversized_keys_are_refused);
        $crate::conformance!(@mount $start, $block_on, expiry:
            an_idle_binding_is_absent_to_every_operation,
            uses_let_the_time_begin_anew,
            looks_do_not,
            an_idle_engine_session_is_told_once,
            what_was_removed_or_replaced_is_not_told,
            what_ran_out_before_it_was_replaced_is_told);
    };
    (@mount $start:expr, $block_on:expr, $module:ident: $($test:ident),+) => {
        $(
            #[test]
            fn $test() {
                ($block_on)(async {
                    let subject = ($start)().await;
                    $crate::conformance::$module::$test(&subject).await;
                });
            }
        )+
    };
}

pub(crate) const A: WorkerWithDpRank = WorkerWithDpRank::new(7, 0);
pub(crate) const B: WorkerWithDpRank = WorkerWithDpRank::new(7, 1).with_incarnation(41);
pub(crate) const C: WorkerWithDpRank =
    WorkerWithDpRank::new(u64::MAX, u32::MAX).with_incarnation(u64::MAX);

/// Runs futures at once, in this task, and returns their outputs in order.
pub(crate) async fn race<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    let all = poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *output = Some(done),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    });
    pin!(all).await;
    running
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}
