//! What the frontend knows: phases, pins, adapters, routers and workers, and the choice of a worker
//! for a request.

use std::future::ready;
use std::sync::Arc;

use affinity::{
    Lease, MemoryStore, MemoryStoreConfig, RouteError, SessionEntry, SessionFingerprint,
    SessionRef, StickySessionRouter,
};
use anyhow::Result;
use lora_tracker::{LoraEvent, LoraInfo, LoraTracker, TrackerConfig, WorkerSlots};
use phase_state::PhaseRouter;
use router_snapshot::{
    Role, Router, RouterClass, RouterEntry, RouterId, RouterManager, RouterMode, SelectError,
    Selected, Selection, WorkerEntry, WorkerSpec,
};
use thiserror::Error;
use worker_id::WorkerWithDpRank;

use super::backends::Backends;
use super::workload::{self, ADAPTERS, PLAIN, REASONING, Request, TENANT};
use crate::any_map::AnyMap;
use crate::phase_state::Router as Phases;

/// Slots of a worker: one more than there are adapters. What to throw out where slots are short is
/// the business of placement, which is not in this loop.
pub(super) const SLOTS: u32 = 17;

/// Workers that join before the first request, where none come later.
const BEFOREHAND: usize = 16;

/// A router: all that matters here is which workers it speaks to.
#[derive(Debug)]
pub(super) struct Upstream(pub(super) RouterClass);

impl Router for Upstream {
    fn class(&self) -> RouterClass {
        self.0
    }
}

/// The classes of router that there are.
pub(super) const CLASSES: [RouterClass; 2] = [RouterClass::HttpRegular, RouterClass::HttpPd];

type Sessions = MemoryStore<AnyMap<SessionFingerprint, SessionEntry>>;
type Loras = LoraTracker<AnyMap<WorkerWithDpRank, lora_tracker::WorkerEntry>>;
type RouterMaps = (
    AnyMap<RouterId, RouterEntry<Upstream>>,
    AnyMap<WorkerWithDpRank, WorkerEntry>,
);

/// The four crates that need no transport.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) phases: Arc<Phases>,
    pub(super) pins: StickySessionRouter<Sessions>,
    loras: Loras,
    routers: RouterManager<Upstream, RouterMaps>,
}

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) worker: WorkerWithDpRank,
    /// Keeps the session's pin from running out. None if it has been unbound since.
    pub(super) lease: Option<Lease>,
}

/// Why a request goes nowhere.
#[derive(Debug, Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Router(#[from] SelectError),
    #[error("no worker of the class {0}")]
    NoWorker(RouterClass),
}

impl Front {
    pub(super) fn new(backends: &Backends) -> Result<Self> {
        let phases = PhaseRouter::with_map(workload::phases(), backends.phases.map(0))?;
        let store = MemoryStore::with_map(MemoryStoreConfig::default(), backends.sessions.map(0))?;
        let maps = (
            backends.routers.map(CLASSES.len()),
            backends.routers.map(BEFOREHAND),
        );
        let routers = RouterManager::with_map(RouterMode::Multi, maps);
        routers.update(|batch| {
            for class in CLASSES {
                batch.register(class.to_string(), Arc::new(Upstream(class)));
            }
        })?;
        Ok(Self {
            phases: Arc::new(phases),
            pins: StickySessionRouter::new(store),
            loras: LoraTracker::with_map(TrackerConfig::default(), backends.loras.map(BEFOREHAND)),
            routers,
        })
    }

    /// A worker joins, without adapters.
    pub(super) fn join(&self, worker: WorkerWithDpRank) -> Result<()> {
        self.loras.apply(LoraEvent::WorkerJoined {
            worker,
            capacity: Some(SLOTS),
        })?;
        self.routers.upsert_worker(spec(worker))?;
        Ok(())
    }

    /// A worker is gone, in the order that is safe: nobody is sent to it, then nobody is pinned to
    /// it.
    pub(super) fn leave(&self, worker: WorkerWithDpRank) -> Result<()> {
        self.routers.remove_worker(worker);
        self.loras.apply(LoraEvent::WorkerLeft { worker })?;
        self.pins.store().unbind_worker(worker);
        Ok(())
    }

