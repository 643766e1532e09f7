//! One immutable value, replaced as a whole while others read it.
//!
#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! arc-swap behind two operations, in one place. Nothing else in the workspace names it.
//!
//! # Why
//!
//! - *arc-swap, not a lock*: a reader of a locked `Arc` writes the lock or the reference count,
//!   which all readers share.
//! - *In one place*: arc-swap has been wrong before, on every processor. Up to 1.9.4, a reader
//!   that was preempted in the middle of a `load` could be given the value of another cell that
//!   had the same address meanwhile. Hence 1.9.5 or later. If it has to go, it goes from here.
//! - *A lock under loom*: loom sees nothing of arc-swap. What the crates above prove is their own
//!   logic, given that a reader gets a whole value of its own cell. That is what
//!   `tests/it/{stress,reuse}.rs` are for; the second fails on 1.9.3 in every run.
//!
//! # Invariants
//!
//! - A value does not change once it is published.

#![forbid(unsafe_code)]

mod sync;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A value that is replaced as a whole while others read it.
pub struct Published<T>(sync::Cell<T>);

impl<T> Published<T> {
    /// With a first value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(sync::Cell::new(Arc::new(value)))
    }

    /// The value as it is now. Later ones are not seen through the answer.
    #[inline]
    #[must_use]
    pub fn load(&self) -> Reading<T> {
        Reading(self.0.load())
    }

    /// Replaces the value, for all who load it from now on.
    pub fn publish(&self, value: Arc<T>) {
        self.0.store(value);
    }
}

impl<T: Default> Default for Published<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&*self.load()).finish()
    }
}

/// A published value, for as long as this is held.
///
/// Keep few of them, and not for long: each delays the end of the value that it reads, and beyond
/// eight on one thread a reading costs an increment of a count that all readers share.
pub struct Reading<T>(sync::Guard<T>);

impl<T> Reading<T> {
    /// The value with a count of its own, to be kept for long or given to others.
    #[must_use]
    pub fn into_arc(self) -> Arc<T> {
        sync::into_arc(self.0)
    }

    /// The same reading, with a count of its own: to be kept for long. It does not take from the
    /// eight that a thread has for short ones.
    #[must_use]
    pub fn detach(self) -> Self {
        Self(sync::from_arc(sync::into_arc(self.0)))
    }
}

impl<T> Deref for Reading<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
