//! The state machine: what a token does to a request.
//!
//! # Design
//!
//! [`Rules`] is a format made ready; [`State`] is all that is kept of one request; [`step_mut`] takes the one over a token by
//! the other. It reads no clock, keeps nothing, allocates nothing and cannot fail.
//!
//! | phase | on a marker | otherwise |
//! |---|---|---|
//! | prefill | start → think, tool start → tool call, end of sequence → complete | output, once no marker can be under way and the token is not skipped |
//! | think | end → output | counts, averages, and may force the end |
//! | output | tool start → tool call, end of sequence → complete; by [`Spans`](crate::Spans) start → think | stays |
//! | tool call | tool end → output, end of sequence → complete | stays |
//! | complete | nothing | stays |
//!
//! # Why
//!
//! - *A marker under way keeps prefill open*, so that `[1, 1, 2]` is found in `1, 1, 1, 2` there as
//!   anywhere else. With markers of one token it is over with the first token.
//! - *A marker under way keeps a forced end waiting*, for as many tokens as it is long: whoever injects the marker that
//!   the model has begun shows it twice.
//! - *In place.* Taking the state by value and giving it back costs twice as much as what the
//!   function does; [`step`] is there to be reasoned about and to be tested with.
//! - *A marker means the same in every phase that looks for it*, so crossing over is one function,
//!   out of line: it runs three times in the life of a request.
//! - *No sample, no judgement.* The averages begin with a variance of 0, which looks converged.
//!
//! # Invariants
//!
//! 1. `node` belongs to the matcher of `kind` ([`Rules::matcher`]), and is the root whenever `kind` changes.
//! 2. Outside of thinking `forced` is off and the averages are as they begin; so equal requests are equal states.
//! 3. No float is ever a NaN.

use crate::marker::{Matcher, ROOT};
use crate::rules::Rules;
use crate::{
    BudgetForceReason, EntropySignal, Forced, MarkerKind, PhaseEvent, PhaseKind, StartPhase,
    Summary, ThinkPhase,
};

/// Below this frequency of transitions their ratio says nothing.
const LEAST_RPDI_GLOBAL: f32 = 0.001;

/// All that is kept of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct State {
    pub(crate) kind: PhaseKind,
    /// The end of this span has been forced.
    pub(crate) forced: bool,
    /// How far a marker has come.
    pub(crate) node: u16,
    /// Tokens of this phase.
    pub(crate) tokens: u32,
    pub(crate) tally: Tally,
    pub(crate) averages: Averages,
}

/// What changes with the phase, and not with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tokens of thinking that all spans together may have.
    pub(crate) budget: u32,
    /// Tokens of the thoughts before this phase.
    pub(crate) think: u32,
    /// Tokens of the tool calls before it.
    pub(crate) tool: u32,
    /// All other tokens before it.
    pub(crate) output: u32,
    /// Thoughts that have begun.
    pub(crate) spans: u16,
    /// Tool calls that have begun.
    pub(crate) tool_spans: u16,
    /// Why the last forced thought was, and the token with which it was.
    pub(crate) forced: Option<Forced>,
}

/// What the samples of a span come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Averages {
    pub(crate) mass_ema: f32,
    pub(crate) mass_sq_ema: f32,
    pub(crate) rpdi_local: f32,
    pub(crate) rpdi_global: f32,
}

impl State {
    /// A request that has seen no token, and what is due at once.
    pub(crate) fn start(
        rules: &Rules,
        start: StartPhase,
        budget: Option<u32>,
    ) -> (Self, PhaseEvent) {
        let mut state = Self {
            kind: PhaseKind::Prefill,
            forced: false,
            node: ROOT,
            tokens: 0,
            tally: Tally {
                budget: rules.max.min(budget.unwrap_or(u32::MAX)),
                think: 0,
                tool: 0,
                output: 0,
                spans: 0,
                tool_spans: 0,
                forced: None,
            },
            averages: Averages::START,
        };
        let event = match start {
            StartPhase::Prefill => PhaseEvent::Unchanged,
            StartPhase::ThinkDecode => match state.enter_think(rules) {
                // Nothing that the caller does not know.
                PhaseEvent::EnterThink => PhaseEvent::Unchanged,
                due => due,
            },
        };
        (state, event)
    }