    /// Which worker a request goes to: of those that its router speaks to, its session's, or else
    /// one that has its adapter. The pin is held while the lease is.
    pub(super) async fn route(&self, request: &Request) -> Result<Routed, Refused> {
        let class = self.select(request)?;
        let adapter = &*request.adapter;
        let speaks_to = |worker: &WorkerWithDpRank| self.serves(*worker, class);
        let loaded = self.loras.loaded_workers(adapter);
        let loaded: Vec<_> = loaded.iter().copied().filter(speaks_to).collect();
        let choose = || ready(self.place(request, class));
        let key = key(request, class);
        let routed = self.pins.resolve_or_assign(key, &loaded, choose).await;
        match routed {
            Ok(routed) => Ok(Routed {
                worker: routed.worker,
                lease: self.pins.store().acquire(key).ok().flatten(),
            }),
            Err(RouteError::Choose(refused)) => Err(refused),
            Err(_) => Err(Refused::NoWorker(class)),
        }
    }

    fn select(&self, request: &Request) -> Result<RouterClass, SelectError> {
        let selected = self.routers.select(&Selection {
            model: request.model,
            prefer_pd: request.prefer_pd,
        })?;
        Ok(Selected::class(&selected))
    }

    /// Whether this incarnation of a worker is one that routers of the class speak to.
    fn serves(&self, worker: WorkerWithDpRank, class: RouterClass) -> bool {
        self.routers
            .worker(worker)
            .is_some_and(|spec| spec.class() == class && spec.id.same_incarnation(&worker))
    }

    /// A worker for an adapter: one that has it, or one that loads it.
    fn place(&self, request: &Request, class: RouterClass) -> Result<WorkerWithDpRank, Refused> {
        let adapter = &*request.adapter;
        let candidates = self.loras.candidates(adapter);
        if candidates.are_loaded()
            && let Some(worker) = self.any(candidates.iter(), class, request)
        {
            return Ok(worker);
        }
        let free = self.loras.workers_with_free_slots();
        let worker = self.any(free.iter(), class, request);
        let worker = worker.ok_or(Refused::NoWorker(class))?;
        let lora = LoraInfo::new(adapter, None);
        // Names are ours, and are names; a worker that has left meanwhile is not brought back.
        let _ = self.loras.apply(LoraEvent::Loaded { worker, lora });
        Ok(worker)
    }

    fn any<'a>(
        &self,
        rows: impl Iterator<Item = &'a WorkerSlots>,
        class: RouterClass,
        request: &Request,
    ) -> Option<WorkerWithDpRank> {
        let workers = rows.map(|row| row.worker);
        request.any_of(workers.filter(|worker| self.serves(*worker, class)))
    }

    /// An adapter leaves a worker, and another joins it.
    pub(super) fn churn(&self, worker: WorkerWithDpRank) -> Result<()> {
        let [old, new] = [(); 2].map(|()| workload::adapter(fastrand::usize(..ADAPTERS)));
        self.loras.apply_batch([
            LoraEvent::Unloaded {
                worker,
                name: old.into(),
            },
            LoraEvent::Loaded {
                worker,
                lora: LoraInfo::new(new, None),
            },
        ])?;
        Ok(())
    }

    /// With no request in flight and no worker left: ends what may rightly be there, and says of
    /// what is still there how much there is.
    pub(super) fn remains(&self) -> Vec<(&'static str, usize)> {
        let store = self.pins.store();
        for session in workload::sessions() {
            // Ids of ours are never too long.
            let _ = store.release(Some(TENANT), &session);
        }
        for class in CLASSES {
            self.routers.deregister(&*class.to_string());
        }
        let view = self.loras.view();
        vec![
            ("tracked requests", self.phases.tracked_requests()),
            ("sessions", store.len()),
            ("choices under way", self.pins.choices_under_way()),
            ("workers of the tracker", view.workers().count()),
            ("adapters", view.loras().len()),
            ("routers", self.routers.router_count()),
            ("models", self.routers.models().len()),
        ]
    }
}

/// What a worker is: those of even numbers do everything and answer plainly, the others only
/// decode, and think first.
pub(super) fn spec(worker: WorkerWithDpRank) -> WorkerSpec {
    let (role, model) = if worker.worker_id.is_multiple_of(2) {
        (Role::Regular, PLAIN)
    } else {
        (Role::Decode, REASONING)
    };
    WorkerSpec {
        role,
        ..WorkerSpec::new(worker, [model])
    }
}

/// The pin that a request goes by: a session has one for each class of router.
fn key(request: &Request, class: RouterClass) -> SessionRef<'_> {
    let leg = if class.is_pd() {
        affinity::Leg::Decode
    } else {
        affinity::Leg::Prefill
    };
    SessionRef::new(&request.session)
        .tenant(TENANT)
        .model(&request.adapter)
        .leg(leg)
}
