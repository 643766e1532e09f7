//! A manager on the default maps, where no map is enabled.

use router_snapshot::{RouterManager, RouterMode};

fn main() {
    let _: RouterManager = RouterManager::new(RouterMode::Multi);
}
