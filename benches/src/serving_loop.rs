//! A gateway and its workers in one process, over real TCP: the five crates in their places, and a check of all they do.
//!
//! # Design
//!
//! A request is routed (`router-snapshot` says by which class of router, `affinity` to which worker, `lora-tracker` to which
//! one if its session has none), its response stream is registered (`call-home`, on `stream-registry`), its worker calls home,
//! and each token that comes in goes through `phase-state`. Meanwhile adapters join and leave workers, and workers die.
//!
//! Requests either keep so many in flight, or come at a rate whether or not those before them have ended; then the time to the
//! first token counts from when a request was due.
//!
//! **It checks itself.** Every token says whose it is and which, and the frontend knows what has to come. A request that ends
//! with anything but its last token counts as *cut* if its worker died, and as *lost* if not. At the end every worker leaves,
//! every session is released, and what any index still holds is *leaked*.
//!
//! # Why
//!
//! - *No pause between tokens*: a model takes milliseconds for each, which would only leave the machine idle. What is measured
//!   is what a gateway, its connections and the test's own workers take of a processor, with as many requests in
//!   flight as told; the latencies are those of a gateway without a spare cycle, unless a rate is given that leaves some.
//! - *Without the network* it is a scenario of `cargo xtask bench` as well, where a map's nanoseconds can be seen, beside the
//!   reference designs.
//! - *Workers in threads of this process, with runtimes of their own*: so that it is one command, and they can still die.

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
use phase_state::{NotFed, PhaseEvent, RequestHandle};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::task::TaskTracker;

pub use self::backends::{Backends, Part, Swap};
use self::changes::Changes;
use self::fleet::{Fleet, Server};
use self::front::Front;
pub use self::report::Report;
use self::report::{End, MapShare, Tally};
use self::worker::Job;
use self::workload::{Fed, Follower, Request, Workload};

/// How long what is in flight has to end, once nothing new begins. Nothing takes that long but what hangs.
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
    /// Requests a second, started whether or not others have ended; or as many as can be, with `in_flight` at a time.
    pub rate: Option<f64>,
    /// Requests in flight, where no rate is given.
    pub in_flight: usize,
    /// Workers. At least two: one for each class of router.
    pub workers: usize,
    /// A worker dies every so often, and comes back.
    pub kill_every: Option<Duration>,
    /// Whether tokens go to `phase-state` by handle: as if its map cost a token nothing.
    pub handles: bool,
    /// The backend of each crate.
    pub backends: Backends,
}

