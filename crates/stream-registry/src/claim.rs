//! The claimant's side of a stream, before and after it is established.
//!
//! Both handles are one guard, which ends the stream when it goes. The stage says what that means
//! to the registrant: of a claimed stream, that its claim was dropped; of an established one,
//! nothing. An established stream stays in the registry until its handle goes, so that a transport
//! finds live connections by id and by instance there, and needs no index of its own.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::cell::StreamCell;
use crate::{EstablishError, StreamError, StreamId, StreamKind};

struct Guard<T>(Arc<StreamCell<T>>);

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        self.0.let_go(StreamError::ClaimDropped);
    }
}

/// The right to establish a stream, which nobody else has. From
/// [`StreamRegistry::claim`](crate::StreamRegistry::claim).
///
/// Dropped, it fails the stream at once, with [`StreamError::ClaimDropped`].
#[must_use = "dropped, it fails the stream"]
pub struct Claim<T> {
    guard: Guard<T>,
}

impl<T> Claim<T> {
    pub(crate) fn new(cell: Arc<StreamCell<T>>) -> Self {
        Self { guard: Guard(cell) }
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.guard.0.id
    }

    /// The half of a session that it is.
    #[must_use]
    pub fn kind(&self) -> StreamKind {
        self.guard.0.kind
    }

    /// Answers the registrant with `value`. Keep what comes back while the stream is in use: it is
    /// found by its id and its instance until then.
    ///
    /// # Errors
    ///
    /// [`EstablishError`] gives the value back where the stream has ended meanwhile: cancelled, by
    /// itself or with its instance, or left by its registrant.
    pub fn establish(self, value: T) -> Result<Established<T>, EstablishError<T>> {
        match self.guard.0.establish(value) {
            Ok(()) => Ok(Established { guard: self.guard }),
            Err(value) => Err(EstablishError {
                id: self.id(),
                value,
            }),
        }
    }

    /// Answers the registrant with [`StreamError::Failed`]. Does nothing to a stream that has ended
    /// meanwhile.
    pub fn fail(self, reason: impl Into<String>) {
        let reason = reason.into();
        self.guard.0.let_go(StreamError::Failed { reason });
    }

    /// Resolves when the stream ends without this claim's doing: cancelled, by itself or with its
    /// instance, or left by its registrant. At once, if it has. May be dropped and called again.
    pub async fn cancelled(&mut self) {
        poll_fn(|cx| self.poll_cancelled(cx)).await;
    }

    /// [`cancelled`](Self::cancelled), as one poll. The last waker is the one that is woken.
    pub fn poll_cancelled(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.guard.0.poll_ended(cx)
    }
}

impl<T> fmt::Debug for Claim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.guard.0).finish()
    }
}

/// A stream in use, from [`Claim::establish`]. Dropped, it takes the stream out of the registry;
/// the registrant still receives what it was established with.
#[must_use = "dropped, it takes the stream out of the registry"]
pub struct Established<T> {
    guard: Guard<T>,
}

impl<T> Established<T> {
    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.guard.0.id
    }

    /// The half of a session that it is.
    #[must_use]
    pub fn kind(&self) -> StreamKind {
        self.guard.0.kind
    }

    /// Resolves when the stream is cancelled, by itself or with its instance, or its registrant
    /// goes without having received it. At once, if it has been. May be dropped and called again.
    pub async fn cancelled(&mut self) {
        poll_fn(|cx| self.poll_cancelled(cx)).await;
    }

    /// [`cancelled`](Self::cancelled), as one poll. The last waker is the one that is woken.
    pub fn poll_cancelled(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.guard.0.poll_ended(cx)
    }
}

impl<T> fmt::Debug for Established<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Established").field(&self.guard.0).finish()
    }
}