    /// The picture of it for readers.
    pub(crate) const fn phase(&self) -> ThinkPhase {
        match self.kind {
            PhaseKind::Prefill => ThinkPhase::Prefill,
            PhaseKind::ThinkDecode => ThinkPhase::ThinkDecode {
                tokens_so_far: self.tokens,
                end_mass_ema: self.averages.mass_ema,
                end_mass_sq_ema: self.averages.mass_sq_ema,
                rpdi_local: self.averages.rpdi_local,
                rpdi_global: self.averages.rpdi_global,
                force_in_progress: self.forced,
            },
            PhaseKind::OutputDecode => ThinkPhase::OutputDecode {
                think_tokens_used: self.tally.think,
            },
            PhaseKind::ToolCall => ThinkPhase::ToolCall {
                tokens_so_far: self.tokens,
            },
            PhaseKind::Complete => ThinkPhase::Complete,
        }
    }

    /// What it has come to.
    pub(crate) fn summary(&self) -> Summary {
        let closed = self.closed();
        Summary {
            phase: self.kind,
            think_tokens: closed.think,
            think_spans: closed.spans,
            tool_tokens: closed.tool,
            tool_spans: closed.tool_spans,
            output_tokens: closed.output,
            forced: closed.forced,
        }
    }

    /// The tally with the tokens of this phase.
    fn closed(&self) -> Tally {
        let mut tally = self.tally;
        let of_this = match self.kind {
            PhaseKind::ThinkDecode => &mut tally.think,
            PhaseKind::ToolCall => &mut tally.tool,
            PhaseKind::Prefill | PhaseKind::OutputDecode | PhaseKind::Complete => &mut tally.output,
        };
        *of_this = of_this.saturating_add(self.tokens);
        tally
    }

    /// Tokens of thinking in all spans, this one included.
    fn think_tokens(&self) -> u32 {
        self.closed().think
    }

    /// What is left of the budget.
    pub(crate) fn remaining(&self) -> u32 {
        self.tally.budget.saturating_sub(self.think_tokens())
    }

    /// At so many tokens of this phase a token that only counts needs a look.
    pub(crate) fn look_at(&self, rules: &Rules) -> u32 {
        if self.kind == PhaseKind::ThinkDecode && !self.forced && rules.can_force() {
            self.tally.budget.saturating_sub(self.tally.think)
        } else {
            u32::MAX
        }
    }

    /// Changes the budget, and says what is due by that.
    pub(crate) fn set_budget(&mut self, rules: &Rules, budget: u32) -> PhaseEvent {
        self.tally.budget = rules.max.min(budget);
        self.due(rules)
    }

    /// Goes back to an earlier state, with the budget of now, and says what is due by that.
    pub(crate) fn roll_back(&mut self, rules: &Rules, before: Self) -> PhaseEvent {
        let budget = self.tally.budget;
        *self = before;
        self.set_budget(rules, budget)
    }

    /// Ends the thought by force if the budget is used up. Not while an end marker is under way, as long as that may
    /// take.
    pub(crate) fn due(&mut self, rules: &Rules) -> PhaseEvent {
        if self.kind != PhaseKind::ThinkDecode || self.forced {
            return PhaseEvent::Unchanged;
        }
        let (used, budget) = (self.think_tokens(), self.tally.budget);
        if used < budget || rules.awaits(self.node, used - budget) {
            return PhaseEvent::Unchanged;
        }
        self.force(rules, BudgetForceReason::HardCap)
    }

    fn enter_think(&mut self, rules: &Rules) -> PhaseEvent {
        self.kind = PhaseKind::ThinkDecode;
        self.tally.spans = self.tally.spans.saturating_add(1);
        match self.due(rules) {
            PhaseEvent::Unchanged => PhaseEvent::EnterThink,
            due => due,
        }
    }

    #[cold]
    #[inline(never)]
    fn cross(&mut self, rules: &Rules, marker: MarkerKind) -> PhaseEvent {
        let tokens_used = self.tokens;
        self.tally = self.closed();
        self.tokens = 0;
        self.node = ROOT;
        self.forced = false;
        self.averages = Averages::START;
        let (kind, event) = match marker {
            MarkerKind::ThinkStart => return self.enter_think(rules),
            MarkerKind::ThinkEnd => {
                let event = PhaseEvent::ExitThink { tokens_used };
                (PhaseKind::OutputDecode, event)
            }
            MarkerKind::ToolStart => {
                self.tally.tool_spans = self.tally.tool_spans.saturating_add(1);
                (PhaseKind::ToolCall, PhaseEvent::EnterTool)
            }
            MarkerKind::ToolEnd => {
                let event = PhaseEvent::ExitTool { tokens_used };
                (PhaseKind::OutputDecode, event)
            }
            MarkerKind::Eos => (PhaseKind::Complete, PhaseEvent::Complete),
        };
        self.kind = kind;
        event
    }

