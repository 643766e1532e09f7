//! What an engine should measure before the decision is the last word.

/// What to measure next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: every candidate is settled, or no block would settle one.
    Done,
    /// One more block of each of these gating scenarios, in turn; then decide again.
    Measure {
        /// The scenarios, in the order of the record.
        scenarios: Vec<String>,
    },
}
