//! A router on the default map, where no map is enabled.

use phase_state::{PhaseRouter, PhaseRouterConfig};

/// A field, and calls of methods, as in any application: no error but the one that says what to do.
struct Gateway {
    phases: PhaseRouter,
}

fn main() {
    let gateway = Gateway {
        phases: PhaseRouter::new(PhaseRouterConfig::default()).unwrap(),
    };
    gateway.phases.register(7_u64);
    let _ = gateway.phases.on_token(7_u64, 1, None);
}
