//! What a request asks for, and what it gets.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use published::Reading;

use crate::snapshot::{Slot, Snapshot};
use crate::{Router, RouterClass, RouterId};

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selection<'a> {
    /// The model that it names, if it names one.
    pub model: Option<&'a str>,
    /// Whether it would rather have a PD router. Looked at only where no model is named.
    pub prefer_pd: bool,
}

/// Which rules a manager selects by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum RouterMode {
    /// The default router serves every request.
    Single,
    /// Each request is served by what suits it.
    #[default]
    Multi,
}

/// The router for a request: derefs to it, and borrows it from the snapshot that it was selected in.
///
/// Whatever happens to the manager meanwhile, this stays as it was. Hold few of them, and not for long: each keeps its
/// snapshot, and beyond eight of them on one thread (counting every reading of a `published` value, of whatever crate) a
/// selection writes a reference count that all threads share. To keep a router, take [`into_arc`](Self::into_arc).
///
/// What is not the router's own is an associated function, as with `Arc`: `Selected::id(&selected)`.
#[must_use]
pub struct Selected<'a, R: ?Sized = dyn Router> {
    snapshot: Reading<Snapshot<R>>,
    slot: Slot,
    manager: PhantomData<&'a ()>,
}

impl<R: ?Sized> Selected<'_, R> {
    /// `slot` is what a rule of `snapshot` answered.
    #[inline]
    pub(crate) fn new(snapshot: Reading<Snapshot<R>>, slot: Slot) -> Self {
        Self {
            snapshot,
            slot,
            manager: PhantomData,
        }
    }

    /// The id that the router is registered under.
    pub fn id(this: &Self) -> &RouterId {
        &this.snapshot.seat(this.slot).id
    }

    /// The class that the router had when it was registered.
    #[must_use]
    pub fn class(this: &Self) -> RouterClass {
        this.snapshot.seat(this.slot).place.0
    }

    /// The generation of the snapshot: see [`RouterManager::generation`](crate::RouterManager::generation).
    #[must_use]
    pub fn generation(this: &Self) -> u64 {
        this.snapshot.generation
    }

    /// The router, to be kept. Writes its reference count, which all threads share.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the selection is over")]
    pub fn into_arc(this: Self) -> Arc<R> {
        Arc::clone(&this.snapshot.seat(this.slot).router)
    }
}

impl<R: ?Sized> Deref for Selected<'_, R> {
    type Target = R;

    #[inline]
    fn deref(&self) -> &R {
        &self.snapshot.seat(self.slot).router
    }
}

impl<R: ?Sized> fmt::Debug for Selected<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selected")
            .field("id", Self::id(self))
            .field("class", &Self::class(self))
            .field("generation", &self.snapshot.generation)
            .finish_non_exhaustive()
    }
}
