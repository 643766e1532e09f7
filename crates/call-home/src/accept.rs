//! How long to wait after a failure to accept, and when to say so: a pure state machine.
//!
//! # Why
//!
//! A listener that is out of descriptors is still ready, so that a loop which only tries again burns a core, just when the
//! process is short of everything. Errors of one connection, which died while it waited, say nothing of the next one.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Failures since the last connection.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u64,
    wait: Duration,
    said: Option<Instant>,
}

/// What to do about a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Wait that long before the next attempt.
    pub(crate) wait: Duration,
    /// Say how many failures there have been.
    pub(crate) say: Option<u64>,
}

impl Backoff {
    pub(crate) fn failed(&mut self, now: Instant) -> Advice {
        self.failures += 1;
        self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        let due = self.said.is_none_or(|said| now - said >= BETWEEN_LINES);
        if due {
            self.said = Some(now);
        }
        Advice {
            wait: self.wait,
            say: due.then_some(self.failures),
        }
    }

    /// Answers how many failures that ends.
    pub(crate) fn succeeded(&mut self) -> u64 {
        self.wait = Duration::ZERO;
        std::mem::take(&mut self.failures)
    }
}

/// Whether an error concerns one connection, and the next one may be accepted at once.
pub(crate) fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_second_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let mut wait = || backoff.failed(now).wait.as_millis();
        let waits: Vec<_> = (0..10).map(|_| wait()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(backoff.succeeded(), 10);
        assert_eq!(backoff.succeeded(), 0);
        assert_eq!(backoff.failed(now).wait, FIRST_WAIT);
    }

    #[test]
    fn one_line_in_five_seconds_even_if_it_recovers_in_between() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        let lines = (0..100).filter_map(|tick| {
            if tick % 3 == 0 {
                backoff.succeeded();
            }
            let now = start + Duration::from_millis(100) * tick;
            backoff.failed(now).say.map(|_| tick)
        });
        assert_eq!(lines.collect::<Vec<_>>(), [0, 50]);
    }

    #[test]
    fn only_errors_of_one_connection_are_passed_over() {
        let errno = io::Error::from_raw_os_error;
        let raw = rustix::io::Errno::raw_os_error;
        for exhausted in [
            rustix::io::Errno::MFILE,
            rustix::io::Errno::NFILE,
            rustix::io::Errno::NOBUFS,
            rustix::io::Errno::NOMEM,
            rustix::io::Errno::INVAL,
        ] {
            assert!(
                !concerns_one_connection(&errno(raw(exhausted))),
                "{exhausted}"
            );
        }
        for of_one in [rustix::io::Errno::CONNABORTED, rustix::io::Errno::PERM] {
            assert!(concerns_one_connection(&errno(raw(of_one))), "{of_one}");
        }
    }
}
