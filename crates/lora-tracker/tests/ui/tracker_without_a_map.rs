//! A tracker on the default map, where no map is enabled.

use lora_tracker::{LoraTracker, TrackerConfig};

fn main() {
    let _ = LoraTracker::new(TrackerConfig::default());
}
