//! When a request thinks, answers and ends, and when its thinking has been enough.
//!
//! # Design
//!
//! Plain data with public fields. Nothing is checked until [`validate`](PhaseRouterConfig::validate),
//! which whoever builds on a config calls first; so a literal with `..`, a file and a change to one
//! field are all one way of making one.
//!
//! # Why
//!
//! *Markers are compared across kinds.* An end marker that is also an end-of-sequence marker would
//! do no harm to the machine, which never looks for both in one phase. It is refused all the same:
//! a sequence of tokens that means one thing in one phase and another in the next is mostly a slip,
//! and one rule is easier to keep than a table of pairs.
//!
//! # Invariants
//!
//! In a config that validates, every marker can be completed: none is empty, and none begins with
//! another. Those that lie *within* another are allowed, see
//! [`think_start_markers`](PhaseRouterConfig::think_start_markers).

use crate::{ConfigError, MarkerKind, ThresholdField};

/// When a request thinks, answers and ends, and when its thinking has been enough.
///
/// ```
/// use phase_state::PhaseRouterConfig;
///
/// // Any number of markers, of one token each.
/// let config = PhaseRouterConfig::with_marker_ids([151_667], [151_668], [151_643, 151_645]);
/// config.validate()?;
///
/// // Or of several: a literal.
/// let config = PhaseRouterConfig {
///     think_start_markers: vec![vec![27, 26865, 29]],
///     think_end_markers: vec![vec![522, 26865, 29]],
///     eos_markers: vec![vec![151_645]],
///     max_think_tokens: 8_192,
///     ..PhaseRouterConfig::default()
/// };
/// config.validate()?;
/// # Ok::<(), phase_state::ConfigError>(())
/// ```
///
/// # Serde
///
/// With the feature `serde`: a missing field takes its default, an unknown one is an error.
/// Deserializing does not validate.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use]
pub struct PhaseRouterConfig {
    /// Weight of a new sample in the three exponential moving averages: `ema = alpha * x +
    /// (1 - alpha) * ema`. No unit, above 0 and at most 1; 0.05 by default, about the last 20
    /// *samples*, however many tokens lie between them.
    pub ema_alpha: f32,

    /// A token with a sample is a *transition* when its entropy is above this. In nats, finite and
    /// not negative; 2.5 by default.
    ///
    /// Source: the high-entropy transition tokens of arXiv:2603.14251, "Mitigating Overthinking in
    /// Large Reasoning Language Models via Reasoning Path Deviation Monitoring".
    pub transition_entropy_threshold: f32,

    /// A span is *overthinking* when the reasoning path deviation index, `rpdi_local /
    /// rpdi_global`, is above this and `rpdi_global` above 0.001. A ratio, finite and not negative;
    /// 3 by default.
    ///
    /// Source: the ratio of the local to the global frequency of transitions is that of
    /// arXiv:2603.14251. Here `rpdi_local` is the moving average of the indicator (1 for a
    /// transition, 0 for another token with a sample), and `rpdi_global` its running mean: `mean +=
    /// (indicator - mean) / n` on the span's `n`th token, where that token has a sample. With a
    /// sample on every token this is the mean over the span. With one on every `k`th token it comes
    /// near the frequency among sampled tokens from below, slowly: after 512 tokens with `k = 4` it
    /// is a quarter short of it, so that the index reads a third too high. Raise the threshold where
    /// samples are rare.
    pub rpdi_threshold: f32,

    /// A span has *converged* when `max(0, eat_ema_sq - eat_ema^2)`, the variance of
    /// [`EntropySignal::eat`](crate::EntropySignal::eat) under the moving average, is below this. In
    /// squared probability mass, finite and not negative; 0.001 by default, a standard deviation of
    /// 0.03. At 0 nothing converges.
    ///
    /// Source: the stopping rule of arXiv:2509.26522, "Entropy After `</Think>` for reasoning model
    /// early exiting", a threshold on the variance under an exponential moving average. The signal
    /// is another: the paper takes the entropy after an appended end marker, in nats, which costs a
    /// forward pass; here it is the mass on the marker, which an engine has anyway. So the paper's
    /// thresholds do not carry over.
    pub eat_ema_variance_threshold: f32,

    /// The floor: neither overthinking nor convergence is judged before more tokens than this, of
    /// one span. In tokens, at most the cap; 512 by default.
    ///
    /// Counted anew in each span, for the averages begin anew as well, and look converged at first.
    pub min_think_tokens: u32,

    /// The cap: at so many tokens a span is ended by force. In tokens; 32,768 by default.
    ///
    /// Counted over all spans of a request: with the budget used up, a further span is ended at its
    /// first token.
    pub max_think_tokens: u32,

    /// Token sequences that start a thinking span. None by default.
    ///
    /// In all three lists: a marker has one token or several, is found wherever it comes up, and
    /// shares no token with the marker found before it. The marker that ends first counts; of two
    /// that end on the same token, the longer. So one that lies within another (neither at its
    /// beginning, which is refused, nor at its end) hides it in phases that look for both. *Prefill*
    /// looks for start and end-of-sequence markers, *think* for end markers alone, *output* for
    /// end-of-sequence markers and, with [`reentry`](Self::reentry), for start markers.
    ///
    /// Up to four different first tokens in a phase are compared directly; more cost a search in a
    /// small tree on each token.
    pub think_start_markers: Vec<Vec<u32>>,

