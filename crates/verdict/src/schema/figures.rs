//! What is measured beside the paired comparison.

use serde::{Deserialize, Serialize};

use crate::slices::RUN_DELAY_AT_MOST;

/// The latencies of one arm under one open-loop load, counted from the *intended* start of each operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyCurve {
    /// The scenario.
    pub scenario: String,
    /// The arm.
    pub arm: String,
    /// The load, as a share of the measured saturation: 0.5, 0.8.
    pub load: f64,
    /// Operations a second that were asked for.
    pub rate: f64,
    /// How many latencies stand behind the curve: a scenario's step of several operations is one.
    pub samples: u64,
    /// The share of the time in which a thread was runnable and did not run, of the thread that had most of it. More than
    /// a clean slice may have makes the curve noisy.
    pub run_delay: f64,
    /// In rising order of the percentile.
    pub points: Vec<LatencyPoint>,
}

impl LatencyCurve {
    /// Whether the machine kept a thread waiting for longer than a clean slice may.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        self.run_delay > RUN_DELAY_AT_MOST
    }
}

/// A point of a [`LatencyCurve`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatencyPoint {
    /// From 0 to 100, such as 99.9.
    pub percentile: f64,
    /// So many percent of the operations took at most this long.
    pub nanos: u64,
}

/// The memory that one map holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BytesFigure {
    /// The arm.
    pub arm: String,
    /// Entries that the map holds; after a drain, held before it.
    pub entries: u64,
    /// When it was measured.
    pub state: MapState,
    /// Bytes that are allocated and were not before.
    pub bytes: u64,
}

impl BytesFigure {
    /// Bytes per entry; `None` without entries.
    #[must_use]
    pub fn per_entry(&self) -> Option<f64> {
        (self.entries > 0).then(|| self.bytes as f64 / self.entries as f64)
    }
}

/// When a [`BytesFigure`] was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapState {
    /// After the entries were inserted.
    Filled,
    /// After as many again have come and gone.
    AfterChurn,
    /// After all were removed: what a burst leaves behind.
    AfterDrain,
}

/// Figures that may be missing for a reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figures<T> {
    /// What was measured.
    Measured(Vec<T>),
    /// Nothing was.
    NotMeasured {
        /// Why, in a sentence.
        why: String,
        /// The command that would change that.
        command: String,
    },
}

/// Allocations of an arm, counted exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationFigure {
    /// The scenario.
    pub scenario: String,
    /// The arm.
    pub arm: String,
    /// Operations that were counted over.
    pub ops: u64,
    /// Allocations in all of them.
    pub allocations: u64,
}

/// Instructions of an arm, as a simulator counted them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstructionFigure {
    /// The scenario.
    pub scenario: String,
    /// The arm.
    pub arm: String,
    /// Instructions per operation.
    pub per_op: f64,
}
