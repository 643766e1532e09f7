//! The memory store passes the suite, on every map.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use affinity::conformance::Subject;
use affinity::{
    Expired, MemoryStore, MemoryStoreConfig, SessionEntry, SessionFingerprint, SessionMap,
};
use state_map::model::{AdversarialMap, ReferenceMap};

struct InMemory<M> {
    store: MemoryStore<M>,
    expired: Arc<Mutex<Vec<Expired>>>,
    /// Whether anything is swept, or all that ends is come upon.
    swept: bool,
}

impl<M: SessionMap + 'static> Subject for InMemory<M> {
    type Store = MemoryStore<M>;
    const TTL: Duration = Duration::from_secs(60);

    fn store(&self) -> &MemoryStore<M> {
        &self.store
    }

    async fn elapse(&self, time: Duration) {
        let now = self.store.now() + time;
        if self.swept || now > Self::TTL * 8 {
            let _ = self.store.sweep(now, usize::MAX);
        } else {
            self.store.advance_to(now);
        }
    }

    fn expired(&self) -> Vec<Expired> {
        self.expired.lock().unwrap().clone()
    }
}

async fn start<M: SessionMap + Default + 'static>(swept: bool) -> InMemory<M> {
    let config = MemoryStoreConfig {
        ttl: InMemory::<M>::TTL,
        ..MemoryStoreConfig::default()
    };
    let expired = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&expired);
    let store = MemoryStore::with_map(config, M::default()).unwrap();
    let store = store.on_expire(move |each| told.lock().unwrap().push(each));
    InMemory {
        store,
        expired,
        swept,
    }
}

macro_rules! suites {
    ($($name:ident $(if $feature:literal)?: $map:ty),+ $(,)?) => {
        $(
            $(#[cfg(feature = $feature)])?
            mod $name {
                use super::*;

                mod swept {
                    use super::*;
                    affinity::conformance!(start: || start::<$map>(true), block_on: |test| pollster::block_on(test));
                }

                mod come_upon {
                    use super::*;
                    affinity::conformance!(start: || start::<$map>(false), block_on: |test| pollster::block_on(test));
                }
            }
        )+
    };
}

suites! {
    dashmap if "dashmap": affinity::DashMapSessions,
    papaya if "papaya": affinity::PapayaSessions,
    scc if "scc": affinity::SccSessions,
    rwlock if "rwlock": affinity::RwLockSessions,
    reference: ReferenceMap<SessionFingerprint, SessionEntry>,
    adversarial: AdversarialMap<SessionFingerprint, SessionEntry>,
}
