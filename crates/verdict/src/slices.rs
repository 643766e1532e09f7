//! Which slices count.
//!
//! A slice is *clean* where its threads ran for practically all of it: the run delay is at most 2 %
//! of it and no steal tick fell in it (steal time alone misses most of what neighbours do). Where
//! threads exceed cores this is not asked, since waiting for a core is then what is measured. A
//! slice without operations, or without time, has no time per operation and is never clean.
//!
//! The figure of a cell is the median of its clean slices, and not their minimum: under contention
//! the neighbours can make a slice *faster*, by keeping its threads apart.

use crate::schema::{Cell, Slice};

/// A thread may have waited for a core for one part in so many of a clean slice: 2 %.
pub const RUN_DELAY_ONE_IN: u128 = 50;

impl Slice {
    /// Whether it counts.
    #[must_use]
    pub fn is_clean(&self, oversubscribed: bool) -> bool {
        let quiet = u128::from(self.run_delay_nanos) * RUN_DELAY_ONE_IN <= u128::from(self.nanos)
            && self.steal_ticks == 0;
        self.ops > 0 && self.nanos > 0 && (oversubscribed || quiet)
    }

    /// Wall time per operation of all threads, in nanoseconds. Meaningful for a clean slice.
    #[must_use]
    pub fn nanos_per_op(&self) -> f64 {
        self.nanos as f64 / self.ops as f64
    }
}

impl Cell {
    /// Its slices; none for a void one.
    #[must_use]
    pub fn slices(&self) -> &[Slice] {
        match self {
            Self::Measured { slices } => slices,
            Self::Void { .. } => &[],
        }
    }

    /// The median of its clean slices in nanoseconds per operation; `None` where there is no clean
    /// slice.
    #[must_use]
    pub fn nanos_per_op(&self, oversubscribed: bool) -> Option<f64> {
        let clean = self.slices().iter().filter(|s| s.is_clean(oversubscribed));
        let mut figures: Vec<f64> = clean.map(Slice::nanos_per_op).collect();
        crate::stats::median(&mut figures)
    }
}
