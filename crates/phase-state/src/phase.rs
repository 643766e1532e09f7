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
    pub eat: f32,
}

impl EntropySignal {
    /// Whether this can be computed with: no NaN, no infinity, and an `eat` whose square is finite.
    ///
    /// A signal that is not counts as none at all. Numbers out of their range are taken as they
    /// are, for rounding alone may carry a sum of probabilities over 1.
    #[must_use]
    #[inline]
    pub fn is_finite(&self) -> bool {
        self.token_entropy.is_finite() && (self.eat * self.eat).is_finite()
    }
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub enum ThinkPhase {
    /// No token has decided yet whether the request thinks or answers.
    Prefill,
    /// Within a thinking span.
    ThinkDecode {
        /// Tokens of this span so far. Saturates.
        tokens_so_far: u32,
        /// Exponential moving average of [`EntropySignal::eat`]; 0.5 before the first sample.
        eat_ema: f32,
        /// The same of its square; 0.25 before the first sample.
        eat_ema_sq: f32,
        /// Exponential moving average of the transition indicator; 0 before the first sample.
        rpdi_local: f32,
        /// Running mean of the transition indicator; 0 before the first sample. See
        /// [`PhaseRouterConfig::rpdi_threshold`](crate::PhaseRouterConfig::rpdi_threshold).
        rpdi_global: f32,
        /// Whether the end of this span has been forced and has not come yet.
        force_in_progress: bool,
    },
    /// Answering.
    OutputDecode {
        /// Tokens of all thinking spans before, end markers included. Saturates.
        think_tokens_used: u32,
    },
    /// The sequence has ended. Tokens that come after change nothing.
    Complete,
}

impl ThinkPhase {
    /// Which phase it is, without its numbers.
    pub const fn kind(&self) -> PhaseKind {
        match self {
            Self::Prefill => PhaseKind::Prefill,
            Self::ThinkDecode { .. } => PhaseKind::ThinkDecode,
            Self::OutputDecode { .. } => PhaseKind::OutputDecode,
            Self::Complete => PhaseKind::Complete,
        }
    }
}

/// A phase without its numbers.
///
/// Orders as requests go through them. `Display` and [`FromStr`] use [`as_str`](Self::as_str).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use]
pub enum PhaseKind {
    /// See [`ThinkPhase::Prefill`].
    Prefill,
    /// See [`ThinkPhase::ThinkDecode`].
    ThinkDecode,
    /// See [`ThinkPhase::OutputDecode`].
    OutputDecode,
    /// See [`ThinkPhase::Complete`].
    Complete,
}

impl PhaseKind {
    const ALL: [Self; 4] = [
        Self::Prefill,
        Self::ThinkDecode,
        Self::OutputDecode,
        Self::Complete,
    ];

    /// `prefill`, `think_decode`, `output_decode` or `complete`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::ThinkDecode => "think_decode",
            Self::OutputDecode => "output_decode",
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
    /// [`ParsePhaseKindError`] for any text but the four of [`PhaseKind::as_str`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ParsePhaseKindError::new(text))
    }
}

/// The phase in which a request is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum StartPhase {
    /// The first token that comes decides.
    #[default]
    Prefill,
    /// The chat template has put the start marker into the prompt: the first token is thinking.
    ThinkDecode,
}

/// What a token did to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
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
    /// The engine has to end the span: inject the end marker, and feed it as it feeds any other
    /// token. At most once a span.
    ForceBudget {
        /// The first token of the first end marker. Where that marker has several, inject them all.
        inject_token: u32,
        /// Why.
        reason: BudgetForceReason,
    },
    /// The token completed an end-of-sequence marker.
    Complete,
    /// This request is driven by its handle, and the token was fed by key: nothing was changed.
    HandleDriven,
}

/// Why a thinking span is ended by force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use]
#[non_exhaustive]
pub enum BudgetForceReason {
    /// The mass on the end marker has stopped moving. See
    /// [`eat_ema_variance_threshold`](crate::PhaseRouterConfig::eat_ema_variance_threshold).
    Converged,
    /// The model turns around much more often than it did before. See
    /// [`rpdi_threshold`](crate::PhaseRouterConfig::rpdi_threshold).
    Overthinking,
    /// The budget is used up. See
    /// [`max_think_tokens`](crate::PhaseRouterConfig::max_think_tokens).
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
