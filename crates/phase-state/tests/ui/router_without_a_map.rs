//! A router on the default map, where no map is enabled.

use phase_state::{PhaseRouter, PhaseRouterConfig};

fn main() {
    let _ = PhaseRouter::new(PhaseRouterConfig::default());
}
