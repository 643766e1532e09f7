//! What a value does when its entry leaves the map.
//!
//! # Design
//!
//! A removed value cannot be handed over by move on every backend: papaya lets readers go on looking at
//! it, and drops it only when the last session that might do so has closed. So removal hands over a
//! *payload* instead, which the value gives up through a shared reference, exactly once. What must be
//! released promptly (a channel's sender, a handle) sits in a [`TakeOnce`].
//!
//! # Why
//!
//! Returning an `Arc` of the value was tried: it costs a reference count that all readers of an entry
//! share, and a sender inside still lives until the slowest reader lets go of it.

use std::fmt;
use std::sync::Arc;

use crate::sync::{self, Mutex};

/// A value of a [`StateMap`](crate::StateMap), which knows what to give up when its entry is removed.
///
/// ```
/// use state_map::{Retire, TakeOnce};
/// use std::sync::mpsc::Sender;
///
/// struct Pending { reply: TakeOnce<Sender<u32>> }
///
/// impl Retire for Pending {
///     type Payload = Option<Sender<u32>>;
///     fn retire(&self) -> Self::Payload {
///         self.reply.take()
///     }
/// }
/// ```
pub trait Retire {
    /// What whoever removes the entry receives.
    type Payload;

    /// Gives the payload up. Called exactly once for each entry that is removed, by the thread that
    /// unlinked it, after it was unlinked and outside every lock of the map. Others may still be reading
    /// the value at that moment, and may do so for as long as their sessions are open. Not called for
    /// entries that are dropped together with their map.
    fn retire(&self) -> Self::Payload;
}

/// The value behind an `Arc` is retired through it; the other owners of the `Arc` keep seeing the value.
impl<T: Retire + ?Sized> Retire for Arc<T> {
    type Payload = T::Payload;

    fn retire(&self) -> Self::Payload {
        T::retire(self)
    }
}

/// For values with nothing to give up.
impl Retire for () {
    type Payload = ();

    fn retire(&self) {}
}

/// A slot whose content can be taken once, through a shared reference.
///
/// `take` locks the slot for the length of a move; no foreign code runs under that lock, the content's
/// `Drop` included. The slot never blocks for longer, allocates nothing, and costs one lock word beside
/// the content.
pub struct TakeOnce<T>(Mutex<Option<T>>);

impl<T> TakeOnce<T> {
    /// A slot that holds `content`.
    #[must_use]
    pub fn new(content: T) -> Self {
        Self(Mutex::new(Some(content)))
    }

    /// A slot that holds nothing, as after [`take`](Self::take).
    #[must_use]
    pub fn empty() -> Self {
        Self(Mutex::new(None))
    }

    /// The content, to the first caller; `None` to every later one.
    #[must_use = "dropping the content here releases it"]
    pub fn take(&self) -> Option<T> {
        sync::lock(&self.0).take()
    }

    /// Whether the content is gone. By the time this answers `false`, another thread may have taken it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        sync::lock(&self.0).is_none()
    }
}

impl<T> Default for TakeOnce<T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T> From<T> for TakeOnce<T> {
    fn from(content: T) -> Self {
        Self::new(content)
    }
}

impl<T> fmt::Debug for TakeOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_taken() {
            "TakeOnce(taken)"
        } else {
            "TakeOnce(..)"
        })
    }
}

impl<T> Retire for TakeOnce<T> {
    type Payload = Option<T>;

    fn retire(&self) -> Option<T> {
        self.take()
    }
}
