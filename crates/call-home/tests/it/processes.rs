//! Workers that are frozen and killed, and a frontend that is out of descriptors: each a process of its own.
//!
//! A child is this test binary again, told by its environment to run [`child`] as something else.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::common::{client, instance, read_all, server, settles};
use call_home::{ConnectionInfo, Cut, FrontendEnd, StreamError, StreamId, StreamKind, StreamMap};
use rustix::process::{Pid, Signal, kill_process};

crate::backends::on_every_backend! {
    a_worker_frozen_before_its_prologue,
    a_worker_frozen_with_its_socket_open,
    a_worker_killed_in_the_middle_of_a_stream,
}

trait Map: StreamMap<FrontendEnd> + Default + 'static {}
impl<M: StreamMap<FrontendEnd> + Default + 'static> Map for M {}

const ROLE: &str = "CALL_HOME_TEST_ROLE";
const INFO: &str = "CALL_HOME_TEST_INFO";

/// What a child says begins with this, and what its test harness says does not.
const SAYS: &str = "child: ";

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(role: &str, info: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "processes::child",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, role)
            .env(INFO, info)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn worker(role: &str, info: &ConnectionInfo) -> Self {
        Self::start(role, &format!("{} {}", info.address, info.id))
    }

    /// The next thing that the child says.
    fn hears(&mut self) -> String {
        tokio::task::block_in_place(|| {
            loop {
                let mut line = String::new();
                assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it is gone");
                // The harness may not have ended its own line.
                if let Some((_, said)) = line.split_once(SAYS) {
                    return said.trim_end().to_owned();
                }
            }
        })
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn a_worker_frozen_before_its_prologue<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    server.associate(&[pending.id()], &instance(1)).unwrap();
    let mut worker = Process::worker("claims", &pending.info());
    assert_eq!(worker.hears(), "claimed");
    worker.signal(Signal::STOP);
    assert_eq!(server.stats().streams.claimed, 1);
    assert_eq!(server.cancel_instance(&instance(1)), 1);
    let gone = StreamError::InstanceGone {
        instance: instance(1),
    };
    assert_eq!(pending.await.unwrap_err(), gone);
    settles(&server).await;
}

async fn a_worker_frozen_with_its_socket_open<M: Map>() {
    let server = server::<M>().await;
    let (request, response) = (server.register_request(), server.register_response());
    let halves = [request.id(), response.id()];
    server.associate(&halves, &instance(1)).unwrap();
    let mut receiver = Process::worker("receives", &request.info());
    let sender = Process::worker("sends", &response.info());
    let (writer, mut reader) = (request.await.unwrap(), response.await.unwrap());
    assert_eq!(receiver.hears(), "claimed");
    for _ in 0..100 {
        assert_eq!(reader.next().await.unwrap().unwrap(), "token");
    }
    receiver.signal(Signal::STOP);
    sender.signal(Signal::STOP);
    // Until nothing more goes into the system's buffers, or enough has: the writer's connection is stuck or about to be.
    let flood = async { while writer.send(vec![0; 1 << 20]).await.is_ok() {} };
    let cancel = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.cancel_instance(&instance(1)), 2);
    };
    tokio::join!(flood, cancel);
    assert_eq!(writer.finish().await, Err(Cut::Cancelled));
    assert_eq!(read_all(&mut reader).await.1, Err(Cut::Cancelled));
    settles(&server).await;
}

async fn a_worker_killed_in_the_middle_of_a_stream<M: Map>() {
    let server = server::<M>().await;
    let pending = server.register_response();
    let worker = Process::worker("sends", &pending.info());
    let mut reader = pending.await.unwrap();
    for _ in 0..100 {
        assert_eq!(reader.next().await.unwrap().unwrap(), "token");
    }
    worker.signal(Signal::KILL);
    let (_, end) = read_all(&mut reader).await;
    let cut = end.expect_err("a cut, not an end");
    assert!(matches!(cut, Cut::Closed | Cut::Io(_)), "{cut}");
    settles(&server).await;
}

