//! A worker and one of its data-parallel ranks.
//!
//! # Design
//!
//! Two public fields that say *which* worker, and a private pair that says *which life* of it.
//! Comparing and hashing see the first two alone.
//!
//! # Why
//!
//! - The fields that are the identity have no rule between them, so they are public, as in Dynamo's
//!   type of the same name: `worker.dp_rank` reads and assigns, and patterns work with a `..`. Only
//!   the literal with two fields cannot outlive a third one; it becomes `WorkerWithDpRank::new`.
//! - The incarnation is a number and its kind, not an `Option<Incarnation>`: the kind lies in what
//!   would be padding, so this is 24 bytes and not 32.
//!
//! # Invariants
//!
//! `incarnation` is zero wherever `kind` is `Unknown`.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use crate::{EndpointInstanceId, Incarnation, NumberRule, ParseWorkerError, WorkerPart, text};

/// One data-parallel rank of a worker, and optionally which *incarnation* of that worker it was
/// seen on.
///
/// An incarnation is a number that a worker does not share with its earlier lives under the same
/// id: a lease id, a start time, in whatever unit the fleet uses. It is *ordered* where the higher
/// number is the later life, else *opaque*: compared for equality only. Any `u64` will do, 0
/// included. A fleet uses one of the two: an ordered and an opaque one are never the same life.
///
/// **`==`, ordering and hash ignore the incarnation**: a map keyed by worker finds the entry
/// whichever life it belongs to, and [`same_incarnation`](Self::same_incarnation) then tells
/// whether it is this one. Three consequences:
///
/// - `insert` into a `HashMap` or `BTreeMap` replaces the value but *keeps the key it has*, with
///   the old incarnation. Where the incarnation matters, keep a copy of the worker in the value,
///   too.
/// - `assert_eq!` and `==` do not tell two incarnations apart.
/// - Assigning to `worker_id` leaves the incarnation as it is: for another worker, make a new
///   value.
///
/// Workers order by `worker_id`, then `dp_rank`: the ranks of a worker are neighbours in a
/// `BTreeMap`.
///
/// # Text
///
/// `worker_id:dp_rank`, or `worker_id:dp_rank@incarnation` where one is known: `7:0@42` is opaque,
/// `7:0@r42` is ordered. [`FromStr`] accepts exactly what `Display` writes: plain decimal, no sign,
/// no whitespace, no leading zero. A bare `worker_id` is refused, since it would be a second text
/// for `worker_id:0`; [`from_worker_id`](Self::from_worker_id) is the way to that value.
///
/// # Cost
///
/// 24 bytes, `Copy`. Nothing allocates but `to_string` and an error.
///
/// ```
/// use worker_id::WorkerWithDpRank;
///
/// let before = WorkerWithDpRank::new(7, 0).with_incarnation(41);
/// let after: WorkerWithDpRank = "7:0@42".parse()?;
/// assert_eq!(before, after);
/// assert!(!before.same_incarnation(&after));
/// # Ok::<(), worker_id::ParseWorkerError>(())
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct WorkerWithDpRank {
    /// The worker, as the fleet numbers it.
    pub worker_id: u64,
    incarnation: u64,
    /// The data-parallel rank within the worker; 0 for the first, or where there is no data
    /// parallelism.
    pub dp_rank: u32,
    kind: Kind,
}

/// What `incarnation` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing: none is known.
    Unknown,
    /// An opaque one.
    Opaque,
    /// An ordered one.
    Ordered,
}

impl WorkerWithDpRank {
    /// Rank `dp_rank` of a worker, of which incarnation is not known.
    pub const fn new(worker_id: u64, dp_rank: u32) -> Self {
        Self {
            worker_id,
            incarnation: 0,
            dp_rank,
            kind: Kind::Unknown,
        }
    }

    /// Rank 0 of a worker, of which incarnation is not known.
    pub const fn from_worker_id(worker_id: u64) -> Self {
        Self::new(worker_id, 0)
    }

    /// The same worker and rank, in this incarnation, which is compared for equality only.
    pub const fn with_incarnation(self, incarnation: u64) -> Self {
        self.in_incarnation(Incarnation::Opaque(incarnation))
    }

    /// The same worker and rank, in this incarnation, of which the higher is the later life.
    pub const fn with_ordered_incarnation(self, incarnation: u64) -> Self {
        self.in_incarnation(Incarnation::Ordered(incarnation))
    }

