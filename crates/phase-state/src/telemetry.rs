//! What the router tells the outside: `tracing` events, and `metrics` behind the feature of that name.
//!
//! Subscribers and recorders are the user's code: all of this is called after the map's operation, and for a plain token
//! not at all.

#[cfg(feature = "metrics")]
use crate::BudgetForceReason;
use crate::{PhaseEvent, RequestKey};

#[cfg(feature = "metrics")]
mod names {
    pub(super) const TRACKED: &str = "phase_state.tracked_requests";
    pub(super) const THINK_TOKENS: &str = "phase_state.think_tokens";
    pub(super) const FORCED: &str = "phase_state.budget_forced";
}

pub(crate) fn registered(key: RequestKey) {
    tracing::debug!(%key, "request registered");
    #[cfg(feature = "metrics")]
    metrics::gauge!(names::TRACKED).increment(1.0);
}

pub(crate) fn reaped(key: RequestKey) {
    tracing::debug!(%key, "request reaped");
    #[cfg(feature = "metrics")]
    metrics::gauge!(names::TRACKED).decrement(1.0);
}

/// What is said of a token: nothing of one that changed nothing.
#[inline]
pub(crate) fn tell(key: RequestKey, event: PhaseEvent) {
    if event != PhaseEvent::Unchanged {
        tell_change(key, event);
    }
}

#[cold]
#[inline(never)]
fn tell_change(key: RequestKey, event: PhaseEvent) {
    match event {
        PhaseEvent::ForceBudget {
            inject_token,
            reason,
        } => {
            tracing::info!(%key, inject_token, %reason, "thinking budget forced");
            #[cfg(feature = "metrics")]
            count_forced(reason);
        }
        #[cfg(feature = "metrics")]
        PhaseEvent::ExitThink { tokens_used } => {
            metrics::histogram!(names::THINK_TOKENS).record(f64::from(tokens_used));
        }
        _ => {}
    }
}

/// Each with a label that is known at compile time: one that is not is a key built anew, on the heap.
#[cfg(feature = "metrics")]
fn count_forced(reason: BudgetForceReason) {
    match reason {
        BudgetForceReason::Converged => metrics::counter!(names::FORCED, "reason" => "converged"),
        BudgetForceReason::Overthinking => {
            metrics::counter!(names::FORCED, "reason" => "overthinking")
        }
        BudgetForceReason::HardCap => metrics::counter!(names::FORCED, "reason" => "hard_cap"),
    }
    .increment(1);
}
