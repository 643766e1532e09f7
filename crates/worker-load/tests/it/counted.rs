//! Bodies and streams that hold a reservation: to the last frame, an error, a drop.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use worker_load::{Capacity, Cost, Counted, Load, WorkerLoads};

use crate::{AnyMap, fleet, worker};

/// Frames as they are planned; `None` is a wait.
struct Planned {
    frames: VecDeque<Option<Result<Frame<Bytes>, &'static str>>>,
    /// Whether it says that it has ended, as soon as there is no frame left.
    knows_its_end: bool,
}

impl Body for Planned {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match self.frames.pop_front() {
            None => Poll::Ready(None),
            Some(None) => Poll::Pending,
            Some(frame) => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(42)
    }
}

fn data() -> Option<Result<Frame<Bytes>, &'static str>> {
    Some(Ok(Frame::data(Bytes::from_static(b"token"))))
}

struct World {
    loads: WorkerLoads<AnyMap>,
    body: Counted<Planned>,
}

impl World {
    fn new(
        frames: impl IntoIterator<Item = Option<Result<Frame<Bytes>, &'static str>>>,
        knows_its_end: bool,
    ) -> Self {
        let loads = fleet::<AnyMap>(1, Capacity::unlimited());
        let reservation = loads.reserve(worker(0), Cost::tokens(1, 1)).unwrap();
        let frames = frames.into_iter().collect();
        let planned = Planned {
            frames,
            knows_its_end,
        };
        let body = Counted::body(planned, reservation);
        Self { loads, body }
    }

    fn poll(&mut self) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn row(&self) -> Load {
        self.loads.snapshot().workers()[0]
    }

    /// In flight, and how many ended in success, failure, abandoned.
    fn counts(&self) -> (u64, [u64; 3]) {
        let row = self.row();
        (row.requests, [row.succeeded, row.failed, row.abandoned])
    }
}

#[test]
fn it_counts_to_the_end_and_trailers_pass() {
    let mut trailers = HeaderMap::new();
    trailers.insert("usage", "17".parse().unwrap());
    let last = Some(Ok(Frame::trailers(trailers.clone())));
    let mut world = World::new([data(), None, data(), last], false);
    assert_eq!(world.body.size_hint().exact(), Some(42));
    assert!(world.poll().is_ready());
    assert!(world.poll().is_pending());
    assert!(world.poll().is_ready());
    let Poll::Ready(Some(Ok(frame))) = world.poll() else {
        panic!("the trailers");
    };
    assert_eq!(frame.into_trailers().unwrap(), trailers);
    assert_eq!(world.counts(), (1, [0, 0, 0]));
    assert!(matches!(world.poll(), Poll::Ready(None)));
    assert_eq!(world.counts(), (0, [1, 0, 0]));
    drop(world.poll());
    assert_eq!(world.counts(), (0, [1, 0, 0]));
}

/// A server that is told that this was the last frame never asks for the end.
#[test]
fn the_last_frame_of_a_body_that_knows_its_end_is_the_end() {
    let mut world = World::new([data(), data()], true);
    assert!(world.poll().is_ready());
    assert_eq!(world.counts(), (1, [0, 0, 0]));
    assert!(world.poll().is_ready() && world.body.is_end_stream());
    assert_eq!(world.counts(), (0, [1, 0, 0]));
}

#[test]
fn a_body_without_frames_has_ended_from_the_start() {
    assert_eq!(World::new([], true).counts(), (0, [1, 0, 0]));
    assert_eq!(World::new([], false).counts(), (1, [0, 0, 0]));
}

#[test]
fn an_error_is_a_failure_and_the_end() {
    let mut world = World::new([data(), Some(Err("reset")), data()], false);
    assert!(world.poll().is_ready());
    assert!(matches!(world.poll(), Poll::Ready(Some(Err("reset")))));
    assert_eq!(world.counts(), (0, [0, 1, 0]));
}

#[test]
fn dropped_in_mid_body_it_is_abandoned() {
    let mut world = World::new([data(), None, data()], false);
    assert!(world.poll().is_ready());
    assert!(world.poll().is_pending());
    let World { loads, body } = world;
    drop(body);
    let row = loads.snapshot().workers()[0];
    assert_eq!((row.requests, row.tokens, row.abandoned), (0, 0, 1));
}

#[test]
fn tokens_can_be_counted_as_they_come_by() {
    let mut world = World::new([data()], false);
    let reservation = Pin::new(&mut world.body).reservation();
    reservation.expect("it is held").add(5);
    assert_eq!(world.row().tokens, 6);
}

#[test]
fn a_stream_counts_to_its_end_or_its_drop() {
    let loads = fleet::<AnyMap>(1, Capacity::unlimited());
    let counted = || {
        let reservation = loads.reserve(worker(0), Cost::request()).unwrap();
        Counted::new(futures_util::stream::iter([1, 2, 3]), reservation)
    };
    pollster::block_on(async {
        let mut stream = counted();
        assert_eq!(stream.by_ref().take(3).collect::<Vec<_>>().await, [1, 2, 3]);
        assert_eq!(loads.requests(worker(0)), 1);
        assert_eq!(stream.next().await, None);
        assert_eq!(loads.requests(worker(0)), 0);
        let mut left = counted();
        assert_eq!(left.next().await, Some(1));
    });
    let row = loads.snapshot().workers()[0];
    assert_eq!((row.requests, row.succeeded, row.abandoned), (0, 1, 1));
}

/// The types fit what servers ask of a body.
#[test]
fn it_is_a_body_to_others() {
    fn is_body<B: Body<Error = Infallible> + Send + 'static>() {}
    is_body::<Counted<http_body_util::Full<Bytes>>>();
}
