//! A tower service for one worker: reserved from the call on, until the body has ended.

use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::load::Load;
use tower_layer::Layer;
use tower_service::Service;
use worker_load::{Capacity, Cost, Refused, ReserveError, ReserveLayer, WorkerLoads};

use crate::{AnyMap, fleet, worker};

fn world() -> (
    WorkerLoads<AnyMap>,
    ReserveLayer<impl Fn(&Request<u32>) -> Cost + Clone>,
) {
    let loads = fleet::<AnyMap>(1, Capacity::requests(1));
    let load = loads.worker(worker(0)).unwrap();
    (
        loads,
        ReserveLayer::new(load, |request: &Request<u32>| {
            Cost::tokens(*request.body(), 0)
        }),
    )
}

/// Answers at once, by what the request says.
#[derive(Clone)]
struct Answers;

impl Service<Request<u32>> for Answers {
    type Response = Response<Full<Bytes>>;
    type Error = &'static str;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<u32>) -> Self::Future {
        ready(match request.into_body() {
            0 => Err("down"),
            _ => Ok(Response::new(Full::from("tokens"))),
        })
    }
}

#[test]
fn it_is_in_flight_until_the_body_has_ended() {
    let (loads, layer) = world();
    let mut service = layer.layer(Answers);
    pollster::block_on(async {
        let response = service.call(Request::new(7)).await.unwrap();
        assert_eq!((service.load(), loads.snapshot().totals().tokens), (1, 7));
        let refused = service.call(Request::new(7)).await.unwrap_err();
        assert!(matches!(
            refused,
            ReserveError::Refused(Refused::AtCapacity { .. })
        ));
        assert_eq!(
            refused.to_string(),
            "the worker 0:0 has 1 requests in flight, of 1: wait for one to end, or raise the cap"
        );
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "tokens");
        assert_eq!(service.load(), 0);
        drop(service.call(Request::new(7)).await.unwrap());
        assert_eq!(loads.worker(worker(0)).unwrap().load(), 0);
    });
    let row = loads.snapshot().workers()[0];
    assert_eq!((row.succeeded, row.abandoned), (1, 1));
}

#[test]
fn a_service_that_fails_gives_back() {
    let (loads, layer) = world();
    let mut service = layer.layer(Answers);
    let answer = pollster::block_on(service.call(Request::new(0)));
    assert!(matches!(answer, Err(ReserveError::Inner("down"))));
    assert_eq!(loads.snapshot().workers()[0].failed, 1);
    assert_eq!(service.load(), 0);
}

/// Cancelled before its headers have come, and polled once too often.
#[test]
fn a_future_that_is_dropped_gives_back() {
    #[derive(Clone)]
    struct Never;
    impl Service<Request<u32>> for Never {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<u32>) -> Self::Future {
            Box::pin(pending())
        }
    }
    let (loads, layer) = world();
    let mut service = layer.layer(Never);
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut answer = pin!(service.call(Request::new(1)));
        assert!(answer.as_mut().poll(&mut context).is_pending());
        assert_eq!(service.load(), 1);
    }
    assert_eq!(service.load(), 0);
    let held = loads.reserve(worker(0), Cost::request()).unwrap();
    let mut refused = pin!(service.call(Request::new(1)));
    assert!(refused.as_mut().poll(&mut context).is_ready());
    let again = refused.as_mut().poll(&mut context);
    assert!(matches!(again, Poll::Ready(Err(ReserveError::Answered))));
    drop(held);
}
