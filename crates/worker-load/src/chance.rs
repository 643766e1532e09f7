//! Turns and random numbers of a thread's own: nobody else writes what they are made of.
//!
//! Under loom there is no chance: a model must meet the same choices each time.

#[cfg(not(inflight_loom))]
pub(crate) use real::{below, part, turn};
#[cfg(inflight_loom)]
pub(crate) use stand_in::{below, part, turn};

#[cfg(not(inflight_loom))]
mod real {
    use std::cell::Cell;

    thread_local! {
        static TURN: Cell<usize> = const { Cell::new(0) };
    }

    /// How many times this thread has asked before.
    #[inline]
    pub(crate) fn turn() -> usize {
        TURN.with(|turn| turn.replace(turn.get().wrapping_add(1)))
    }

    /// A number from 0 to `len`, without `len`, which must not be 0.
    #[inline]
    pub(crate) fn below(len: usize) -> usize {
        fastrand::usize(..len)
    }

    /// A number from 0 to 1, without 1.
    #[inline]
    pub(crate) fn part() -> f64 {
        fastrand::f64()
    }
}

#[cfg(inflight_loom)]
mod stand_in {
    pub(crate) fn turn() -> usize {
        0
    }

    pub(crate) fn below(_: usize) -> usize {
        0
    }

    pub(crate) fn part() -> f64 {
        0.0
    }
}
