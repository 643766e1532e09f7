//! Which maps may cross threads, and which accesses may not.

use state_map::ConfigError;
use static_assertions::assert_impl_all;

assert_impl_all!(ConfigError: Send, Sync, std::error::Error);

macro_rules! shared_maps_and_local_accesses {
    ($($feature:literal $module:ident: $map:ident;)+) => { $(
        #[cfg(feature = $feature)]
        mod $module {
            use state_map::*;
            use static_assertions::{assert_impl_all, assert_not_impl_any};

            assert_impl_all!($map<u64, ()>: StateMap, Default, Send, Sync, std::fmt::Debug);
            assert_impl_all!(Access<'static, $map<u64, ()>>: std::fmt::Debug);
            // papaya's accesses stay on their thread, and so all do: code for one backend compiles
            // for all.
            assert_not_impl_any!(Access<'static, $map<u64, ()>>: Send, Sync);
        }
    )+ };
}

shared_maps_and_local_accesses! {
    "dashmap" dashmap: DashMapBackend;
    "papaya" papaya: PapayaBackend;
    "scc" scc: SccBackend;
    "rwlock" rwlock: RwLockBackend;
}
