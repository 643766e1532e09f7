//! How a request begins.

use crate::{FormatId, RequestState, StartPhase};

/// How a request begins: by default before its first token, in the router's first format, with the router's budget.
///
/// ```
/// use phase_state::{Registration, StartPhase};
///
/// // The chat template has opened the thought, and the client allows it 2,048 tokens.
/// let registration = Registration::new().start(StartPhase::ThinkDecode).budget(2_048);
/// # let _ = registration;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct Registration {
    pub(crate) start: StartPhase,
    pub(crate) format: FormatId,
    pub(crate) budget: Option<u32>,
    pub(crate) state: Option<RequestState>,
}

impl Registration {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins in this phase: in [`StartPhase::ThinkDecode`] where the chat template has put the start marker into the
    /// prompt.
    pub fn start(self, start: StartPhase) -> Self {
        Self { start, ..self }
    }

    /// Of this format.
    pub fn format(self, format: FormatId) -> Self {
        Self { format, ..self }
    }

    /// With at most so many tokens of thinking, over all spans; 0 means no thinking. The router's cap holds all the same.
    pub fn budget(self, tokens: u32) -> Self {
        Self {
            budget: Some(tokens),
            ..self
        }
    }

    /// Goes on from a state that was taken elsewhere. Of its own format: the one of this router that has the same markers.
    /// With its own budget, unless one is given.
    pub fn resume(state: RequestState) -> Self {
        Self {
            state: Some(state),
            ..Self::default()
        }
    }
}

impl From<StartPhase> for Registration {
    fn from(start: StartPhase) -> Self {
        Self::new().start(start)
    }
}
