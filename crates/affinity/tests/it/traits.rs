//! What public types can be relied on for, and that the futures of a router can move between threads.

use std::fmt::Debug;
use std::future::Future;

use affinity::{
    AffinityStore, Binding, Expired, Lease, LeaseError, MemoryStore, MemoryStoreConfig, RouteError,
    Routed, SessionEntry, SessionFingerprint, SessionKey, SessionRef, StickySessionRouter,
    StoreError, Swept, Written,
};
use state_map::model::ReferenceMap;
use static_assertions::{assert_impl_all, const_assert};
use worker_id::WorkerWithDpRank;

type Store = MemoryStore<ReferenceMap<SessionFingerprint, SessionEntry>>;

assert_impl_all!(Store: Send, Sync, Debug, AffinityStore);
assert_impl_all!(StickySessionRouter<Store>: Send, Sync, Debug);
assert_impl_all!(Lease: Send, Sync, Debug);
assert_impl_all!(SessionKey: Send, Sync, Debug, Clone, Ord, std::hash::Hash, std::fmt::Display);
assert_impl_all!(SessionRef<'static>: Send, Sync, Debug, Copy, From<&'static str>, From<&'static SessionKey>);
assert_impl_all!(SessionFingerprint: Send, Sync, Debug, Copy, Eq, std::hash::Hash);
assert_impl_all!(SessionEntry: Send, Sync, Debug);
assert_impl_all!(Binding: Send, Sync, Debug, Copy, Eq);
assert_impl_all!(Written: Send, Sync, Debug, Copy, Eq);
assert_impl_all!(Expired: Send, Sync, Debug, Clone);
assert_impl_all!(Routed: Send, Sync, Debug, Clone);
assert_impl_all!(Swept: Send, Sync, Debug, Copy, Default);
assert_impl_all!(MemoryStoreConfig: Send, Sync, Debug, Copy, Default, Eq);
assert_impl_all!(StoreError: Send, Sync, std::error::Error, Clone);
assert_impl_all!(LeaseError: Send, Sync, std::error::Error, Clone);
assert_impl_all!(RouteError<StoreError>: Send, Sync, std::error::Error);

/// What a hit reads of a map's table is no more than a cache line.
const _: () = assert!(size_of::<SessionFingerprint>() == 16);
const_assert!(size_of::<(SessionFingerprint, SessionEntry)>() <= 64);

/// Compiles where the future may be spawned on a runtime with several threads.
fn spawned<S: AffinityStore + 'static>(
    router: &'static StickySessionRouter<S>,
    session: &'static str,
) -> impl Future<Output = Result<Routed, RouteError<StoreError>>> + Send + 'static {
    router.resolve_or_assign(session, &[], || async { Ok(WorkerWithDpRank::from(1)) })
}

#[test]
fn a_routers_future_is_send() {
    let store = Store::with_map(MemoryStoreConfig::default(), ReferenceMap::default()).unwrap();
    let router = Box::leak(Box::new(StickySessionRouter::new(store)));
    let routed = pollster::block_on(spawned(router, "s")).unwrap();
    assert_eq!(routed.worker, 1.into());
}
