//! The same phases over text: what a gateway can do that sees no token ids.
//!
//! # Design
//!
//! A [`TextFormat`] is a [`Format`] of texts made ready, shared by all requests of a model; a [`Splitter`] keeps one request's
//! phase, and takes its deltas apart: thoughts, tool calls and answer, with the markers between them.
//!
//! Searching is aho-corasick's, over each delta as it lies. What may be the beginning of a marker is held back until the
//! next delta decides: at most one byte less than the longest marker has.
//!
//! # Invariants
//!
//! 1. The parts, one after the other, are the deltas, one after the other, less what is `held`.
//! 2. Where the deltas are cut makes no difference to the parts, but for where those are cut.
//! 3. `held` is empty, or a beginning of a marker that this phase looks for.
//!
//! ```
//! use std::sync::Arc;
//!
//! use phase_state::text::{PartKind, Splitter, TextFormat};
//! use phase_state::{Format, StartPhase};
//!
//! let format = Arc::new(TextFormat::new(&Format::qwen3())?);
//! let mut splitter = Splitter::new(format, StartPhase::Prefill);
//! let (mut reasoning, mut content) = (String::new(), String::new());
//! for delta in ["<thi", "nk>two and", " two</", "think>4"] {
//!     splitter.push(delta, |kind, text| match kind {
//!         PartKind::Reasoning => reasoning.push_str(text),
//!         PartKind::Content => content.push_str(text),
//!         _ => {}
//!     });
//! }
//! splitter.finish(|_, _| ());
//! assert_eq!((&*reasoning, &*content), ("two and two", "4"));
//! # Ok::<(), phase_state::ConfigError>(())
//! ```

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::{ConfigError, Format, MarkerKind, PhaseKind, Spans, StartPhase};

/// What a part of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartKind {
    /// A thought, without its markers.
    Reasoning,
    /// The answer; also what comes after the end of sequence.
    Content,
    /// A tool call, without its markers.
    ToolCall,
    /// A whole marker.
    Marker(MarkerKind),
}

/// What a phase looks for.
#[derive(Debug)]
struct Search {
    automaton: AhoCorasick,
    markers: Vec<(MarkerKind, Box<[u8]>)>,
}

impl Search {
    fn new(format: &Format<String>, kinds: &[MarkerKind]) -> Result<Self, ConfigError> {
        let markers: Vec<(MarkerKind, Box<[u8]>)> = kinds
            .iter()
            .flat_map(|&kind| {
                let markers = format.markers(kind).iter();
                markers.map(move |marker| (kind, marker.as_bytes().into()))
            })
            .collect();
        // Standard: the marker that ends first, and of two that end together the longer, as the machine has it.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(markers.iter().map(|(_, marker)| marker))
            .map_err(|_too_large| ConfigError::TooManyMarkerTokens {
                total: markers.iter().map(|(_, marker)| marker.len()).sum(),
            })?;
        Ok(Self { automaton, markers })
    }

    /// How many bytes at the end of `text` may be the beginning of a marker.
    fn under_way(&self, text: &[u8]) -> usize {
        let parts = self.markers.iter().filter_map(|(_, marker)| {
            let most = (marker.len() - 1).min(text.len());
            (1..=most)
                .rev()
                .find(|&part| text.ends_with(&marker[..part]))
        });
        parts.max().unwrap_or(0)
    }
}

/// A format of texts made ready. Build it once for each model.
#[derive(Debug)]
pub struct TextFormat {
    prefill: Search,
    think: Search,
    /// Before the first thought, and after it unless `answer` says otherwise.
    output: Search,
    answer: Option<Search>,
    tool: Search,
    skipped: Box<[Box<[u8]>]>,
    longest: usize,
}

impl TextFormat {
    /// Makes a format ready.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], by the rules of [`Format::validate`] over bytes in the place of tokens. What is skipped may be of any
    /// length.
    pub fn new(format: &Format<String>) -> Result<Self, ConfigError> {
        use MarkerKind::{Eos, ThinkEnd, ThinkStart, ToolEnd, ToolStart};

        let mut bytes = format.from_tokens(|text| text.bytes().map(u32::from).collect());
        bytes.skipped.clear();
        bytes.validate()?;
        let alone = &[ToolStart, Eos][..];
        let with_thoughts = &[ThinkStart, ToolStart, Eos][..];
        let (output, answer) = match format.spans {
            Spans::First => (alone, None),
            Spans::Once => (with_thoughts, Some(alone)),
            Spans::Any => (with_thoughts, None),
        };
        let lengths = MarkerKind::ALL
            .into_iter()
            .flat_map(|kind| format.markers(kind).iter().map(String::len));
        Ok(Self {
            longest: lengths.max().unwrap_or(0),
            prefill: Search::new(format, with_thoughts)?,
            think: Search::new(format, &[ThinkEnd])?,
            output: Search::new(format, output)?,
            answer: answer.map(|kinds| Search::new(format, kinds)).transpose()?,
            tool: Search::new(format, &[ToolEnd, Eos])?,
            skipped: format
                .skipped
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| text.as_bytes().into())
                .collect(),
        })
    }

    fn at_start(&self, text: &[u8]) -> Start {
        let markers = || self.prefill.markers.iter().map(|(_, marker)| &marker[..]);
        if markers().any(|marker| text.starts_with(marker)) {
            return Start::Marker;
        }
        if markers().any(|marker| marker.starts_with(text)) {
            return Start::Open;
        }
        let skipped = self
            .skipped
            .iter()
            .find(|skipped| text.starts_with(skipped));
        skipped.map_or(Start::Text, |skipped| Start::Skipped(skipped.len()))
    }

    fn search(&self, kind: PhaseKind, thoughts: u32) -> Option<&Search> {
        match kind {
            PhaseKind::Prefill => Some(&self.prefill),
            PhaseKind::ThinkDecode => Some(&self.think),
            PhaseKind::OutputDecode if thoughts > 0 => {
                Some(self.answer.as_ref().unwrap_or(&self.output))
            }
            PhaseKind::OutputDecode => Some(&self.output),
            PhaseKind::ToolCall => Some(&self.tool),
            PhaseKind::Complete => None,
        }
    }
}

