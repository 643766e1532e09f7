//! How one family of models marks its thoughts, its tool calls and its end.
//!
//! # Design
//!
//! A [`Format`] has markers, as texts (`Format<String>`) or as token ids (`Format<Vec<u32>>`, the default): the one becomes the
//! other by a tokenizer ([`from_tokens`](Format::from_tokens)). A router has several, and each request one of them.
//!
//! # Why
//!
//! *Markers are compared across kinds.* An end marker that is also an end-of-sequence marker would do no harm to the
//! machine, which never looks for both in one phase. It is refused all the same: a sequence of tokens that means one thing
//! in one phase and another in the next is mostly a slip, and one rule is easier to keep than a table of pairs.
//!
//! # Invariants
//!
//! In a format that validates, every marker can be completed: none is empty, and none begins with another. Those that
//! lie *within* another are allowed, see [`Format`].

use crate::{ConfigError, MarkerKind};

/// Where thinking may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Spans {
    /// Where the request does, and nowhere else: the first token that is not
    /// [`skipped`](Format::skipped) decides. A start marker in the answer is a token of the answer.
    #[default]
    First,
    /// Once, wherever the start marker comes up first. After that span it is a token of the answer: an answer that quotes
    /// the marker is not thinking.
    Once,
    /// Wherever a start marker comes up, any number of times (think, answer, tool call, think again).
    Any,
}

/// The markers of a family of models.
///
/// In all lists: a marker has one token or several, is found wherever it comes up, and shares no token with the marker found
/// before it. The marker that ends first counts; of two that end on the same token, the longer. So one that lies within
/// another (neither at its beginning, which is refused, nor at its end) hides it in phases that look for both.
///
/// | phase | looks for |
/// |---|---|
/// | prefill | start of a thought, start of a tool call, end of sequence |
/// | think | end of a thought |
/// | output | start of a tool call, end of sequence and, by [`spans`](Self::spans), start of a thought |
/// | tool call | end of a tool call, end of sequence |
///
/// Up to four different first tokens in a phase are compared directly; more cost a search in a small tree on each token.
///
/// ```
/// use phase_state::Format;
///
/// // Of one token each.
/// let format = Format::with_marker_ids([151_667], [151_668], [151_643, 151_645]);
/// format.validate()?;
///
/// // Of several: a literal.
/// let format = Format {
///     think_start: vec![vec![27, 26865, 29]],
///     think_end: vec![vec![522, 26865, 29]],
///     eos: vec![vec![151_645]],
///     ..Format::default()
/// };
/// format.validate()?;
///
/// // From texts, by a tokenizer.
/// let vocabulary = |text: &str| match text {
///     "<think>" => vec![151_667],
///     "</think>" => vec![151_668],
///     "<|im_end|>" => vec![151_645],
///     other => other.bytes().map(u32::from).collect(),
/// };
/// assert_eq!(Format::qwen3().from_tokens(vocabulary).think_end, [[151_668]]);
/// # Ok::<(), phase_state::ConfigError>(())
/// ```
///
/// # Serde
///
/// With the feature `serde`: a missing field takes its default, an unknown one is an error. Deserializing does not validate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use]
pub struct Format<M = Vec<u32>> {
    /// What it is called: what [`PhaseRouter::format`](crate::PhaseRouter::format) finds it by, and its label in metrics. No
    /// label where it is empty, as by default.
    pub name: String,
    /// What starts a thought.
    pub think_start: Vec<M>,
    /// What ends a thought; the first of them is the one to inject. None only where there is no start either.
    ///
    /// Without any, a request that is registered in the thinking phase stays in it, and nothing is forced on it: there
    /// would be nothing to inject.
    pub think_end: Vec<M>,
    /// What starts a tool call, outside of thinking.
    pub tool_start: Vec<M>,
    /// What ends a tool call.
    pub tool_end: Vec<M>,
    /// What completes a request, outside of thinking. Within a thought they are tokens like any other: an engine that stops
    /// there reaps the request.
    pub eos: Vec<M>,
    /// Single tokens that prefill passes over: whitespace before the start marker, which some templates make models
    /// begin with. They are output.
    pub skipped: Vec<M>,
    /// Where thinking may begin.
    pub spans: Spans,
}

