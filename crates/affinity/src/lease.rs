//! A turn in flight, for as long as which its pin does not run out.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::entry::SessionEntry;
use crate::time::Time;
use crate::{Binding, StoreError};

/// A turn in flight: while this is held its binding does not run out, and when it is dropped the binding's time to live
/// begins anew. From [`MemoryStore::acquire`](crate::MemoryStore::acquire); may move between threads, and outlive the
/// store.
///
/// Taking and dropping one are each a compare-and-swap on the entry's own word.
#[must_use = "a lease ends when it is dropped"]
pub struct Lease {
    entry: SessionEntry,
    time: Arc<Time>,
    binding: Binding,
}

impl Lease {
    pub(crate) fn new(entry: SessionEntry, time: Arc<Time>, binding: Binding) -> Self {
        Self {
            entry,
            time,
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
        self.entry.release(self.time.moment());
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", &self.entry.key())
            .field("binding", &self.binding)
            .finish()
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
