//! What can go wrong with a stream: for its registrant, for whoever claims it, and for who
//! associates it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use worker_id::EndpointInstanceId;

use crate::{StreamId, StreamKind};

/// Why a registrant gets no stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream was cancelled by its id, or with all others.
    #[error("the stream was cancelled before it was established")]
    Cancelled,
    /// The instance that the stream was associated with is gone.
    #[error(
        "the instance {instance} went before it established the stream: choose another one and \
         register anew"
    )]
    InstanceGone {
        /// The instance.
        instance: EndpointInstanceId,
    },
    /// Whoever claimed the stream could not establish it.
    #[error("the stream was claimed and could not be established: {reason}")]
    Failed {
        /// What they said.
        reason: String,
    },
    /// Whoever claimed the stream dropped the claim without a word, as when its connection breaks.
    #[error(
        "the stream was claimed, and the claim was dropped before it was established: register anew"
    )]
    ClaimDropped,
    /// The future was polled after it had answered.
    #[error("the stream was received already: poll its future no further")]
    Received,
}

/// Why a stream cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// No stream has this id: there never was one, or it has ended. Nothing is remembered of a
    /// stream that has ended.
    #[error("no stream has the id {id:?}: it was never registered here, or it has ended")]
    Unknown {
        /// The id. Errors show its first digits only.
        id: StreamId,
    },
    /// The stream was registered as the other half of a session. It can still be claimed, as what
    /// it is.
    #[error("{id:?} is a {registered} stream: claim it as one")]
    WrongKind {
        /// The stream.
        id: StreamId,
        /// What it was registered as.
        registered: StreamKind,
    },
    /// Somebody else has claimed the stream, or even established it. It stays theirs.
    #[error("{id:?} is claimed already: one claim a stream")]
    AlreadyClaimed {
        /// The stream.
        id: StreamId,
    },
    /// The stream was ended while this claim was looking for it. A moment later it is
    /// [`Unknown`](Self::Unknown).
    #[error("{id:?} was cancelled just now: nobody waits for it any more")]
    Cancelled {
        /// The stream.
        id: StreamId,
    },
}

/// A value that came too late: its stream ended, cancelled or left by its registrant, after it was
/// claimed.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{id:?} ended before it was established: nobody waits for it any more, close what was to \
     become of it"
)]
pub struct EstablishError<T> {
    /// The stream.
    pub id: StreamId,
    /// What it was to be established with.
    pub value: T,
}

impl<T> fmt::Debug for EstablishError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EstablishError")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The instance has a tombstone. Every stream that was to be associated with it has been ended,
/// with [`StreamError::InstanceGone`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the instance {instance} was cancelled and keeps its tombstone for another \
     {remaining:?}: choose another one, or clear the tombstone if it is back"
)]
pub struct Tombstoned {
    /// The instance.
    pub instance: EndpointInstanceId,
    /// For how much longer its tombstone stands.
    pub remaining: Duration,
}

/// Text that is no [`StreamId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a stream id, in {len} bytes: write it as a UUID in lower case with hyphens, 36 bytes")]
pub struct ParseStreamIdError {
    /// How long the text was. What it was is not repeated: it may be most of a secret.
    pub len: usize,
}
