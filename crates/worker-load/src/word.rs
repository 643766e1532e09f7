//! The word of a counter that decides: how it is laid out, what is added to it, and why it refuses.
//!
//! | bits of `word` | |
//! |---|---|
//! | 63 | *gone*: the worker has left |
//! | 62 | *draining*: nothing new |
//! | 61 | *shut*: draining, and pinned turns are refused as well |
//! | 43 to 60 | requests in flight |
//! | 0 to 42 | tokens in flight, prefill and decode together |

use crate::Limit;

pub(crate) const TOKEN_BITS: u32 = 43;
pub(crate) const ONE_REQUEST: u64 = 1 << TOKEN_BITS;
pub(crate) const TOKENS: u64 = ONE_REQUEST - 1;
/// The most requests that one counter can hold: 262,143.
pub(crate) const MOST_REQUESTS: u64 = (1 << 18) - 1;
/// The most tokens that one request counts as: 33,554,431.
pub(crate) const MOST_TOKENS: u64 = (1 << 25) - 1;

pub(crate) const GONE: u64 = 1 << 63;
pub(crate) const DRAINING: u64 = 1 << 62;
pub(crate) const SHUT: u64 = 1 << 61;
pub(crate) const STATE: u64 = GONE | DRAINING | SHUT;

/// One moment of a counter's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    #[inline]
    pub(crate) fn requests(self) -> u64 {
        (self.0 & !STATE) >> TOKEN_BITS
    }

    #[inline]
    pub(crate) fn tokens(self) -> u64 {
        self.0 & TOKENS
    }

    #[inline]
    pub(crate) fn is_gone(self) -> bool {
        self.0 & GONE > 0
    }

    #[inline]
    pub(crate) fn is_draining(self) -> bool {
        self.0 & DRAINING > 0
    }

    /// Whether nothing is in flight any more, and nothing new can come.
    pub(crate) fn is_drained(self) -> bool {
        self.0 & (GONE | DRAINING) > 0 && self.requests() == 0
    }

    /// Requests and tokens, each the larger of the two.
    pub(crate) fn larger(self, other: Self) -> Self {
        let requests = self.requests().max(other.requests());
        Self(requests << TOKEN_BITS | self.tokens().max(other.tokens()))
    }

    pub(crate) fn counts(self) -> Self {
        Self(self.0 & !STATE)
    }
}

/// Why a counter refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum No {
    Gone,
    Draining {
        requests: u64,
    },
    Full {
        limit: Limit,
        in_flight: u64,
        cap: u64,
    },
}

/// What one request has added to each of its counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charge {
    /// All tokens, the prefill's included: [`MOST_TOKENS`] at most.
    pub(crate) tokens: u64,
    pub(crate) prefill: u64,
    pub(crate) bytes: u64,
}
