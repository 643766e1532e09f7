//! A task that moves a store's clock and sweeps it, on tokio.
//!
//! # Why
//!
//! *A function that is called, not something the constructor does*: a store can be made where no runtime is, and its owner
//! may have a loop of its own to sweep from.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{MemoryStore, SessionMap};

/// Entries that a tick may look at: a few of the store's bites, so that other tasks of the thread get their turn.
const BUDGET: usize = 1_024;

/// The tick that makes a store's clock as fine as it can be: a millisecond.
pub const FINEST_TICK: Duration = Duration::from_millis(1);

impl<M: SessionMap + 'static> MemoryStore<M> {
    /// Spawns a task that moves the store's clock on with real time and sweeps it, every `tick`
    /// ([`FINEST_TICK`] at least, and as a rule). It ends by itself within a tick of the store's end, or by `abort`.
    ///
    /// One for a store: of two, the one that was spawned earlier moves the clock. The clock goes on from where it is.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime with a timer around.
    pub fn spawn_sweeper(self: &Arc<Self>, tick: Duration) -> JoinHandle<()> {
        let (store, start) = (Arc::downgrade(self), self.now());
        let mut ticks = interval(tick.max(FINEST_TICK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = Instant::now();
        tokio::spawn(async move {
            let mut more = false;
            loop {
                if more {
                    tokio::task::yield_now().await;
                } else {
                    ticks.tick().await;
                }
                // Held for one sweep at a time, so that the store ends when its owners let go of it.
                let Some(store) = store.upgrade() else {
                    return;
                };
                more = store
                    .sweep(start.saturating_add(begun.elapsed()), BUDGET)
                    .more;
            }
        })
    }
}
