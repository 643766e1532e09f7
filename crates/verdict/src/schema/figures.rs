//! What is measured beside the paired comparison.

use serde::{Deserialize, Serialize};

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
