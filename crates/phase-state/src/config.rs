//! What a router goes by: the formats of its requests, and when a thought has been enough.
//!
//! # Design
//!
//! Plain data with public fields. Nothing is checked until [`validate`](PhaseRouterConfig::validate),
//! which whoever builds on a config calls first; so a literal with `..`, a file and a change to one
//! field are all one way of making one.
//!
//! # Why
//!
//! *Both rules on samples are off unless configured.* What they see depends on what the engine measures, and with thresholds
//! that fit no model they end nearly every thought.
//!
//! # Invariants
//!
//! A config that validates has a format at least, or none and then one without markers; and no rule that can never fire.

use crate::{ConfigError, Format, ThresholdField};

/// What a router goes by: the formats of its requests, and when a thought has been enough.
///
/// ```
/// use phase_state::{Converged, PhaseRouterConfig};
///
/// let config = PhaseRouterConfig {
///     max_think_tokens: 8_192,
///     converged: Some(Converged::default()),
///     ..PhaseRouterConfig::with_marker_ids([151_667], [151_668], [151_643, 151_645])
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
    /// The formats of requests; the first is the one of a request that names none. None by default: then all is output.
    ///
    /// Names must differ, where they are not empty.
    pub formats: Vec<Format>,

    /// The cap: at so many tokens a thought is ended by force. In tokens; 32,768 by default; 0 means no thinking.
    ///
    /// Counted over all thoughts of a request. With nothing left of it, the end is due with the start marker. A request may
    /// have a smaller one of its own, see [`Registration::budget`](crate::Registration::budget).
    pub max_think_tokens: u32,

    /// The floor: neither of the two rules on samples is asked before more tokens than this, of one thought. In tokens, at
    /// most the cap; 512 by default.
    ///
    /// Counted anew in each thought, for the averages begin anew as well, and look settled at first.
    pub min_think_tokens: u32,

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

    /// When a thought has made up its mind; never by default.
    pub converged: Option<Converged>,

    /// When a thought has lost its way; never by default.
    pub overthinking: Option<Overthinking>,
}

/// A thought has converged when the mass on its end marker is high *and* stays where it is.
///
/// Sees [`EntropySignal::end_mass`](crate::EntropySignal::end_mass) alone, under the moving average: both its mean must be
/// at least `min_mass`, and `max(0, mean of squares - mean^2)`, its variance, below `max_variance`. Either alone says
/// nothing. In mid-thought the mass sits near 0, where it has no variance; and at a marker that the model only considers, it
/// peaks. Where samples are rare, the average is of the last 20 samples all the same.
///
/// Source: the stopping rule of arXiv:2509.26522, "Entropy After `</Think>` for reasoning model early exiting", a threshold
/// on the variance under an exponential moving average. The signal is another: the paper takes the entropy after an
/// appended end marker, in nats, which costs a forward pass; here it is the mass on the marker, which an engine has anyway. So
/// the paper's thresholds do not carry over, and the mean is ours.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Converged {
    /// In squared probability mass, finite, above 0; 0.001 by default, a standard deviation of 0.03.
    pub max_variance: f32,
    /// A probability, from 0 to 1; 0.5 by default. At 0 a thought that never thinks of its end has converged.
    pub min_mass: f32,
}

impl Default for Converged {
    fn default() -> Self {
        Self {
            max_variance: 0.001,
            min_mass: 0.5,
        }
    }
}

