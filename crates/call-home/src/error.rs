//! What can go wrong: with options, with calling home, and with a stream in use.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use stream_registry::StreamKind;
use thiserror::Error;

use crate::wire::{FrameError, Refusal};

/// Why a stream ended without its clean end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Cut {
    /// The other side closed the connection, or died.
    #[error("the connection was closed before the stream's end")]
    Closed,
    /// The connection broke.
    #[error("the connection broke before the stream's end: {0}")]
    Io(io::ErrorKind),
    /// A frame took longer than the limits allow, coming in or going out.
    #[error(
        "a frame was under way for more than {deadline:?}: the other side is stuck or slow; raise `frame_deadline` if it may be"
    )]
    Slow {
        /// [`Limits::frame_deadline`](crate::Limits::frame_deadline).
        deadline: Duration,
    },
    /// The other side sent what is no frame, or no frame that may come here.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream was cancelled at the frontend: by its id, with its instance, or because the server goes down.
    #[error("the stream was cancelled")]
    Cancelled,
    /// The consumer killed it, or dropped its reader.
    #[error("the stream was killed by its consumer")]
    Killed,
    /// The writer was dropped without a finish.
    #[error("the stream's writer was dropped before it had finished")]
    Abandoned,
    /// The runtime that the connection lived on is gone.
    #[error("the runtime of the stream's connection was shut down")]
    Runtime,
}

/// Data that could not be sent, with the reason. It is given back.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The stream has ended.
    #[error("{} bytes were not sent, and nothing can be any more: {cut}", data.len())]
    Ended {
        /// What was not sent.
        data: Bytes,
        /// Why the stream ended.
        cut: Cut,
    },
    /// A frame cannot be that long. The stream goes on.
    #[error("{} bytes do not fit into one frame of at most {max_frame}: split them, or raise `max_frame` on both sides", data.len())]
    TooLong {
        /// What was not sent.
        data: Bytes,
        /// [`Limits::max_frame`](crate::Limits::max_frame).
        max_frame: usize,
    },
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the data: it is somebody's prompt.
        fmt::Display::fmt(self, f)
    }
}

/// Why a worker could not call home.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The stream is of the other kind than the call.
    #[error("the stream is a {registered} stream: call home for it as one")]
    WrongKind {
        /// What it was registered as.
        registered: StreamKind,
    },
    /// Nobody was reached.
    #[error("{address} cannot be reached: {source}")]
    Connect {
        /// Whom it concerns.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// Whoever was reached did not answer in time.
    #[error(
        "{address} did not answer within {deadline:?}: is it overloaded, or no frontend at all?"
    )]
    Deadline {
        /// Whom it concerns.
        address: SocketAddr,
        /// [`Limits::handshake_deadline`](crate::Limits::handshake_deadline).
        deadline: Duration,
    },
    /// The frontend said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection broke in the handshake.
    #[error("the handshake was cut short: {0}")]
    Cut(#[from] Cut),
}

/// An option that no server or client can be run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Nothing can be done in no time.
    #[error("`{option}` is zero; it must be longer: to wait for ever, use an hour or a day")]
    NoTime {
        /// Its name.
        option: &'static str,
    },
    /// Frames with nothing in them, or longer than a length prefix can say.
    #[error("`max_frame` is {max_frame}; it must be at least 1 and at most {most} (the default is 16 MiB)", most = crate::Limits::MOST_FRAME)]
    Frame {
        /// The rejected length.
        max_frame: usize,
    },
    /// A server without connections.
    #[error("`max_connections` is 0; it must be at least 1 (the default is 65,536)")]
    NoConnections,
    /// A server on every interface that does not know its own address.
    #[error(
        "the server is bound to {address}, which is no address to call: say with `with_advertised` under which workers reach it"
    )]
    Unadvertised {
        /// What it is bound to.
        address: SocketAddr,
    },
}

/// Why a server could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The options are at fault.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The system does not give us the address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
}
