//! Gauges that agree with the snapshot that they are set from.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use worker_load::{Capacity, Cost, LoadGauges, PinnedTurns};

use crate::{AnyMap, fleet, worker};

/// The gauges, by name and worker. A look empties the recorder.
fn shown(recorder: &Snapshotter) -> BTreeMap<(String, String), f64> {
    let metrics = recorder.snapshot().into_vec().into_iter();
    let gauge = |(key, _, _, value): (metrics_util::CompositeKey, _, _, _)| {
        let (_, key) = key.into_parts();
        let worker = key.labels().next()?.value().to_owned();
        let DebugValue::Gauge(value) = value else {
            panic!("{key:?} is no gauge");
        };
        Some(((key.name().to_owned(), worker), value.into_inner()))
    };
    metrics.filter_map(gauge).collect()
}

fn float(count: u64) -> f64 {
    u32::try_from(count).unwrap().into()
}

#[test]
fn gauges_agree_with_the_snapshot_and_go_to_0_with_the_worker() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let loads = fleet::<AnyMap>(2, Capacity::unlimited());
        let mut gauges = LoadGauges::default();
        let restarted = worker(7).with_incarnation(1);
        loads.join(restarted, Capacity::unlimited()).unwrap();
        let _one = loads.reserve(worker(1), Cost::tokens(5, 3)).unwrap();
        let _two = loads.reserve(worker(7), Cost::request()).unwrap();
        loads.drain(worker(7), PinnedTurns::Refuse).unwrap();

        let snapshot = loads.snapshot();
        gauges.set(&snapshot);
        let before = shown(&snapshotter);
        for row in snapshot.workers() {
            let label = worker(row.worker.worker_id).to_string();
            for (name, value) in [
                ("requests", row.requests),
                ("tokens", row.tokens),
                ("prefill_tokens", row.prefill_tokens),
                ("kv_bytes", row.kv_bytes),
                ("most_requests", row.most_requests),
                ("most_tokens", row.most_tokens),
                ("overrun_tokens", row.overrun),
                ("draining", row.draining.into()),
            ] {
                let gauge = (format!("worker_load.{name}"), label.clone());
                assert_eq!(before.get(&gauge), Some(&float(value)), "{gauge:?}");
            }
        }
        let requests = |id: &str| ("worker_load.requests".to_owned(), id.to_owned());
        assert_eq!(
            [before[&requests("0:0")], before[&requests("7:0")]],
            [0.0, 1.0]
        );

        loads.leave(worker(7)).unwrap();
        gauges.set(&loads.snapshot());
        let after = shown(&snapshotter);
        assert_eq!(
            [after[&requests("1:0")], after[&requests("7:0")]],
            [1.0, 0.0]
        );
    });
}
