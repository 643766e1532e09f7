//! A gateway and its workers in one process, over real TCP: the five crates in their places, and a
//! check of all they do.
//!
//! # Design
//!
//! A request is routed (`router-snapshot` says by which class of router, `affinity` to which
//! worker, `lora-tracker` to which one if its session has none), its response stream is registered
//! (`call-home`, on `stream-registry`), its worker calls home, and each token that comes in goes
//! through `phase-state`. Meanwhile adapters join and leave workers, and workers die.
//!
//! **It checks itself.** Every token says whose it is and which, and the frontend knows what has to
//! come. A request that ends with anything but its last token counts as *cut* if its worker died,
//! and as *lost* if not. At the end every worker leaves, every session is released, and what any
//! index still holds is *leaked*.
//!
//! # Why
//!
//! - *No pause between tokens*: a model takes milliseconds for each, which would only leave the
//!   machine idle, and races unseen.
//! - *Nothing is timed*: over TCP a token is microseconds of the system's. What the crates take is
//!   measured [without the network](in_process), beside the reference designs.
//! - *Workers in threads of this process, with runtimes of their own*: they can die.

mod backends;
mod changes;
mod fleet;
mod front;
pub(crate) mod in_process;
mod report;
mod worker;
mod workload;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use call_home::{CallHomeOptions, CallHomeServer, StreamReader};
use tokio::runtime;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

pub use self::backends::Backends;
use self::changes::Changes;
use self::fleet::{Fleet, Server};
use self::front::Front;
use self::report::End;
pub use self::report::Report;
use self::worker::Job;
use self::workload::{Follower, Request, Workload};

/// How long what is in flight has to end, once nothing new begins. Nothing takes that long but what
/// hangs.
const DRAIN: Duration = Duration::from_secs(30);
/// How long a client waits that was refused.
const UNTIL_RETRY: Duration = Duration::from_millis(1);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For how long requests are started.
    pub time: Duration,
    /// How many requests are started at most.
    pub requests: Option<u64>,
    /// Requests in flight.
    pub in_flight: usize,
    /// Workers. At least two: one for each class of router.
    pub workers: usize,
    /// A worker dies every so often, and comes back.
    pub kill_every: Option<Duration>,
    /// The backend of each crate.
    pub backends: Backends,
}

/// Runs it.
///
/// # Errors
///
/// If the options make no sense, or the system has no threads or sockets for it. What goes wrong
/// with requests is in the report.
pub fn run(options: &Options) -> Result<Report> {
    ensure!(options.workers >= 2, "there must be two workers at least");
    ensure!(options.in_flight > 0, "nothing is ever in flight");
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(serve(options));
    // A request that hangs is in the report, and must not keep us.
    runtime.shutdown_background();
    report
}

async fn serve(options: &Options) -> Result<Report> {
    let front = Front::new(&options.backends)?;
    let fleet = Fleet::start(options.workers, &front)?;
    let server =
        CallHomeServer::bind_with_map(CallHomeOptions::default(), options.backends.streams.map(0));
    let gateway = Arc::new(Gateway {
        options: *options,
        front,
        fleet,
        server: server.await?,
        report: Mutex::default(),
        numbers: AtomicU64::new(0),
    });

    let changes = Changes::start(&gateway);
    let requests = TaskTracker::new();
    gateway.start(&requests);
    requests.close();
    // Requests that have not ended by then are counted by their absence.
    let _ = timeout(options.time + DRAIN, requests.wait()).await;
    let killed = changes.stop().await?;

    let mut report = gateway.report().clone();
    report.settle();
    gateway.fleet.stop(&gateway.front, &gateway.server).await?;
    // Of what a worker has finished, the frontend has read the end.
    report.lost += gateway.fleet.finished().saturating_sub(report.complete);
    report.killed = killed;
    report.remains = gateway.remains().await;
    Ok(report)
}

/// The frontend, and its workers.
struct Gateway {
    options: Options,
    front: Front,
    fleet: Fleet,
    server: Server,
    report: Mutex<Report>,
    numbers: AtomicU64,
}

