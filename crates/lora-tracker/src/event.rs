//! What happens to adapters and workers, as the fleet's discovery tells it.

use std::sync::Arc;

use worker_id::{WorkerRanks, WorkerWithDpRank};

/// The most bytes that the name of an adapter has: 4,096, which is the longest path, as adapters
/// are often named by one.
pub const MAX_NAME_LEN: usize = 4_096;

/// What is said of an adapter on a worker.
///
/// ```
/// use lora_tracker::LoraInfo;
///
/// let lora = LoraInfo::new("de-legal").with_version("sha256:9f86").with_capacity(8).pinned();
/// assert_eq!(lora.version.as_deref(), Some("sha256:9f86"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LoraInfo {
    /// Its name: 1 to [`MAX_NAME_LEN`] bytes, opaque, compared byte by byte.
    pub name: Arc<str>,
    /// How many adapters the *worker* that says this can hold at once, where it says so. 0: none.
    #[cfg_attr(feature = "serde", serde(default))]
    pub max_gpu_lora_count: Option<u32>,
    /// Which weights these are: opaque, a digest. Another one under the same name is a change.
    #[cfg_attr(feature = "serde", serde(default))]
    pub version: Option<Arc<str>>,
    /// The rank of its matrices.
    #[cfg_attr(feature = "serde", serde(default))]
    pub rank: Option<u32>,
    /// How much memory it takes on the worker, in bytes.
    #[cfg_attr(feature = "serde", serde(default))]
    pub bytes: Option<u64>,
    /// Whether it must not be evicted.
    #[cfg_attr(feature = "serde", serde(default))]
    pub pinned: Option<bool>,
}

impl LoraInfo {
    /// An adapter of this name, of which nothing else is said. Whether the name is one is checked
    /// where it is used.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// With the capacity of the worker that says this.
    #[must_use]
    pub fn with_capacity(self, capacity: impl Into<Option<u32>>) -> Self {
        Self {
            max_gpu_lora_count: capacity.into(),
            ..self
        }
    }

    /// With a version.
    #[must_use]
    pub fn with_version(self, version: impl Into<Arc<str>>) -> Self {
        Self {
            version: Some(version.into()),
            ..self
        }
    }

    /// With the rank of its matrices.
    #[must_use]
    pub fn with_rank(self, rank: u32) -> Self {
        Self {
            rank: Some(rank),
            ..self
        }
    }

    /// With the memory that it takes, in bytes.
    #[must_use]
    pub fn with_bytes(self, bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    /// Not to be evicted.
    #[must_use]
    pub fn pinned(self) -> Self {
        Self {
            pinned: Some(true),
            ..self
        }
    }
}

/// Something that has happened on a worker.
///
/// Which events are believed, [`worker_id::Lives`] decides: it has the table of what late news,
/// news of other lives, and revisions come to. `Loaded`, `Loading` and `WorkerJoined` say that the
/// worker is there; `Unloaded` and `LoadFailed` say that something of it has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LoraEvent {
    /// A worker has an adapter. Joins the worker, if it was not seen before. Said again it changes
    /// nothing but what is said anew: the version, the worker's capacity.
    Loaded {
        /// The worker.
        worker: WorkerWithDpRank,
        /// The adapter.
        lora: LoraInfo,
    },
    /// A worker is loading an adapter, which takes a slot. Joins the worker, as `Loaded` does. Of
    /// an adapter that is there, resident or loading, it changes nothing.
    Loading {
        /// The worker.
        worker: WorkerWithDpRank,
        /// The adapter.
        lora: LoraInfo,
    },
    /// A worker could not load an adapter. Its slot is free again, and
    /// [`begin_load`](crate::LoraTracker::begin_load) does not choose it for this adapter for
    /// [`load_backoff`](crate::TrackerConfig::load_backoff).
    LoadFailed {
        /// The worker.
        worker: WorkerWithDpRank,
        /// The adapter's name.
        name: Arc<str>,
        /// Why, in words for an operator.
        reason: Arc<str>,
    },
    /// A worker no longer has an adapter, nor loads it. The worker stays.
    Unloaded {
        /// The worker.
        worker: WorkerWithDpRank,
        /// The adapter's name.
        name: Arc<str>,
    },
    /// There is a worker, with or without adapters: it has registered. It stays until it leaves.
    WorkerJoined {
        /// The worker.
        worker: WorkerWithDpRank,
        /// How many adapters it can hold at once; `None` says nothing of that.
        #[cfg_attr(feature = "serde", serde(default))]
        capacity: Option<u32>,
    },
    /// A worker is gone, one rank of it or all, and all of its adapters.
    WorkerLeft {
        /// The worker.
        worker: WorkerRanks,
    },
}

impl LoraEvent {
    /// The worker that it is about, and which ranks of it.
    pub fn worker(&self) -> WorkerRanks {
        match *self {
            Self::Loaded { worker, .. }
            | Self::Loading { worker, .. }
            | Self::LoadFailed { worker, .. }
            | Self::Unloaded { worker, .. }
            | Self::WorkerJoined { worker, .. } => worker.into(),
            Self::WorkerLeft { worker } => worker,
        }
    }

    /// The adapter that it is about, if it is about one.
    #[must_use]
    pub fn lora_name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Loaded { lora, .. } | Self::Loading { lora, .. } => Some(&lora.name),
            Self::Unloaded { name, .. } | Self::LoadFailed { name, .. } => Some(name),
            Self::WorkerJoined { .. } | Self::WorkerLeft { .. } => None,
        }
    }

    /// This event, of a revision of the feed that it is from.
    #[must_use]
    pub fn as_of(self, revision: u64) -> LoraNews {
        LoraNews {
            event: self,
            as_of: Some(revision),
        }
    }
}

/// An event, and the revision of the feed that it is from, where the feed has any.
///
/// A revision is a number that grows with each change of what is fed, as an etcd or Kubernetes
/// revision does: one numbering for all that a tracker is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LoraNews {
    /// What has happened.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub event: LoraEvent,
    /// The revision.
    #[cfg_attr(feature = "serde", serde(default))]
    pub as_of: Option<u64>,
}

/// Without a revision: the order of calls counts.
impl From<LoraEvent> for LoraNews {
    fn from(event: LoraEvent) -> Self {
        Self { event, as_of: None }
    }
}

/// A worker in a full list: all that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ListedWorker {
    /// The worker.
    pub worker: WorkerWithDpRank,
    /// How many adapters it can hold at once, where that is known.
    #[cfg_attr(feature = "serde", serde(default))]
    pub capacity: Option<u32>,
    /// The adapters that are resident on it. Of several of one name the last counts.
    #[cfg_attr(feature = "serde", serde(default))]
    pub loras: Vec<LoraInfo>,
}

impl ListedWorker {
    /// A worker with these adapters.
    #[must_use]
    pub fn new(
        worker: WorkerWithDpRank,
        capacity: impl Into<Option<u32>>,
        loras: impl IntoIterator<Item = LoraInfo>,
    ) -> Self {
        Self {
            worker,
            capacity: capacity.into(),
            loras: loras.into_iter().collect(),
        }
    }
}
