//! How many adapters a worker has, and how many it can hold.

use worker_id::WorkerWithDpRank;

/// How many adapters a worker has, and how many it can hold at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Slots {
    /// Adapters that are resident. May be more than the capacity: it is reported as it is.
    pub loaded: usize,
    /// Adapters that are on their way: each takes a slot, too.
    #[cfg_attr(feature = "serde", serde(default))]
    pub loading: usize,
    /// How many it can hold, where that is known.
    pub capacity: Option<u32>,
}

impl Slots {
    /// How many more adapters it can take: 0 where there are as many as it can hold, or more;
    /// `None` where the capacity is not known.
    #[must_use]
    pub fn free(&self) -> Option<usize> {
        let used = self.loaded + self.loading;
        self.capacity
            .map(|capacity| (capacity as usize).saturating_sub(used))
    }

    /// Whether it is known to have a free slot.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.free().is_some_and(|free| free > 0)
    }
}

/// A worker, with its incarnation, and its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerSlots {
    /// The worker.
    pub worker: WorkerWithDpRank,
    /// How many adapters it has, and can hold.
    pub slots: Slots,
}

impl WorkerSlots {
    /// Equal in all that a reader sees, the incarnation included, which `==` leaves out.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.worker.same_incarnation(&other.worker) && self.slots == other.slots
    }
}
