//! What is known of a worker, as far as choosing a router goes.

use std::fmt;
use std::sync::Arc;

use worker_id::WorkerWithDpRank;

use crate::RouterClass;

/// A worker, and which requests it can serve.
///
/// ```
/// use router_snapshot::{Role, RouterClass, WorkerSpec};
/// use worker_id::WorkerWithDpRank;
///
/// let id = WorkerWithDpRank::from_worker_id(7);
/// let spec = WorkerSpec { role: Role::Prefill, ..WorkerSpec::new(id, ["llama-3"]) };
/// assert_eq!(spec.class(), RouterClass::HttpPd);
/// ```
///
/// `==` ignores the incarnation of the id, as it does everywhere; a manager takes another incarnation for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WorkerSpec {
    /// Which worker it is.
    pub id: WorkerWithDpRank,
    /// The models that it serves. None at all is allowed: the worker then counts for its kind, and for no model.
    pub models: Vec<Arc<str>>,
    /// Its part in serving a request.
    pub role: Role,
    /// How it is spoken to.
    pub connection: Connection,
    /// Who runs it.
    pub runtime: Runtime,
    /// Whether requests may be sent to it. A worker that is not healthy makes no router eligible.
    pub healthy: bool,
}

impl WorkerSpec {
    /// A healthy, regular, local worker over HTTP.
    #[must_use]
    pub fn new<T: Into<Arc<str>>>(
        id: WorkerWithDpRank,
        models: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            id,
            models: models.into_iter().map(Into::into).collect(),
            role: Role::default(),
            connection: Connection::default(),
            runtime: Runtime::default(),
            healthy: true,
        }
    }

    /// The class of router that it needs. The role and the connection of an external worker do not matter: what
    /// is behind its endpoint is its own business, and it counts for the regular kind.
    #[must_use]
    pub const fn class(&self) -> RouterClass {
        match (self.runtime, self.role, self.connection) {
            (Runtime::External, _, _) => RouterClass::External,
            (Runtime::Local, Role::Regular, Connection::Http) => RouterClass::HttpRegular,
            (Runtime::Local, Role::Regular, Connection::Grpc) => RouterClass::GrpcRegular,
            (Runtime::Local, Role::Prefill | Role::Decode, Connection::Http) => RouterClass::HttpPd,
            (Runtime::Local, Role::Prefill | Role::Decode, Connection::Grpc) => RouterClass::GrpcPd,
        }
    }
}

/// The part of a worker in serving a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Role {
    /// All of it.
    #[default]
    Regular,
    /// The prompt.
    Prefill,
    /// The tokens after it.
    Decode,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Regular => "regular",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        })
    }
}

/// How a worker is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Connection {
    /// HTTP.
    #[default]
    Http,
    /// gRPC.
    Grpc,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        })
    }
}

/// Who runs a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Runtime {
    /// The fleet that the gateway belongs to.
    #[default]
    Local,
    /// Somebody else, behind an OpenAI-compatible endpoint.
    External,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "local",
            Self::External => "external",
        })
    }
}
