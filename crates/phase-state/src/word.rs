//! The control word of a cell: what changes with every token, in 64 bits.
//!
//! ```text
//! 63        50 49   48    47   46     45  44 43     32 31             0
//! | version   |dead|lock |owned|forced| kind | node   | count          |
//! ```
//!
//! - `count`: the tokens of this thinking span; in other phases a count of progress that means nothing else.
//! - `node`: how far a marker of several tokens has come.
//! - `forced`: the end of this span has been forced.
//! - `owned`: driven by a handle. Set for the life of the cell or never.
//! - `version`: changes with every store, so that no two states in a row have the same word.

use crate::PhaseKind;
use crate::machine::State;

pub(crate) const COUNT: u64 = 0xffff_ffff;
pub(crate) const NODE_SHIFT: u32 = 32;
pub(crate) const NODE: u64 = 0xfff << NODE_SHIFT;
pub(crate) const KIND_SHIFT: u32 = 44;
pub(crate) const KIND: u64 = 0b11 << KIND_SHIFT;
pub(crate) const FORCED: u64 = 1 << 46;
pub(crate) const OWNED: u64 = 1 << 47;
pub(crate) const LOCKED: u64 = 1 << 48;
pub(crate) const DEAD: u64 = 1 << 49;
/// At the top, so that it wraps into nothing.
pub(crate) const VERSION_ONE: u64 = 1 << 50;
pub(crate) const VERSION: u64 = !(VERSION_ONE - 1);

/// The kind and node of a request that is thinking, and of one that is answering, with no marker under way.
pub(crate) const THINKING: u64 = (PhaseKind::ThinkDecode as u64) << KIND_SHIFT;
pub(crate) const ANSWERING: u64 = (PhaseKind::OutputDecode as u64) << KIND_SHIFT;

/// A word that no cell ever has: what a sweep that has not seen a cell yet remembers of it.
pub(crate) const UNSEEN: u64 = LOCKED | DEAD;

#[inline]
pub(crate) fn count(word: u64) -> u32 {
    (word & COUNT) as u32
}

#[inline]
pub(crate) fn node(word: u64) -> u16 {
    ((word & NODE) >> NODE_SHIFT) as u16
}

#[inline]
pub(crate) fn kind(word: u64) -> PhaseKind {
    match (word & KIND) >> KIND_SHIFT {
        0 => PhaseKind::Prefill,
        1 => PhaseKind::ThinkDecode,
        2 => PhaseKind::OutputDecode,
        _ => PhaseKind::Complete,
    }
}

/// The word after a token that only counts.
#[inline]
pub(crate) fn counted(word: u64) -> u64 {
    word.wrapping_add(1 + VERSION_ONE)
}

/// The word that comes after one: with a count that has gone on, wrapping, and another version.
pub(crate) fn progressed(word: u64) -> u64 {
    let count = word.wrapping_add(1) & COUNT;
    (word & !COUNT | count).wrapping_add(VERSION_ONE)
}

/// The word for `state`, with the version and the marks of `word`, and its count where the state has none.
pub(crate) fn encode(state: &State, word: u64) -> u64 {
    let count = if state.kind == PhaseKind::ThinkDecode {
        u64::from(state.tokens)
    } else {
        word & COUNT
    };
    let forced = if state.forced { FORCED } else { 0 };
    count
        | u64::from(state.node) << NODE_SHIFT
        | (state.kind as u64) << KIND_SHIFT
        | forced
        | word & (OWNED | VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_of_a_marker_fits_the_word() {
        assert!(crate::PhaseRouterConfig::MAX_MARKER_TOKENS as u64 <= NODE >> NODE_SHIFT);
    }

    #[test]
    fn the_version_and_the_count_wrap_into_nothing() {
        let fields = KIND | NODE | FORCED | OWNED | LOCKED | DEAD;
        let word = fields & !(LOCKED | DEAD) | VERSION | COUNT;
        assert_eq!(progressed(word), word & fields);
        assert_eq!(counted(word & !COUNT) & !COUNT, word & fields);
    }
}
