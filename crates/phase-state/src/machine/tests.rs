//! The machine: every transition by example, and against the naive model.

use std::sync::Arc;

use super::{State, step_mut};
use crate::rules::Rules;
use crate::{
    BudgetForceReason, ConfigError, EntropySignal, Format, PhaseRouterConfig, StartPhase,
    ThinkPhase,
};

#[path = "../../tests/it/oracle.rs"]
mod oracle;
mod properties;
mod samples;
mod shapes;
mod transitions;

use oracle::Event;

const START: u32 = 100;
const END: u32 = 101;
const EOS: u32 = 102;

/// One token of each kind, numbers that are exact in binary, no floor and no cap.
fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        ema_alpha: 0.5,
        transition_entropy_threshold: 2.5,
        min_think_tokens: 0,
        max_think_tokens: u32::MAX,
        ..PhaseRouterConfig::with_marker_ids([START], [END], [EOS])
    }
}

fn with_format(format: Format) -> PhaseRouterConfig {
    PhaseRouterConfig {
        formats: vec![format],
        ..config()
    }
}

/// The rules of a config's only format.
fn rules(config: &PhaseRouterConfig) -> Result<Arc<Rules>, ConfigError> {
    Ok(Arc::clone(&Rules::all(config)?[0]))
}

type Fed = (u32, Option<EntropySignal>);

/// All events but `Unchanged`, each with the number of its token, from 1, or 0 for the registration; and the phase at
/// the end.
fn run(
    config: &PhaseRouterConfig,
    start: StartPhase,
    tokens: &[Fed],
) -> (Vec<(usize, Event)>, ThinkPhase) {
    let rules = rules(config).unwrap();
    let (mut state, due) = State::start(&rules, start, None);
    let inject = |injection| rules.tokens(injection).to_vec();
    let mut events = vec![(0, Event::of(due, inject))];
    for (at, &(token, sample)) in (1..).zip(tokens) {
        let event = step_mut(&mut state, &rules, token, sample.as_ref());
        events.push((at, Event::of(event, inject)));
    }
    events.retain(|(_, event)| *event != Event::Unchanged);
    (events, state.phase())
}

fn plain(tokens: &[u32]) -> Vec<Fed> {
    tokens.iter().map(|&token| (token, None)).collect()
}

const fn exit(tokens_used: u32) -> Event {
    Event::ExitThink(tokens_used)
}

fn forced(reason: BudgetForceReason) -> Event {
    Event::Force(vec![END], reason)
}

const fn output(think_tokens_used: u32) -> ThinkPhase {
    ThinkPhase::OutputDecode { think_tokens_used }
}

/// Thinking without a sample so far.
const fn thinking(tokens_so_far: u32, force_in_progress: bool) -> ThinkPhase {
    ThinkPhase::ThinkDecode {
        tokens_so_far,
        end_mass_ema: 0.5,
        end_mass_sq_ema: 0.25,
        rpdi_local: 0.0,
        rpdi_global: 0.0,
        force_in_progress,
    }
}