    /// The same worker and rank, in this incarnation.
    pub const fn in_incarnation(self, incarnation: Incarnation) -> Self {
        let (incarnation, kind) = match incarnation {
            Incarnation::Opaque(number) => (number, Kind::Opaque),
            Incarnation::Ordered(number) => (number, Kind::Ordered),
        };
        Self {
            incarnation,
            kind,
            ..self
        }
    }

    /// The incarnation, where it is known.
    #[must_use]
    pub const fn incarnation(&self) -> Option<Incarnation> {
        match self.kind {
            Kind::Unknown => None,
            Kind::Opaque => Some(Incarnation::Opaque(self.incarnation)),
            Kind::Ordered => Some(Incarnation::Ordered(self.incarnation)),
        }
    }

    /// Whether both are the same worker, rank *and* incarnation, as far as incarnations are in use.
    ///
    /// | | other: unknown | other: known |
    /// |---|---|---|
    /// | **self: unknown** | `true` | `false` |
    /// | **self: known** | `false` | whether they are equal |
    ///
    /// An opaque and an ordered one are not equal. Different workers or ranks: `false`. One known
    /// and one unknown: `false`, for nothing says that they are the same, and taking a stale entry
    /// for a live one does harm that refreshing a live one does not. Both unknown: `true`. Whoever
    /// gives workers no incarnation has told no restart apart, and this crate cannot: it is then no
    /// more than `==`.
    ///
    /// This is an equivalence relation, finer than `==`.
    #[must_use]
    pub fn same_incarnation(&self, other: &Self) -> bool {
        self == other && self.incarnation() == other.incarnation()
    }

    const fn key(&self) -> (u64, u32) {
        (self.worker_id, self.dp_rank)
    }
}

impl PartialEq for WorkerWithDpRank {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for WorkerWithDpRank {}

impl PartialOrd for WorkerWithDpRank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WorkerWithDpRank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for WorkerWithDpRank {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Rank 0 of a worker, as [`WorkerWithDpRank::from_worker_id`].
impl From<u64> for WorkerWithDpRank {
    fn from(worker_id: u64) -> Self {
        Self::from_worker_id(worker_id)
    }
}

/// A worker id and a rank, as [`WorkerWithDpRank::new`].
impl From<(u64, u32)> for WorkerWithDpRank {
    fn from((worker_id, dp_rank): (u64, u32)) -> Self {
        Self::new(worker_id, dp_rank)
    }
}

/// Rank 0 of the worker that has the number of the instance. The way back is
/// [`EndpointInstanceId::instance_of`].
impl From<&EndpointInstanceId> for WorkerWithDpRank {
    fn from(instance: &EndpointInstanceId) -> Self {
        Self::from_worker_id(instance.instance_id())
    }
}

impl fmt::Debug for WorkerWithDpRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerWithDpRank")
            .field("worker_id", &self.worker_id)
            .field("dp_rank", &self.dp_rank)
            .field("incarnation", &self.incarnation())
            .finish()
    }
}

impl fmt::Display for WorkerWithDpRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.worker_id, self.dp_rank)?;
        self.incarnation()
            .map_or(Ok(()), |incarnation| write!(f, "@{incarnation}"))
    }
}

impl FromStr for WorkerWithDpRank {
    type Err = ParseWorkerError;

    /// # Errors
    ///
    /// [`ParseWorkerError`] names the first part, from the left, that is not what `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reject = |part| {
            move |rule| ParseWorkerError {
                text: text::excerpt(text),
                part,
                rule,
            }
        };

        let (worker_id, rest) = text
            .split_once(':')
            .map_or((text, None), |(id, rest)| (id, Some(rest)));
        let worker_id = text::number(worker_id, u64::MAX).map_err(reject(WorkerPart::WorkerId))?;

        let rest = rest
            .ok_or(NumberRule::Missing)
            .map_err(reject(WorkerPart::DpRank))?;
        let (dp_rank, incarnation) = rest
            .split_once('@')
            .map_or((rest, None), |(rank, life)| (rank, Some(life)));
        let dp_rank = text::number(dp_rank, u32::MAX.into()).map_err(reject(WorkerPart::DpRank))?;

        let worker = Self::new(worker_id, dp_rank);
        let Some(incarnation) = incarnation else {
            return Ok(worker);
        };
        let (number, ordered) = incarnation
            .strip_prefix('r')
            .map_or((incarnation, false), |number| (number, true));
        let number = text::number(number, u64::MAX).map_err(reject(WorkerPart::Incarnation))?;
        Ok(if ordered {
            worker.with_ordered_incarnation(number)
        } else {
            worker.with_incarnation(number)
        })
    }
}
