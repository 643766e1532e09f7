//! What a map finds a session by: a keyed fingerprint of its key.
//!
//! # Design
//!
//! A [`SessionFingerprint`] is the 128 bits that SipHash-1-3 makes of a key's canonical text, under a secret that each
//! store draws for itself from the system's randomness. It is made of the parts as they are, without the text.
//!
//! # Why
//!
//! - *Not the text*: it lies behind a pointer, and with 100,000 sessions it had to be waited for. A hit on DashMap, entries
//!   in the table included, went from 415 ns to 242 with one thread and from 177 to 131 with two. Where everything lies in
//!   caches anyway, with 1,000 sessions, it went from 50 to 56: that is the keyed hash.
//! - *Keyed*: clients choose session ids. Without the store's secret nobody can say which two would meet, in one bucket of
//!   the map or in one fingerprint.
//! - *128 bits, and no look at the text*: of any two keys, one is taken for the other with a probability of 2^-128. Among a
//!   million sessions there is such a pair once in 10^26 stores. A check would be code that no test can reach.
//!
//! # Invariants
//!
//! - In one store a key has one fingerprint, whether it is made of its parts or of its text.
//! - Two keys that had the same one would be one session everywhere, in the map and in the ledger alike.

use std::fmt;
#[cfg(not(inflight_fixed_seeds))]
use std::hash::BuildHasher;
use std::hash::{Hash, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::key::Parts;

/// What a map of sessions has for a key: a keyed fingerprint of it. Opaque, 16 bytes, and means nothing outside of the
/// store that made it.
///
/// A hash is one `write_u64` of bits that clients cannot steer. Use a hasher that mixes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionFingerprint(u64, u64);

impl SessionFingerprint {
    /// Of a key with no model and no leg: the fingerprint of its tenant and session alone.
    pub(crate) fn owner(self) -> u64 {
        self.0
    }
}

impl Hash for SessionFingerprint {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl fmt::Debug for SessionFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionFingerprint({:08x}..)", self.0 >> 32)
    }
}

/// A store's secret.
pub(crate) struct Fingerprints(SipHasher13);

impl Fingerprints {
    pub(crate) fn random() -> Self {
        let [one, other] = secret();
        Self(SipHasher13::new_with_keys(one, other))
    }

    #[inline]
    pub(crate) fn of(&self, key: &Parts<'_>) -> SessionFingerprint {
        let mut hasher = self.0;
        key.hash(&mut hasher);
        let bits = hasher.finish128();
        SessionFingerprint(bits.h1, bits.h2)
    }

    /// A fingerprint of tenant and session alone, of a key whose own is `at`: half as long, for what only goes by it first.
    pub(crate) fn of_owner(&self, key: &Parts<'_>, at: SessionFingerprint) -> u64 {
        match key.without_scope() {
            Some(owner) => self.of(&owner).owner(),
            None => at.owner(),
        }
    }
}

#[cfg(not(inflight_fixed_seeds))]
fn secret() -> [u64; 2] {
    let system = std::hash::RandomState::new();
    [0, 1].map(|number| system.hash_one(number))
}

/// Where instructions are counted: no secret.
#[cfg(inflight_fixed_seeds)]
fn secret() -> [u64; 2] {
    [0, 1]
}