impl Gateway {
    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps so many requests in flight until it is over.
    fn start(self: &Arc<Self>, requests: &TaskTracker) {
        let mut workload = Workload::new(fastrand::Rng::with_seed(1));
        let begun = Instant::now();
        for _ in 0..self.options.in_flight {
            let (gateway, mut workload) = (Arc::clone(self), workload.fork());
            requests.spawn(async move {
                loop {
                    let number = gateway.numbers.fetch_add(1, Ordering::Relaxed);
                    let most = gateway.options.requests.unwrap_or(u64::MAX);
                    if begun.elapsed() >= gateway.options.time || number >= most {
                        return;
                    }
                    let end = gateway.request(workload.request(number)).await;
                    if end == End::Refused {
                        sleep(UNTIL_RETRY).await;
                    }
                }
            });
        }
    }

    /// A request from its beginning to its end.
    async fn request(&self, request: Arc<Request>) -> End {
        self.report().started += 1;
        let mut follower = Follower::new(Arc::clone(&request));
        let end = self.dispatch(&request, &mut follower).await;
        let mut report = self.report();
        report.lost += follower.lost;
        report.doubled += follower.doubled;
        report.ended(end);
        end
    }

    async fn dispatch(&self, request: &Arc<Request>, answer: &mut Follower) -> End {
        let Ok(routed) = self.front.route(request).await else {
            return End::Refused;
        };
        let Some(worker) = self.fleet.find(routed.worker) else {
            return End::Refused;
        };
        // The lease is held until here is done.
        let _lease = routed.lease;
        let failed = || {
            if worker.is_dead() {
                End::Cut
            } else {
                End::Lost
            }
        };

        let pending = self.server.register_response();
        // Before it is sent: from here on, whatever becomes of the worker, the stream hears of it.
        if self
            .server
            .associate(&[pending.id()], &worker.instance)
            .is_err()
        {
            return failed();
        }
        let Some(tracked) = Tracked::start(self, request.number) else {
            return End::Lost;
        };
        let job = Job {
            request: Arc::clone(request),
            info: pending.info(),
        };
        if !worker.send(job) {
            return failed();
        }
        match pending.await {
            Ok(reader) => match tracked.read(reader, answer).await {
                Ok(()) => End::Complete,
                Err(()) => failed(),
            },
            Err(_) => failed(),
        }
    }

    /// What is still there, though nothing is in flight.
    async fn remains(&self) -> Vec<(&'static str, usize)> {
        // A connection is closed a moment after its stream has ended.
        let quiet = async {
            while self.server.stats().connections > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = timeout(Duration::from_secs(5), quiet).await;
        let stats = self.server.stats();
        let mut remains = self.front.remains();
        remains.extend([
            ("pending streams", stats.streams.pending),
            ("claimed streams", stats.streams.claimed),
            ("established streams", stats.streams.established),
            ("instances", stats.streams.instances),
            ("connections", stats.connections),
        ]);
        remains
    }
}

/// A request that `phase-state` follows until it ends. What is not reaped shows among the tracked
/// requests at the end.
struct Tracked<'a>(&'a Gateway, u64);

impl<'a> Tracked<'a> {
    /// `None` if the request is tracked already.
    fn start(gateway: &'a Gateway, number: u64) -> Option<Self> {
        let is_new = gateway.front.phases.register(number);
        is_new.then_some(Self(gateway, number))
    }

    /// Reads an answer to its clean end, or to an error.
    async fn read(&self, mut reader: StreamReader, answer: &mut Follower) -> Result<(), ()> {
        let Self(gateway, number) = self;
        while let Some(piece) = reader.next().await.map_err(drop)? {
            if let Some(fed) = answer.take(piece) {
                let phases = &gateway.front.phases;
                let event = phases.on_token(*number, fed.token, fed.sample.as_ref());
                answer.lost += u64::from(event != Some(fed.event));
            }
        }
        answer.finish();
        Ok(())
    }
}

impl Drop for Tracked<'_> {
    fn drop(&mut self) {
        let Self(gateway, number) = self;
        gateway.front.phases.reap(*number);
    }
}