    #[cold]
    #[inline(never)]
    fn force(&mut self, rules: &Rules, reason: BudgetForceReason) -> PhaseEvent {
        if !rules.can_force() {
            return PhaseEvent::Unchanged;
        }
        let closed = self.closed();
        let at_token = closed.think.saturating_add(closed.tool);
        self.forced = true;
        self.tally.forced = Some(Forced {
            reason,
            at_token: at_token.saturating_add(closed.output),
        });
        PhaseEvent::ForceBudget {
            injection: rules.injection(self.node),
            reason,
        }
    }
}

impl Averages {
    pub(crate) const START: Self = Self {
        mass_ema: 0.5,
        mass_sq_ema: 0.25,
        rpdi_local: 0.0,
        rpdi_global: 0.0,
    };

    /// With what `sample` says of the span's `n`th token.
    #[inline]
    pub(crate) fn with(self, rules: &Rules, sample: &EntropySignal, n: u32) -> Self {
        let ema = |x: f32, ema: f32| rules.alpha * x + rules.keep * ema;
        let transition = f32::from(sample.token_entropy > rules.transition_entropy);
        Self {
            mass_ema: ema(sample.end_mass, self.mass_ema),
            mass_sq_ema: ema(sample.end_mass * sample.end_mass, self.mass_sq_ema),
            rpdi_local: ema(transition, self.rpdi_local),
            // Beyond 2^24 tokens the divisor is off, by less than one part in ten million.
            rpdi_global: self.rpdi_global + (transition - self.rpdi_global) / n as f32,
        }
    }

    /// What they say after `n` tokens, if that is past the floor.
    #[inline]
    pub(crate) fn judge(self, rules: &Rules, n: u32) -> Option<BudgetForceReason> {
        if n <= rules.min {
            return None;
        }
        let variance = (self.mass_sq_ema - self.mass_ema * self.mass_ema).max(0.0);
        if variance < rules.max_variance && self.mass_ema >= rules.min_mass {
            return Some(BudgetForceReason::Converged);
        }
        let deviates = self.rpdi_local > rules.least_local
            && self.rpdi_global > LEAST_RPDI_GLOBAL
            && self.rpdi_local / self.rpdi_global > rules.min_index;
        deviates.then_some(BudgetForceReason::Overthinking)
    }
}

impl Rules {
    /// What a phase looks for, after so many thoughts.
    pub(crate) fn matcher(&self, kind: PhaseKind, spans: u16) -> Option<&Matcher> {
        match kind {
            PhaseKind::Prefill => Some(&self.prefill),
            PhaseKind::ThinkDecode => Some(&self.think),
            PhaseKind::OutputDecode if spans > 0 => {
                Some(self.answer.as_ref().unwrap_or(&self.output))
            }
            PhaseKind::OutputDecode => Some(&self.output),
            PhaseKind::ToolCall => Some(&self.tool),
            PhaseKind::Complete => None,
        }
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
pub(crate) fn step_mut(
    state: &mut State,
    rules: &Rules,
    token: u32,
    sample: Option<&EntropySignal>,
) -> PhaseEvent {
    let Some(matcher) = rules.matcher(state.kind, state.tally.spans) else {
        return PhaseEvent::Unchanged;
    };
    state.tokens = state.tokens.saturating_add(1);
    let (node, marker) = matcher.step(state.node, token);
    state.node = node;
    if let Some(marker) = marker {
        // Whatever else is due has become pointless, and the averages end with the span.
        return state.cross(rules, marker);
    }
    match state.kind {
        PhaseKind::ThinkDecode => think(state, rules, sample),
        // The root means that nothing is under way that output looks for: it goes on from here.
        PhaseKind::Prefill if node == ROOT && !rules.skipped.contains(&token) => {
            state.kind = PhaseKind::OutputDecode;
            PhaseEvent::Unchanged
        }
        _ => PhaseEvent::Unchanged,
    }
}

fn think(state: &mut State, rules: &Rules, sample: Option<&EntropySignal>) -> PhaseEvent {
    if let Some(sample) = sample.filter(|sample| sample.is_finite()) {
        state.averages = state.averages.with(rules, sample, state.tokens);
        if state.node == ROOT
            && !state.forced
            && let Some(reason) = state.averages.judge(rules, state.tokens)
        {
            return state.force(rules, reason);
        }
    }
    state.due(rules)
}

#[cfg(test)]
mod tests;
