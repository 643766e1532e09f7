//! What a manager tells the outside, through `tracing`: changes, and of requests nothing.
//!
//! Subscribers are the user's code: all of this is called when the manager's lock is released, so that lines of two
//! changes that race may come in either order.

use crate::batch::Plan;

pub(crate) fn changed<R: ?Sized>(plan: &Plan<R>, generation: u64) {
    for (id, edit) in &plan.routers {
        if edit.before.is_some() {
            tracing::info!(router = %id, generation, "router deregistered");
        }
        if let Some(seat) = &edit.after {
            tracing::info!(router = %id, class = %seat.place.0, generation, "router registered");
        }
    }
    if plan.changes_default {
        match &plan.default.after {
            Some(seat) => tracing::info!(router = %seat.id, generation, "default router set"),
            None => tracing::info!(generation, "default router removed"),
        }
    }
    for (id, edit) in &plan.workers {
        match &edit.after {
            Some(spec) => {
                tracing::debug!(worker = %id, class = %spec.class(), healthy = spec.healthy, generation, "worker changed");
            }
            None => tracing::debug!(worker = %id, generation, "worker removed"),
        }
    }
}
