//! A snapshot as gauges, through the `metrics` facade.
//!
//! # Why
//!
//! *Gauges that are set from a snapshot, not moved by each request*: a gauge that is moved is a
//! second count, which can differ from the first, and costs each request more than the first does.

use std::collections::BTreeSet;

use metrics::gauge;
use worker_id::WorkerWithDpRank;

use crate::{Load, Snapshot};

mod names {
    pub(super) const REQUESTS: &str = "worker_load.requests";
    pub(super) const TOKENS: &str = "worker_load.tokens";
    pub(super) const PREFILL_TOKENS: &str = "worker_load.prefill_tokens";
    pub(super) const KV_BYTES: &str = "worker_load.kv_bytes";
    pub(super) const MOST_REQUESTS: &str = "worker_load.most_requests";
    pub(super) const MOST_TOKENS: &str = "worker_load.most_tokens";
    pub(super) const OVERRUN: &str = "worker_load.overrun_tokens";
    pub(super) const DRAINING: &str = "worker_load.draining";
}

/// Sets gauges to what a snapshot says: `worker_load.requests`, `tokens`, `prefill_tokens`,
/// `kv_bytes`, `most_requests`, `most_tokens`, `overrun_tokens` and `draining`, each with the label
/// `worker`, such as `7:0`, without its incarnation.
///
/// Keep one for the exporter's loop: it remembers whom it has set gauges for, and sets them to 0
/// when the worker has left, since a recorder would show the last value for ever.
///
/// ```
/// # #[cfg(any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"))] {
/// use worker_load::{LoadGauges, WorkerLoads};
///
/// let (loads, mut gauges) = (WorkerLoads::new(), LoadGauges::default());
/// // Every few seconds:
/// gauges.set(&loads.snapshot());
/// # }
/// ```
#[derive(Debug, Default)]
pub struct LoadGauges {
    shown: BTreeSet<WorkerWithDpRank>,
}

impl LoadGauges {
    /// Sets the gauges of the workers in `snapshot`, and those of workers that have left since the
    /// last one to 0.
    pub fn set(&mut self, snapshot: &Snapshot) {
        let there: BTreeSet<_> = snapshot.workers().iter().map(|load| load.worker).collect();
        for gone in self.shown.difference(&there) {
            set(*gone, &[0; 8]);
        }
        for load in snapshot.workers() {
            set(load.worker, &values(load));
        }
        self.shown = there;
    }
}

fn values(load: &Load) -> [u64; 8] {
    [
        load.requests,
        load.tokens,
        load.prefill_tokens,
        load.kv_bytes,
        load.most_requests,
        load.most_tokens,
        load.overrun,
        u64::from(load.draining),
    ]
}

fn set(worker: WorkerWithDpRank, values: &[u64; 8]) {
    let names = [
        names::REQUESTS,
        names::TOKENS,
        names::PREFILL_TOKENS,
        names::KV_BYTES,
        names::MOST_REQUESTS,
        names::MOST_TOKENS,
        names::OVERRUN,
        names::DRAINING,
    ];
    let label = WorkerWithDpRank::new(worker.worker_id, worker.dp_rank).to_string();
    for (name, value) in names.into_iter().zip(values) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "gauges are floating-point numbers"
        )]
        gauge!(name, "worker" => label.clone()).set(*value as f64);
    }
}
