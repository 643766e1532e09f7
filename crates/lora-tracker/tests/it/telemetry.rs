//! A capacity that two adapters do not agree on is told, once, and to somebody who may use the
//! tracker while being told.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock};

use lora_tracker::{LoraEvent, LoraInfo, LoraMap, LoraTracker};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use worker_id::{Effect, WorkerWithDpRank};

crate::backends::on_every_backend! { disagreements_are_told_outside_of_locks }

/// Hears nothing, and has to be there: what a subscriber wants of an event is remembered for the
/// whole process, and while there is only one subscriber, by what the thread that comes first has.
/// That may be another test's, and have none.
fn other_threads_have_a_subscriber() {
    let deaf = tracing_subscriber::registry().with(dynamic_filter_fn(|_, _| false));
    // It may be there already.
    let _ = tracing::subscriber::set_global_default(deaf);
}

type Lines = Arc<Mutex<Vec<(Level, String)>>>;

/// Writes down each event, and uses the tracker while it is told of it: under a lock, that would
/// never return.
struct Asking<M> {
    tracker: Arc<OnceLock<Arc<LoraTracker<M>>>>,
    lines: Lines,
}

impl<S: Subscriber, M: LoraMap + 'static> Layer<S> for Asking<M> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let tracker = self.tracker.get().expect("a tracker");
        for id in 0..64 {
            let worker = WorkerWithDpRank::from_worker_id(id);
            let _ = tracker.worker_slots(&worker);
            let _ = tracker.apply(LoraEvent::WorkerJoined {
                worker,
                capacity: None,
            });
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        let mut lines = self.lines.lock().unwrap();
        lines.push((*event.metadata().level(), line.0));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

fn disagreements_are_told_outside_of_locks<M: LoraMap + Default + 'static>() {
    other_threads_have_a_subscriber();
    let lines = Lines::default();
    let slot = Arc::new(OnceLock::new());
    let asking = Asking {
        tracker: Arc::clone(&slot),
        lines: Arc::clone(&lines),
    };
    let tracker = Arc::new(LoraTracker::<M>::default());
    assert!(slot.set(Arc::clone(&tracker)).is_ok());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(asking), || {
        let worker = WorkerWithDpRank::new(7, 1).with_incarnation(9);
        let loaded = |name: &str, max| {
            let lora = LoraInfo::new(name).with_capacity(max);
            let effect = tracker.apply(LoraEvent::Loaded { worker, lora });
            effect.unwrap().is_changed()
        };
        assert!(loaded("a", None));
        assert!(loaded("a", Some(4)), "the first to say anything");
        assert!(loaded("b", Some(4)));
        assert!(loaded("c\n", Some(8)), "the latest is taken");
        assert_eq!(tracker.worker_slots(&worker).unwrap().capacity, Some(8));
        assert!(!loaded("c\n", Some(8)), "and told once");
        let capacity = Some(2);
        assert_eq!(
            tracker.apply(LoraEvent::WorkerJoined { worker, capacity }),
            Ok(Effect::Changed)
        );
        let worker = worker.with_incarnation(8).into();
        let late = tracker.apply(LoraEvent::WorkerLeft { worker }).unwrap();
        assert!(late.ignored().is_some());
    });
    let lines = lines.lock().unwrap();
    let [(Level::WARN, line), (Level::DEBUG, late)] = &lines[..] else {
        panic!("one warning, and one that is ignored: {lines:?}");
    };
    for field in ["worker=7:1@8 ", "why=\"other_life\" "] {
        assert!(late.contains(field), "{field} in {late}");
    }
    for field in ["worker=7:1@9 ", "lora=\"c\\n\" ", "before=4 ", "now=8 "] {
        assert!(line.contains(field), "{field} in {line}");
    }
}
