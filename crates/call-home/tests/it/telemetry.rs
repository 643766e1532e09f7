//! What is told to the outside: a span a connection, without the secret, and counters.

#[cfg(feature = "metrics")]
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use crate::common::{client, read_all, server, settles};
use call_home::DashMapStreams;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Hears nothing, and has to be there: what a subscriber wants of an event is remembered for the whole process, and while
/// there is only one subscriber, by what the thread that comes first has. That may be another test's, and have none.
fn other_threads_have_a_subscriber() {
    let deaf = tracing_subscriber::registry().with(dynamic_filter_fn(|_, _| false));
    // It may be there already.
    let _ = tracing::subscriber::set_global_default(deaf);
}

/// A stream of five bytes each way, a refused call, and one that is never greeted.
async fn traffic() -> String {
    let server = server::<DashMapStreams>().await;
    let (request, response) = (server.register_request(), server.register_response());
    let id = response.id().to_string();
    let (asked, answers) = (request.info(), response.info());
    let echo = async {
        let mut questions = client().request(&asked).await.unwrap();
        let writer = client().response(&answers).await.unwrap().start();
        while let Some(question) = questions.next().await.unwrap() {
            writer.send(question).await.unwrap();
        }
        writer.finish().await.unwrap();
    };
    let ask = async {
        let writer = request.await.unwrap();
        writer.send("12345").await.unwrap();
        writer.finish().await.unwrap();
        read_all(&mut response.await.unwrap()).await.1.unwrap();
    };
    tokio::join!(echo, ask);
    client().response(&answers).await.unwrap_err();
    drop(crate::common::raw(server.address()).await);
    settles(&server).await;
    while server.shutdown(crate::common::HANGS).await > 0 {}
    id
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(crate::common::within_bounds(future))
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Visit for Lines {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{}={value:?}", field.name()).unwrap();
    }
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        attributes.record(&mut self.clone());
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

#[test]
fn a_connection_is_a_span_that_names_its_stream_and_keeps_the_secret() {
    other_threads_have_a_subscriber();
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    let id = tracing::subscriber::with_default(subscriber, || block_on(traffic()));
    let lines = lines.0.lock().unwrap();
    for said in [
        "peer=127.0.0.1:",
        "kind=request",
        "kind=response",
        "reason=\"unknown\"",
    ] {
        assert!(lines.contains(said), "{said} in {lines}");
    }
    assert!(
        lines.contains(&format!("stream=StreamId({}..)", &id[..8])),
        "{lines}"
    );
    assert!(!lines.contains(&id[9..]), "{lines}");
}

#[cfg(feature = "metrics")]
#[test]
fn connections_refusals_and_bytes_are_counted() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || block_on(traffic()));
    let counted: BTreeMap<String, i64> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels = key
                .key()
                .labels()
                .map(metrics::Label::value)
                .collect::<String>();
            let value = match value {
                DebugValue::Counter(count) => i64::try_from(count).unwrap(),
                DebugValue::Gauge(gauge) => {
                    if gauge.into_inner() == 0.0 {
                        0
                    } else {
                        1
                    }
                }
                DebugValue::Histogram(_) => panic!("no histogram"),
            };
            (format!("{}{labels}", key.key().name()), value)
        })
        .collect();
    let expected = [
        ("call_home.accepted", 4),
        // Both ends of both streams are in this process.
        ("call_home.bytes_received", 10),
        ("call_home.bytes_sent", 10),
        ("call_home.connections", 0),
        ("call_home.refusedclosed", 1),
        ("call_home.refusedunknown", 1),
    ];
    assert_eq!(
        counted,
        expected
            .map(|(name, count)| (name.to_owned(), count))
            .into()
    );
}
