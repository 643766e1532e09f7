//! How full a router's map is.

/// The requests that ADR-0003 allows a shard on average before it asks for another look at the map.
const PER_SHARD: usize = 512;

/// How full a router's map is: [`PhaseRouter::occupancy`](crate::PhaseRouter::occupancy).
///
/// The two figures that ADR-0003 watches: how far the tracked requests are from `shards x 512`, and whether the hash
/// loads one shard more than the others.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Occupancy {
    /// Requests that are tracked.
    pub tracked_requests: usize,
    /// The shards' loads; `None` where the map has no shards.
    pub shards: Option<ShardLoads>,
}

/// What the shards of a map hold, each counted at a moment of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShardLoads {
    /// Shards.
    pub count: usize,
    /// Requests in the fullest one.
    pub largest: usize,
    /// Requests in one, on average.
    pub mean: f64,
}

impl Occupancy {
    pub(crate) fn new(tracked_requests: usize, shards: Option<Vec<usize>>) -> Self {
        Self {
            tracked_requests,
            shards: shards.and_then(|loads| ShardLoads::new(&loads)),
        }
    }

    /// How many requests the map may hold: `shards x 512`. `None` where it has no shards.
    #[must_use]
    pub fn ceiling(&self) -> Option<usize> {
        Some(self.shards?.count.saturating_mul(PER_SHARD))
    }

    /// The tracked requests as a share of the [`ceiling`](Self::ceiling): 1.0 and above is what ADR-0003 watches for.
    #[must_use]
    pub fn share_of_ceiling(&self) -> Option<f64> {
        Some(as_f64(self.tracked_requests) / as_f64(self.ceiling()?))
    }
}

impl ShardLoads {
    fn new(loads: &[usize]) -> Option<Self> {
        let largest = *loads.iter().max()?;
        let mean = as_f64(loads.iter().sum()) / as_f64(loads.len());
        Some(Self {
            count: loads.len(),
            largest,
            mean,
        })
    }

    /// The fullest shard's load as a multiple of the mean: 1.0 is even. `None` while all are empty.
    #[must_use]
    pub fn skew(&self) -> Option<f64> {
        (self.largest > 0).then(|| as_f64(self.largest) / self.mean)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests are far below 2^52"
)]
fn as_f64(count: usize) -> f64 {
    count as f64
}
