//! What a map finds a session by: a keyed fingerprint of its key.
//!
//! # Design
//!
//! A [`SessionFingerprint`] is two halves of 64 bits. The first is of the key's *owner*, tenant and session without model and
//! leg, so that in order all scopes of one session stand together. The second is of the whole key. Both are of what
//! SipHash-1-3 with 128 bits makes of the key under secrets that each store draws for itself from the system's randomness;
//! where a key is its own owner, as most are, both are of one hash. A session with no scope at all is hashed as it is, under
//! a secret of its own, without the text that says which parts there are.
//!
//! # Why
//!
//! - *Not the text*: it lies behind a pointer, and with 100,000 sessions it had to be waited for. A hit on DashMap, entries
//!   in the table included, went from 415 ns to 242 with one thread and from 177 to 131 with two.
//! - *Keyed*: clients choose session ids. Without the store's secrets nobody can say which two would meet, in one bucket of
//!   the map or in one fingerprint.
//! - *128 bits, and no look at the text*: of two keys of different owners, one is taken for the other with a probability of
//!   2^-128; of two scopes of one owner, with 2^-64. Among a million sessions of three scopes each there is such a pair
//!   once in 10^12 stores. A check would be code that no test can reach.
//! - *A session with no scope as it is*: its key's four characters for "no other part" took as long to hash as half of
//!   the session's id; 660 instructions a hit became 520.
//!
//! # Invariants
//!
//! - In one store a key has one fingerprint.
//! - Two keys that had the same one would be one session everywhere, in the map and in the ledger alike.

use std::fmt;
#[cfg(not(inflight_fixed_seeds))]
use std::hash::BuildHasher;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

use siphasher::sip128::{Hash128, Hasher128, SipHasher13};

use crate::SessionRef;

/// What a map of sessions has for a key: a keyed fingerprint of it. Opaque, 16 bytes, and means nothing outside of the
/// store that made it.
///
/// A hash is one `write_u64` of bits that clients cannot steer. Use a hasher that mixes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionFingerprint {
    owner: u64,
    whole: u64,
}

impl SessionFingerprint {
    /// Another one for each number.
    #[cfg(feature = "conformance")]
    pub(crate) fn numbered(number: u64) -> Self {
        Self {
            owner: number,
            whole: number,
        }
    }

    /// All fingerprints of keys that have the owner of this one.
    pub(crate) fn with_this_owner(self) -> RangeInclusive<Self> {
        let with = |whole| Self { whole, ..self };
        with(0)..=with(u64::MAX)
    }
}

impl Hash for SessionFingerprint {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.whole);
    }
}

impl fmt::Debug for SessionFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionFingerprint({:08x}..)", self.whole >> 32)
    }
}

/// A store's secrets.
pub(crate) struct Fingerprints {
    /// For sessions without a tenant, model and leg.
    alone: SipHasher13,
    /// For all others.
    scoped: SipHasher13,
}

impl Fingerprints {
    pub(crate) fn random() -> Self {
        let [alone, scoped] = secrets().map(|[one, other]| SipHasher13::new_with_keys(one, other));
        Self { alone, scoped }
    }

    #[inline]
    pub(crate) fn of(&self, key: &SessionRef<'_>) -> SessionFingerprint {
        let own = self.bits_of(key);
        let owner = match key.scope_removed() {
            None => own.h1,
            Some(owner) => self.bits_of(&owner).h1,
        };
        SessionFingerprint {
            owner,
            whole: own.h2,
        }
    }

    #[inline]
    fn bits_of(&self, key: &SessionRef<'_>) -> Hash128 {
        match key.alone() {
            Some(session) => self.alone.hash(session.as_bytes()),
            None => {
                let mut hasher = self.scoped;
                key.hash(&mut hasher);
                hasher.finish128()
            }
        }
    }
}

#[cfg(not(inflight_fixed_seeds))]
fn secrets() -> [[u64; 2]; 2] {
    let system = std::hash::RandomState::new();
    [[0, 1], [2, 3]].map(|secret| secret.map(|number| system.hash_one(number)))
}

/// Where instructions are counted: no secrets.
#[cfg(inflight_fixed_seeds)]
fn secrets() -> [[u64; 2]; 2] {
    [[0, 1], [2, 3]]
}