/// Eight workers call while the frontend can open nothing; it does not spin, says so once, and serves them all later.
#[cfg(feature = "dashmap")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptors_exhausted_for_two_seconds() {
    crate::common::within_bounds(async {
        let mut frontend = Process::start("frontend", "");
        let infos: Vec<ConnectionInfo> = (0..exhausted::STREAMS)
            .map(|_| parse(&frontend.hears(), StreamKind::Response))
            .collect();
        assert_eq!(frontend.hears(), "exhausted");
        let workers: Vec<_> = infos
            .into_iter()
            .map(|info| {
                tokio::spawn(async move {
                    let writer = client().response(&info).await.unwrap().start();
                    writer.send("served").await.unwrap();
                    writer.finish().await
                })
            })
            .collect();
        let report = frontend.hears();
        for worker in workers {
            assert_eq!(worker.await.unwrap(), Ok(()));
        }
        let numbers: Vec<u64> = report.split(' ').map(|n| n.parse().unwrap()).collect();
        let [cpu_millis, lines, failures, served] = numbers[..] else {
            panic!("{report}");
        };
        assert_eq!(served, exhausted::STREAMS, "full recovery");
        assert_eq!(lines, 1, "one line in five seconds");
        assert!(
            (2..=20).contains(&failures),
            "{failures} attempts in two seconds"
        );
        assert!(cpu_millis < 500, "{cpu_millis} ms of CPU time: it spins");
    })
    .await;
}

fn parse(text: &str, kind: StreamKind) -> ConnectionInfo {
    let (address, id) = text.split_once(' ').expect("two words");
    ConnectionInfo {
        address: address.parse().unwrap(),
        kind,
        id: id.parse::<StreamId>().unwrap(),
    }
}

/// Not a test: what a child process runs.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let info = std::env::var(INFO).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match &*role {
            "claims" => {
                let call = client().response(&parse(&info, StreamKind::Response)).await;
                println!("{SAYS}claimed");
                call.unwrap().cancelled().await;
            }
            "sends" => {
                let call = client().response(&parse(&info, StreamKind::Response)).await;
                let writer = call.unwrap().start();
                while writer.send("token").await.is_ok() {}
            }
            "receives" => {
                let reader = client().request(&parse(&info, StreamKind::Request)).await;
                println!("{SAYS}claimed");
                let _ = read_all(&mut reader.unwrap()).await;
            }
            #[cfg(feature = "dashmap")]
            "frontend" => exhausted::frontend().await,
            other => panic!("no such role: {other}"),
        }
    });
}

#[cfg(feature = "dashmap")]
mod exhausted {
    //! The frontend that runs out of descriptors.

    use std::fs::File;
    use std::future::pending;
    use std::os::fd::AsRawFd;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use call_home::{CallHomeOptions, CallHomeServer};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use rustix::time::{ClockId, clock_gettime};
    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::{SAYS, read_all};

    pub(super) const STREAMS: u64 = 8;

    pub(super) async fn frontend() {
        let events = Events::default();
        let subscriber = tracing_subscriber::registry().with(events.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let server = CallHomeServer::bind(CallHomeOptions::default())
            .await
            .unwrap();
        let pendings: Vec<_> = (0..STREAMS).map(|_| server.register_response()).collect();
        for pending in &pendings {
            println!("{SAYS}{} {}", pending.info().address, pending.info().id);
        }
        let before = getrlimit(Resource::Nofile);
        // Descriptors are given out from the lowest, so that this is how many there are.
        let open = File::open("/dev/null").unwrap().as_raw_fd();
        let full = Rlimit {
            current: Some(u64::try_from(open).unwrap()),
            ..before
        };
        setrlimit(Resource::Nofile, full).unwrap();
        let cpu = cpu_millis();
        println!("{SAYS}exhausted");
        let _ = tokio::time::timeout(Duration::from_secs(2), pending::<()>()).await;
        let cpu = cpu_millis() - cpu;
        setrlimit(Resource::Nofile, before).unwrap();
        let mut served = 0;
        for pending in pendings {
            let (pieces, end) = read_all(&mut pending.await.unwrap()).await;
            served += u64::from(end.is_ok() && pieces == ["served"]);
        }
        let lines = events.of("cannot be accepted");
        let failures = events.of("accepted again");
        println!(
            "{SAYS}{cpu} {} {} {served}",
            lines.len(),
            failures.iter().sum::<u64>()
        );
        server.shutdown(Duration::from_secs(10)).await;
    }

    fn cpu_millis() -> i64 {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    /// Messages, and how many failures each tells of.
    #[derive(Clone, Default)]
    struct Events(Arc<Mutex<Vec<Event>>>);

    #[derive(Clone, Default)]
    struct Event {
        message: String,
        failures: u64,
    }

    impl Events {
        fn of(&self, message: &str) -> Vec<u64> {
            let events = self.0.lock().unwrap();
            let of = events
                .iter()
                .filter(|event| event.message.contains(message));
            of.map(|event| event.failures).collect()
        }
    }

    impl Visit for Event {
        fn record_u64(&mut self, field: &Field, value: u64) {
            if field.name() == "failures" {
                self.failures = value;
            }
        }

        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            if field.name() == "message" {
                self.message = format!("{value:?}");
            }
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Events {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut told = Event::default();
            event.record(&mut told);
            self.0.lock().unwrap().push(told);
        }
    }
}
