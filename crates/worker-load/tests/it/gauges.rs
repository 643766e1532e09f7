//! Gauges that agree with the snapshot that they are set from.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use worker_load::{Capacity, Cost, LoadGauges, PinnedTurns};

use crate::{AnyMap, fleet, worker};

#[test]
fn gauges_agree_with_the_snapshot_and_go_to_0_with_the_worker() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let shown = || {
        let metrics = snapshotter.snapshot().into_vec();
        let rows = metrics.into_iter().filter_map(|(key, _, _, value)| {
            let (_, key) = key.into_parts();
            let worker = key.labels().next()?.value().to_owned();
            let DebugValue::Gauge(value) = value else {
                panic!("{key:?} is no gauge");
            };
            Some(((key.name().to_owned(), worker), value.into_inner()))
        });
        rows.collect::<std::collections::BTreeMap<_, _>>()
    };
    metrics::with_local_recorder(&recorder, || {
        let (loads, mut gauges) = (
            fleet::<AnyMap>(2, Capacity::unlimited()),
            LoadGauges::default(),
        );
        loads
            .join(worker(7).with_incarnation(1), Capacity::unlimited())
            .unwrap();
        let _one = loads.reserve(worker(1), Cost::tokens(5, 3)).unwrap();
        let _two = loads.reserve(worker(7), Cost::request()).unwrap();
        loads.drain(worker(7), PinnedTurns::Refuse).unwrap();
        let snapshot = loads.snapshot();
        gauges.set(&snapshot);
        let of =
            |name: &str, worker: &str| shown()[&(format!("worker_load.{name}"), worker.to_owned())];
        for row in snapshot.workers() {
            let label = worker(row.worker.worker_id).to_string();
            assert_eq!(of("requests", &label), row.requests as f64);
            assert_eq!(of("tokens", &label), row.tokens as f64);
            assert_eq!(of("prefill_tokens", &label), row.prefill_tokens as f64);
            assert_eq!(of("most_tokens", &label), row.most_tokens as f64);
            assert_eq!(of("draining", &label), f64::from(u8::from(row.draining)));
        }
        assert_eq!((of("requests", "7:0"), of("tokens", "1:0")), (1.0, 8.0));
        loads.leave(worker(7)).unwrap();
        gauges.set(&loads.snapshot());
        assert_eq!((of("requests", "7:0"), of("draining", "7:0")), (0.0, 0.0));
        assert_eq!(of("requests", "1:0"), 1.0);
    });
}
