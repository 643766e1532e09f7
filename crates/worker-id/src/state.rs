//! Whether requests may be sent to a worker.

use std::{fmt, str::FromStr};

use crate::{ParseWorkerStateError, text};

/// Whether requests may be sent to a worker.
///
/// Its text, also in serde, is the name in lower case: `healthy`, `ill`, `draining`.
///
/// ```
/// use worker_id::WorkerState;
///
/// assert_eq!("draining".parse(), Ok(WorkerState::Draining));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum WorkerState {
    /// It takes requests.
    #[default]
    Healthy,
    /// It takes none: it has failed its health check, or does not answer.
    Ill,
    /// It finishes what it has and takes nothing new. Requests of sessions that are pinned to it
    /// may still go there, where the caller asks for that.
    Draining,
}

impl WorkerState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Ill, Self::Draining];

    /// The text: a label for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Ill => "ill",
            Self::Draining => "draining",
        }
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for WorkerState {
    type Err = ParseWorkerStateError;

    /// # Errors
    ///
    /// [`ParseWorkerStateError`] for every text that no state displays as.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| ParseWorkerStateError {
            text: text::excerpt(text),
        })
    }
}
