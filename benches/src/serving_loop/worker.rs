//! A worker: a thread with a runtime of its own, which calls home for every request that it is
//! sent.
//!
//! # Why
//!
//! *A runtime of its own*, so that it can die as a process does: all of its sockets close at one
//! moment, whatever was going on on them, and requests that were on their way to it are gone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::Result;
use call_home::{CallHomeClient, ConnectionInfo, EndpointInstanceId, Limits};
use tokio::runtime;
use tokio::sync::{Notify, mpsc};
use tokio_util::task::TaskTracker;
use worker_id::WorkerWithDpRank;

use super::workload::Request;

/// What is sent to a worker, over whatever carries requests: here, a channel.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Arc<Request>,
    pub(super) info: ConnectionInfo,
}

/// A worker that runs, or did.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerWithDpRank,
    pub(super) instance: EndpointInstanceId,
    jobs: mpsc::UnboundedSender<Job>,
    dead: AtomicBool,
    death: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// `finished` counts the answers that were finished: their last token has been read.
    pub(super) fn start(
        id: WorkerWithDpRank,
        instance: EndpointInstanceId,
        finished: Arc<AtomicU64>,
    ) -> Result<Self> {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let death = Arc::new(Notify::new());
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = CallHomeClient::new(Limits::default())?;
        let dies = Arc::clone(&death);
        let thread = thread::Builder::new()
            .name(format!("worker-{id}"))
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = dies.notified() => {}
                        () = work(inbox, client, finished) => {}
                    }
                });
            })?;
        Ok(Self {
            id,
            instance,
            jobs,
            dead: AtomicBool::new(false),
            death,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Sends a request. False if nobody is there any more.
    pub(super) fn send(&self, job: Job) -> bool {
        self.jobs.send(job).is_ok()
    }

    /// Whether it was killed.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Kills it, in the midst of whatever it does, and waits until it is gone.
    pub(super) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.death.notify_one();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of its own was printed, and its requests are cut, which is counted.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.death.notify_one();
    }
}

async fn work(
    mut inbox: mpsc::UnboundedReceiver<Job>,
    client: CallHomeClient,
    finished: Arc<AtomicU64>,
) {
    let tasks = TaskTracker::new();
    while let Some(job) = inbox.recv().await {
        tasks.spawn(answer(client.clone(), job, Arc::clone(&finished)));
    }
}

/// Calls home, and answers one token after the other, each in its turn among those of the other
/// requests, as the steps of a continuous batch do. If nobody wants it any more, that is all.
async fn answer(client: CallHomeClient, Job { request, info }: Job, finished: Arc<AtomicU64>) {
    let Ok(call) = client.response(&info).await else {
        return;
    };
    let writer = call.start();
    for sequence in 0..request.output() {
        if writer.send(request.piece(sequence)).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    if writer.finish().await.is_ok() {
        finished.fetch_add(1, Ordering::SeqCst);
    }
}
