//! The name of one sequence of tokens.
//!
//! # Design
//!
//! Two public numbers without a rule between them, and a hash that feeds the hasher one word.
//!
//! # Why
//!
//! The hash is part of every lookup, so of every token that is fed by key, and one word is less work
//! for a hasher than two. Folding two numbers into one word must not make keys that live at the same
//! time collide: equal words are equal hashes under *any* hasher and seed. So the choice is
//! multiplied by an odd constant without a pattern (2^64 over the golden ratio) and XORed in.
//! Putting it into the upper half would do for ids that count. Ids made of a time and a number
//! differ in the upper half themselves, and some of them would collide.
//!
//! # Invariants
//!
//! Among requests whose numbers lie within 2^32 of each other, and choices below 1,024, no two keys
//! hash the same word: `tests/it/key.rs` proves it.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// One choice of one request: one of the `n` completions that a client may ask for.
///
/// The choices of a request share nothing; a request with one completion has choice 0. Keys order
/// by request, then choice.
///
/// # Text
///
/// `42` for choice 0, `42#1` for any other.
///
/// # Cost
///
/// 16 bytes, `Copy`. A hash is one `write_u64`. Use a hasher that mixes (as do those of the
/// standard library and foldhash), not one that takes the word as it is.
///
/// ```
/// use phase_state::RequestKey;
///
/// assert_eq!(RequestKey::from(42), RequestKey::new(42, 0));
/// assert_eq!(RequestKey::new(42, 1).to_string(), "42#1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use]
pub struct RequestKey {
    /// The request, as the gateway numbers it.
    pub request: u64,
    /// Which of its completions, from 0.
    #[cfg_attr(feature = "serde", serde(default))]
    pub choice: u32,
}

impl RequestKey {
    /// Choice `choice` of request `request`.
    pub const fn new(request: u64, choice: u32) -> Self {
        Self { request, choice }
    }
}

impl Hash for RequestKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        state.write_u64(self.request ^ u64::from(self.choice).wrapping_mul(SPREAD));
    }
}

/// Choice 0 of a request.
impl From<u64> for RequestKey {
    fn from(request: u64) -> Self {
        Self::new(request, 0)
    }
}

/// A request and a choice, as [`RequestKey::new`].
impl From<(u64, u32)> for RequestKey {
    fn from((request, choice): (u64, u32)) -> Self {
        Self::new(request, choice)
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.choice {
            0 => write!(f, "{}", self.request),
            choice => write!(f, "{}#{choice}", self.request),
        }
    }
}
