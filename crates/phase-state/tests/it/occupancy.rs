//! How full a map is; and which types may cross threads.

use phase_state::{
    Occupancy, PhaseEvent, PhaseRouterConfig, RequestHandle, RequestKey, ThinkPhase,
};
use static_assertions::assert_impl_all;

assert_impl_all!(RequestHandle: Send, Sync, std::fmt::Debug);
assert_impl_all!(Occupancy: Send, Sync, Copy);
assert_impl_all!(RequestKey: Send, Sync, Copy, std::hash::Hash, Ord);
assert_impl_all!(PhaseEvent: Send, Sync, Copy);
assert_impl_all!(ThinkPhase: Send, Sync, Copy);
assert_impl_all!(PhaseRouterConfig: Send, Sync, Clone);

#[cfg(feature = "dashmap")]
#[test]
fn a_dashmap_is_watched_by_shard() {
    use phase_state::{DashMapPhases, PhaseRouter};
    use state_map::DefaultHashBuilder;

    assert_impl_all!(PhaseRouter<DashMapPhases>: Send, Sync, std::fmt::Debug);

    let map = DashMapPhases::with_capacity_hasher_and_shards(0, DefaultHashBuilder::default(), 4)
        .unwrap();
    let router = PhaseRouter::with_map(PhaseRouterConfig::default(), map).unwrap();
    let empty = router.occupancy();
    assert_eq!(empty.tracked_requests, 0);
    assert_eq!(empty.shards.unwrap().skew(), None);

    for id in 0..1_024 {
        assert!(router.register(id));
    }
    let full = router.occupancy();
    let shards = full.shards.unwrap();
    assert_eq!(full.tracked_requests, 1_024);
    assert_eq!((shards.count, shards.mean), (4, 256.0));
    assert!(shards.largest >= 256 && shards.skew().unwrap() >= 1.0);
}

#[cfg(feature = "papaya")]
#[test]
fn a_map_without_shards_has_no_loads() {
    use phase_state::{PapayaPhases, PhaseRouter};

    assert_impl_all!(PhaseRouter<PapayaPhases>: Send, Sync, std::fmt::Debug);

    let router = PhaseRouter::with_map(PhaseRouterConfig::default(), PapayaPhases::new()).unwrap();
    assert!(router.register(1));
    let occupancy = router.occupancy();
    assert_eq!((occupancy.tracked_requests, occupancy.shards), (1, None));
}

#[cfg(feature = "scc")]
assert_impl_all!(phase_state::PhaseRouter<phase_state::SccPhases>: Send, Sync, std::fmt::Debug);
#[cfg(feature = "rwlock")]
assert_impl_all!(phase_state::PhaseRouter<phase_state::RwLockPhases>: Send, Sync, std::fmt::Debug);
