//! A tower service that reserves room on one worker for each request, until the response's body has
//! ended.
//!
//! # Why
//!
//! `tower::load` counts a request until its future has answered, which is at the headers: a
//! response that streams for a minute counts for the first moment of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::Body;
use pin_project_lite::pin_project;
use thiserror::Error;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Cost, Counted, Outcome, Refused, Reservation, WorkerLoad};

/// Makes a [`Reserve`] of the service of one worker.
///
/// # Examples
///
/// ```
/// # #[cfg(any(feature = "dashmap", feature = "papaya", feature = "scc", feature = "rwlock"))] {
/// use tower_layer::Layer;
/// use worker_id::WorkerWithDpRank;
/// use worker_load::{Capacity, Cost, ReserveLayer, WorkerLoads};
///
/// # struct ClientOfWorker7;
/// let (loads, worker) = (WorkerLoads::new(), WorkerWithDpRank::new(7, 0));
/// loads.join(worker, Capacity::requests(256))?;
/// let load = loads.worker(worker).expect("it has joined");
/// let cost = |request: &http::Request<String>| Cost::tokens(request.body().len() as u32 / 4, 256);
/// let service = ReserveLayer::new(load, cost).layer(ClientOfWorker7);
/// # let _ = service;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReserveLayer<F> {
    worker: WorkerLoad,
    cost: F,
}

impl<F> ReserveLayer<F> {
    /// For requests to `worker`, each of which costs what `cost` says of it.
    pub fn new(worker: WorkerLoad, cost: F) -> Self {
        Self { worker, cost }
    }
}

impl<S, F: Clone> Layer<S> for ReserveLayer<F> {
    type Service = Reserve<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        Reserve {
            inner,
            worker: self.worker.clone(),
            cost: self.cost.clone(),
        }
    }
}

/// Reserves room for each request, and holds it until the response's [`Counted`] body has ended.
/// From [`ReserveLayer`].
///
/// A request for which there is no room is answered with [`ReserveError::Refused`], and its worker
/// hears nothing of it.
#[derive(Clone, Debug)]
pub struct Reserve<S, F> {
    inner: S,
    worker: WorkerLoad,
    cost: F,
}

impl<S, F, A, B> Service<http::Request<A>> for Reserve<S, F>
where
    S: Service<http::Request<A>, Response = http::Response<B>>,
    F: FnMut(&http::Request<A>) -> Cost,
    B: Body,
{
    type Response = http::Response<Counted<B>>;
    type Error = ReserveError<S::Error>;
    type Future = Reserving<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(ReserveError::Inner)
    }

    fn call(&mut self, request: http::Request<A>) -> Self::Future {
        // The whole of what is in flight: from before the worker can hear of it.
        match self.worker.reserve((self.cost)(&request)) {
            Ok(reservation) => Reserving {
                answer: Some(self.inner.call(request)),
                reservation: Some(Ok(reservation)),
            },
            Err(refused) => Reserving {
                answer: None,
                reservation: Some(Err(refused)),
            },
        }
    }
}

/// Requests in flight, bodies included.
impl<S, F> tower::load::Load for Reserve<S, F> {
    type Metric = u64;

    fn load(&self) -> u64 {
        self.worker.requests()
    }
}

/// Requests in flight.
impl tower::load::Load for WorkerLoad {
    type Metric = u64;

    fn load(&self) -> u64 {
        self.requests()
    }
}

pin_project! {
    /// The answer of a [`Reserve`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Reserving<F> {
        #[pin]
        answer: Option<F>,
        reservation: Option<Result<Reservation, Refused>>,
    }
}

impl<F, B, E> Future for Reserving<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    B: Body,
{
    type Output = Result<http::Response<Counted<B>>, ReserveError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answer = match this.answer.as_mut().as_pin_mut() {
            Some(answer) => Some(ready!(answer.poll(cx))),
            None => None,
        };
        // The future goes with its answer: what it holds of the connection should not wait for
        // ours.
        this.answer.set(None);
        Poll::Ready(match (answer, this.reservation.take()) {
            (Some(Ok(response)), Some(Ok(reservation))) => {
                Ok(response.map(|body| Counted::body(body, reservation)))
            }
            (Some(Err(error)), reservation) => {
                if let Some(Ok(reservation)) = reservation {
                    reservation.complete(Outcome::Failure);
                }
                Err(ReserveError::Inner(error))
            }
            (_, Some(Err(refused))) => Err(ReserveError::Refused(refused)),
            (_, None | Some(Ok(_))) => Err(ReserveError::Answered),
        })
    }
}

impl<F> fmt::Debug for Reserving<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserving")
            .field("reservation", &self.reservation)
            .finish_non_exhaustive()
    }
}

/// Why a [`Reserve`] has no response.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReserveError<E> {
    /// There is no room: the worker has not heard of the request.
    #[error(transparent)]
    Refused(Refused),
    /// The service failed.
    #[error("the worker's service failed")]
    Inner(#[source] E),
    /// The future was polled after it had answered.
    #[error("the future has answered already: poll it no further")]
    Answered,
}
