//! What happens to adapters and workers, as the fleet's discovery tells it.

use std::sync::Arc;

use worker_id::WorkerWithDpRank;

/// The most bytes that the name of an adapter has: 4,096, which is the longest path, as adapters are often named by one.
pub const MAX_NAME_LEN: usize = 4_096;

/// What is said of an adapter where it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LoraInfo {
    /// Its name: 1 to [`MAX_NAME_LEN`] bytes, opaque, compared byte by byte.
    pub name: Arc<str>,
    /// How many adapters the *worker* that says this can hold at once, where it says so. 0: none.
    #[cfg_attr(feature = "serde", serde(default))]
    pub max_gpu_lora_count: Option<u32>,
}

impl LoraInfo {
    /// An adapter of this name. Whether the name is one is checked where it is used.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, max_gpu_lora_count: Option<u32>) -> Self {
        Self {
            name: name.into(),
            max_gpu_lora_count,
        }
    }
}

/// Something that has happened on a worker.
///
/// # Incarnations
///
/// | the event's incarnation | `Loaded`, `WorkerJoined`, `replace_worker` | `Unloaded` | `WorkerLeft` |
/// |---|---|---|---|
/// | none | speaks of whichever incarnation is there | the same | the same |
/// | that of the worker that is there | applies | applies | applies |
/// | another, and a worker is there | it has restarted: the one that was there leaves, with its adapters, in the same change | ignored | ignored, and remembered as departed |
/// | one that has departed | ignored | ignored | ignored |
///
/// A departed incarnation is remembered for 60 s; of many, the last 8,192 at least. Where workers have no
/// incarnations, nothing tells a late event from a new life: `Loaded` after `WorkerLeft` brings the worker back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LoraEvent {
    /// A worker has an adapter. Joins the worker, if it was not seen before. Said again it changes nothing, but for the
    /// worker's capacity, if that is another now.
    Loaded {
        /// The worker.
        worker: WorkerWithDpRank,
        /// The adapter.
        lora: LoraInfo,
    },
    /// A worker no longer has an adapter. The worker stays.
    Unloaded {
        /// The worker.
        worker: WorkerWithDpRank,
        /// The adapter's name.
        name: Arc<str>,
    },
    /// There is a worker, with or without adapters. It stays until it leaves.
    WorkerJoined {
        /// The worker.
        worker: WorkerWithDpRank,
        /// How many adapters it can hold at once; `None` says nothing of that, and leaves what was said before.
        #[cfg_attr(feature = "serde", serde(default))]
        capacity: Option<u32>,
    },
    /// A worker is gone, and all of its adapters.
    WorkerLeft {
        /// The worker.
        worker: WorkerWithDpRank,
    },
}

impl LoraEvent {
    /// The worker that it is about.
    pub fn worker(&self) -> WorkerWithDpRank {
        match *self {
            Self::Loaded { worker, .. }
            | Self::Unloaded { worker, .. }
            | Self::WorkerJoined { worker, .. }
            | Self::WorkerLeft { worker } => worker,
        }
    }

    /// The adapter that it is about, if it is about one.
    #[must_use]
    pub fn lora_name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Loaded { lora, .. } => Some(&lora.name),
            Self::Unloaded { name, .. } => Some(name),
            Self::WorkerJoined { .. } | Self::WorkerLeft { .. } => None,
        }
    }
}
