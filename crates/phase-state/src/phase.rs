//! What goes into the machine besides tokens, and what comes out of it.
//!
//! # Design
//!
//! Plain `Copy` values. [`ThinkPhase`] is a picture of a request, made when somebody asks for it;
//! the machine does not work on it.
//!
//! # Why
//!
//! An enum with fields is what a reader wants and what a cell of atomics does not: so the one is
//! made from the other.
//!
//! # Invariants
//!
//! [`PhaseKind`] orders as requests go through the phases.

use std::{fmt, str::FromStr};

use crate::ParsePhaseKindError;

/// What an engine can tell about the distribution that a token was drawn from.
///
/// Optional on each token. Both numbers are those of the distribution *before* sampling parameters
/// (temperature, top-p) are applied, or always after; mixing the two makes thresholds meaningless.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EntropySignal {
    /// Shannon entropy of the distribution, in nats: from 0 to the logarithm of the vocabulary's
    /// size.
    pub token_entropy: f32,
    /// Probability mass on the end of the thinking, from 0 to 1: of the end marker's first token,
    /// where it has several.
    pub end_mass: f32,
}

impl EntropySignal {
    /// Whether this can be computed with: no NaN, no infinity, and an `end_mass` whose square is finite.
    ///
    /// A signal that is not counts as none at all. Numbers out of their range are taken as they
    /// are, for rounding alone may carry a sum of probabilities over 1.
    #[must_use]
    #[inline]
    pub fn is_finite(&self) -> bool {
        self.token_entropy.is_finite() && (self.end_mass * self.end_mass).is_finite()
    }
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum ThinkPhase {
    /// No token has decided yet whether the request thinks or answers.
    Prefill,
    /// Within a thinking span.
    ThinkDecode {
        /// Tokens of this span so far. Saturates.
        tokens_so_far: u32,
        /// Exponential moving average of [`EntropySignal::end_mass`]; 0.5 before the first sample.
        end_mass_ema: f32,
        /// The same of its square; 0.25 before the first sample.
        end_mass_sq_ema: f32,
        /// Exponential moving average of the transition indicator; 0 before the first sample.
        rpdi_local: f32,
        /// Running mean of the transition indicator; 0 before the first sample. See [`Overthinking`](crate::Overthinking).
        rpdi_global: f32,
        /// Whether the end of this span has been forced and has not come yet.
        force_in_progress: bool,
    },
    /// Answering.
    OutputDecode {
        /// Tokens of all thinking spans before, end markers included. Saturates.
        think_tokens_used: u32,
    },
    /// Within a tool call.
    ToolCall {
        /// Tokens of this call so far. Saturates.
        tokens_so_far: u32,
    },
    /// The sequence has ended. Tokens that come after change nothing. What it came to is kept until the request is reaped:
    /// [`PhaseRouter::summary_of`](crate::PhaseRouter::summary_of).
    Complete,
}

impl ThinkPhase {
    /// Which phase it is, without its numbers.
    pub const fn kind(&self) -> PhaseKind {
        match self {
            Self::Prefill => PhaseKind::Prefill,
            Self::ThinkDecode { .. } => PhaseKind::ThinkDecode,
            Self::OutputDecode { .. } => PhaseKind::OutputDecode,
            Self::ToolCall { .. } => PhaseKind::ToolCall,
            Self::Complete => PhaseKind::Complete,
        }
    }
}

/// A phase without its numbers.
///
/// Orders as requests go through them. `Display` and [`FromStr`] use [`as_str`](Self::as_str).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
#[non_exhaustive]
pub enum PhaseKind {
    /// See [`ThinkPhase::Prefill`].
    Prefill,
    /// See [`ThinkPhase::ThinkDecode`].
    ThinkDecode,
    /// See [`ThinkPhase::OutputDecode`].
    OutputDecode,
    /// See [`ThinkPhase::ToolCall`].
    ToolCall,
    /// See [`ThinkPhase::Complete`].
    Complete,
}

impl PhaseKind {
    /// Every kind, in order.
    pub const ALL: [Self; 5] = [
        Self::Prefill,
        Self::ThinkDecode,
        Self::OutputDecode,
        Self::ToolCall,
        Self::Complete,
    ];

    /// `prefill`, `think_decode`, `output_decode`, `tool_call` or `complete`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::ThinkDecode => "think_decode",
            Self::OutputDecode => "output_decode",
            Self::ToolCall => "tool_call",
            Self::Complete => "complete",
        }
    }
}

impl fmt::Display for PhaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PhaseKind {
    type Err = ParsePhaseKindError;

    /// # Errors
    ///
    /// [`ParsePhaseKindError`] for any text but the five of [`PhaseKind::as_str`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ParsePhaseKindError::new(text))
    }
}

/// The phase in which a request is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum StartPhase {
    /// The first token that comes decides, or by its [format](crate::Format::spans) a later one.
    #[default]
    Prefill,
    /// The chat template has put the start marker into the prompt: the first token is thinking.
    ThinkDecode,
}

/// What a token did to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
#[non_exhaustive]
pub enum PhaseEvent {
    /// Nothing that the engine has to know about.
    Unchanged,
    /// The token completed a start marker: thinking begins with the next one.
    EnterThink,
    /// The token completed an end marker: answering begins with the next one.
    ExitThink {
        /// Tokens of the span that ended, the marker's included. Saturates.
        tokens_used: u32,
    },
    /// The request is thinking, and the engine has to end it: inject what is left of the end marker
    /// ([`PhaseRouter::injection`](crate::PhaseRouter::injection)), and feed that as it feeds any other token. At most once a
    /// span.
    ///
    /// Comes with the start marker itself, in the place of [`EnterThink`](Self::EnterThink), where nothing is left of the
    /// budget. Does not come while an end marker is under way, unless that takes longer than the marker is long.
    ForceBudget {
        /// What is left to inject.
        injection: Injection,
        /// Why.
        reason: BudgetForceReason,
    },
    /// The token completed the start marker of a tool call, which begins with the next one.
    EnterTool,
    /// The token completed the end marker of a tool call: answering goes on with the next one.
    ExitTool {
        /// Tokens of the call, the marker's included. Saturates.
        tokens_used: u32,
    },
    /// The token completed an end-of-sequence marker.
    Complete,
}

/// What is left to inject of an end marker, as an event names it; [`PhaseRouter::injection`](crate::PhaseRouter::injection)
/// and [`RequestHandle::injection`](crate::RequestHandle::injection) have the tokens. By default all of the first marker
/// of the first format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Injection {
    pub(crate) format: FormatId,
    /// Which of the format's end markers.
    pub(crate) marker: u16,
    /// How many of its tokens have come.
    pub(crate) done: u16,
}

/// One of a router's formats: [`PhaseRouter::format`](crate::PhaseRouter::format). The first one by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FormatId(pub(crate) u16);

/// Why a thinking span is ended by force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
#[non_exhaustive]
pub enum BudgetForceReason {
    /// The mass on the end marker is high, and has stopped moving. See [`Converged`](crate::Converged).
    Converged,
    /// The model turns around much more often than it did before. See [`Overthinking`](crate::Overthinking).
    Overthinking,
    /// The budget is used up: [`max_think_tokens`](crate::PhaseRouterConfig::max_think_tokens), or the request's own.
    HardCap,
}

impl BudgetForceReason {
    /// `converged`, `overthinking` or `hard_cap`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Overthinking => "overthinking",
            Self::HardCap => "hard_cap",
        }
    }
}

impl fmt::Display for BudgetForceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
