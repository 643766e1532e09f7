//! What a router counts beside its map.
//!
//! # Design
//!
//! Shared by the rules of a router, and so by each of its requests: whoever ends one counts it out where it was counted
//! in, whichever router it asked.
//!
//! # Invariants
//!
//! 1. A request is counted before it is stored, and taken back if it is refused: `live` is never below what is tracked.
//! 2. Each that is counted leaves the gauge once: with its end, or with its router (`close`), whichever comes first.

use std::sync::Arc;

use state_map::sync::atomic::{AtomicU64, Ordering};

use crate::{RequestKey, telemetry};

#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counts {
    /// Requests that are tracked, registered at this moment, or ended at this moment; and `CLOSED`.
    live: AtomicU64,
    /// Samples that were ignored since they were not finite.
    ignored: AtomicU64,
}

/// The router has gone. Its requests may live on, in a map that others have, too.
const CLOSED: u64 = 1 << 63;

impl Counts {
    pub(crate) fn live(&self) -> usize {
        usize::try_from(self.live.load(Ordering::Relaxed) & !CLOSED).unwrap_or(usize::MAX)
    }

    /// Before the request is stored: whoever ends it may do so in the next instant, and takes one off.
    pub(crate) fn count_in(&self) {
        // Relaxed, as below: the end of a request comes after it was stored, so what takes it off comes after this.
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that was counted and then refused: nobody was told of it.
    pub(crate) fn take_back(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Once for each request that was counted in, and told of.
    pub(crate) fn count_out(&self, key: RequestKey) {
        let before = self.live.fetch_sub(1, Ordering::Relaxed);
        telemetry::reaped(key, before & CLOSED == 0);
    }

    fn close(&self) {
        let before = self.live.fetch_or(CLOSED, Ordering::Relaxed);
        telemetry::closed(before & !CLOSED);
    }

    pub(crate) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    pub(crate) fn ignore(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }
}

/// A router's own hold on its counts, which closes them.
#[derive(Debug)]
pub(crate) struct Counting(pub(crate) Arc<Counts>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.close();
    }
}
