//! A tracker on the default map, where no map is enabled.

use lora_tracker::{LoraTracker, TrackerConfig};

/// A field, and calls of methods, as in any application: no error but the one that says what to do.
struct Gateway {
    loras: LoraTracker,
}

fn main() {
    let gateway = Gateway {
        loras: LoraTracker::new(TrackerConfig::default()),
    };
    let _ = gateway.loras.loaded_workers("a");
    let _ = LoraTracker::default();
}
