//! The coarse clock of a store: a number of milliseconds that its owner moves on.

use std::time::Duration;

use std_or_loom::atomic::{AtomicU64, Ordering};

use crate::entry::{Moment, NEVER};

/// On cache lines of its own: every hit reads it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Time {
    now: AtomicU64,
    ttl: u64,
}

impl Time {
    pub(crate) fn new(ttl: u64) -> Self {
        Self {
            now: AtomicU64::new(0),
            ttl,
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        let now = self.now();
        Moment {
            now,
            deadline: now.saturating_add(self.ttl).min(NEVER),
        }
    }

    /// Whether the clock has yet to come to `now`.
    pub(crate) fn is_before(&self, now: Duration) -> bool {
        self.now() < in_millis(now)
    }

    /// Stops short of `NEVER`, which nothing that never runs out may reach.
    pub(crate) fn advance_to(&self, now: Duration) {
        self.now.fetch_max(in_millis(now), Ordering::AcqRel);
    }
}

fn in_millis(now: Duration) -> u64 {
    let millis = u64::try_from(now.as_millis()).unwrap_or(NEVER);
    millis.min(NEVER - 1)
}
