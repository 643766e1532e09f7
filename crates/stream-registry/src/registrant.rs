//! The registrant's side of a stream: a future of what a worker will establish.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::cell::StreamCell;
use crate::{StreamError, StreamId, StreamKind};

/// A stream that waits for a worker to call home, and a future of what it will be established with.
/// From [`StreamRegistry::register`](crate::StreamRegistry::register).
///
/// Dropped before it has answered, it ends its stream, at once and on the spot: the id means
/// nothing any more, a claim that is held hears of it, and a value that nobody received is dropped.
/// It needs no runtime, neither to be polled nor to be dropped. Once it has answered, dropping it
/// does nothing.
///
/// Polled again after it has answered, it answers [`StreamError::Received`].
#[must_use = "dropped, it takes its stream out of the registry"]
pub struct Registration<T> {
    receiver: StreamReceiver<T>,
}

impl<T> Registration<T> {
    pub(crate) fn new(cell: Arc<StreamCell<T>>) -> Self {
        let answered = false;
        Self {
            receiver: StreamReceiver { cell, answered },
        }
    }

    /// The stream's id, to be sent to whoever is to call home, and to nobody else.
    pub fn id(&self) -> StreamId {
        self.receiver.cell.id
    }

    /// The half of a session that it was registered as.
    #[must_use]
    pub fn kind(&self) -> StreamKind {
        self.receiver.cell.kind
    }

    /// The id, and the future without it. The registration is disarmed; its duty is the receiver's
    /// now.
    pub fn into_parts(self) -> (StreamId, StreamReceiver<T>) {
        (self.id(), self.receiver)
    }
}

impl<T> Future for Registration<T> {
    type Output = Result<T, StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(cx)
    }
}

impl<T> fmt::Debug for Registration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration")
            .field(&self.receiver.cell)
            .finish()
    }
}

/// A future of what a stream will be established with. From [`Registration::into_parts`].
///
/// As the registration was, it is what keeps its stream registered: dropped before it has answered,
/// it ends the stream, since nobody could receive it any more.
#[must_use = "dropped, it takes its stream out of the registry"]
pub struct StreamReceiver<T> {
    cell: Arc<StreamCell<T>>,
    answered: bool,
}

impl<T> Future for StreamReceiver<T> {
    type Output = Result<T, StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.cell.poll_answer(cx);
        self.answered |= answer.is_ready();
        answer
    }
}

impl<T> Drop for StreamReceiver<T> {
    fn drop(&mut self) {
        if !self.answered {
            self.cell.abandon();
        }
    }
}

impl<T> fmt::Debug for StreamReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamReceiver").field(&self.cell).finish()
    }
}
