//! The house of the reference designs, each in the place of the crate that it was there before.
//!
//! # Design
//!
//! They are those of the arms called `reference`, or `scan`, in the scenarios of each crate
//! ([`crate::baselines`]), and the choice of a worker is that of
//! [`Front`](crate::serving_loop::front::Front): of the workers that a request's router speaks to,
//! its session's if it has the adapter, or else any that has it, or else any that has room for it.
//!
//! # Why
//!
//! Where their interfaces leave a choice, it is the cheapest, as an author of one gateway would
//! have made it:
//!
//! - *A store of sessions for each class of router*, so that a hit is a lookup by the session's id
//!   and no key has to be put together. The tenant, of which there is one, is left out.
//! - *Whether the session's worker has the adapter* is asked of the tracker directly; all workers
//!   that have it are collected only where one has to be chosen.
//! - *A stream calls home with its id as text*, the form that the index has it by.

use std::pin::Pin;
use std::str;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use affinity::MemoryStoreConfig;
use anyhow::Result;
use bytes::{Bytes, BytesMut};
use call_home::EndpointInstanceId;
use call_home::wire::Frame;
use lora_tracker::{LoraEvent, LoraInfo};
use phase_state::PhaseEvent;
use router_snapshot::{Router, RouterClass, WorkerSpec};
use worker_id::WorkerWithDpRank;

use super::{House, greet, travel};
use crate::baselines::loras;
use crate::baselines::phases::ReferencePhases;
use crate::baselines::routers::PublishedRouters;
use crate::baselines::sessions::ReferenceSessions;
use crate::baselines::streams;
use crate::serving_loop::front::{CLASSES, SLOTS, Upstream, spec};
use crate::serving_loop::workload::{self, Fed, Request};

pub(super) struct References {
    phases: ReferencePhases,
    streams: streams::FourMaps<u64>,
    loras: loras::FourMaps,
    /// For regular workers, and for those that decode.
    sessions: [ReferenceSessions; 2],
    ttl: Duration,
    routers: PublishedRouters,
    endpoint: EndpointInstanceId,
}

impl References {
    /// With that fleet.
    pub(super) fn new(fleet: impl Iterator<Item = WorkerWithDpRank>) -> Result<Self> {
        let specs: Vec<WorkerSpec> = fleet.map(spec).collect();
        let loras = loras::FourMaps::default();
        for spec in &specs {
            loras.apply(LoraEvent::WorkerJoined {
                worker: spec.id,
                capacity: Some(SLOTS),
            });
        }
        let routers = CLASSES.map(|class| {
            let router: Arc<dyn Router> = Arc::new(Upstream(class));
            (class.to_string(), router)
        });
        Ok(Self {
            phases: ReferencePhases::new(workload::phases()),
            streams: streams::FourMaps::default(),
            loras,
            sessions: Default::default(),
            ttl: MemoryStoreConfig::default().ttl,
            routers: PublishedRouters::new(routers, &specs),
            endpoint: EndpointInstanceId::new("bench", "worker", "generate", 0)?,
        })
    }

    fn route(&self, request: &Request) -> Option<WorkerWithDpRank> {
        let router = self.routers.select(request.model, request.prefer_pd)?;
        let class = router.class();
        let sessions = &self.sessions[usize::from(class.is_pd())];
        if let Some(worker) = sessions.get(&request.session)
            && self.serves(&worker, class)
            && self.loras.is_loaded(&worker, &request.adapter)
        {
            return Some(worker);
        }
        let worker = self.place(request, class)?;
        sessions.put(&request.session, worker, self.ttl);
        Some(worker)
    }

    fn serves(&self, worker: &WorkerWithDpRank, class: RouterClass) -> bool {
        let spec = self.routers.worker(worker);
        spec.is_some_and(|spec| spec.class() == class)
    }

    /// A worker that has the adapter, or one that loads it.
    fn place(&self, request: &Request, class: RouterClass) -> Option<WorkerWithDpRank> {
        let adapter = &*request.adapter;
        let serves = |worker: &WorkerWithDpRank| self.serves(worker, class);
        let loaded = self.loras.loaded_workers(adapter).into_iter();
        if let Some(worker) = request.any_of(loaded.filter(serves)) {
            return Some(worker);
        }
        let free = self.loras.workers_with_free_slots().into_iter();
        let worker = request.any_of(free.map(|(worker, _)| worker).filter(serves))?;
        let lora = LoraInfo::new(adapter, None);
        self.loras.apply(LoraEvent::Loaded { worker, lora });
        Some(worker)
    }
}

impl House for References {
    /// All that they know of a request is in their maps.
    type Held = ();

    fn admit(&self, request: &Request, wire: &mut BytesMut) {
        let worker = self.route(request).expect("a worker for everybody");
        let (id, mut pending) = self.streams.register();
        let instance = self.endpoint.with_instance_id(worker.worker_id);
        let is_there = self.streams.associate(&id, &instance);
        assert!(is_there, "nobody has died");
        self.phases.register(request.number.into());

        let Frame::Data(id) = travel(wire, Frame::Data(Bytes::from(id))) else {
            unreachable!("it arrives as it left");
        };
        let id = str::from_utf8(&id).expect("it is text");
        let sender = self.streams.claim(id).expect("it waits");
        greet(wire);
        sender.send(request.number).expect("it still waits");
        let mut context = Context::from_waker(Waker::noop());
        let answer = Pin::new(&mut pending).poll(&mut context);
        assert_eq!(answer, Poll::Ready(Ok(request.number)), "it is established");
    }

    fn on_token(&self, (): &mut (), request: &Request, fed: &Fed) -> Option<PhaseEvent> {
        let number = request.number.into();
        self.phases.on_token(number, fed.token, fed.sample.as_ref())
    }

    fn release(&self, (): (), request: &Request) {
        assert!(self.phases.reap(request.number.into()), "it is tracked");
    }
}
