//! A manager on the default maps, where no map is enabled.

use router_snapshot::{RouterManager, RouterMode};

/// A field, and calls of methods, as in any application: no error but the one that says what to do.
struct Gateway {
    routers: RouterManager,
}

fn main() {
    let gateway = Gateway {
        routers: RouterManager::new(RouterMode::Multi),
    };
    let _ = gateway.routers.router("a");
}
