//! What can be wrong with a config, or with the name of a phase: the field, the value, the rule it
//! breaks, and the way out.

use std::fmt;

use thiserror::Error;

use crate::{Format, FormatId, PhaseRouterConfig, RequestKey};

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
    #[error("`{field}` is {value}; it must be {}", field.rule())]
    Threshold {
        /// Which threshold it is.
        field: ThresholdField,
        /// The rejected value.
        value: f32,
    },
    /// A number of transitions that no moving average can tell.
    #[error(
        "`overthinking.min_transitions` is {min_transitions}, with an `ema_alpha` of {ema_alpha}; it must be at least 1, and (1 - ema_alpha)^(min_transitions - 1) at least 0.001: ask for fewer, or keep more of earlier samples"
    )]
    Transitions {
        /// The rejected number.
        min_transitions: u32,
        /// The weight of a new sample.
        ema_alpha: f32,
    },
    /// More formats than there are numbers for.
    #[error(
        "there are {formats} formats; there may be {max}: use a router for some of them",
        max = PhaseRouterConfig::MAX_FORMATS
    )]
    TooManyFormats {
        /// How many there are.
        formats: usize,
    },
    /// Two formats that nobody could choose between.
    #[error(
        "two formats are named {name:?}; names must differ: rename one, or leave it without a name"
    )]
    FormatNamedTwice {
        /// The name.
        name: String,
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
        "`{starts}` has {start_markers} markers and there is none to end it; what can start must be able to end: add an end marker, or leave out the start markers"
    )]
    NoEndMarker {
        /// The list of what can start.
        starts: MarkerKind,
        /// How many start markers there are.
        start_markers: usize,
    },
    /// More tokens than there are numbers for.
    #[error(
        "the markers have {total} tokens in all; they may have {max}: use fewer, or shorter ones",
        max = Format::MAX_MARKER_TOKENS
    )]
    TooManyMarkerTokens {
        /// How many they have.
        total: usize,
    },
    /// What prefill passes over is compared with one token.
    #[error(
        "`skipped[{index}]` has {tokens} tokens; it must be one: leave it out, or list its tokens one by one"
    )]
    SkippedNotOneToken {
        /// Its place in the list, from 0.
        index: usize,
        /// How many tokens it has.
        tokens: usize,
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
    /// [`Converged::max_variance`](crate::Converged::max_variance).
    MaxVariance,
    /// [`Converged::min_mass`](crate::Converged::min_mass).
    MinMass,
    /// [`Overthinking::min_index`](crate::Overthinking::min_index).
    MinIndex,
}

impl ThresholdField {
    pub(crate) fn accepts(self, value: f32) -> bool {
        value.is_finite()
            && match self {
                Self::TransitionEntropy | Self::MinIndex => value >= 0.0,
                Self::MaxVariance => value > 0.0,
                Self::MinMass => (0.0..=1.0).contains(&value),
            }
    }

    const fn rule(self) -> &'static str {
        match self {
            Self::TransitionEntropy => {
                "finite and not negative; to count no token as a transition, use `f32::MAX`"
            }
            Self::MaxVariance => "finite and above 0; to force nothing for convergence, use `None`",
            Self::MinMass => "a probability, from 0 to 1",
            Self::MinIndex => {
                "finite and not negative; to force nothing for overthinking, use `None`"
            }
        }
    }
}

impl fmt::Display for ThresholdField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TransitionEntropy => "transition_entropy_threshold",
            Self::MaxVariance => "converged.max_variance",
            Self::MinMass => "converged.min_mass",
            Self::MinIndex => "overthinking.min_index",
        })
    }
}

/// What a marker marks. Displays as the name of the format's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MarkerKind {
    /// [`Format::think_start`].
    ThinkStart,
    /// [`Format::think_end`].
    ThinkEnd,
    /// [`Format::tool_start`].
    ToolStart,
    /// [`Format::tool_end`].
    ToolEnd,
    /// [`Format::eos`].
    Eos,
}

impl MarkerKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::ThinkStart,
        Self::ThinkEnd,
        Self::ToolStart,
        Self::ToolEnd,
        Self::Eos,
    ];
}

impl fmt::Display for MarkerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ThinkStart => "think_start",
            Self::ThinkEnd => "think_end",
            Self::ToolStart => "tool_start",
            Self::ToolEnd => "tool_end",
            Self::Eos => "eos",
        })
    }
}

/// A text that is not what a [`PhaseKind`](crate::PhaseKind) displays as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} names no phase; write `prefill`, `think_decode`, `output_decode`, `tool_call` or `complete`, in lower case"
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

/// A request that cannot be tracked. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrackError {
    /// Somebody drives it, by key or by handle.
    #[error("request {key} is tracked already: it has to be reaped first, whoever drives it")]
    Tracked {
        /// The request.
        key: RequestKey,
    },
    /// What is to be forked, or moved, is not there.
    #[error("request {key} is not tracked: it was reaped, or never registered")]
    NotTracked {
        /// The request.
        key: RequestKey,
    },
    /// The format is another router's.
    #[error("there is no format {format:?}: take one from `PhaseRouter::format` of this router")]
    NoSuchFormat {
        /// The format that was named.
        format: FormatId,
    },
    /// The state to go on with is of a format that this router does not have, or of none at all.
    #[error(
        "the state is of a format with other markers than any of this router's: configure both alike"
    )]
    OtherMarkers,
}

/// A token, or a change, that a request did not take. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum NotFed {
    /// No such request, or none any more.
    #[error("the request is not tracked: it was reaped, or never registered")]
    NotTracked,
    /// A handle drives it, and nobody else may.
    #[error("the request is driven by its handle: feed it there")]
    HandleDriven,
    /// Another thread is inside a token of this request, and has not come to run for some milliseconds.
    #[error("another thread is in the middle of a token of this request: feed it again later")]
    Busy,
    /// The state to go back to is of a format with other markers.
    #[error("the state is of a format with other markers than this request's")]
    OtherMarkers,
}
