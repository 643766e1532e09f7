//! One life of a worker, and how news of one stands to the life that is known.

use std::fmt;

/// Which life of a worker something is about: a number that the worker does not share with its
/// earlier lives under the same id.
///
/// It displays as `42` where it is opaque, and as `r42` where it is ordered.
///
/// ```
/// use worker_id::Incarnation;
///
/// assert_eq!(Incarnation::Opaque(42).to_string(), "42");
/// assert_eq!(Incarnation::Ordered(42).to_string(), "r42");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Incarnation {
    /// The higher is the later life: a start time, a revision, a lease id that counts up.
    Ordered(u64),
    /// Compared for equality only: a random number, a hash of a pod's name.
    Opaque(u64),
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ordered(number) => write!(f, "r{number}"),
            Self::Opaque(number) => write!(f, "{number}"),
        }
    }
}

/// How news of one life stands to the life that is known. See [`Standing::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is about the life that is known, or does not say which life it is about.
    Same,
    /// It is about a later life.
    Newer,
    /// It is about an earlier life.
    Late,
    /// It is about another life, and nothing says which of the two came first.
    Other,
}

impl Standing {
    /// How `news` of one life stands to the life that is `known`.
    ///
    /// | news ↓, known → | unknown | opaque *b* | ordered *b* |
    /// |---|---|---|---|
    /// | **unknown** | same | same | same |
    /// | **opaque *a*** | other | *a* = *b*: same, else other | other |
    /// | **ordered *a*** | other | other | *a* = *b*: same, *a* > *b*: newer, *a* < *b*: late |
    ///
    /// News that does not say its life speaks of whichever is there. But news that says one is not
    /// taken to be about a worker whose life is unknown: nothing says that it is.
    ///
    /// ```
    /// use worker_id::{Incarnation::Ordered, Standing};
    ///
    /// assert_eq!(Standing::of(Some(Ordered(41)), Some(Ordered(42))), Standing::Late);
    /// ```
    #[must_use]
    pub const fn of(news: Option<Incarnation>, known: Option<Incarnation>) -> Self {
        use Incarnation::{Opaque, Ordered};
        let Some(news) = news else {
            return Self::Same;
        };
        match (news, known) {
            (Ordered(a), Some(Ordered(b))) if a > b => Self::Newer,
            (Ordered(a), Some(Ordered(b))) if a < b => Self::Late,
            (Ordered(a), Some(Ordered(b))) | (Opaque(a), Some(Opaque(b))) if a == b => Self::Same,
            _ => Self::Other,
        }
    }
}
