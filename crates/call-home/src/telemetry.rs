//! What is told to the outside: `tracing` spans and events, and `metrics` behind the feature of that name.
//!
//! Never for a frame: bytes are added up here and reported now and then.

use std::io;
use std::net::SocketAddr;

use tracing::Span;

#[cfg(feature = "metrics")]
mod names {
    pub(super) const ACCEPTED: &str = "call_home.accepted";
    pub(super) const REFUSED: &str = "call_home.refused";
    pub(super) const CONNECTIONS: &str = "call_home.connections";
    pub(super) const RECEIVED: &str = "call_home.bytes_received";
    pub(super) const SENT: &str = "call_home.bytes_sent";
}

/// How many bytes of data may be unreported, by a connection that goes on.
#[cfg(feature = "metrics")]
const UNREPORTED: u64 = 64 << 10;

/// The span of one connection. The kind and the first digits of the stream's id are filled in by its handshake.
pub(crate) fn span(peer: SocketAddr) -> Span {
    tracing::info_span!(
        "call_home",
        %peer,
        kind = tracing::field::Empty,
        stream = tracing::field::Empty
    )
}

pub(crate) fn refused(reason: &'static str) {
    tracing::info!(reason, "connection refused");
    #[cfg(feature = "metrics")]
    metrics::counter!(names::REFUSED, "reason" => reason).increment(1);
}

/// There has been no accepting for want of something, `failures` times.
pub(crate) fn exhausted(error: &io::Error, failures: u64) {
    tracing::warn!(%error, failures, "connections cannot be accepted for now");
}

pub(crate) fn recovered(failures: u64) {
    tracing::debug!(failures, "connections are accepted again");
}

/// A connection that has been accepted and is not closed.
#[derive(Debug)]
pub(crate) struct Accepted(());

impl Accepted {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        {
            metrics::counter!(names::ACCEPTED).increment(1);
            metrics::gauge!(names::CONNECTIONS).increment(1.0);
        }
        Self(())
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        #[cfg(feature = "metrics")]
        metrics::gauge!(names::CONNECTIONS).decrement(1.0);
    }
}

/// The bytes of data that went one way on one connection.
#[derive(Debug)]
pub(crate) struct Traffic {
    #[cfg(feature = "metrics")]
    name: &'static str,
    #[cfg(feature = "metrics")]
    unreported: u64,
}

#[cfg(feature = "metrics")]
impl Traffic {
    pub(crate) fn received() -> Self {
        Self {
            name: names::RECEIVED,
            unreported: 0,
        }
    }

    pub(crate) fn sent() -> Self {
        Self {
            name: names::SENT,
            unreported: 0,
        }
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.unreported += bytes as u64;
        if self.unreported >= UNREPORTED {
            self.report();
        }
    }

    fn report(&mut self) {
        if self.unreported > 0 {
            metrics::counter!(self.name).increment(self.unreported);
            self.unreported = 0;
        }
    }
}

#[cfg(feature = "metrics")]
impl Drop for Traffic {
    fn drop(&mut self) {
        self.report();
    }
}

#[cfg(not(feature = "metrics"))]
impl Traffic {
    pub(crate) fn received() -> Self {
        Self {}
    }

    pub(crate) fn sent() -> Self {
        Self {}
    }

    pub(crate) fn add(&mut self, _bytes: usize) {}
}
