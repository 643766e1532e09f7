//! What came of a run: how it went, and whether anything went wrong.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::backends::Backends;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its last token.
    Complete,
    /// With an error or a cut, since its worker died.
    Cut,
    /// Before it was sent anywhere: no worker was there for it.
    Refused,
    /// With an error or a cut, though nobody died.
    Lost,
}

/// What requests came to. Latencies in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) started: u64,
    pub(super) ended: u64,
    pub(super) complete: u64,
    pub(super) cut: u64,
    pub(super) refused: u64,
    pub(super) tokens: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) first: Histogram<u64>,
    pub(super) between: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        // Up to a minute; what took longer counts as a minute.
        let histogram = || Histogram::new_with_max(60_000_000_000, 3).expect("sensible bounds");
        Self {
            started: 0,
            ended: 0,
            complete: 0,
            cut: 0,
            refused: 0,
            tokens: 0,
            lost: 0,
            doubled: 0,
            first: histogram(),
            between: histogram(),
        }
    }
}

impl Tally {
    /// Counts a request that has ended. `gaps` are the time to its first token, and then between tokens.
    pub(super) fn ended(&mut self, end: End, gaps: &[u64]) {
        self.ended += 1;
        match end {
            End::Complete => self.complete += 1,
            End::Cut => self.cut += 1,
            End::Refused => self.refused += 1,
            End::Lost => self.lost += 1,
        }
        if let Some((first, between)) = gaps.split_first() {
            self.first.saturating_record(*first);
            for gap in between {
                self.between.saturating_record(*gap);
            }
        }
    }

    /// Every request that was started has ended once.
    pub(super) fn settle(&mut self) {
        self.lost += self.started.saturating_sub(self.ended);
        self.doubled += self.ended.saturating_sub(self.started);
    }
}

/// How much of a token's time is the map's.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapShare {
    /// A token of `phase-state`, found by key.
    pub(super) by_key: Duration,
    /// A token of `phase-state` by handle, which is in no need of a map.
    pub(super) by_handle: Duration,
}

/// What came of a run. Displays as its figures, and a last line on what was lost, doubled and leaked.
#[derive(Debug)]
#[must_use]
pub struct Report {
    pub(super) backends: Backends,
    pub(super) elapsed: Duration,
    pub(super) cpu: Duration,
    pub(super) killed: u64,
    pub(super) tally: Tally,
    pub(super) map: MapShare,
    /// What was still there at the end, of what, and how much.
    pub(super) remains: Vec<(&'static str, usize)>,
}

impl Report {
    /// Tokens that did not come or were not what they should be, and requests that failed or never ended though nobody
    /// died.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.tally.lost
    }

    /// Tokens that came twice, too late, or to a stranger, and answers that were finished and did not end.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.tally.doubled
    }

    /// What is still in an index, though nothing is in flight.
    #[must_use]
    pub fn leaked(&self) -> usize {
        self.remains.iter().map(|(_, count)| count).sum()
    }

    /// Whether nothing was lost, doubled or leaked.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost() == 0 && self.doubled() == 0 && self.leaked() == 0
    }

    /// Requests that ended with their last token.
    #[must_use]
    pub fn complete(&self) -> u64 {
        self.tally.complete
    }

    /// Requests that were cut when their worker died.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.tally.cut
    }

    /// Requests for which no worker was there.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.tally.refused
    }

    /// Workers that died.
    #[must_use]
    pub fn killed(&self) -> u64 {
        self.killed
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tally, map, .. } = self;
        let seconds = self.elapsed.as_secs_f64();
        let per_second = |count: u64| count as f64 / seconds;
        writeln!(f, "backends              {}", self.backends)?;
        writeln!(
            f,
            "requests              {} complete, {} cut, {} refused in {seconds:.1} s, {} workers killed",
            tally.complete, tally.cut, tally.refused, self.killed
        )?;
        writeln!(f, "requests/s            {:.0}", per_second(tally.complete))?;
        writeln!(f, "tokens/s              {:.0}", per_second(tally.tokens))?;
        for (name, histogram) in [
            ("time to first token  ", &tally.first),
            ("time between tokens  ", &tally.between),
        ] {
            let millis = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
            writeln!(
                f,
                "{name} p50 {:.3} ms, p99 {:.3} ms",
                millis(0.5),
                millis(0.99)
            )?;
        }
        let cpu = self.cpu.as_secs_f64() * 1e9 / (tally.tokens.max(1)) as f64;
        writeln!(
            f,
            "CPU time per token    {cpu:.0} ns, both ends and the system's share"
        )?;
        let nanos = |time: Duration| time.as_secs_f64() * 1e9;
        let (key, handle) = (nanos(map.by_key), nanos(map.by_handle));
        let share = 100.0 * (key - handle).max(0.0) / cpu;
        writeln!(
            f,
            "of that, the map      {:.0} ns, {share:.2} %: phase-state takes {key:.0} ns by key, {handle:.0} by handle \
             (measured afterwards, one thread)",
            (key - handle).max(0.0)
        )?;
        for (what, count) in self.remains.iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "leaked                {count} {what}")?;
        }
        write!(
            f,
            "{} lost, {} doubled, {} leaked",
            self.lost(),
            self.doubled(),
            self.leaked()
        )
    }
}
