//! What a request came to.

use crate::{BudgetForceReason, PhaseKind};

/// What a request came to, or has come to so far: for billing and metrics.
///
/// The three numbers of tokens add up to all that were fed while it lived, those after its end of sequence left out. All of
/// them saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
#[non_exhaustive]
pub struct Summary {
    /// The phase in which it ended. A request that was cut is not in [`PhaseKind::Complete`].
    pub phase: PhaseKind,
    /// Tokens of all thoughts, their end markers included.
    pub think_tokens: u32,
    /// Thoughts, one that was cut included.
    pub think_spans: u16,
    /// Tokens of all tool calls, their end markers included.
    pub tool_tokens: u32,
    /// Tool calls, one that was cut included.
    pub tool_spans: u16,
    /// All other tokens: the answer, start markers, the end of sequence.
    pub output_tokens: u32,
    /// Whether and why a thought was ended by force; the last one, where several were.
    pub forced: Option<Forced>,
}

/// That a thought was ended by force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Forced {
    /// Why.
    pub reason: BudgetForceReason,
    /// The token with which it was: its number among all of the request's, from 1; 0 where the budget was nothing at
    /// registration.
    pub at_token: u32,
}
