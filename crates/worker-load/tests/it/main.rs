//! Counters, choices and what stands on them: examples, an oracle, recorded histories and a ledger,
//! on every map.
#![cfg(not(inflight_loom))]

mod backends;
mod budgets;
#[cfg(all(feature = "http-body", feature = "stream"))]
mod counted;
mod field;
mod fleet;
#[cfg(feature = "metrics")]
mod gauges;
#[cfg(all(feature = "dashmap", feature = "http-body", feature = "tokio"))]
mod hang_up;
#[cfg(feature = "tower")]
mod layer;
mod ledger;
mod linearizability;
mod oracle;
mod policies;
mod reserve;
#[cfg(feature = "serde")]
mod serde;
mod snapshot;
mod traits;

use worker_id::WorkerWithDpRank;
use worker_load::{Capacity, LoadMap, WorkerLoads};

/// Rank 0 of a worker.
fn worker(id: u64) -> WorkerWithDpRank {
    WorkerWithDpRank::new(id, 0)
}

/// Workers from 0 on, each of this capacity.
fn fleet<M: LoadMap + Default>(workers: u64, capacity: Capacity) -> WorkerLoads<M> {
    let loads = WorkerLoads::with_map(M::default());
    for id in 0..workers {
        loads.join(worker(id), capacity).expect("nobody has left");
    }
    loads
}

/// A map for what does not depend on it.
type AnyMap = state_map::model::ReferenceMap<WorkerWithDpRank, worker_load::WorkerLoad>;
