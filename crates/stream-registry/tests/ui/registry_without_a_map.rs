//! A registry on the default map, where no map is enabled.

use stream_registry::{StreamRegistry, StreamRegistryConfig};

fn main() {
    let _ = StreamRegistry::<u32>::new(StreamRegistryConfig::default());
}
