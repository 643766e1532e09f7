//! What came of a run: how requests ended, and whether anything went wrong.

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

/// What came of a run.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Report {
    /// Requests that ended with their last token.
    pub complete: u64,
    /// Requests that were cut when their worker died.
    pub cut: u64,
    /// Requests for which no worker was there.
    pub refused: u64,
    /// Workers that died.
    pub killed: u64,
    /// Tokens that did not come or were not what they should be, and requests that failed or never
    /// ended though nobody died.
    pub lost: u64,
    /// Tokens that came twice, too late, or to a stranger, and answers that were finished and did
    /// not end.
    pub doubled: u64,
    /// What is still in an index, though nothing is in flight: of what, and how much.
    pub remains: Vec<(&'static str, usize)>,
    pub(super) started: u64,
    ended: u64,
}

impl Report {
    /// Whether nothing was lost, doubled or leaked.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let leaked = self.remains.iter().any(|(_, count)| *count > 0);
        self.lost == 0 && self.doubled == 0 && !leaked
    }

    pub(super) fn ended(&mut self, end: End) {
        self.ended += 1;
        match end {
            End::Complete => self.complete += 1,
            End::Cut => self.cut += 1,
            End::Refused => self.refused += 1,
            End::Lost => self.lost += 1,
        }
    }

    /// Every request that was started has ended once.
    pub(super) fn settle(&mut self) {
        self.lost += self.started.saturating_sub(self.ended);
        self.doubled += self.ended.saturating_sub(self.started);
    }
}
