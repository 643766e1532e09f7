//! What a session is pinned to, and what is told of a pin that has ended.

use worker_id::WorkerWithDpRank;

use crate::SessionKey;

/// Who knows of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum BindingKind {
    /// The router alone. Such a pin ends silently.
    RouterOnly,
    /// The engine holds a session open for it, which has to be closed when the pin ends: `on_expire` hears of it.
    EngineBacked,
}

/// A session's pin: the worker that its turns go to.
///
/// `==` compares workers as [`WorkerWithDpRank`] does, incarnations aside; the generation tells two bindings apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
pub struct Binding {
    /// The worker and rank.
    pub worker: WorkerWithDpRank,
    /// Who knows of it.
    pub kind: BindingKind,
    /// Which binding this is: every bind, won claim and rebind makes a new one, and a refresh does not. No two bindings
    /// of one key ever have the same in one store, removals in between or not. Later ones are greater.
    pub generation: u64,
}

/// What a write did, and what holds now.
///
/// Both were true at one moment, the one at which the write took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Written {
    /// Whether the write took effect; if not, nothing has changed.
    pub applied: bool,
    /// The key's binding since then: of a bind, a won claim or a rebind the new one, of a lost claim the winner's.
    pub now: Option<Binding>,
}

impl Written {
    /// A write that took effect.
    pub const fn applied(now: Option<Binding>) -> Self {
        Self { applied: true, now }
    }

    /// A write that changed nothing.
    pub const fn declined(now: Option<Binding>) -> Self {
        Self {
            applied: false,
            now,
        }
    }
}

/// An engine-backed binding that has ended, though nobody removed it: what `on_expire` is called with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Expired {
    /// The session.
    pub key: SessionKey,
    /// The binding it had.
    pub binding: Binding,
    /// Why it ended.
    pub cause: ExpireCause,
}

/// Why a binding ended that nobody removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ExpireCause {
    /// Nobody used it for the time to live.
    Idle,
    /// The store was full, and another session took its place.
    Evicted,
    /// Its session was released, or its worker left.
    Released,
}
