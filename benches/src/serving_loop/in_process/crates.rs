//! The house of the five crates, on any maps.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use affinity::Lease;
use anyhow::Result;
use bytes::BytesMut;
use call_home::wire::{Frame, Hello};
use call_home::{EndpointInstanceId, StreamId, StreamKind, StreamRegistryConfig};
use phase_state::{NotFed, PhaseEvent, RequestHandle};
use state_map::{DashMapBackend, DefaultHashBuilder};
use stream_registry::{Established, StreamEntry, StreamRegistry};
use worker_id::WorkerWithDpRank;

use super::{House, greet, travel};
use crate::any_map::AnyMap;
use crate::serving_loop::backends::Backends;
use crate::serving_loop::front::Front;
use crate::serving_loop::workload::{Fed, Request};

type Streams = StreamRegistry<u64, AnyMap<StreamId, StreamEntry<u64>>>;

pub(super) struct Crates {
    front: Front,
    streams: Arc<Streams>,
    endpoint: EndpointInstanceId,
    /// Whether tokens go to `phase-state` by handle.
    handles: bool,
}

pub(super) struct Held {
    handle: Option<RequestHandle>,
    stream: Established<u64>,
    lease: Option<Lease>,
}

impl Crates {
    /// With that fleet. `shards` are those of the map of phases, if not as many as it comes with.
    pub(super) fn new(
        backends: &Backends,
        shards: Option<usize>,
        handles: bool,
        fleet: impl Iterator<Item = WorkerWithDpRank>,
    ) -> Result<Self> {
        let phases = match shards {
            // What ADR-0003 asks is whether more shards for the phases are enough.
            Some(shards) => AnyMap::DashMap(DashMapBackend::with_capacity_hasher_and_shards(
                0,
                DefaultHashBuilder::default(),
                shards,
            )?),
            None => backends.phases.map(),
        };
        let streams =
            StreamRegistry::with_map(StreamRegistryConfig::default(), backends.streams.map());
        let crates = Self {
            front: Front::with_phases(backends, phases)?,
            streams: Arc::new(streams),
            endpoint: EndpointInstanceId::new("bench", "worker", "generate", 0)?,
            handles,
        };
        for worker in fleet {
            crates.front.join(worker)?;
        }
        Ok(crates)
    }
}

impl House for Crates {
    type Held = Held;

    fn admit(&self, request: &Request, wire: &mut BytesMut) -> Held {
        let Self { front, streams, .. } = self;
        let routed = pollster::block_on(front.route(request)).expect("a worker for everybody");
        let mut pending = pin!(streams.register(StreamKind::Response));
        let id = pending.id();
        let instance = self.endpoint.with_instance_id(routed.worker.worker_id);
        streams
            .associate(&[id], &instance)
            .expect("nobody has died");
        let handle = if self.handles {
            Some(front.phases.track(request.number).expect("a fresh number"))
        } else {
            assert!(front.phases.register(request.number), "a fresh number");
            None
        };

        let kind = StreamKind::Response;
        let Frame::Hello(hello) = travel(wire, Frame::Hello(Hello { kind, id })) else {
            unreachable!("it arrives as it left");
        };
        let claim = streams.claim(hello.id, hello.kind).expect("it waits");
        greet(wire);
        let stream = claim.establish(request.number).expect("it still waits");
        let mut context = Context::from_waker(Waker::noop());
        let answer = pending.as_mut().poll(&mut context);
        assert_eq!(answer, Poll::Ready(Ok(request.number)), "it is established");
        Held {
            handle,
            stream,
            lease: routed.lease,
        }
    }

    fn on_token(
        &self,
        held: &mut Held,
        request: &Request,
        fed: &Fed,
    ) -> Result<PhaseEvent, NotFed> {
        let Fed { token, sample, .. } = fed;
        match &mut held.handle {
            Some(handle) => handle.on_token(*token, sample.as_ref()),
            None => self
                .front
                .phases
                .on_token(request.number, *token, sample.as_ref()),
        }
    }

    fn release(&self, held: Held, request: &Request) {
        drop(held.stream);
        match held.handle {
            Some(handle) => drop(handle),
            None => assert!(
                self.front.phases.reap(request.number).is_some(),
                "it is tracked"
            ),
        }
        drop(held.lease);
    }
}
