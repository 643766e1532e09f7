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
            router.reap_idle(Duration::ZERO, Duration::MAX),
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
        let began = router.register_with(7, StartPhase::ThinkDecode);
        assert_eq!(began, Ok(PhaseEvent::Unchanged));
        for token in 0..50 {
            let event = router.on_token(7, 9, None).unwrap();
            assert_eq!(matches!(event, PhaseEvent::ForceBudget { .. }), token == 2);
        }
        assert_eq!(
            router.on_token(7, 2, None),
            Ok(PhaseEvent::ExitThink { tokens_used: 51 })
        );
        assert!(router.reap(7).is_some());
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
        level_of("budget forced key=7 inject=[2] reason=hard_cap"),
        Some(Level::INFO),
        "{lines:?}"
    );
    assert_eq!(level_of("request reaped key=7"), Some(Level::DEBUG));
}

#[cfg(feature = "metrics")]
mod metrics {
    use std::sync::Arc;
    use std::time::Duration;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use phase_state::{
        Format, PhaseEntry, PhaseEvent, PhaseRouter, PhaseRouterConfig, Registration, RequestKey,
        StartPhase,
    };
    use state_map::model::ReferenceMap;

    type Map = ReferenceMap<RequestKey, PhaseEntry>;

    fn router(format: Format) -> Arc<PhaseRouter<Map>> {
        let config = PhaseRouterConfig {
            min_think_tokens: 1,
            max_think_tokens: 2,
            formats: vec![
                format,
                Format::with_marker_ids([1], [2], [3]).named("second"),
            ],
            ..PhaseRouterConfig::default()
        };
        Arc::new(PhaseRouter::with_map(config, Map::default()).unwrap())
    }

    fn plain() -> Format {
        Format::with_marker_ids([1], [2], [3])
    }

    /// All that metrics are told of meanwhile, in order of their names.
    fn told(act: impl FnOnce()) -> Vec<String> {
        super::other_threads_have_a_subscriber();
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        ::metrics::with_local_recorder(&recorder, act);
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
        seen
    }

    fn feed(router: &PhaseRouter<Map>, key: u64, tokens: &[u32]) {
        for token in tokens {
            assert!(router.on_token(key, *token, None).is_ok());
        }
    }

    fn begin(router: &PhaseRouter<Map>, key: u64) {
        assert!(router.register_with(key, StartPhase::ThinkDecode).is_ok());
    }

    #[test]
    fn gauges_and_counters_go_by_their_names() {
        let router = router(plain());
        let told = told(|| {
            for id in 0..3 {
                begin(&router, id);
                feed(&router, id, &[9, 9, 9, 2]);
            }
            assert!(router.reap(0).is_some());
        });
        assert_eq!(
            told,
            [
                "phase_state.budget_forced{reason=hard_cap} 3",
                "phase_state.think_tokens{} [4.0, 4.0, 4.0]",
                "phase_state.tracked_requests{} 2",
            ]
        );
    }

    #[test]
    fn formats_are_labels() {
        let router = router(plain().named("first"));
        let told = told(|| {
            let second = Registration::from(StartPhase::ThinkDecode)
                .format(router.format("second").unwrap());
            begin(&router, 1);
            assert!(router.register_with(2, second).is_ok());
            feed(&router, 1, &[9, 2]);
            feed(&router, 2, &[9, 9, 2]);
        });
        assert_eq!(
            told,
            [
                "phase_state.budget_forced{reason=hard_cap,format=second} 1",
                "phase_state.think_tokens{format=first} [2.0]",
                "phase_state.think_tokens{format=second} [3.0]",
                "phase_state.tracked_requests{} 2",
            ]
        );
    }

    /// However a thought is cut: it is just the longest ones that are.
    #[test]
    fn a_thought_that_is_cut_is_told_of() {
        let router = router(plain());
        let told = told(|| {
            for id in 0..4 {
                begin(&router, id);
                feed(&router, id, &[9, 9, 9, 9, 9]);
            }
            assert!(router.reap(0).is_some());
            let handle = router.track_with(4, StartPhase::ThinkDecode);
            let (mut handle, _) = handle.unwrap();
            assert!(handle.on_token(9, None).is_ok());
            drop(handle);
            assert!(
                router
                    .reap_idle(Duration::ZERO, Duration::from_secs(1))
                    .is_empty()
            );
            let idle = router.reap_idle(Duration::from_secs(1), Duration::from_secs(1));
            assert_eq!(idle.len(), 3);
            // Nothing was thought here, and nothing is cut.
            begin(&router, 9);
            assert!(router.reap(9).is_some());
        });
        assert_eq!(
            told,
            [
                "phase_state.budget_forced{reason=hard_cap} 4",
                "phase_state.think_tokens{} [5.0, 1.0, 5.0, 5.0, 5.0]",
                "phase_state.tracked_requests{} 0",
            ]
        );
    }

    #[test]
    fn a_router_that_is_dropped_leaves_no_gauge_behind() {
        let told = told(|| {
            let router = router(plain());
            for id in 0..3 {
                begin(&router, id);
            }
            assert!(router.reap(0).is_some());
            drop(router);
        });
        assert_eq!(told, ["phase_state.tracked_requests{} 0"]);
    }

    #[test]
    fn what_is_fed_again_is_told_once() {
        let router = router(plain());
        let told = told(|| {
            begin(&router, 1);
            let before = router.state_of(1).unwrap();
            for _ in 0..3 {
                feed(&router, 1, &[9, 9, 9, 2, 8]);
                assert_eq!(router.rollback(1, &before), Ok(PhaseEvent::Unchanged));
            }
            feed(&router, 1, &[9]);
            assert!(router.reap(1).is_some());
        });
        assert_eq!(
            told,
            [
                "phase_state.budget_forced{reason=hard_cap} 1",
                "phase_state.think_tokens{} [4.0]",
                "phase_state.tracked_requests{} 0",
            ]
        );
    }

    #[test]
    fn a_request_that_moves_is_told_once() {
        let (here, there) = (router(plain()), router(plain()));
        let told = told(|| {
            begin(&here, 1);
            feed(&here, 1, &[9, 9, 9]);
            let state = here.move_out(1).unwrap();
            assert_eq!(
                there.register_with(1, Registration::resume(state)),
                Ok(PhaseEvent::Unchanged),
                "its end was forced already"
            );
            feed(&there, 1, &[2]);
            assert!(there.reap(1).is_some());
        });
        assert_eq!(
            told,
            [
                "phase_state.budget_forced{reason=hard_cap} 1",
                "phase_state.think_tokens{} [4.0]",
                "phase_state.tracked_requests{} 0",
            ]
        );
    }
}
