//! The state machine: what a token does to a request.
//!
//! # Design
//!
//! [`Rules`] is a config made ready, one for all requests; [`State`] is all that is kept of one
//! request, 28 bytes; [`step_mut`] takes the one over a token by the other. It reads no clock, keeps
//! nothing, allocates nothing and cannot fail.
//!
//! | phase | looks for | otherwise |
//! |---|---|---|
//! | prefill | start → think, end of sequence → complete | output, once no marker can be under way |
//! | think | end → output | counts, averages, and may force the end |
//! | output | end of sequence → complete; with re-entry: start → think | stays |
//! | complete | nothing | stays |
//!
//! # Why
//!
//! - *A marker under way keeps prefill open*, so that `[1, 1, 2]` is found in `1, 1, 1, 2` there as
//!   anywhere else. With markers of one token it is over with the first token.
//! - *In place.* Taking the state by value and giving it back costs twice as much as what the
//!   function does; [`step`] is there to be reasoned about and to be tested with.
//! - *A marker means the same in every phase that looks for it*, so crossing over is one function,
//!   out of line: it runs three times in the life of a request.
//! - *No sample, no judgement.* The averages begin with a variance of 0, which looks converged.
//!
//! # Invariants
//!
//! - `node` belongs to the matcher of `kind`, and is the root whenever `kind` changes.
//! - Outside of thinking `forced` is off, `tokens` is 0 and the averages are as they begin; so
//!   equal requests are equal states.
//! - No float is ever a NaN.

use crate::{
    BudgetForceReason, ConfigError, EntropySignal, MarkerKind, PhaseEvent, PhaseKind,
    PhaseRouterConfig, StartPhase, ThinkPhase,
    marker::{Matcher, ROOT},
};

/// Below this frequency of transitions their ratio says nothing.
const LEAST_RPDI_GLOBAL: f32 = 0.001;

/// A config made ready.
#[derive(Debug)]
pub(crate) struct Rules {
    alpha: f32,
    /// `1 - alpha`.
    keep: f32,
    transition_entropy: f32,
    rpdi: f32,
    variance: f32,
    min: u32,
    max: u32,
    /// What to inject; with none nothing is forced.
    inject: Option<u32>,
    prefill: Matcher,
    think: Matcher,
    output: Matcher,
}

impl Rules {
    /// The rules of a config, which it validates.
    pub(crate) fn new(config: &PhaseRouterConfig) -> Result<Self, ConfigError> {
        use MarkerKind::{Eos, ThinkEnd, ThinkStart};

        config.validate()?;
        let matcher = |kinds: &[MarkerKind]| {
            Matcher::new(kinds.iter().flat_map(|&kind| {
                let markers = config.markers(kind).iter();
                markers.map(move |marker| (kind, &marker[..]))
            }))
        };
        let output: &[_] = if config.reentry {
            &[Eos, ThinkStart]
        } else {
            &[Eos]
        };
        Ok(Self {
            alpha: config.ema_alpha,
            keep: 1.0 - config.ema_alpha,
            transition_entropy: config.transition_entropy_threshold,
            rpdi: config.rpdi_threshold,
            variance: config.eat_ema_variance_threshold,
            min: config.min_think_tokens,
            max: config.max_think_tokens,
            inject: config.think_end_markers.first().map(|marker| marker[0]),
            prefill: matcher(&[ThinkStart, Eos]),
            think: matcher(&[ThinkEnd]),
            output: matcher(output),
        })
    }
}

impl Rules {
    /// Whether `token` does no more to a thinking request, with no marker under way, than to add one to `tokens`, to take
    /// its sample in, and to bring up what is due.
    #[inline]
    pub(crate) fn thinks_on(&self, token: u32) -> bool {
        self.think.is_plain(ROOT, token)
    }

    /// Whether `token` does nothing to an answering request, with no marker under way.
    #[inline]
    pub(crate) fn answers_on(&self, token: u32) -> bool {
        self.output.is_plain(ROOT, token)
    }

