//! A store on the default map, where no map is enabled.

use affinity::{MemoryStore, MemoryStoreConfig};

fn main() {
    let _ = MemoryStore::new(MemoryStoreConfig::default());
}
