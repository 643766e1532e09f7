//! What a router is to this crate: a name, and the class of requests that it can serve.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// How many classes there are.
pub(crate) const CLASSES: usize = 5;

/// Something that requests can be sent to.
///
/// The class is read once, when the router is registered, and before any lock is taken; what it
/// answers later is not noticed. Dropping a router, too, happens outside every lock: at the end of
/// the call that removed it, or with the last [`Selected`](crate::Selected) or `Arc` that still had
/// it.
pub trait Router: Send + Sync {
    /// Which workers this router speaks to.
    fn class(&self) -> RouterClass;
}

/// Which workers a router speaks to, or which router a worker needs. Ordered from the class that is
/// preferred most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum RouterClass {
    /// External, OpenAI-compatible endpoints. Of the regular kind.
    External,
    /// Prefill and decode workers, over gRPC.
    GrpcPd,
    /// Prefill and decode workers, over HTTP.
    HttpPd,
    /// Regular workers, over gRPC.
    GrpcRegular,
    /// Regular workers, over HTTP.
    HttpRegular,
}

impl RouterClass {
    /// All classes, the one that is preferred most first.
    pub const ALL: [Self; CLASSES] = [
        Self::External,
        Self::GrpcPd,
        Self::HttpPd,
        Self::GrpcRegular,
        Self::HttpRegular,
    ];

    /// Whether its *kind* is PD, that is prefill and decode on separate workers. Every other class
    /// is of the regular kind.
    #[must_use]
    pub const fn is_pd(self) -> bool {
        matches!(self, Self::GrpcPd | Self::HttpPd)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for RouterClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::External => "external",
            Self::GrpcPd => "grpc_pd",
            Self::HttpPd => "http_pd",
            Self::GrpcRegular => "grpc_regular",
            Self::HttpRegular => "http_regular",
        })
    }
}

/// The name of a router: any text. Clones share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct RouterId(Arc<str>);

impl RouterId {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RouterId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for RouterId {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<Arc<str>> for RouterId {
    fn from(name: Arc<str>) -> Self {
        Self(name)
    }
}

impl From<&RouterId> for RouterId {
    fn from(id: &RouterId) -> Self {
        id.clone()
    }
}

impl AsRef<str> for RouterId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Hashes and compares as its text, so that maps find it by `&str`.
impl Borrow<str> for RouterId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
