//! The contract's races on the one real backend that can be model-checked: scc has a loom build.
//!
//! That build works under a model checker only, so these tests are a binary, and a cargo run, of
//! their own.
#![cfg(inflight_loom)]

mod races;

use foldhash::fast::FixedState;
use state_map::SccBackend;

/// The same bucket in every execution, as the model checker needs.
fn map() -> SccBackend<u64, races::Cell, FixedState> {
    SccBackend::with_capacity_and_hasher(0, FixedState::with_seed(0)).expect("an allowed capacity")
}

/// One after another, on one thread: what scc has retired is kept in one place for the whole
/// process, which the model checker does not know of. Two models at once would release each other's
/// values, and one of them ends in a segmentation fault.
macro_rules! one_after_another {
    ($new:expr; $($race:ident),+) => {
        #[test]
        fn every_race() {
            $(
                println!(stringify!($race));
                races::$race($new);
            )+
        }
    };
}

races::races!(one_after_another, map);
