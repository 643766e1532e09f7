//! What a manager tells the outside, through `tracing`: changes, and of requests nothing.
//!
//! Subscribers are the user's code: all of this is called when the manager's lock is released, so
//! that lines of two changes that race may come in either order.

use std::sync::Arc;

use worker_id::WorkerRanks;

use crate::change::{Heard, Touched};
use crate::snapshot::{Seat, Snapshot};
use crate::{RouterId, Worker};

/// What has changed: of each touched thing what there was, and what there is.
pub(crate) struct Report<R: ?Sized, W> {
    routers: Vec<(RouterId, Pair<Seat<R>>)>,
    workers: Vec<Pair<Worker<W>>>,
    default: Pair<Seat<R>>,
    ignored: Vec<(WorkerRanks, Heard)>,
    generation: u64,
}

type Pair<T> = (Option<Arc<T>>, Option<Arc<T>>);

impl<R: ?Sized, W> Report<R, W> {
    pub(crate) fn new(touched: &Touched, old: &Snapshot<R, W>, next: &Snapshot<R, W>) -> Self {
        let routers = touched.routers.iter().map(|(place, id)| {
            let get = |snapshot: &Snapshot<R, W>| snapshot.routers.get(*place).cloned();
            (id.clone(), (get(old), get(next)))
        });
        // Nobody listens, most often, and a list of a fleet is long.
        let debug = tracing::enabled!(tracing::Level::DEBUG);
        let workers = touched.workers.keys().filter(|_| debug).map(|place| {
            let get = |snapshot: &Snapshot<R, W>| snapshot.workers.get(*place).cloned();
            (get(old), get(next))
        });
        let ignored = touched.heard.iter().filter(|(_, heard)| heard.is_err());
        Self {
            routers: routers.collect(),
            workers: workers.collect(),
            default: (
                old.default_router().cloned(),
                next.default_router().cloned(),
            ),
            ignored: ignored.copied().collect(),
            generation: next.generation,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn tell(&self) {
        let generation = self.generation;
        for (id, (before, after)) in &self.routers {
            if before.is_some() {
                tracing::info!(router = %id, generation, "router deregistered");
            }
            if let Some(seat) = after {
                tracing::info!(router = %id, class = %seat.class, generation, "router registered");
            }
        }
        let number = |seat: &Option<Arc<Seat<R>>>| seat.as_ref().map(|seat| seat.number);
        if number(&self.default.0) != number(&self.default.1) {
            match &self.default.1 {
                Some(seat) => tracing::info!(router = %seat.id, generation, "default router set"),
                None => tracing::info!(generation, "default router removed"),
            }
        }
        for workers in &self.workers {
            match workers {
                (_, Some(now)) => tracing::debug!(
                    worker = %now.id, class = %now.class(), state = %now.state(), generation,
                    "worker changed"
                ),
                (Some(before), None) => {
                    tracing::debug!(worker = %before.id, generation, "worker removed");
                }
                (None, None) => {}
            }
        }
        for (worker, heard) in &self.ignored {
            if let Err(why) = heard {
                tracing::debug!(%worker, why = why.as_str(), "news of a worker is ignored: {why}");
            }
        }
    }
}
