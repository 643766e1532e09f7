//! A turn in flight, for as long as which its pin does not run out.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::fingerprint::SessionFingerprint;
use crate::{Binding, StoreError};

/// Where leases are given back: what a store and its leases share.
pub(crate) trait Lessor: Send + Sync {
    /// Takes a lease of binding `generation` back, if that has not ended.
    fn give_back(&self, at: &SessionFingerprint, generation: u64);
}

/// A turn in flight: while this is held its binding does not run out, and when it is dropped the binding's time to live
/// begins anew. From [`MemoryStore::acquire`](crate::MemoryStore::acquire); may move between threads. One that outlives
/// the store keeps its map in memory.
///
/// Taking and dropping one are each a lookup and a compare-and-swap on the entry's own word, and one on a reference count
/// that the leases of a store share.
#[must_use = "a lease ends when it is dropped"]
pub struct Lease {
    lessor: Arc<dyn Lessor>,
    at: SessionFingerprint,
    binding: Binding,
}

impl Lease {
    pub(crate) fn new(lessor: Arc<dyn Lessor>, at: SessionFingerprint, binding: Binding) -> Self {
        Self {
            lessor,
            at,
            binding,
        }
    }

    /// The binding that it is of. It may have been replaced, removed or released since.
    pub fn binding(&self) -> Binding {
        self.binding
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.lessor.give_back(&self.at, self.binding.generation);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

/// A turn that cannot start.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The session has as many turns in flight as it may have.
    #[error(
        "the session has {turns} turns in flight, its most: wait for one to end, or raise `max_turns`"
    )]
    Busy {
        /// How many.
        turns: u16,
    },
    /// The key is none.
    #[error(transparent)]
    Store(#[from] StoreError),
}
