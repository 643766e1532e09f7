//! How long somebody waits for a thread that is inside a change of the same request, and how.
//!
//! # Design
//!
//! The holder needs nanoseconds, unless it has lost its core. So: spin, for as long as that takes; then offer it this core;
//! then leave it this core, for 50 us and twice as long each time, to 1 ms. Only the last helps where this thread runs at a
//! real-time priority and the holder does not.
//!
//! Nobody waits here who has a session of the map open, let alone one of its locks.

#[cfg(not(inflight_loom))]
use std::{thread, time::Duration};

use state_map::sync::{spin_loop, yield_now};

use crate::cell::Busy;

const SPINS: u32 = 7;
const YIELDS: u32 = 4;
/// Parks of 15 ms in all.
#[cfg(not(inflight_loom))]
const PARKS: u32 = 18;

/// Somebody's patience with one change of one request.
#[derive(Debug, Default)]
pub(crate) struct Patience(u32);

impl Patience {
    /// Waits for a while: longer each time.
    pub(crate) fn wait(&mut self) {
        let round = self.0;
        self.0 = round.saturating_add(1);
        if cfg!(inflight_loom) {
            // A model checker has all others run.
            yield_now();
        } else if round < SPINS {
            (0..1 << round).for_each(|_| spin_loop());
        } else if round < SPINS + YIELDS {
            yield_now();
        } else {
            #[cfg(not(inflight_loom))]
            thread::park_timeout(pause(round - SPINS - YIELDS));
        }
    }

    /// Whether it has been long enough: some 15 ms.
    pub(crate) fn is_over(&self) -> bool {
        #[cfg(inflight_loom)]
        return false;
        #[cfg(not(inflight_loom))]
        return self.0 > SPINS + YIELDS + PARKS;
    }
}

#[cfg(not(inflight_loom))]
fn pause(number: u32) -> Duration {
    Duration::from_micros(50 << number.min(4)).min(Duration::from_millis(1))
}

/// Tries until it can be done.
pub(crate) fn patiently<R>(mut attempt: impl FnMut() -> Result<R, Busy>) -> R {
    let mut patience = Patience::default();
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(Busy) => patience.wait(),
        }
    }
}
