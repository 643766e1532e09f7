//! What a request asks for, and what it gets.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use published::Reading;

use crate::snapshot::{Seat, Slot, Snapshot};
use crate::{Router, RouterClass, RouterId};

/// What a request asks for.
///
/// ```
/// use router_snapshot::Selection;
///
/// let pinned = Selection { draining: true, ..Selection::of_model("llama-3") };
/// assert!(!pinned.prefer_pd);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selection<'a> {
    /// The model that it names, if it names one.
    pub model: Option<&'a str>,
    /// Whether it would rather have a PD router. Looked at only where no model is named.
    pub prefer_pd: bool,
    /// Whether draining workers count as well: for a request of a session that is pinned to one.
    pub draining: bool,
}

impl<'a> Selection<'a> {
    /// A request that names a model.
    #[must_use]
    pub const fn of_model(model: &'a str) -> Self {
        Self {
            model: Some(model),
            prefer_pd: false,
            draining: false,
        }
    }
}

/// Which rules a manager selects by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RouterMode {
    /// The default router serves every request, whatever is asked for.
    Single,
    /// Each request is served by what suits it, or refused.
    #[default]
    Multi,
    /// As `Multi`; what nothing suits goes to the default router, where that one has workers.
    MultiOrDefault,
}

impl fmt::Display for RouterMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Single => "single",
            Self::Multi => "multi",
            Self::MultiOrDefault => "multi_or_default",
        })
    }
}

/// The router for a request, for as long as it is dispatched: derefs to it.
///
/// Whatever happens to the manager meanwhile, this stays as it was. Keep none for a whole stream:
/// beyond eight of them on one thread (counting every reading of a `published` value, of whatever
/// crate) a selection writes a reference count that all threads share, and takes three times as
/// long. What may be kept is a [`Choice`]: see [`keep`](Self::keep).
///
/// What is not the router's own is an associated function, as with `Arc`:
/// `Selected::id(&selected)`.
#[must_use]
pub struct Selected<R: ?Sized = dyn Router, W = ()> {
    snapshot: Reading<Snapshot<R, W>>,
    slot: Slot,
}

impl<R: ?Sized, W> Selected<R, W> {
    /// `slot` is what a rule of `snapshot` answered.
    #[inline]
    pub(crate) fn new(snapshot: Reading<Snapshot<R, W>>, slot: Slot) -> Self {
        Self { snapshot, slot }
    }

    fn seat(this: &Self) -> &Arc<Seat<R>> {
        this.snapshot.seat(this.slot)
    }

    /// The id that the router is registered under.
    pub fn id(this: &Self) -> &RouterId {
        &Self::seat(this).id
    }

    /// The class that the router had when it was registered.
    #[must_use]
    pub fn class(this: &Self) -> RouterClass {
        Self::seat(this).class
    }

    /// The generation of the snapshot: see
    /// [`RouterManager::generation`](crate::RouterManager::generation).
    #[must_use]
    pub fn generation(this: &Self) -> u64 {
        this.snapshot.generation
    }

    /// The router, to be kept. Writes its reference count, which all threads share.
    #[expect(clippy::needless_pass_by_value, reason = "the selection is over")]
    pub fn keep(this: Self) -> Choice<R> {
        Choice(Arc::clone(Self::seat(&this)))
    }
}

impl<R: ?Sized, W> Deref for Selected<R, W> {
    type Target = R;

    #[inline]
    fn deref(&self) -> &R {
        &Self::seat(self).router
    }
}

impl<R: ?Sized, W> fmt::Debug for Selected<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selected")
            .field("id", Self::id(self))
            .field("class", &Self::class(self))
            .field("generation", &self.snapshot.generation)
            .finish_non_exhaustive()
    }
}

/// A router that was selected, to be kept for as long as one likes: for a whole stream. Derefs to
/// the router; clones are the same choice.
#[must_use]
pub struct Choice<R: ?Sized = dyn Router>(pub(crate) Arc<Seat<R>>);

impl<R: ?Sized> Choice<R> {
    /// The id that the router was registered under.
    pub fn id(this: &Self) -> &RouterId {
        &this.0.id
    }

    /// The class that the router had when it was registered.
    #[must_use]
    pub fn class(this: &Self) -> RouterClass {
        this.0.class
    }

    /// The router.
    #[must_use]
    pub fn router(this: &Self) -> &Arc<R> {
        &this.0.router
    }
}

impl<R: ?Sized> Clone for Choice<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: ?Sized> Deref for Choice<R> {
    type Target = R;

    #[inline]
    fn deref(&self) -> &R {
        &self.0.router
    }
}

impl<R: ?Sized> fmt::Debug for Choice<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choice")
            .field("id", Self::id(self))
            .field("class", &Self::class(self))
            .finish_non_exhaustive()
    }
}