    /// Whether so many tokens of thinking, in all spans, are too many.
    #[inline]
    pub(crate) fn is_spent(&self, think_tokens: u32) -> bool {
        think_tokens >= self.max
    }
}

/// All that is kept of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct State {
    pub(crate) kind: PhaseKind,
    /// The end of this span has been forced.
    pub(crate) forced: bool,
    /// How far a marker has come.
    pub(crate) node: u16,
    /// Tokens of this span.
    pub(crate) tokens: u32,
    /// Tokens of the spans before it.
    pub(crate) earlier: u32,
    pub(crate) averages: Averages,
}

/// What the samples of a span come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Averages {
    pub(crate) eat_ema: f32,
    pub(crate) eat_ema_sq: f32,
    pub(crate) rpdi_local: f32,
    pub(crate) rpdi_global: f32,
}

impl State {
    /// A request that has seen no token.
    pub(crate) const fn start(start: StartPhase) -> Self {
        Self::entered(
            match start {
                StartPhase::Prefill => PhaseKind::Prefill,
                StartPhase::ThinkDecode => PhaseKind::ThinkDecode,
            },
            0,
        )
    }

    /// A request that has just entered a phase, after `earlier` tokens of thinking.
    const fn entered(kind: PhaseKind, earlier: u32) -> Self {
        Self {
            kind,
            forced: false,
            node: ROOT,
            tokens: 0,
            earlier,
            averages: Averages::START,
        }
    }

    /// The picture of it for readers.
    pub(crate) const fn phase(&self) -> ThinkPhase {
        match self.kind {
            PhaseKind::Prefill => ThinkPhase::Prefill,
            PhaseKind::ThinkDecode => ThinkPhase::ThinkDecode {
                tokens_so_far: self.tokens,
                eat_ema: self.averages.eat_ema,
                eat_ema_sq: self.averages.eat_ema_sq,
                rpdi_local: self.averages.rpdi_local,
                rpdi_global: self.averages.rpdi_global,
                force_in_progress: self.forced,
            },
            PhaseKind::OutputDecode => ThinkPhase::OutputDecode {
                think_tokens_used: self.earlier,
            },
            PhaseKind::Complete => ThinkPhase::Complete,
        }
    }

    /// Tokens of all spans, this one included.
    const fn think_tokens(&self) -> u32 {
        self.earlier.saturating_add(self.tokens)
    }
}

impl Averages {
    const START: Self = Self {
        eat_ema: 0.5,
        eat_ema_sq: 0.25,
        rpdi_local: 0.0,
        rpdi_global: 0.0,
    };

    /// With what `sample` says of the span's `n`th token.
    #[inline]
    pub(crate) fn with(self, rules: &Rules, sample: &EntropySignal, n: u32) -> Self {
        let ema = |x: f32, ema: f32| rules.alpha * x + rules.keep * ema;
        let transition = f32::from(sample.token_entropy > rules.transition_entropy);
        Self {
            eat_ema: ema(sample.eat, self.eat_ema),
            eat_ema_sq: ema(sample.eat * sample.eat, self.eat_ema_sq),
            rpdi_local: ema(transition, self.rpdi_local),
            // Beyond 2^24 tokens the divisor is off, by less than one part in ten million.
            rpdi_global: self.rpdi_global + (transition - self.rpdi_global) / n as f32,
        }
    }

    /// Whether they say anything after `n` tokens: for who need not know what. Past the floor only.
    #[inline]
    pub(crate) fn is_due(self, rules: &Rules, n: u32) -> bool {
        self.judge(rules, n).is_some()
    }

    /// What they say after `n` tokens, if that is past the floor.
    #[inline]
    pub(crate) fn judge(self, rules: &Rules, n: u32) -> Option<BudgetForceReason> {
        if n <= rules.min {
            return None;
        }
        let variance = (self.eat_ema_sq - self.eat_ema * self.eat_ema).max(0.0);
        if variance < rules.variance {
            return Some(BudgetForceReason::Converged);
        }
        let deviates =
            self.rpdi_global > LEAST_RPDI_GLOBAL && self.rpdi_local / self.rpdi_global > rules.rpdi;
        deviates.then_some(BudgetForceReason::Overthinking)
    }
}

