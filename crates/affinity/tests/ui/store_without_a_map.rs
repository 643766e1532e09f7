//! A store on the default map, where no map is enabled.

use affinity::{MemoryStore, MemoryStoreConfig, StickySessionRouter};

/// A field, and calls of methods, as in any application: no error but the one that says what to do.
struct Gateway {
    sessions: StickySessionRouter<MemoryStore>,
}

fn main() {
    let store = MemoryStore::new(MemoryStoreConfig::default()).unwrap();
    let _ = store.get("a");
    let gateway = Gateway {
        sessions: StickySessionRouter::new(store),
    };
    let _ = gateway.sessions.store();
}
