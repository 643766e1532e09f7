//! The conformance suite on every backend, and the broken maps that show its teeth. Memory is counted by the allocator.
#![cfg(all(feature = "conformance", not(inflight_loom)))]

mod broken;
mod teeth;

#[global_allocator]
static ALLOCATOR: alloc_count::CountingAllocator = alloc_count::CountingAllocator;

fn meter() -> state_map::conformance::Reading {
    let counts = alloc_count::thread_counts();
    state_map::conformance::Reading {
        allocations: counts.allocations,
        live_bytes: counts.live_bytes(),
    }
}

#[cfg(feature = "dashmap")]
mod dashmap {
    state_map::conformance!(|K, V| state_map::DashMapBackend<K, V>, meter: super::meter, drained: 1.0, shrunk: 0.01);
}
#[cfg(feature = "papaya")]
mod papaya {
    state_map::conformance!(|K, V| state_map::PapayaBackend<K, V>, meter: super::meter, drained: 0.3, shrunk: 0.3);
}
#[cfg(feature = "scc")]
mod scc {
    state_map::conformance!(|K, V| state_map::SccBackend<K, V>, meter: super::meter, drained: 0.05, shrunk: 0.05);
}
#[cfg(feature = "rwlock")]
mod rwlock {
    state_map::conformance!(|K, V| state_map::RwLockBackend<K, V>, meter: super::meter, drained: 1.0, shrunk: 0.01);
}
