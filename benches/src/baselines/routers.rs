//! How gateways choose a router today: a snapshot of all of them that is scanned for every request,
//! and what came before it, collecting them from the map for every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use router_snapshot::{Router, RouterClass, WorkerSpec};
use worker_id::WorkerWithDpRank;

type Routers = Vec<Arc<dyn Router>>;

/// Workers as a registry keeps them: by id, by model, and counted by kind.
#[derive(Debug, Default)]
struct Workers {
    by_id: DashMap<WorkerWithDpRank, Arc<WorkerSpec>>,
    by_model: DashMap<String, Arc<Vec<Arc<WorkerSpec>>>>,
    regular: AtomicUsize,
    pd: AtomicUsize,
}

impl Workers {
    fn add(&self, spec: &WorkerSpec) {
        let shared = Arc::new(spec.clone());
        self.by_id.insert(spec.id, Arc::clone(&shared));
        for model in &spec.models {
            let mut serving = self.by_model.entry(model.to_string()).or_default();
            Arc::make_mut(&mut serving).push(Arc::clone(&shared));
        }
        let count = if spec.class().is_pd() {
            &self.pd
        } else {
            &self.regular
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn has(&self, pd: bool) -> bool {
        let count = if pd { &self.pd } else { &self.regular };
        count.load(Ordering::Relaxed) > 0
    }

    /// The best class that serves a model.
    fn best(&self, model: &str) -> Option<RouterClass> {
        let serving = Arc::clone(&*self.by_model.get(model)?);
        serving.iter().map(|spec| spec.class()).min()
    }
}

/// The router with the highest score; of equal ones the first.
fn best_of<'a>(
    routers: impl Iterator<Item = &'a Arc<dyn Router>>,
    workers: &Workers,
    prefer_pd: bool,
) -> Option<Arc<dyn Router>> {
    let (regular, pd) = (workers.has(false), workers.has(true));
    let (mut best, mut best_score) = (None, 0.0_f32);
    for router in routers {
        let is_pd = router.class().is_pd();
        let mut score = 1.0;
        if prefer_pd && is_pd {
            score += 2.0;
        } else if !prefer_pd && !is_pd {
            score += 1.0;
        }
        if score > best_score && (if is_pd { pd } else { regular }) {
            (best, best_score) = (Some(router), score);
        }
    }
    best.map(Arc::clone)
}

/// A map of routers, and a snapshot of it. Requests that name a model go to the maps.
#[expect(missing_debug_implementations, reason = "routers have nothing to show")]
pub struct PublishedRouters {
    routers: DashMap<String, Arc<dyn Router>>,
    snapshot: ArcSwap<Routers>,
    workers: Workers,
}

impl PublishedRouters {
    /// A fleet. The router that has a class's name is the one that the class's models are sent to.
    pub fn new<'a>(
        routers: impl IntoIterator<Item = (String, Arc<dyn Router>)>,
        workers: impl IntoIterator<Item = &'a WorkerSpec>,
    ) -> Self {
        let routers: DashMap<_, _> = routers.into_iter().collect();
        let all = routers.iter().map(|entry| Arc::clone(entry.value()));
        let fleet = Self {
            snapshot: ArcSwap::from_pointee(all.collect()),
            routers,
            workers: Workers::default(),
        };
        workers.into_iter().for_each(|spec| fleet.workers.add(spec));
        fleet
    }

    /// The router for a request.
    pub fn select(&self, model: Option<&str>, prefer_pd: bool) -> Option<Arc<dyn Router>> {
        let Some(model) = model else {
            return best_of(self.snapshot.load().iter(), &self.workers, prefer_pd);
        };
        self.for_model(model)
    }

    /// What a worker is.
    #[must_use]
    pub fn worker(&self, id: &WorkerWithDpRank) -> Option<Arc<WorkerSpec>> {
        let spec = self.workers.by_id.get(id)?;
        Some(Arc::clone(&spec))
    }

    fn for_model(&self, model: &str) -> Option<Arc<dyn Router>> {
        let id = match self.workers.best(model)? {
            RouterClass::External => "external",
            RouterClass::GrpcPd => "grpc_pd",
            RouterClass::HttpPd => "http_pd",
            RouterClass::GrpcRegular => "grpc_regular",
            RouterClass::HttpRegular => "http_regular",
        };
        let router = Arc::clone(&*self.routers.get(id)?);
        self.workers.has(router.class().is_pd()).then_some(router)
    }

    /// The router for a request, as it was found before there was a snapshot.
    pub fn select_collecting(
        &self,
        model: Option<&str>,
        prefer_pd: bool,
    ) -> Option<Arc<dyn Router>> {
        if let Some(model) = model {
            return self.for_model(model);
        }
        let all: Routers = self
            .routers
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect();
        best_of(all.iter(), &self.workers, prefer_pd)
    }
}
