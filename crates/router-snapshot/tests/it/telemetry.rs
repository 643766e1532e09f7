//! What is told to the outside, how seldom, and that whoever listens may use the manager while
//! being told.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock};

use crate::backends::{Upstream, spec, worker};
use router_snapshot::RouterClass::{HttpPd, HttpRegular};
use router_snapshot::{RouterManager, RouterMap, RouterMode, Selection};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

crate::backends::on_every_backend! { events_are_of_changes_and_come_outside_of_locks }

/// Hears nothing, and has to be there: what a subscriber wants of an event is remembered for the
/// whole process, and while there is only one subscriber, by what the thread that comes first has.
/// That may be another test's, and have none.
fn other_threads_have_a_subscriber() {
    let deaf = tracing_subscriber::registry().with(dynamic_filter_fn(|_, _| false));
    // It may be there already.
    let _ = tracing::subscriber::set_global_default(deaf);
}

type Lines = Arc<Mutex<Vec<(Level, String)>>>;

/// Writes down each event, and uses the manager while it is told of it: under one of its locks that
/// would never return.
struct Asking<M> {
    manager: Arc<OnceLock<Arc<RouterManager<Upstream, (), M>>>>,
    lines: Lines,
}

impl<S: Subscriber, M: RouterMap + 'static> Layer<S> for Asking<M> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let manager = self.manager.get().expect("a manager");
        assert!(
            manager.deregister("there is none").is_none(),
            "takes the lock, and has nothing to tell"
        );
        for number in 0..64 {
            assert!(manager.router(&number.to_string()).is_none());
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = *event.metadata().level();
        self.lines.lock().unwrap().push((level, line.0));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

fn events_are_of_changes_and_come_outside_of_locks<M: RouterMap + Default + 'static>() {
    other_threads_have_a_subscriber();
    let manager = Arc::new(RouterManager::with_map(RouterMode::Multi, M::default()));
    let (slot, lines) = (Arc::new(OnceLock::new()), Lines::default());
    assert!(slot.set(Arc::clone(&manager)).is_ok());
    let asking = Asking {
        manager: slot,
        lines: Arc::clone(&lines),
    };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(asking), || {
        manager
            .register("a", Upstream::new(HttpRegular, 1))
            .unwrap();
        manager.set_default("a").unwrap();
        manager.upsert_worker(spec(7, HttpRegular, &["m"])).unwrap();
        for model in [None, Some("m"), Some("unknown"), Some("")] {
            let _ = manager.select(&Selection {
                model,
                ..Selection::default()
            });
        }
        assert!(manager.register("a", Upstream::new(HttpPd, 2)).is_err());
        assert!(
            manager
                .remove_worker(worker(7).with_incarnation(8))
                .ignored()
                .is_some()
        );
        assert!(manager.remove_worker(worker(7)).is_changed());
        assert!(manager.deregister("a").is_some());
    });
    let told = lines.lock().unwrap();
    let expected = [
        (
            Level::INFO,
            "message=router registered router=a class=http_regular generation=1 ",
        ),
        (
            Level::INFO,
            "message=default router set router=a generation=2 ",
        ),
        (
            Level::DEBUG,
            "message=worker changed worker=7:0 class=http_regular state=healthy generation=3 ",
        ),
        (
            Level::DEBUG,
            "message=news of a worker is ignored: another life of the worker is there \
             worker=7:0@8 why=\"other_life\" ",
        ),
        (
            Level::DEBUG,
            "message=worker removed worker=7:0 generation=4 ",
        ),
        (
            Level::INFO,
            "message=router deregistered router=a generation=5 ",
        ),
        (Level::INFO, "message=default router removed generation=5 "),
    ];
    let expected = expected.map(|(level, line)| (level, line.to_owned()));
    assert_eq!(*told, expected);
}
