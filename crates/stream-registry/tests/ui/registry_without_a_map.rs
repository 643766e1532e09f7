//! A registry on the default map, where no map is enabled.

use std::sync::Arc;

use stream_registry::{StreamKind, StreamRegistry, StreamRegistryConfig};

/// A field, and calls of methods, as in any application: no error but the one that says what to do.
struct Gateway {
    streams: Arc<StreamRegistry<u32>>,
}

fn main() {
    let gateway = Gateway {
        streams: Arc::new(StreamRegistry::new(StreamRegistryConfig::default())),
    };
    let _ = gateway.streams.register(StreamKind::Response);
}
