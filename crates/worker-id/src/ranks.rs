//! One rank of a worker, or all of them.

use std::{fmt, ops::RangeInclusive};

use crate::{Incarnation, WorkerWithDpRank};

/// Which data-parallel ranks of a worker are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ranks {
    /// All that it has.
    All,
    /// This one.
    One(u32),
}

/// A worker and which of its ranks are meant: what a worker of eight ranks leaves by in one call.
///
/// Displays as `7:*` or `7:3`, with `@42` or `@r42` behind it where an incarnation is known.
///
/// ```
/// use std::collections::BTreeMap;
/// use worker_id::{WorkerRanks, WorkerWithDpRank};
///
/// let ranks = (0..8).map(|rank| WorkerWithDpRank::new(7, rank));
/// let load: BTreeMap<_, u32> = ranks.map(|rank| (rank, 0)).collect();
/// assert_eq!(load.range(WorkerRanks::all(7).range()).count(), 8);
///
/// let one = WorkerRanks::from(WorkerWithDpRank::new(7, 3));
/// assert!(one.contains(&WorkerWithDpRank::new(7, 3)));
/// assert!(!one.contains(&WorkerWithDpRank::new(7, 4)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct WorkerRanks {
    /// The worker.
    pub worker_id: u64,
    /// Which of its ranks.
    pub ranks: Ranks,
    /// Of which life, where that is known.
    pub incarnation: Option<Incarnation>,
}

impl WorkerRanks {
    /// All ranks of a worker, of which incarnation is not known.
    pub const fn all(worker_id: u64) -> Self {
        Self {
            worker_id,
            ranks: Ranks::All,
            incarnation: None,
        }
    }

    /// The same ranks in this incarnation, which is compared for equality only.
    pub const fn with_incarnation(self, incarnation: u64) -> Self {
        Self {
            incarnation: Some(Incarnation::Opaque(incarnation)),
            ..self
        }
    }

    /// The same ranks in this incarnation, of which the higher is the later.
    pub const fn with_ordered_incarnation(self, incarnation: u64) -> Self {
        Self {
            incarnation: Some(Incarnation::Ordered(incarnation)),
            ..self
        }
    }

    /// Whether a worker is among these. As `==` of workers, this ignores the incarnation.
    #[must_use]
    pub const fn contains(&self, worker: &WorkerWithDpRank) -> bool {
        let rank = match self.ranks {
            Ranks::All => true,
            Ranks::One(rank) => rank == worker.dp_rank,
        };
        self.worker_id == worker.worker_id && rank
    }

    /// One rank of this worker, in the incarnation that this has. Whether the rank is among these
    /// is not asked.
    pub const fn rank(&self, dp_rank: u32) -> WorkerWithDpRank {
        let worker = WorkerWithDpRank::new(self.worker_id, dp_rank);
        match self.incarnation {
            Some(incarnation) => worker.in_incarnation(incarnation),
            None => worker,
        }
    }

    /// Where these workers stand in an ordered map.
    #[must_use]
    pub const fn range(&self) -> RangeInclusive<WorkerWithDpRank> {
        let (first, last) = match self.ranks {
            Ranks::All => (0, u32::MAX),
            Ranks::One(rank) => (rank, rank),
        };
        self.rank(first)..=self.rank(last)
    }
}

/// This rank alone, in the incarnation that it has.
impl From<WorkerWithDpRank> for WorkerRanks {
    fn from(worker: WorkerWithDpRank) -> Self {
        Self {
            worker_id: worker.worker_id,
            ranks: Ranks::One(worker.dp_rank),
            incarnation: worker.incarnation(),
        }
    }
}

impl fmt::Display for WorkerRanks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ranks {
            Ranks::All => write!(f, "{}:*", self.worker_id)?,
            Ranks::One(rank) => write!(f, "{}:{rank}", self.worker_id)?,
        }
        self.incarnation
            .map_or(Ok(()), |incarnation| write!(f, "@{incarnation}"))
    }
}