impl<M> Default for Format<M> {
    /// Without markers: all is output.
    fn default() -> Self {
        Self {
            name: String::new(),
            think_start: Vec::new(),
            think_end: Vec::new(),
            tool_start: Vec::new(),
            tool_end: Vec::new(),
            eos: Vec::new(),
            skipped: Vec::new(),
            spans: Spans::default(),
        }
    }
}

impl<M> Format<M> {
    /// The same under a name.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// The same, with thinking where `spans` says.
    pub fn spans(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// The markers of one kind.
    pub(crate) fn markers(&self, kind: MarkerKind) -> &[M] {
        match kind {
            MarkerKind::ThinkStart => &self.think_start,
            MarkerKind::ThinkEnd => &self.think_end,
            MarkerKind::ToolStart => &self.tool_start,
            MarkerKind::ToolEnd => &self.tool_end,
            MarkerKind::Eos => &self.eos,
        }
    }
}

impl Format<String> {
    /// The same markers as token ids, by `encode`: a tokenizer without the special tokens that it would add around a text.
    ///
    /// A text that is one special token becomes a marker of one token; one that is not becomes several, as a model
    /// writes it, if it splits it as the tokenizer does. Of what is skipped, texts of one token are kept.
    pub fn from_tokens(&self, mut encode: impl FnMut(&str) -> Vec<u32>) -> Format {
        let mut all = |texts: &[String]| texts.iter().map(|text| encode(text)).collect::<Vec<_>>();
        Format {
            name: self.name.clone(),
            think_start: all(&self.think_start),
            think_end: all(&self.think_end),
            tool_start: all(&self.tool_start),
            tool_end: all(&self.tool_end),
            eos: all(&self.eos),
            skipped: {
                let mut skipped = all(&self.skipped);
                skipped.retain(|tokens| tokens.len() == 1);
                skipped
            },
            spans: self.spans,
        }
    }
}

impl Format {
    /// Tokens that all markers together may have: a place in a marker takes 12 bits of a request's state.
    pub const MAX_MARKER_TOKENS: usize = 4_095;

    /// With markers of one token each, and no tool calls.
    pub fn with_marker_ids(
        starts: impl IntoIterator<Item = u32>,
        ends: impl IntoIterator<Item = u32>,
        eos: impl IntoIterator<Item = u32>,
    ) -> Self {
        Self {
            think_start: starts.into_iter().map(|id| vec![id]).collect(),
            think_end: ends.into_iter().map(|id| vec![id]).collect(),
            eos: eos.into_iter().map(|id| vec![id]).collect(),
            ..Self::default()
        }
    }

    /// Whether requests can be driven by this format.
    ///
    /// Sorts the markers: `O(n log n)` comparisons, one allocation.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], for the first rule that is broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut markers: Vec<(&[u32], MarkerKind, usize)> = MarkerKind::ALL
            .into_iter()
            .flat_map(|kind| {
                let markers = self.markers(kind).iter().enumerate();
                markers.map(move |(index, marker)| (&marker[..], kind, index))
            })
            .collect();
        if let Some(&(_, kind, index)) = markers.iter().find(|(marker, ..)| marker.is_empty()) {
            return Err(ConfigError::EmptyMarker { kind, index });
        }
        for (starts, ends) in [
            (MarkerKind::ThinkStart, MarkerKind::ThinkEnd),
            (MarkerKind::ToolStart, MarkerKind::ToolEnd),
        ] {
            let start_markers = self.markers(starts).len();
            if start_markers > 0 && self.markers(ends).is_empty() {
                return Err(ConfigError::NoEndMarker {
                    starts,
                    start_markers,
                });
            }
        }
        let total = markers.iter().map(|(marker, ..)| marker.len()).sum();
        if total > Self::MAX_MARKER_TOKENS {
            return Err(ConfigError::TooManyMarkerTokens { total });
        }
        if let Some(index) = self.skipped.iter().position(|tokens| tokens.len() != 1) {
            return Err(ConfigError::SkippedNotOneToken {
                index,
                tokens: self.skipped[index].len(),
            });
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
}
