//! What is told to the outside, how seldom, and that whoever listens may use the router while being told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use phase_state::{PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig, StartPhase};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

crate::backends::on_every_backend! { events_are_few_and_come_outside_of_locks }

/// Hears nothing, and has to be there: what a subscriber wants of an event is remembered for the whole process, and while
/// there is only one subscriber, by what the thread that comes first has. That may be another test's, and have none.
fn other_threads_have_a_subscriber() {
    let deaf = tracing_subscriber::registry().with(dynamic_filter_fn(|_, _| false));
    // It may be there already.
    let _ = tracing::subscriber::set_global_default(deaf);
}

type Lines = Arc<Mutex<Vec<(Level, String)>>>;

/// Requests enough that each shard of a map has one.
const OTHERS: std::ops::Range<u64> = 100..200;

/// Writes down each event, and uses the router while it is told of it: under a lock of the map, shared or exclusive, that
/// would never return.
struct Asking<M> {
    router: Arc<OnceLock<Arc<PhaseRouter<M>>>>,
    lines: Lines,
}

impl<S: Subscriber, M: PhaseMap + 'static> Layer<S> for Asking<M> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let router = self.router.get().expect("a router");
        let _ = (
            router.phase_of(7),
            router.touch(7),
            router.reap_idle(Duration::MAX),
        );
        for id in OTHERS {
            assert!(
                !router.register(id),
                "takes the lock to insert, finds the request, and has nothing to tell"
            );
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.lines
            .lock()
            .unwrap()
            .push((*event.metadata().level(), line.0));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

fn events_are_few_and_come_outside_of_locks<M: PhaseMap + Default + 'static>() {
    other_threads_have_a_subscriber();
    let config = PhaseRouterConfig {
        min_think_tokens: 2,
        max_think_tokens: 3,
        ..PhaseRouterConfig::with_marker_ids([1], [2], [3])
    };
    let router = Arc::new(PhaseRouter::with_map(config, M::default()).unwrap());
    for id in OTHERS {
        assert!(router.register(id));
    }
    let (slot, lines) = (Arc::new(OnceLock::new()), Lines::default());
    assert!(slot.set(Arc::clone(&router)).is_ok());
    let asking = Asking {
        router: slot,
        lines: Arc::clone(&lines),
    };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(asking), || {
        assert!(router.register_in(7, StartPhase::ThinkDecode));
        for token in 0..50 {
            let event = router.on_token(7, 9, None).unwrap();
            assert_eq!(matches!(event, PhaseEvent::ForceBudget { .. }), token == 2);
        }
        assert_eq!(
            router.on_token(7, 2, None),
            Some(PhaseEvent::ExitThink { tokens_used: 51 })
        );
        assert!(router.reap(7));
    });
    let lines = lines.lock().unwrap();
    let said: BTreeMap<&str, Level> = lines
        .iter()
        .map(|(level, line)| (line.as_str(), *level))
        .collect();
    assert_eq!(said.len(), 3, "one of each, none per token: {lines:?}");
    let level_of = |part: &str| {
        said.iter()
            .find(|(line, _)| line.contains(part))
            .map(|(_, level)| *level)
    };
    assert_eq!(level_of("request registered key=7"), Some(Level::DEBUG));
    assert_eq!(
        level_of("budget forced key=7 inject_token=2 reason=hard_cap"),
        Some(Level::INFO),
        "{lines:?}"
    );
    assert_eq!(level_of("request reaped key=7"), Some(Level::DEBUG));
}

#[cfg(feature = "metrics")]
mod metrics {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use phase_state::{PhaseRouter, PhaseRouterConfig, StartPhase};
    use state_map::model::ReferenceMap;

    #[test]
    fn gauges_and_counters_go_by_their_names() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        ::metrics::with_local_recorder(&recorder, || {
            let config = PhaseRouterConfig {
                min_think_tokens: 1,
                max_think_tokens: 2,
                ..PhaseRouterConfig::with_marker_ids([1], [2], [3])
            };
            let router = PhaseRouter::with_map(config, ReferenceMap::default()).unwrap();
            for id in 0..3 {
                assert!(router.register_in(id, StartPhase::ThinkDecode));
                for token in [9, 9, 9, 2] {
                    let _ = router.on_token(id, token, None);
                }
            }
            assert!(router.reap(0));
        });
        let mut seen: Vec<String> = snapshotter
            .snapshot()
            .into_vec()
            .into_iter()
            .map(|(key, _, _, value)| {
                let key = key.key();
                let labels: Vec<_> = key
                    .labels()
                    .map(|label| format!("{}={}", label.key(), label.value()))
                    .collect();
                let value = match value {
                    DebugValue::Counter(count) => format!("{count}"),
                    DebugValue::Gauge(level) => format!("{level}"),
                    DebugValue::Histogram(values) => format!("{values:?}"),
                };
                format!("{}{{{}}} {value}", key.name(), labels.join(","))
            })
            .collect();
        seen.sort();
        assert_eq!(
            seen,
            [
                "phase_state.budget_forced{reason=hard_cap} 3",
                "phase_state.think_tokens{} [4.0, 4.0, 4.0]",
                "phase_state.tracked_requests{} 2",
            ]
        );
    }
}
