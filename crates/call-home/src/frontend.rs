//! The frontend's view of a stream: what it waits for, and what it gets.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use stream_registry::{Registration, StreamError, StreamId};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{ConnectionInfo, StreamReader, StreamWriter};

/// What the registry of a [`CallHomeServer`](crate::CallHomeServer) hands to registrants. Opaque; it stands in the types
/// of maps.
#[derive(Debug)]
pub struct FrontendEnd(pub(crate) End);

#[derive(Debug)]
pub(crate) enum End {
    Reader(StreamReader),
    Writer(StreamWriter),
}

impl End {
    pub(crate) fn reader(self) -> Option<StreamReader> {
        match self {
            Self::Reader(reader) => Some(reader),
            Self::Writer(_) => None,
        }
    }

    pub(crate) fn writer(self) -> Option<StreamWriter> {
        match self {
            Self::Writer(writer) => Some(writer),
            Self::Reader(_) => None,
        }
    }
}

/// A stream for which no worker has called home yet, and a future of the frontend's end of it: a [`StreamReader`] for a
/// response, a [`StreamWriter`] for a request. From [`CallHomeServer`](crate::CallHomeServer).
///
/// Dropped before it has answered, it deregisters its stream at once, in no need of a runtime, and a worker that has called
/// is sent away. It has no deadline of its own: wait for it as long as the request may wait.
#[must_use = "dropped, it deregisters the stream"]
pub struct PendingStream<E> {
    registration: Registration<FrontendEnd>,
    info: ConnectionInfo,
    open: fn(End) -> Option<E>,
    /// A server that drains waits for it.
    token: Option<TaskTrackerToken>,
}

impl<E> PendingStream<E> {
    pub(crate) fn new(
        registration: Registration<FrontendEnd>,
        info: ConnectionInfo,
        open: fn(End) -> Option<E>,
        token: TaskTrackerToken,
    ) -> Self {
        let token = Some(token);
        Self {
            registration,
            info,
            open,
            token,
        }
    }

    /// What the worker must be told.
    #[must_use]
    pub fn info(&self) -> ConnectionInfo {
        self.info
    }

    /// The stream's id, to associate it with the worker's instance.
    pub fn id(&self) -> StreamId {
        self.info.id
    }
}

impl<E> Future for PendingStream<E> {
    type Output = Result<E, StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.registration).poll(cx));
        self.token = None;
        // Kinds are compared by the claim, so that there is always an end to open.
        Poll::Ready(answer.and_then(|end| (self.open)(end.0).ok_or(StreamError::ClaimDropped)))
    }
}

impl<E> fmt::Debug for PendingStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingStream")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}