/// Takes `state` over one token; the pure form of [`step_mut`], to be reasoned about and tested with.
#[cfg(test)]
pub(crate) fn step(
    mut state: State,
    rules: &Rules,
    token: u32,
    sample: Option<&EntropySignal>,
) -> (State, PhaseEvent) {
    let event = step_mut(&mut state, rules, token, sample);
    (state, event)
}

/// Takes `state` over one token.
///
/// A sample that is not finite is as none; whoever counts those asks
/// [`EntropySignal::is_finite`].
#[inline]
pub(crate) fn step_mut(
    state: &mut State,
    rules: &Rules,
    token: u32,
    sample: Option<&EntropySignal>,
) -> PhaseEvent {
    match state.kind {
        PhaseKind::ThinkDecode => think(state, rules, token, sample),
        PhaseKind::OutputDecode => output(state, rules, token),
        PhaseKind::Prefill => prefill(state, rules, token),
        PhaseKind::Complete => PhaseEvent::Unchanged,
    }
}

#[cold]
fn prefill(state: &mut State, rules: &Rules, token: u32) -> PhaseEvent {
    let (node, marker) = rules.prefill.step(state.node, token);
    state.node = node;
    match marker {
        Some(marker) => return cross(state, marker),
        // The root means that no end of sequence is under way either: output looks for it from here.
        None if node == ROOT => state.kind = PhaseKind::OutputDecode,
        None => {}
    }
    PhaseEvent::Unchanged
}

#[inline]
fn think(
    state: &mut State,
    rules: &Rules,
    token: u32,
    sample: Option<&EntropySignal>,
) -> PhaseEvent {
    state.tokens = state.tokens.saturating_add(1);
    let (node, marker) = rules.think.step(state.node, token);
    state.node = node;
    if let Some(marker) = marker {
        // Whatever else is due has become pointless, and the averages end with the span.
        return cross(state, marker);
    }
    let sample = sample.filter(|sample| sample.is_finite());
    if let Some(sample) = sample {
        state.averages = state.averages.with(rules, sample, state.tokens);
    }
    if state.forced {
        return PhaseEvent::Unchanged;
    }
    if sample.is_some()
        && let Some(reason) = state.averages.judge(rules, state.tokens)
    {
        return force(state, rules, reason);
    }
    if rules.is_spent(state.think_tokens()) {
        return force(state, rules, BudgetForceReason::HardCap);
    }
    PhaseEvent::Unchanged
}

#[inline]
fn output(state: &mut State, rules: &Rules, token: u32) -> PhaseEvent {
    let (node, marker) = rules.output.step(state.node, token);
    state.node = node;
    match marker {
        Some(marker) => cross(state, marker),
        None => PhaseEvent::Unchanged,
    }
}

#[cold]
#[inline(never)]
fn cross(state: &mut State, marker: MarkerKind) -> PhaseEvent {
    let (kind, event) = match marker {
        MarkerKind::ThinkStart => (PhaseKind::ThinkDecode, PhaseEvent::EnterThink),
        MarkerKind::ThinkEnd => {
            let tokens_used = state.tokens;
            (
                PhaseKind::OutputDecode,
                PhaseEvent::ExitThink { tokens_used },
            )
        }
        MarkerKind::Eos => (PhaseKind::Complete, PhaseEvent::Complete),
    };
    *state = State::entered(kind, state.think_tokens());
    event
}

#[cold]
#[inline(never)]
fn force(state: &mut State, rules: &Rules, reason: BudgetForceReason) -> PhaseEvent {
    let Some(inject_token) = rules.inject else {
        return PhaseEvent::Unchanged;
    };
    state.forced = true;
    PhaseEvent::ForceBudget {
        inject_token,
        reason,
    }
}

#[cfg(test)]
mod tests;
