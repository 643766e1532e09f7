//! A format made ready: what the state machine goes by for one request.
//!
//! # Design
//!
//! Each cell holds the rules of its request. So whoever finds the cell drives it by the right ones, whichever router it asked,
//! and a place in a marker always means what it meant when it was stored.
//!
//! # Why
//!
//! Rules that came from the router that was called made a place in another router's markers of it, and a panic of that.
//!
//! # Invariants
//!
//! Rules never change. What registrations write (their reference count) is on another line than what tokens read.

use std::hash::Hasher;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use crate::counts::Counts;
use crate::marker::{Matcher, ROOT};
#[cfg(feature = "metrics")]
use crate::telemetry::Labels;
use crate::{ConfigError, Format, FormatId, Injection, MarkerKind, PhaseRouterConfig, Spans};

/// A format made ready, with the thresholds of its router.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Rules {
    /// What thinking looks for.
    pub(crate) think: Matcher,
    /// What output looks for, before the first thought and, unless `answer` says otherwise, after it. Finds all that
    /// `answer` does, and more.
    pub(crate) output: Matcher,
    /// What output looks for once there was a thought, where that is something else.
    pub(crate) answer: Option<Matcher>,
    pub(crate) tool: Matcher,
    pub(crate) prefill: Matcher,
    /// What prefill passes over.
    pub(crate) skipped: Box<[u32]>,

    pub(crate) alpha: f32,
    /// `1 - alpha`.
    pub(crate) keep: f32,
    pub(crate) transition_entropy: f32,
    /// Infinite where nothing is overthinking.
    pub(crate) min_index: f32,
    pub(crate) least_local: f32,
    /// 0 where nothing converges.
    pub(crate) max_variance: f32,
    pub(crate) min_mass: f32,
    /// The floor.
    pub(crate) min: u32,
    /// The cap, which no request's own exceeds.
    pub(crate) max: u32,

    /// What may be injected; with none nothing is forced.
    ends: Box<[Vec<u32>]>,
    /// How long a forced end may wait for a marker that is under way.
    longest_end: u32,
    /// Which format of the router this is.
    pub(crate) id: FormatId,
    pub(crate) name: String,
    /// Of the markers and what they mean: states go from one to another that has the same.
    pub(crate) fingerprint: u64,
    pub(crate) counts: Arc<Counts>,
    #[cfg(feature = "metrics")]
    pub(crate) labels: Labels,
}

impl Rules {
    /// The rules of each format of a config, which it validates; of one without markers, where there is none.
    pub(crate) fn all(config: &PhaseRouterConfig) -> Result<Box<[Arc<Self>]>, ConfigError> {
        config.validate()?;
        let counts = Arc::new(Counts::default());
        let none = [Format::default()];
        let formats = if config.formats.is_empty() {
            &none[..]
        } else {
            &config.formats
        };
        let numbered = (0..).map(FormatId).zip(formats);
        Ok(numbered
            .map(|(id, format)| Arc::new(Self::new(config, format, id, &counts)))
            .collect())
    }

    fn new(
        config: &PhaseRouterConfig,
        format: &Format,
        id: FormatId,
        counts: &Arc<Counts>,
    ) -> Self {
        use MarkerKind::{Eos, ThinkEnd, ThinkStart, ToolEnd, ToolStart};

        let matcher = |kinds: &[MarkerKind]| {
            Matcher::new(kinds.iter().flat_map(|&kind| {
                let markers = format.markers(kind).iter();
                markers.map(move |marker| (kind, &marker[..]))
            }))
        };
        let alone = &[ToolStart, Eos][..];
        let with_thoughts = &[ThinkStart, ToolStart, Eos][..];
        let (output, answer) = match format.spans {
            Spans::First => (alone, None),
            Spans::Once => (with_thoughts, Some(alone)),
            Spans::Any => (with_thoughts, None),
        };
        let longest_end = format.think_end.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            think: matcher(&[ThinkEnd]),
            output: matcher(output),
            answer: answer.map(matcher),
            tool: matcher(&[ToolEnd, Eos]),
            prefill: matcher(with_thoughts),
            skipped: format.skipped.iter().map(|tokens| tokens[0]).collect(),
            alpha: config.ema_alpha,
            keep: 1.0 - config.ema_alpha,
            transition_entropy: config.transition_entropy_threshold,
            min_index: config
                .overthinking
                .map_or(f32::INFINITY, |rule| rule.min_index),
            least_local: config
                .overthinking
                .map_or(1.0, |rule| rule.least_local(config.ema_alpha)),
            max_variance: config.converged.map_or(0.0, |rule| rule.max_variance),
            min_mass: config.converged.map_or(1.0, |rule| rule.min_mass),
            min: config.min_think_tokens,
            max: config.max_think_tokens,
            ends: format.think_end.clone().into(),
            longest_end: u32::try_from(longest_end).unwrap_or(u32::MAX),
            id,
            name: format.name.clone(),
            fingerprint: fingerprint(format),
            counts: Arc::clone(counts),
            #[cfg(feature = "metrics")]
            labels: Labels::new(&format.name),
        }
    }

    /// Whether there is something to inject.
    pub(crate) fn can_force(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Whether an end that became due `over` tokens ago still waits for the marker that is under way at `node`.
    pub(crate) fn awaits(&self, node: u16, over: u32) -> bool {
        node != ROOT && over < self.longest_end
    }

    /// What is left to inject of the end marker that is under way at `node`, or of the first.
    pub(crate) fn injection(&self, node: u16) -> Injection {
        let (marker, done) = self.think.on_the_way(node);
        Injection {
            format: self.id,
            marker,
            done,
        }
    }

    /// The tokens of what is left to inject; none where this is another router's.
    pub(crate) fn tokens(&self, injection: Injection) -> &[u32] {
        let marker = self.ends.get(usize::from(injection.marker));
        marker
            .and_then(|marker| marker.get(usize::from(injection.done)..))
            .unwrap_or_default()
    }
}

/// Without secrets, and the same in every process and on every machine: states travel between them.
fn fingerprint(format: &Format) -> u64 {
    let mut hasher = SipHasher13::new();
    let mut number = |number: u64| hasher.write(&number.to_le_bytes());
    let lists = MarkerKind::ALL.map(|kind| format.markers(kind));
    for list in lists.into_iter().chain([&format.skipped[..]]) {
        number(list.len() as u64);
        for marker in list {
            number(marker.len() as u64);
            marker.iter().for_each(|token| number(u64::from(*token)));
        }
    }
    number(match format.spans {
        Spans::First => 0,
        Spans::Once => 1,
        Spans::Any => 2,
    });
    hasher.finish()
}
