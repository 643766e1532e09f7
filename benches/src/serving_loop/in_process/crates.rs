//! The house of the five crates, on any maps.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use affinity::Lease;
use anyhow::Result;
use bytes::BytesMut;
use call_home::wire::{Frame, Hello};
use call_home::{EndpointInstanceId, StreamKind};
use phase_state::{PhaseEvent, RequestHandle};
use stream_registry::Established;
use worker_id::WorkerWithDpRank;

use super::{House, greet, travel};
use crate::serving_loop::backends::Backends;
use crate::serving_loop::front::Front;
use crate::serving_loop::workload::{Fed, Request};
use crate::streams::{Registry, registry};

pub(super) struct Crates {
    front: Front,
    streams: Arc<Registry<u64>>,
    endpoint: EndpointInstanceId,
    /// Whether tokens go to `phase-state` by handle.
    by_handle: bool,
}

pub(super) struct Held {
    handle: Option<RequestHandle>,
    stream: Established<u64>,
    lease: Option<Lease>,
}

impl Crates {
    /// With that fleet.
    pub(super) fn new(
        backends: &Backends,
        by_handle: bool,
        fleet: impl Iterator<Item = WorkerWithDpRank>,
    ) -> Result<Self> {
        let crates = Self {
            front: Front::new(backends)?,
            streams: registry(backends.streams),
            endpoint: EndpointInstanceId::new("bench", "worker", "generate", 0)?,
            by_handle,
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
        let number = request.number;
        let handle = if self.by_handle {
            Some(front.phases.track(number).expect("a fresh number"))
        } else {
            assert!(front.phases.register(number), "a fresh number");
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

    fn on_token(&self, held: &mut Held, request: &Request, fed: &Fed) -> Option<PhaseEvent> {
        let (token, sample) = (fed.token, fed.sample.as_ref());
        match &mut held.handle {
            Some(handle) => handle.on_token(token, sample),
            None => self.front.phases.on_token(request.number, token, sample),
        }
    }

    fn release(&self, held: Held, request: &Request) {
        drop(held.stream);
        match held.handle {
            Some(handle) => drop(handle),
            None => assert!(self.front.phases.reap(request.number), "it is tracked"),
        }
        drop(held.lease);
    }
}
