//! What the router tells the outside: `tracing` events, and `metrics` behind the feature of that name.
//!
//! Subscribers and recorders are the user's code: all of this is called after the map's operation, and for a plain token
//! not at all.
//!
//! Keys of metrics are made once for each format: one that is made on the spot is built on the heap.

use crate::cell::Fed;
use crate::rules::Rules;
use crate::{PhaseEvent, RequestKey};

#[cfg(feature = "metrics")]
use crate::BudgetForceReason;

#[cfg(feature = "metrics")]
mod names {
    pub(super) const TRACKED: &str = "phase_state.tracked_requests";
    pub(super) const THINK_TOKENS: &str = "phase_state.think_tokens";
    pub(super) const FORCED: &str = "phase_state.budget_forced";
}

/// The keys of a format's metrics.
#[cfg(feature = "metrics")]
#[derive(Debug)]
pub(crate) struct Labels {
    think_tokens: metrics::Key,
    /// By reason, in the order of their numbers.
    forced: [metrics::Key; 3],
}

#[cfg(feature = "metrics")]
impl Labels {
    pub(crate) fn new(format: &str) -> Self {
        use BudgetForceReason::{Converged, HardCap, Overthinking};
        use metrics::{Key, Label};

        let key = |name: &'static str, reason: Option<&'static str>| {
            let reason = reason.map(|reason| Label::from_static_parts("reason", reason));
            let format = (!format.is_empty()).then(|| Label::new("format", format.to_owned()));
            Key::from_parts(name, reason.into_iter().chain(format).collect::<Vec<_>>())
        };
        Self {
            think_tokens: key(names::THINK_TOKENS, None),
            forced: [Converged, Overthinking, HardCap]
                .map(|reason| key(names::FORCED, Some(reason.as_str()))),
        }
    }
}

#[cfg(feature = "metrics")]
const METADATA: metrics::Metadata<'static> =
    metrics::Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));

pub(crate) fn registered(key: RequestKey) {
    tracing::debug!(%key, "request registered");
    #[cfg(feature = "metrics")]
    metrics::gauge!(names::TRACKED).increment(1.0);
}

/// The gauge goes down unless it has gone down with the router.
pub(crate) fn reaped(key: RequestKey, is_gauged: bool) {
    tracing::debug!(%key, "request reaped");
    #[cfg(feature = "metrics")]
    if is_gauged {
        metrics::gauge!(names::TRACKED).decrement(1.0);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = is_gauged;
}

/// A router has gone, and so many requests are left.
pub(crate) fn closed(requests: u64) {
    if requests > 0 {
        tracing::debug!(requests, "router dropped with its requests");
        #[cfg(feature = "metrics")]
        metrics::gauge!(names::TRACKED).decrement(crate::occupancy::as_f64(requests));
    }
}

/// A thought that the end of its request has cut.
pub(crate) fn cut(rules: &Rules, tokens: u32) {
    thought(rules, tokens);
}

fn thought(rules: &Rules, tokens: u32) {
    #[cfg(feature = "metrics")]
    metrics::with_recorder(|recorder| {
        recorder
            .register_histogram(&rules.labels.think_tokens, &METADATA)
            .record(f64::from(tokens));
    });
    #[cfg(not(feature = "metrics"))]
    let _ = (rules, tokens);
}

/// What is said of a change: nothing of one that changed nothing, and nothing twice.
#[cold]
#[inline(never)]
pub(crate) fn tell(key: RequestKey, rules: &Rules, fed: Fed) {
    if !fed.is_news {
        return;
    }
    match fed.event {
        PhaseEvent::ForceBudget { injection, reason } => {
            let inject = rules.tokens(injection);
            tracing::info!(%key, ?inject, %reason, "thinking budget forced");
            #[cfg(feature = "metrics")]
            metrics::with_recorder(|recorder| {
                recorder
                    .register_counter(&rules.labels.forced[reason as usize], &METADATA)
                    .increment(1);
            });
        }
        PhaseEvent::ExitThink { tokens_used } => thought(rules, tokens_used),
        _ => {}
    }
}