/// Runs it.
///
/// # Errors
///
/// If the options make no sense, or the system has no threads or sockets for it. What goes wrong with requests is in the
/// report.
pub fn run(options: &Options) -> Result<Report> {
    ensure!(options.workers >= 2, "there must be two workers at least");
    ensure!(options.in_flight > 0, "nothing is ever in flight");
    let rate = options.rate.unwrap_or(1.0);
    ensure!(
        rate.is_finite() && rate >= 0.001,
        "{rate} requests a second are no rate"
    );
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
        CallHomeServer::bind_with_map(CallHomeOptions::default(), options.backends.streams.map());
    let gateway = Arc::new(Gateway {
        options: *options,
        front,
        fleet,
        server: server.await?,
        tally: Mutex::default(),
        numbers: AtomicU64::new(0),
    });

    let changes = Changes::start(&gateway);
    let (cpu, start) = (cpu_time(), Instant::now());
    let requests = TaskTracker::new();
    match options.rate {
        None => gateway.closed_loop(&requests, start),
        Some(rate) => gateway.open_loop(&requests, start, rate).await,
    }
    requests.close();
    // Requests that have not ended by then are counted by their absence.
    let _ = timeout(options.time + DRAIN, requests.wait()).await;
    let (elapsed, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
    let killed = changes.stop().await?;

    let mut tally = gateway.tally().clone();
    tally.settle();
    gateway.fleet.stop(&gateway.front, &gateway.server).await?;
    // Of what a worker has finished, the frontend has read the end.
    tally.lost += gateway.fleet.finished().saturating_sub(tally.complete);
    let map = gateway.map_share();
    Ok(Report {
        backends: options.backends,
        elapsed,
        cpu,
        killed,
        tally,
        map,
        remains: gateway.remains().await,
    })
}

/// The frontend, and its workers.
struct Gateway {
    options: Options,
    front: Front,
    fleet: Fleet,
    server: Server,
    tally: Mutex<Tally>,
    numbers: AtomicU64,
}

impl Gateway {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self, start: Instant, number: u64) -> bool {
        start.elapsed() >= self.options.time
            || self.options.requests.is_some_and(|most| number >= most)
    }

    fn closed_loop(self: &Arc<Self>, requests: &TaskTracker, start: Instant) {
        let mut workload = Workload::new(1);
        for _ in 0..self.options.in_flight {
            let (gateway, mut workload) = (Arc::clone(self), workload.fork());
            requests.spawn(async move {
                loop {
                    let number = gateway.numbers.fetch_add(1, Ordering::Relaxed);
                    if gateway.is_over(start, number) {
                        return;
                    }
                    let end = gateway.request(workload.request(number), Instant::now());
                    if end.await == End::Refused {
                        sleep(UNTIL_RETRY).await;
                    }
                }
            });
        }
    }

    async fn open_loop(self: &Arc<Self>, requests: &TaskTracker, start: Instant, rate: f64) {
        let mut workload = Workload::new(1);
        for number in 0.. {
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            sleep_until(due.into()).await;
            if self.is_over(start, number) {
                return;
            }
            let (gateway, request) = (Arc::clone(self), workload.request(number));
            requests.spawn(async move { gateway.request(request, due).await });
        }
    }

    /// A request from its beginning to its end.
    async fn request(&self, request: Arc<Request>, due: Instant) -> End {
        self.tally().started += 1;
        let mut answer = Answer {
            follower: Follower::new(Arc::clone(&request)),
            last: due,
            gaps: Vec::with_capacity(request.output() as usize),
        };
        let end = self.dispatch(&request, &mut answer).await;
        let mut tally = self.tally();
        tally.tokens += u64::from(answer.follower.came());
        tally.lost += answer.follower.lost;
        tally.doubled += answer.follower.doubled;
        tally.ended(end, &answer.gaps);
        end
    }

    async fn dispatch(&self, request: &Arc<Request>, answer: &mut Answer) -> End {
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
        let Ok(phase) = Phase::start(self, request.number) else {
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
            Ok(reader) => match answer.read(reader, phase).await {
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

    /// What a token costs `phase-state` by key and by handle, with as many requests as were in flight. A bound, and
    /// no measurement of the loop: there nobody can tell tens of nanoseconds.
    fn map_share(&self) -> MapShare {
        const TOKENS: u32 = 200_000;
        let phases = &self.front.phases;
        let keys: Vec<u64> = (0..self.options.in_flight as u64)
            .map(|at| u64::MAX - at)
            .collect();
        let count = |event| u32::from(event == Ok(PhaseEvent::Unchanged));
        let mut answered = 0;

        assert!(keys.iter().all(|key| phases.register(*key)), "fresh keys");
        let start = Instant::now();
        for key in keys.iter().cycle().take(TOKENS as usize) {
            answered += count(phases.on_token(*key, 1_000, None));
        }
        let by_key = start.elapsed() / TOKENS;
        assert!(
            keys.iter().all(|key| phases.reap(*key).is_some()),
            "tracked keys"
        );

        let mut handles: Vec<_> = keys.iter().flat_map(|key| phases.track(*key)).collect();
        let start = Instant::now();
        for at in (0..handles.len()).cycle().take(TOKENS as usize) {
            answered += count(handles[at].on_token(1_000, None));
        }
        let by_handle = start.elapsed() / TOKENS;
        assert_eq!(answered, 2 * TOKENS, "a token was not answered");
        MapShare { by_key, by_handle }
    }
}

/// Who tells `phase-state` of the tokens, until the request ends.
enum Phase<'a> {
    Key(&'a Gateway, u64),
    Handle(RequestHandle),
}

impl<'a> Phase<'a> {
    /// An error if the request is tracked already.
    fn start(gateway: &'a Gateway, number: u64) -> Result<Self, ()> {
        let phases = &gateway.front.phases;
        if gateway.options.handles {
            return phases.track(number).map(Self::Handle).map_err(drop);
        }
        let fresh = phases.register(number);
        fresh.then_some(Self::Key(gateway, number)).ok_or(())
    }

    fn on_token(&mut self, Fed { token, sample, .. }: &Fed) -> Result<PhaseEvent, NotFed> {
        match self {
            Self::Key(gateway, number) => {
                let phases = &gateway.front.phases;
                phases.on_token(*number, *token, sample.as_ref())
            }
            Self::Handle(handle) => handle.on_token(*token, sample.as_ref()),
        }
    }
}

impl Drop for Phase<'_> {
    fn drop(&mut self) {
        // A handle does so by itself. What is not reaped shows among the tracked requests at the end.
        if let Self::Key(gateway, number) = self {
            gateway.front.phases.reap(*number);
        }
    }
}

/// An answer as it comes in.
struct Answer {
    follower: Follower,
    last: Instant,
    gaps: Vec<u64>,
}

impl Answer {
    /// Reads to the clean end, or to an error.
    async fn read(&mut self, mut reader: StreamReader, mut phase: Phase<'_>) -> Result<(), ()> {
        while let Some(piece) = reader.next().await.map_err(drop)? {
            let now = Instant::now();
            let gap = now.duration_since(self.last).as_nanos();
            self.gaps.push(u64::try_from(gap).unwrap_or(u64::MAX));
            self.last = now;
            if let Some(fed) = self.follower.take(piece)
                && phase.on_token(&fed) != Ok(fed.event)
            {
                self.follower.lost += 1;
            }
        }
        self.follower.finish();
        Ok(())
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
