//! Which maps and sessions may cross threads.

use state_map::{ConfigError, TakeOnce};
use static_assertions::assert_impl_all;

assert_impl_all!(ConfigError: Send, Sync, std::error::Error);
assert_impl_all!(TakeOnce<u64>: Send, Sync, std::fmt::Debug);

macro_rules! shared_maps_and_local_sessions {
    ($($feature:literal $module:ident: $map:ident, $session:ty;)+) => { $(
        #[cfg(feature = $feature)]
        mod $module {
            use state_map::*;
            use static_assertions::{assert_impl_all, assert_not_impl_any};

            assert_impl_all!($map<u64, ()>: StateMap, Default, Send, Sync, std::fmt::Debug);
            assert_impl_all!($session: MapSession, std::fmt::Debug);
            // papaya's sessions stay on their thread, and so all do: code for one backend compiles for all.
            assert_not_impl_any!($session: Send, Sync);
        }
    )+ };
}

shared_maps_and_local_sessions! {
    "dashmap" dashmap: DashMapBackend, LocalSession<'static, DashMapBackend<u64, ()>>;
    "papaya" papaya: PapayaBackend, PapayaSession<'static, u64, (), DefaultHashBuilder>;
    "scc" scc: SccBackend, LocalSession<'static, SccBackend<u64, ()>>;
    "rwlock" rwlock: RwLockBackend, LocalSession<'static, RwLockBackend<u64, ()>>;
}

#[test]
fn a_slot_is_emptied_once() {
    let slot = TakeOnce::new(7);
    assert!(!slot.is_taken());
    assert_eq!(slot.take(), Some(7));
    assert_eq!(slot.take(), None);
    assert!(slot.is_taken());
    assert!(TakeOnce::<u64>::default().is_taken());
    assert_eq!(
        format!("{slot:?} {:?}", TakeOnce::from(1)),
        "TakeOnce(taken) TakeOnce(..)"
    );
}