/// What a request begins with, as far as it has come.
enum Start {
    Marker,
    /// What may yet become a marker.
    Open,
    /// So many bytes to pass over.
    Skipped(usize),
    /// Anything else: the answer.
    Text,
}

/// One request's deltas, taken apart as they come.
#[derive(Debug, Clone)]
pub struct Splitter {
    format: Arc<TextFormat>,
    kind: PhaseKind,
    thoughts: u32,
    held: Vec<u8>,
}

impl Splitter {
    /// A request that has seen no text: in [`StartPhase::ThinkDecode`] where the chat template has put the start marker into
    /// the prompt.
    #[must_use]
    pub fn new(format: Arc<TextFormat>, start: StartPhase) -> Self {
        let (kind, thoughts) = match start {
            StartPhase::Prefill => (PhaseKind::Prefill, 0),
            StartPhase::ThinkDecode => (PhaseKind::ThinkDecode, 1),
        };
        Self {
            format,
            kind,
            thoughts,
            held: Vec::new(),
        }
    }

    /// The phase that the text so far has led to, what is held back left out.
    pub fn phase_kind(&self) -> PhaseKind {
        self.kind
    }

    /// How many bytes are held back, since they may be the beginning of a marker: less than the longest one has.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// A delta, in order: calls `part` with each part of it, and of what was held back. Allocates nothing, once what is
    /// held has had the room of a marker.
    pub fn push(&mut self, delta: &str, mut part: impl FnMut(PartKind, &str)) {
        self.push_bytes(delta.as_bytes(), |kind, bytes| part(kind, &text(bytes)));
    }

    /// The same for a delta that may be cut within a character. So may be the parts.
    pub fn push_bytes(&mut self, delta: &[u8], mut part: impl FnMut(PartKind, &[u8])) {
        let mut rest = delta;
        if !self.held.is_empty() {
            // With as much as decides on all that is held; what is held then is the end of that.
            let enough = self.format.longest.min(delta.len());
            let mut joint = std::mem::take(&mut self.held);
            joint.extend_from_slice(&delta[..enough]);
            let done = self.advance(&joint, &mut part);
            let left = joint.len() - done;
            if left > enough {
                // Only where the delta is shorter than a marker: it is all in there.
                joint.drain(..done);
                self.held = joint;
                return;
            }
            rest = &delta[enough - left..];
            joint.clear();
            self.held = joint;
        }
        let done = self.advance(rest, &mut part);
        self.held.extend_from_slice(&rest[done..]);
    }

    /// The end of the stream: what is still held back was no marker. A splitter that goes on after it goes on in the same
    /// phase.
    pub fn finish(&mut self, mut part: impl FnMut(PartKind, &str)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            part(self.part(), &text(&held));
        }
    }

    /// What is text in this phase.
    fn part(&self) -> PartKind {
        match self.kind {
            PhaseKind::ThinkDecode => PartKind::Reasoning,
            PhaseKind::ToolCall => PartKind::ToolCall,
            PhaseKind::Prefill | PhaseKind::OutputDecode | PhaseKind::Complete => PartKind::Content,
        }
    }

    /// Takes apart what can be decided, and says how much that was.
    fn advance(&mut self, text: &[u8], part: &mut impl FnMut(PartKind, &[u8])) -> usize {
        let format = Arc::clone(&self.format);
        let mut done = 0;
        while done < text.len() {
            let rest = &text[done..];
            if self.kind == PhaseKind::Prefill {
                match format.at_start(rest) {
                    Start::Open => return done,
                    Start::Skipped(length) => {
                        part(PartKind::Content, &rest[..length]);
                        done += length;
                        continue;
                    }
                    Start::Marker => {}
                    Start::Text => self.kind = PhaseKind::OutputDecode,
                }
            }
            let Some(search) = format.search(self.kind, self.thoughts) else {
                part(PartKind::Content, rest);
                return text.len();
            };
            let Some(found) = search.automaton.find(rest) else {
                let free = rest.len() - search.under_way(rest);
                if free > 0 {
                    part(self.part(), &rest[..free]);
                }
                return done + free;
            };
            if found.start() > 0 {
                part(self.part(), &rest[..found.start()]);
            }
            let kind = search.markers[found.pattern().as_usize()].0;
            part(PartKind::Marker(kind), &rest[found.range()]);
            done += found.end();
            self.cross(kind);
        }
        done
    }

    fn cross(&mut self, marker: MarkerKind) {
        self.kind = match marker {
            MarkerKind::ThinkStart => {
                self.thoughts = self.thoughts.saturating_add(1);
                PhaseKind::ThinkDecode
            }
            MarkerKind::ToolStart => PhaseKind::ToolCall,
            MarkerKind::ThinkEnd | MarkerKind::ToolEnd => PhaseKind::OutputDecode,
            MarkerKind::Eos => PhaseKind::Complete,
        };
    }
}

/// Without a copy where it is whole characters, as it is of whole deltas.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
