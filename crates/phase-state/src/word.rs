//! The control word of a cell: what changes with every token, in 64 bits.
//!
//! ```text
//! 63                     22   21      20      19     18     17    16     15  14   12 11      0
//! | progress               |touched|stepping|locked|dead |owned| turn |forced| kind | node    |
//! ```
//!
//! - `progress`: goes up with every token and every other change of the state, and never comes back: it wraps after 4 * 10^12.
//!   The tokens of a phase are the progress less a base that is stored beside.
//! - `touched`: a sign of life that is no token came since the last sweep.
//! - `stepping`: what else there is of the state is being written: readers wait.
//! - `locked`: a thread is inside a token, by key. Readers need not mind.
//! - `dead`: the request has ended. For good.
//! - `owned`: driven by a handle. Set for the life of the cell or never.
//! - `turn`: which of the two copies of the averages is the one to read.
//! - `forced`: the end of this span has been forced.
//! - `node`: how far a marker of several tokens has come.
//!
//! A request that a handle drives has its `touched` and `dead` in a word of their own, since its handle stores this one
//! whatever it holds.

use crate::PhaseKind;
use crate::machine::State;

pub(crate) const NODE: u64 = 0xfff;
pub(crate) const KIND_SHIFT: u32 = 12;
pub(crate) const KIND: u64 = 0b111 << KIND_SHIFT;
pub(crate) const FORCED: u64 = 1 << 15;
pub(crate) const TURN: u64 = 1 << 16;
pub(crate) const OWNED: u64 = 1 << 17;
pub(crate) const DEAD: u64 = 1 << 18;
pub(crate) const LOCKED: u64 = 1 << 19;
pub(crate) const STEPPING: u64 = 1 << 20;
pub(crate) const TOUCHED: u64 = 1 << 21;
/// At the top, so that it wraps into nothing.
pub(crate) const PROGRESS_SHIFT: u32 = 22;
pub(crate) const PROGRESS_ONE: u64 = 1 << PROGRESS_SHIFT;

/// The kind and node of a request that is thinking, answering, or calling a tool, with no marker under way.
pub(crate) const THINKING: u64 = (PhaseKind::ThinkDecode as u64) << KIND_SHIFT;
pub(crate) const ANSWERING: u64 = (PhaseKind::OutputDecode as u64) << KIND_SHIFT;
pub(crate) const CALLING: u64 = (PhaseKind::ToolCall as u64) << KIND_SHIFT;

/// The progress of a cell that has seen no token: more than the tokens that it may begin with.
pub(crate) const FIRST: u64 = 1 << 32;

/// A word that no cell ever has: what a sweep that has not seen a cell yet remembers of it.
pub(crate) const UNSEEN: u64 = LOCKED | DEAD;

#[inline]
pub(crate) fn progress(word: u64) -> u64 {
    word >> PROGRESS_SHIFT
}

#[inline]
pub(crate) fn node(word: u64) -> u16 {
    (word & NODE) as u16
}

#[inline]
pub(crate) fn kind(word: u64) -> PhaseKind {
    match (word & KIND) >> KIND_SHIFT {
        0 => PhaseKind::Prefill,
        1 => PhaseKind::ThinkDecode,
        2 => PhaseKind::OutputDecode,
        3 => PhaseKind::ToolCall,
        _ => PhaseKind::Complete,
    }
}

/// Which copy of the averages is the one to read; the other is free to be written.
#[inline]
pub(crate) fn turn(word: u64) -> usize {
    usize::from(word & TURN != 0)
}

/// The word after a token that only counts.
#[inline]
pub(crate) fn counted(word: u64) -> u64 {
    word.wrapping_add(PROGRESS_ONE)
}

/// The word for `state` after `word`, with its marks and the other copy of the averages.
pub(crate) fn encode(state: &State, word: u64) -> u64 {
    let forced = if state.forced { FORCED } else { 0 };
    let marks = counted(word) & !(NODE | KIND | FORCED | LOCKED | STEPPING);
    (marks ^ TURN) | u64::from(state.node) | (state.kind as u64) << KIND_SHIFT | forced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_of_a_marker_fits_the_word() {
        assert!(crate::Format::MAX_MARKER_TOKENS as u64 <= NODE);
    }

    #[test]
    fn kinds_are_taken_back() {
        for of in PhaseKind::ALL {
            assert_eq!(kind((of as u64) << KIND_SHIFT), of);
        }
    }

    #[test]
    fn progress_wraps_into_nothing() {
        let marks = PROGRESS_ONE - 1;
        assert_eq!(counted(!0), marks);
    }
}