    /// Token sequences that end a thinking span; the first of them is the one to inject. None by
    /// default, which goes with no start marker only.
    ///
    /// Without any, a request that is registered in the thinking phase stays in it, and nothing is
    /// forced on it: there would be nothing to inject.
    pub think_end_markers: Vec<Vec<u32>>,

    /// Token sequences that complete a request, outside of thinking. None by default.
    ///
    /// Within a span they are tokens like any other. An engine that stops there reaps the request.
    pub eos_markers: Vec<Vec<u32>>,

    /// Whether a start marker in the answer begins another span (think, answer, tool call, think
    /// again). Off by default: then it is a token of the answer.
    pub reentry: bool,
}

impl Default for PhaseRouterConfig {
    fn default() -> Self {
        Self {
            ema_alpha: 0.05,
            transition_entropy_threshold: 2.5,
            rpdi_threshold: 3.0,
            eat_ema_variance_threshold: 0.001,
            min_think_tokens: 512,
            max_think_tokens: 32_768,
            think_start_markers: Vec::new(),
            think_end_markers: Vec::new(),
            eos_markers: Vec::new(),
            reentry: false,
        }
    }
}

impl PhaseRouterConfig {
    /// Tokens that all markers together may have: a place in a marker takes 12 bits of a request's state.
    pub const MAX_MARKER_TOKENS: usize = 4_095;

    /// The default, with markers of one token each.
    pub fn with_marker_ids(
        starts: impl IntoIterator<Item = u32>,
        ends: impl IntoIterator<Item = u32>,
        eos: impl IntoIterator<Item = u32>,
    ) -> Self {
        Self {
            think_start_markers: starts.into_iter().map(|id| vec![id]).collect(),
            think_end_markers: ends.into_iter().map(|id| vec![id]).collect(),
            eos_markers: eos.into_iter().map(|id| vec![id]).collect(),
            ..Self::default()
        }
    }

    /// Whether requests can be driven by this config.
    ///
    /// Sorts the markers: `O(n log n)` comparisons, one allocation.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], whose variants are the rules, for the first one that is broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let value = self.ema_alpha;
        // Negated, so that a NaN does not pass.
        if !(value > 0.0 && value <= 1.0) {
            return Err(ConfigError::Alpha { value });
        }
        for (field, value) in [
            (
                ThresholdField::TransitionEntropy,
                self.transition_entropy_threshold,
            ),
            (ThresholdField::Rpdi, self.rpdi_threshold),
            (
                ThresholdField::EatEmaVariance,
                self.eat_ema_variance_threshold,
            ),
        ] {
            if !value.is_finite() || value < 0.0 {
                return Err(ConfigError::Threshold { field, value });
            }
        }
        let (min, max) = (self.min_think_tokens, self.max_think_tokens);
        if min > max {
            return Err(ConfigError::MinAboveMax { min, max });
        }
        self.validate_markers()
    }

    fn validate_markers(&self) -> Result<(), ConfigError> {
        let mut markers: Vec<(&[u32], MarkerKind, usize)> = [
            MarkerKind::ThinkStart,
            MarkerKind::ThinkEnd,
            MarkerKind::Eos,
        ]
        .into_iter()
        .flat_map(|kind| {
            let markers = self.markers(kind).iter().enumerate();
            markers.map(move |(index, marker)| (&marker[..], kind, index))
        })
        .collect();
        if let Some(&(_, kind, index)) = markers.iter().find(|(marker, ..)| marker.is_empty()) {
            return Err(ConfigError::EmptyMarker { kind, index });
        }
        let start_markers = self.think_start_markers.len();
        if start_markers > 0 && self.think_end_markers.is_empty() {
            return Err(ConfigError::NoEndMarker { start_markers });
        }
        let total = markers.iter().map(|(marker, ..)| marker.len()).sum();
        if total > Self::MAX_MARKER_TOKENS {
            return Err(ConfigError::TooManyMarkerTokens { total });
        }
        // All that begin with a marker sort right behind it: neighbours are enough.
        markers.sort_unstable();
        for pair in markers.windows(2) {
            let [(marker, kind, index), (other, other_kind, other_index)] = *pair else {
                continue;
            };
            if other.starts_with(marker) {
                return Err(ConfigError::PrefixOfAnother {
                    kind,
                    index,
                    marker: marker.iter().copied().take(16).collect(),
                    other_kind,
                    other_index,
                });
            }
        }
        Ok(())
    }

    /// The markers of one kind.
    pub(crate) fn markers(&self, kind: MarkerKind) -> &[Vec<u32>] {
        match kind {
            MarkerKind::ThinkStart => &self.think_start_markers,
            MarkerKind::ThinkEnd => &self.think_end_markers,
            MarkerKind::Eos => &self.eos_markers,
        }
    }
}
