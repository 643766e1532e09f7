//! The name of one sequence of tokens.
//!
//! # Design
//!
//! 128 bits. A numbered request is its number and a choice. A *named* one is what SipHash-1-3 makes of its id and
//! choice, under secrets that each router draws for itself: [`PhaseRouter::named`](crate::PhaseRouter::named).
//!
//! # Why
//!
//! - *Both words are hashed.* One word folded from two lets whoever chooses both make any number of keys that meet under
//!   every seed: 6,000 of them took 307 ms.
//! - *96 bits of a name, beside its choice*, and not 128: a key stays 16 bytes, so that looking it up costs what it
//!   did. With a million requests in flight, two names meet once in 10^17 routers.
//! - *Keyed*: clients choose ids. Without the router's secrets nobody can say which two would meet.
//!
//! # Invariants
//!
//! `name` is 0 in a numbered key and never in a named one: the two kinds do not meet.

use std::fmt;
use std::hash::{Hash, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};

/// One choice of one request: one of the `n` completions that a client may ask for.
///
/// The choices of a request share nothing; a request with one completion has choice 0. Keys order
/// by request, then choice. A request that has no number is
/// [named by its id](crate::PhaseRouter::named).
///
/// # Text
///
/// `42` for choice 0, `42#1` for any other; a named request is a letter `n` and 24 hexadecimal digits.
///
/// # Cost
///
/// 16 bytes, `Copy`. A hash is two `write_u64`. Use a hasher that mixes and is seeded (as do those of the standard library
/// and foldhash), not one that takes words as they are.
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
    /// The request, as the gateway numbers it; of a named one, 64 bits of what its id was hashed to.
    pub request: u64,
    /// 32 more bits of a name; 0 for a number.
    #[cfg_attr(feature = "serde", serde(default))]
    name: u32,
    /// Which of its completions, from 0.
    #[cfg_attr(feature = "serde", serde(default))]
    pub choice: u32,
}

impl RequestKey {
    /// Choice `choice` of request `request`.
    pub const fn new(request: u64, choice: u32) -> Self {
        Self {
            request,
            name: 0,
            choice,
        }
    }

    /// Another choice of the same request.
    pub const fn with_choice(self, choice: u32) -> Self {
        Self { choice, ..self }
    }
}

impl Hash for RequestKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.request);
        state.write_u64(u64::from(self.name) << 32 | u64::from(self.choice));
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
        match self.name {
            0 => write!(f, "{}", self.request)?,
            name => write!(f, "n{name:08x}{:016x}", self.request)?,
        }
        match self.choice {
            0 => Ok(()),
            choice => write!(f, "#{choice}"),
        }
    }
}

/// A router's secrets, by which it hashes the ids of named requests.
#[derive(Clone)]
pub(crate) struct Names(SipHasher13);

impl Names {
    pub(crate) fn random() -> Self {
        let [one, other] = secrets();
        Self(SipHasher13::new_with_keys(one, other))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "32 bits of a hash are enough beside 64"
    )]
    pub(crate) fn key(&self, id: &[u8]) -> RequestKey {
        let mut hasher = self.0;
        hasher.write(id);
        let bits = hasher.finish128();
        RequestKey {
            request: bits.h1,
            // No name is a number.
            name: (bits.h2 as u32).max(1),
            choice: 0,
        }
    }
}

#[cfg(not(inflight_fixed_seeds))]
fn secrets() -> [u64; 2] {
    use std::hash::BuildHasher;
    let system = std::hash::RandomState::new();
    [0, 1].map(|number| system.hash_one(number))
}

/// Where instructions are counted: no secrets.
#[cfg(inflight_fixed_seeds)]
fn secrets() -> [u64; 2] {
    [0, 1]
}
