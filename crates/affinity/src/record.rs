//! What is to know of a session beside its binding, and no hit reads: its name, and where the ledger has it.
//!
//! # Design
//!
//! A record is one allocation: where the ledger has it, and the key's canonical text. An entry has it, and so has each of
//! the ledger's sets.
//!
//! # Why
//!
//! One text of the key is enough for all three, and for whoever is told of the session's end. The fingerprint is not
//! kept: it can be made again of the text, and only writes need it.
//!
//! # Invariants
//!
//! A record's text does not change. Its place changes under the ledger's lock alone.

use std::cmp::Ordering as Order;
use std::fmt;

use state_map::sync::atomic::{AtomicU64, Ordering};
use triomphe::ThinArc;

use crate::SessionKey;
use crate::key::Parts;

/// A session as the ledger has it. Clones are the same one; ordered by tenant, session and scope.
#[derive(Clone)]
pub(crate) struct Record(ThinArc<Cold, u8>);

struct Cold {
    /// Changes under the ledger's lock alone.
    place: AtomicU64,
    /// Of the binding.
    generation: u64,
}

impl Record {
    pub(crate) fn new(key: &Parts<'_>, generation: u64) -> Self {
        let cold = Cold {
            place: AtomicU64::new(0),
            generation,
        };
        Self(ThinArc::from_header_and_slice(cold, &key.write()))
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts::of(&self.0.slice)
    }

    pub(crate) fn key(&self) -> SessionKey {
        SessionKey::of_bytes(&self.0.slice)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.0.header.header.generation
    }

    pub(crate) fn place(&self) -> u64 {
        self.0.header.header.place.load(Ordering::Relaxed)
    }

    pub(crate) fn set_place(&self, place: u64) {
        self.0.header.header.place.store(place, Ordering::Relaxed);
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Record {}

impl Ord for Record {
    fn cmp(&self, other: &Self) -> Order {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Record {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().fmt(f)
    }
}
