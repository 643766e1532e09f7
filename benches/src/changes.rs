//! Changes that come so many a second while a scenario runs.

use std::time::{Duration, Instant};

/// Says when a change is due.
#[derive(Debug)]
pub(crate) struct Changes {
    every: Option<Duration>,
    next: Instant,
}

impl Changes {
    /// The first thread makes all of them.
    pub(crate) fn of_thread(thread: usize, a_second: u32) -> Self {
        let every = Duration::from_secs(1).checked_div(a_second);
        Self {
            every: every.filter(|_| thread == 0),
            next: Instant::now(),
        }
    }

    /// At most one at a time: what was due while the process slept is not made up for. Reads the
    /// clock.
    pub(crate) fn due(&mut self) -> bool {
        let Some(every) = self.every else {
            return false;
        };
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + every;
        }
        due
    }
}
