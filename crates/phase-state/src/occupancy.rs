//! How full a router's map is.

/// How full a router's map is: [`PhaseRouter::occupancy`](crate::PhaseRouter::occupancy).
///
/// What a map with shards is watched by: how many requests a shard has, and whether the hash loads one more than the
/// others.
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
}

impl ShardLoads {
    fn new(loads: &[usize]) -> Option<Self> {
        let largest = *loads.iter().max()?;
        let mean = as_f64(loads.iter().sum::<usize>() as u64) / as_f64(loads.len() as u64);
        Some(Self {
            count: loads.len(),
            largest,
            mean,
        })
    }

    /// The fullest shard's load as a multiple of the mean: 1.0 is even. `None` while all are empty.
    #[must_use]
    pub fn skew(&self) -> Option<f64> {
        (self.largest > 0).then(|| as_f64(self.largest as u64) / self.mean)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests are far below 2^52"
)]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
