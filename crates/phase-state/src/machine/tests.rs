//! The machine: every transition by example, and against the naive model.

use super::{Rules, State, step_mut};
use crate::{
    BudgetForceReason, EntropySignal, PhaseEvent, PhaseRouterConfig, StartPhase, ThinkPhase,
};

#[path = "../../tests/it/oracle.rs"]
mod oracle;
mod properties;
mod samples;
mod transitions;

const START: u32 = 100;
const END: u32 = 101;
const EOS: u32 = 102;

/// One token of each kind, numbers that are exact in binary, no floor and no cap.
fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        ema_alpha: 0.5,
        transition_entropy_threshold: 2.5,
        rpdi_threshold: 3.0,
        eat_ema_variance_threshold: 0.001,
        min_think_tokens: 0,
        max_think_tokens: u32::MAX,
        ..PhaseRouterConfig::with_marker_ids([START], [END], [EOS])
    }
}

type Fed = (u32, Option<EntropySignal>);

/// All events but `Unchanged`, each with the number of its token, from 1; and the phase at the end.
fn run(
    config: &PhaseRouterConfig,
    start: StartPhase,
    tokens: &[Fed],
) -> (Vec<(usize, PhaseEvent)>, ThinkPhase) {
    let rules = Rules::new(config).unwrap();
    let mut state = State::start(start);
    let mut events = Vec::new();
    for (at, &(token, sample)) in (1..).zip(tokens) {
        let event = step_mut(&mut state, &rules, token, sample.as_ref());
        if event != PhaseEvent::Unchanged {
            events.push((at, event));
        }
    }
    (events, state.phase())
}

fn plain(tokens: &[u32]) -> Vec<Fed> {
    tokens.iter().map(|&token| (token, None)).collect()
}

const fn exit(tokens_used: u32) -> PhaseEvent {
    PhaseEvent::ExitThink { tokens_used }
}

const fn forced(reason: BudgetForceReason) -> PhaseEvent {
    PhaseEvent::ForceBudget {
        inject_token: END,
        reason,
    }
}

const fn output(think_tokens_used: u32) -> ThinkPhase {
    ThinkPhase::OutputDecode { think_tokens_used }
}

/// Thinking without a sample so far.
const fn thinking(tokens_so_far: u32, force_in_progress: bool) -> ThinkPhase {
    ThinkPhase::ThinkDecode {
        tokens_so_far,
        eat_ema: 0.5,
        eat_ema_sq: 0.25,
        rpdi_local: 0.0,
        rpdi_global: 0.0,
        force_in_progress,
    }
}
