//! A response that counts until it has ended.
//!
//! # Why
//!
//! A request is in flight until its last byte is on its way to the client, not until its headers
//! are. A guard that lives in a handler is dropped with the handler, and the body goes on; so the
//! body has to have it.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::{Outcome, Reservation};

pin_project! {
    /// A body (feature `http-body`) or a stream (feature `stream`) that holds a [`Reservation`]
    /// until it has ended.
    ///
    /// It has ended at its last frame or item, which is a [success](Outcome::Success); at the first
    /// error, a [failure](Outcome::Failure); or when it is dropped before that, as when the client
    /// hangs up: then the request is [abandoned](Outcome::Abandoned). A body that says that it has
    /// no frames has ended from the start.
    ///
    /// Everything else passes: frames, trailers, size hints. A stream of `Result`s that has errors
    /// within is to be read to its end: its items are not looked at.
    #[derive(Debug)]
    #[must_use = "dropped, it abandons the request"]
    pub struct Counted<T> {
        #[pin]
        inner: T,
        reservation: Option<Reservation>,
    }
}

impl<T> Counted<T> {
    /// Holds `reservation` until `inner` has ended.
    pub fn new(inner: T, reservation: Reservation) -> Self {
        Self {
            inner,
            reservation: Some(reservation),
        }
    }

    /// The reservation, while it is held: to count tokens as they come by.
    #[must_use]
    pub fn reservation(self: Pin<&mut Self>) -> Option<&mut Reservation> {
        self.project().reservation.as_mut()
    }
}

/// Gives the reservation back, the first time.
fn end(reservation: &mut Option<Reservation>, outcome: Outcome) {
    if let Some(reservation) = reservation.take() {
        reservation.complete(outcome);
    }
}

#[cfg(feature = "http-body")]
impl<B: http_body::Body> Counted<B> {
    /// Holds `reservation` until `body` has ended: not at all, if it has no frames, for then nobody
    /// may ever poll it.
    pub fn body(body: B, reservation: Reservation) -> Self {
        let ended = body.is_end_stream();
        let mut counted = Self::new(body, reservation);
        if ended {
            end(&mut counted.reservation, Outcome::Success);
        }
        counted
    }
}

#[cfg(feature = "http-body")]
impl<B: http_body::Body> http_body::Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = this.inner.as_mut().poll_frame(cx);
        let outcome = match &frame {
            Poll::Pending => return frame,
            Poll::Ready(None) => Some(Outcome::Success),
            Poll::Ready(Some(Err(_))) => Some(Outcome::Failure),
            // Whoever is told that this was the last one does not poll again.
            Poll::Ready(Some(Ok(_))) => this.inner.is_end_stream().then_some(Outcome::Success),
        };
        if let Some(outcome) = outcome {
            end(this.reservation, outcome);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(feature = "stream")]
impl<S: futures_core::Stream> futures_core::Stream for Counted<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let item = this.inner.poll_next(cx);
        if let Poll::Ready(None) = item {
            end(this.reservation, Outcome::Success);
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}
