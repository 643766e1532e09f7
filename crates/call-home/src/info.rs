//! What a worker is told, so that it can call home.

use std::net::SocketAddr;

use stream_registry::{StreamId, StreamKind};

/// Where to call home, and for which stream. Send it to the worker with the request, over whatever carries requests; it is
/// the right to claim the stream, so to nobody else.
///
/// With the feature `serde`, a struct of these three fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ConnectionInfo {
    /// The frontend's server.
    pub address: SocketAddr,
    /// The half of a session, seen from the frontend.
    pub kind: StreamKind,
    /// The stream. `Debug` shows its first digits only.
    pub id: StreamId,
}
