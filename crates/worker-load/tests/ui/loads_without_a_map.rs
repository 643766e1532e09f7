//! Loads on the default map, where no map is enabled.

use worker_load::WorkerLoads;

fn main() {
    let _ = WorkerLoads::new();
}
