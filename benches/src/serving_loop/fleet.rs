//! The workers there are, and how they come and go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use anyhow::Result;
use call_home::{CallHomeServer, EndpointInstanceId, FrontendEnd, StreamId};
use stream_registry::StreamEntry;
use worker_id::WorkerWithDpRank;

use super::front::Front;
use super::worker::Worker;
use crate::any_map::AnyMap;

pub(super) type Server = CallHomeServer<AnyMap<StreamId, StreamEntry<FrontendEnd>>>;

/// How long it takes until the frontend hears of a death. What was sent to the worker meanwhile
/// waits for nobody.
const UNTIL_NOTICED: Duration = Duration::from_millis(20);

/// The workers, by number.
#[derive(Debug)]
pub(super) struct Fleet {
    workers: RwLock<Vec<Arc<Worker>>>,
    endpoint: EndpointInstanceId,
    /// Lives there have been. A worker that comes back comes under its old number, with another
    /// life.
    lives: AtomicU64,
    finished: Arc<AtomicU64>,
}

impl Fleet {
    pub(super) fn start(size: usize, front: &Front) -> Result<Self> {
        let fleet = Self {
            workers: RwLock::default(),
            endpoint: EndpointInstanceId::new("bench", "worker", "generate", 0)?,
            lives: AtomicU64::new(0),
            finished: Arc::default(),
        };
        for number in 0..size {
            let worker = fleet.life_of(number as u64)?;
            front.join(worker.id)?;
            fleet.write().push(worker);
        }
        Ok(fleet)
    }

    fn life_of(&self, number: u64) -> Result<Arc<Worker>> {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let id = WorkerWithDpRank::from_worker_id(number).with_incarnation(life);
        let instance = self.endpoint.with_instance_id(life);
        Ok(Arc::new(Worker::start(
            id,
            instance,
            Arc::clone(&self.finished),
        )?))
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Arc<Worker>>> {
        self.workers.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, number: u64) -> Option<Arc<Worker>> {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        let number = usize::try_from(number).ok()?;
        workers.get(number).cloned()
    }

    /// This life of a worker, if it is the present one.
    pub(super) fn find(&self, id: WorkerWithDpRank) -> Option<Arc<Worker>> {
        let worker = self.at(id.worker_id)?;
        worker.id.same_incarnation(&id).then_some(worker)
    }

    /// Some worker that is there now.
    pub(super) fn any(&self) -> Option<Arc<Worker>> {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner);
        fastrand::choice(workers.iter()).cloned()
    }

    /// Answers that workers have finished: each of them has been read to its end.
    pub(super) fn finished(&self) -> u64 {
        self.finished.load(Ordering::SeqCst)
    }

    /// A worker dies; a moment later the frontend hears of it; and the worker comes back.
    pub(super) async fn replace(&self, number: u64, front: &Front, home: &Server) -> Result<()> {
        let Some(worker) = self.at(number) else {
            return Ok(());
        };
        let dying = Arc::clone(&worker);
        tokio::task::spawn_blocking(move || dying.kill()).await?;
        tokio::time::sleep(UNTIL_NOTICED).await;
        Self::bury(&worker, front, home)?;

        let next = self.life_of(number)?;
        let id = next.id;
        if let Some(place) = self.write().iter_mut().find(|place| place.id == id) {
            *place = next;
        }
        front.join(id)?;
        Ok(())
    }

    /// Nobody is sent there any more, and whoever was hears of it.
    fn bury(worker: &Worker, front: &Front, home: &Server) -> Result<()> {
        front.leave(worker.id)?;
        home.cancel_instance(&worker.instance);
        Ok(())
    }

    /// All workers go.
    pub(super) async fn stop(&self, front: &Front, home: &Server) -> Result<()> {
        let workers = std::mem::take(&mut *self.write());
        for worker in workers {
            Self::bury(&worker, front, home)?;
            tokio::task::spawn_blocking(move || worker.kill()).await?;
        }
        Ok(())
    }
}
