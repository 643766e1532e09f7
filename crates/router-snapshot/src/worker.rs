//! What is known of a worker, as far as choosing goes.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use worker_id::{WorkerState, WorkerWithDpRank};

use crate::RouterClass;

/// A worker, which requests it can serve, and what its user wants to find again with it.
///
/// ```
/// use router_snapshot::{Role, RouterClass, WorkerSpec};
/// use worker_id::WorkerWithDpRank;
///
/// let id = WorkerWithDpRank::from_worker_id(7);
/// let spec: WorkerSpec<&str> = WorkerSpec::new(id, ["llama-3"]).with_role(Role::Prefill);
/// let spec = spec.with_payload("10.0.0.7:80");
/// assert_eq!(spec.class(), RouterClass::HttpPd);
/// ```
///
/// `==` ignores the incarnation of the id, as it does everywhere; a manager takes another
/// incarnation for a change.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WorkerSpec<W = ()> {
    /// Which worker it is.
    pub id: WorkerWithDpRank,
    /// The models that it serves. None at all is allowed: the worker then counts for requests that
    /// name no model.
    pub models: Vec<Arc<str>>,
    /// Its part in serving a request.
    #[cfg_attr(feature = "serde", serde(default))]
    pub role: Role,
    /// How it is spoken to.
    #[cfg_attr(feature = "serde", serde(default))]
    pub connection: Connection,
    /// Who runs it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub runtime: Runtime,
    /// Whether requests may be sent to it. `None` says nothing of that: a worker that is known
    /// stays as it is, and one that comes is healthy.
    #[cfg_attr(feature = "serde", serde(default = "nothing"))]
    pub state: Option<WorkerState>,
    /// What belongs to it: an address, a client. `None` says nothing of that, and leaves what is
    /// known. Two are the same if they are one `Arc`: your code is not asked under a lock.
    #[cfg_attr(feature = "serde", serde(skip, default = "nothing"))]
    pub payload: Option<Arc<W>>,
}

#[cfg(feature = "serde")]
fn nothing<T>() -> Option<T> {
    None
}

/// The payload is shared, and need not be `Clone`.
impl<W> Clone for WorkerSpec<W> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            models: self.models.clone(),
            role: self.role,
            connection: self.connection,
            runtime: self.runtime,
            state: self.state,
            payload: self.payload.clone(),
        }
    }
}

impl<W> WorkerSpec<W> {
    /// A regular, local worker over HTTP.
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
            state: None,
            payload: None,
        }
    }

    /// With this part in serving a request.
    #[must_use]
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// Spoken to in this way.
    #[must_use]
    pub fn with_connection(self, connection: Connection) -> Self {
        Self { connection, ..self }
    }

    /// Run by whom.
    #[must_use]
    pub fn with_runtime(self, runtime: Runtime) -> Self {
        Self { runtime, ..self }
    }

    /// In this state, whatever is known.
    #[must_use]
    pub fn with_state(self, state: WorkerState) -> Self {
        Self {
            state: Some(state),
            ..self
        }
    }

    /// With what belongs to it.
    #[must_use]
    pub fn with_payload(self, payload: impl Into<Arc<W>>) -> Self {
        Self {
            payload: Some(payload.into()),
            ..self
        }
    }

    /// The class of router that it needs. The role and the connection of an external worker do not
    /// matter: what is behind its endpoint is its own business, and it counts for the regular kind.
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

/// A worker as a manager knows it: derefs to its [`WorkerSpec`], as it was said last.
#[derive(Debug)]
pub struct Worker<W = ()> {
    spec: WorkerSpec<W>,
    state: WorkerState,
}

impl<W> Worker<W> {
    /// A worker that has just come.
    pub(crate) fn new(spec: WorkerSpec<W>) -> Self {
        let state = spec.state.unwrap_or_default();
        Self { spec, state }
    }

    /// Whether requests may be sent to it.
    #[must_use]
    pub fn state(&self) -> WorkerState {
        self.state
    }

    /// The same worker in another state; nothing if it is in that already.
    pub(crate) fn in_state(&self, state: WorkerState) -> Option<Self> {
        (state != self.state).then(|| Self {
            spec: self.spec.clone(),
            state,
        })
    }

    /// What this is once a spec of the same life is said of it, in this state; nothing where that
    /// makes no difference.
    pub(crate) fn updated(&self, spec: &WorkerSpec<W>, state: WorkerState) -> Option<Self> {
        let known = &self.spec;
        let payload = spec.payload.as_ref().or(known.payload.as_ref());
        let same_payload = match (payload, &known.payload) {
            (Some(payload), Some(known)) => Arc::ptr_eq(payload, known),
            (payload, known) => payload.is_some() == known.is_some(),
        };
        let same = same_payload
            && state == self.state
            && spec.models == known.models
            && (spec.role, spec.connection, spec.runtime)
                == (known.role, known.connection, known.runtime);
        (!same).then(|| Self {
            spec: WorkerSpec {
                id: known.id,
                payload: payload.cloned(),
                ..spec.clone()
            },
            state,
        })
    }

    /// Whether a reader can tell the two apart.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.id.same_incarnation(&other.id) && self.updated(&other.spec, other.state).is_none()
    }
}

impl<W> Deref for Worker<W> {
    type Target = WorkerSpec<W>;

    fn deref(&self) -> &WorkerSpec<W> {
        &self.spec
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