/// A thought has lost its way when it turns around much more often of late than over its length.
///
/// Sees which tokens with a sample are transitions, by
/// [`transition_entropy_threshold`](PhaseRouterConfig::transition_entropy_threshold). `rpdi_local` is the moving average of that
/// indicator, and `rpdi_global` its running mean: `mean += (indicator - mean) / n` on the thought's `n`th token, where that
/// token has a sample. Both of these must hold:
///
/// - `rpdi_local / rpdi_global`, the reasoning path deviation index, is above `min_index`;
/// - `rpdi_local` is above `1 - (1 - alpha)^(min_transitions - 1)`, which no fewer than `min_transitions` tokens bring about, one
///   right after the other. Where transitions are rare the index alone is above any threshold after a single one.
///
/// With a sample on every token the running mean is the mean over the thought. With one on every `k`th token it comes near the
/// frequency among sampled tokens from below, slowly: after 512 tokens with `k = 4` it is a quarter short of it, so that
/// the index reads a third too high. Raise `min_index` where samples are rare.
///
/// Source: the ratio of the local to the global frequency of transitions is that of arXiv:2603.14251; the least number is
/// ours.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Overthinking {
    /// A ratio, finite and not negative; 3 by default.
    pub min_index: f32,
    /// At least 1; 5 by default. As many as the moving average can tell from all: for an alpha of 0.05 that is 135.
    pub min_transitions: u32,
}

impl Default for Overthinking {
    fn default() -> Self {
        Self {
            min_index: 3.0,
            min_transitions: 5,
        }
    }
}

impl Overthinking {
    /// What is left of the moving average's reach above `min_transitions - 1` transitions in a row.
    fn reach(self, alpha: f32) -> f32 {
        let before = self.min_transitions.saturating_sub(1);
        (1.0 - alpha).powi(i32::try_from(before).unwrap_or(i32::MAX))
    }

    /// What `rpdi_local` has to be above.
    pub(crate) fn least_local(self, alpha: f32) -> f32 {
        1.0 - self.reach(alpha)
    }
}

impl Default for PhaseRouterConfig {
    fn default() -> Self {
        Self {
            formats: Vec::new(),
            max_think_tokens: 32_768,
            min_think_tokens: 512,
            ema_alpha: 0.05,
            transition_entropy_threshold: 2.5,
            converged: None,
            overthinking: None,
        }
    }
}

/// The default, with one format.
impl From<Format> for PhaseRouterConfig {
    fn from(format: Format) -> Self {
        Self {
            formats: vec![format],
            ..Self::default()
        }
    }
}

impl PhaseRouterConfig {
    /// As many formats as there are numbers for.
    pub const MAX_FORMATS: usize = 1 << 10;

    /// The default, with one format of markers of one token each: [`Format::with_marker_ids`].
    pub fn with_marker_ids(
        starts: impl IntoIterator<Item = u32>,
        ends: impl IntoIterator<Item = u32>,
        eos: impl IntoIterator<Item = u32>,
    ) -> Self {
        Format::with_marker_ids(starts, ends, eos).into()
    }

    /// Whether requests can be driven by this config.
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
        let converged = self.converged.unwrap_or_default();
        let overthinking = self.overthinking.unwrap_or_default();
        for (field, value) in [
            (
                ThresholdField::TransitionEntropy,
                self.transition_entropy_threshold,
            ),
            (ThresholdField::MaxVariance, converged.max_variance),
            (ThresholdField::MinMass, converged.min_mass),
            (ThresholdField::MinIndex, overthinking.min_index),
        ] {
            if !field.accepts(value) {
                return Err(ConfigError::Threshold { field, value });
            }
        }
        // A thousandth: below that an average of floats comes up to its limit.
        if let Some(rule) = self.overthinking
            && (rule.min_transitions == 0 || rule.reach(self.ema_alpha) < 0.001)
        {
            return Err(ConfigError::Transitions {
                min_transitions: rule.min_transitions,
                ema_alpha: self.ema_alpha,
            });
        }
        let (min, max) = (self.min_think_tokens, self.max_think_tokens);
        if min > max {
            return Err(ConfigError::MinAboveMax { min, max });
        }
        if self.formats.len() > Self::MAX_FORMATS {
            return Err(ConfigError::TooManyFormats {
                formats: self.formats.len(),
            });
        }
        for (index, format) in self.formats.iter().enumerate() {
            let taken = self.formats[..index]
                .iter()
                .any(|other| other.name == format.name);
            if taken && !format.name.is_empty() {
                return Err(ConfigError::FormatNamedTwice {
                    name: format.name.clone(),
                });
            }
            format.validate()?;
        }
        Ok(())
    }
}
