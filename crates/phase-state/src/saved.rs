//! A request's state as a value.
//!
//! # Design
//!
//! One type for all that takes a state from one place to another: back in time ([`rollback`](crate::PhaseRouter::rollback)),
//! into another choice ([`fork`](crate::PhaseRouter::fork)), to another process
//! ([`move_out`](crate::PhaseRouter::move_out), [`Registration::resume`](crate::Registration::resume)).
//!
//! # Why
//!
//! *No log of tokens to roll back by*: it would be written on each token, for what few engines do on few. A state is 64
//! bytes, and taken where a draft begins.
//!
//! # Invariants
//!
//! A place in a marker means something in formats of the same markers alone; so a state says which, and goes into no
//! other. One that came from outside is checked before it goes in (`checked`).

use crate::machine::{Averages, State};
use crate::rules::Rules;
#[cfg(feature = "serde")]
use crate::{Forced, machine::Tally};
use crate::{PhaseKind, Summary, ThinkPhase};

/// A request's state, as of one moment: [`PhaseRouter::state_of`](crate::PhaseRouter::state_of). 72 bytes, `Copy`.
///
/// # Serde
///
/// With the feature `serde`: its form has a version, and another version is refused. So is, by
/// [`register_with`](crate::PhaseRouter::register_with), a state that no request was ever in.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "Form", try_from = "Form"))]
#[must_use]
pub struct RequestState {
    /// Of the markers of its format.
    pub(crate) fingerprint: u64,
    pub(crate) state: State,
}

impl RequestState {
    /// Its phase.
    pub fn phase(&self) -> ThinkPhase {
        self.state.phase()
    }

    /// What it had come to.
    pub fn summary(&self) -> Summary {
        self.state.summary()
    }

    /// What was left of the budget, in tokens.
    #[must_use]
    pub fn remaining_budget(&self) -> u32 {
        self.state.remaining()
    }

    /// The state, if a request of these rules can be in it.
    pub(crate) fn checked(&self, rules: &Rules) -> Option<State> {
        let mut state = self.state;
        let Averages {
            mass_ema,
            mass_sq_ema,
            rpdi_local,
            rpdi_global,
        } = state.averages;
        let is_finite = [mass_ema, mass_sq_ema, rpdi_local, rpdi_global]
            .iter()
            .all(|average| average.is_finite());
        let nodes = rules
            .matcher(state.kind, state.tally.spans)
            .map_or(1, crate::marker::Matcher::nodes);
        let is_thinking = state.kind == PhaseKind::ThinkDecode;
        let is_possible = self.fingerprint == rules.fingerprint
            && is_finite
            && usize::from(state.node) < nodes
            && (is_thinking || !state.forced && state.averages == Averages::START)
            && (!is_thinking || state.tally.spans > 0);
        // As it would be there: no request's budget is above the router's.
        state.tally.budget = state.tally.budget.min(rules.max);
        is_possible.then_some(state)
    }
}

/// What is written, field by field. Version 1.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u16,
    markers: u64,
    phase: PhaseKind,
    forced: bool,
    node: u16,
    tokens: u32,
    budget: u32,
    think_tokens: u32,
    tool_tokens: u32,
    output_tokens: u32,
    think_spans: u16,
    tool_spans: u16,
    last_forced: Option<Forced>,
    averages: [f32; 4],
}

#[cfg(feature = "serde")]
const VERSION: u16 = 1;

#[cfg(feature = "serde")]
impl From<RequestState> for Form {
    fn from(RequestState { fingerprint, state }: RequestState) -> Self {
        let Tally {
            budget,
            think,
            tool,
            output,
            spans,
            tool_spans,
            forced,
        } = state.tally;
        let averages = state.averages;
        Self {
            version: VERSION,
            markers: fingerprint,
            phase: state.kind,
            forced: state.forced,
            node: state.node,
            tokens: state.tokens,
            budget,
            think_tokens: think,
            tool_tokens: tool,
            output_tokens: output,
            think_spans: spans,
            tool_spans,
            last_forced: forced,
            averages: [
                averages.mass_ema,
                averages.mass_sq_ema,
                averages.rpdi_local,
                averages.rpdi_global,
            ],
        }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Form> for RequestState {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        if form.version != VERSION {
            return Err(format!(
                "a request's state of version {}; this reads version {VERSION}: run the same release on both sides",
                form.version
            ));
        }
        let [mass_ema, mass_sq_ema, rpdi_local, rpdi_global] = form.averages;
        Ok(Self {
            fingerprint: form.markers,
            state: State {
                kind: form.phase,
                forced: form.forced,
                node: form.node,
                tokens: form.tokens,
                tally: Tally {
                    budget: form.budget,
                    think: form.think_tokens,
                    tool: form.tool_tokens,
                    output: form.output_tokens,
                    spans: form.think_spans,
                    tool_spans: form.tool_spans,
                    forced: form.last_forced,
                },
                averages: Averages {
                    mass_ema,
                    mass_sq_ema,
                    rpdi_local,
                    rpdi_global,
                },
            },
        })
    }
}
