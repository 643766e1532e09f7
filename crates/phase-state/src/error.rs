//! What can be wrong with a config, or with the name of a phase: the field, the value, the rule it
//! breaks, and the way out.

use std::fmt;

use thiserror::Error;

use crate::{PhaseRouterConfig, RequestKey};

/// A config that no request can be driven by.
///
/// The first rule that is broken, in the order of the variants. `PartialEq` compares a NaN as
/// floats do: an error that carries one equals nothing.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The weight of a new sample is no weight.
    #[error(
        "`ema_alpha` is {value}; it must be above 0 and at most 1, where 1 keeps nothing of earlier samples (the default is 0.05)"
    )]
    Alpha {
        /// The rejected weight.
        value: f32,
    },
    /// A threshold that nothing can be compared with.
    #[error("`{field}` is {value}; it must be finite and not negative; {}", field.way_out())]
    Threshold {
        /// Which threshold it is.
        field: ThresholdField,
        /// The rejected value.
        value: f32,
    },
    /// The budget ends before it can be used.
    #[error(
        "`min_think_tokens` is {min} and `max_think_tokens` {max}; the floor must not be above the cap: lower the one or raise the other"
    )]
    MinAboveMax {
        /// `min_think_tokens`.
        min: u32,
        /// `max_think_tokens`.
        max: u32,
    },
    /// A marker without tokens would end on every token.
    #[error("`{kind}[{index}]` is empty; a marker has at least one token: leave it out")]
    EmptyMarker {
        /// The list it is in.
        kind: MarkerKind,
        /// Its place in the list, from 0.
        index: usize,
    },
    /// Requests would begin to think and could never end, by themselves or by force.
    #[error(
        "`think_start_markers` has {start_markers} and `think_end_markers` none; what can start must be able to end: add an end marker, or leave out the start markers"
    )]
    NoEndMarker {
        /// How many start markers there are.
        start_markers: usize,
    },
    /// More tokens than there are numbers for.
    #[error(
        "the markers have {total} tokens in all; they may have {max}: use fewer, or shorter ones",
        max = PhaseRouterConfig::MAX_MARKER_TOKENS
    )]
    TooManyMarkerTokens {
        /// How many they have.
        total: usize,
    },
    /// The longer of two markers can never be told from the shorter one.
    #[error(
        "`{kind}[{index}]`, {marker:?}, is a prefix of `{other_kind}[{other_index}]` or equal to it; a sequence of tokens must mean one thing: leave out one of the two"
    )]
    PrefixOfAnother {
        /// The list that the shorter one is in.
        kind: MarkerKind,
        /// Its place in the list, from 0.
        index: usize,
        /// Its tokens, all of them or the first 16.
        marker: Box<[u32]>,
        /// The list that the longer one is in.
        other_kind: MarkerKind,
        /// Its place in the list, from 0.
        other_index: usize,
    },
}

/// A threshold of a [`PhaseRouterConfig`]. Displays as the name of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ThresholdField {
    /// [`PhaseRouterConfig::transition_entropy_threshold`].
    TransitionEntropy,
    /// [`PhaseRouterConfig::rpdi_threshold`].
    Rpdi,
    /// [`PhaseRouterConfig::eat_ema_variance_threshold`].
    EatEmaVariance,
}

impl ThresholdField {
    const fn way_out(self) -> &'static str {
        match self {
            Self::TransitionEntropy => "to count no token as a transition, use `f32::MAX`",
            Self::Rpdi => "to force nothing for overthinking, use `f32::MAX`",
            Self::EatEmaVariance => "to force nothing for convergence, use 0",
        }
    }
}

impl fmt::Display for ThresholdField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TransitionEntropy => "transition_entropy_threshold",
            Self::Rpdi => "rpdi_threshold",
            Self::EatEmaVariance => "eat_ema_variance_threshold",
        })
    }
}

/// What a marker marks. Displays as the name of the config's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkerKind {
    /// [`PhaseRouterConfig::think_start_markers`].
    ThinkStart,
    /// [`PhaseRouterConfig::think_end_markers`].
    ThinkEnd,
    /// [`PhaseRouterConfig::eos_markers`].
    Eos,
}

impl fmt::Display for MarkerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ThinkStart => "think_start_markers",
            Self::ThinkEnd => "think_end_markers",
            Self::Eos => "eos_markers",
        })
    }
}

/// A text that is not what a [`PhaseKind`](crate::PhaseKind) displays as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} names no phase; write `prefill`, `think_decode`, `output_decode` or `complete`, in lower case"
)]
#[non_exhaustive]
pub struct ParsePhaseKindError {
    /// The rejected text, all of it or its first 64 characters.
    pub text: Box<str>,
}

impl ParsePhaseKindError {
    pub(crate) fn new(text: &str) -> Self {
        // An error must not carry (or log) a megabyte that somebody sent.
        Self {
            text: text.chars().take(64).collect(),
        }
    }
}

/// A request that cannot be tracked by a handle, since it is tracked already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "request {key} is tracked already: one that is driven by key or by another handle has to be reaped first"
)]
#[non_exhaustive]
pub struct TrackError {
    /// The request.
    pub key: RequestKey,
}
