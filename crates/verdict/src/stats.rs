//! The estimators, on plain numbers.
//!
//! # Design
//!
//! One sample is a list of differences, a block each. Its estimate is the [`median`]; around it stand two intervals that
//! share no assumption but that blocks are independent:
//!
//! - the *bootstrap* over blocks, percentile method (Efron 1979): resample the blocks, take the medians, cut the tails;
//! - the *exact* interval of the median between two order statistics (Thompson 1936): the number of blocks below the true
//!   median is binomial with one half, whatever the distribution.
//!
//! Every interval has a p-value with it, and the two never contradict each other: see [`Sample::p_at_least`].
//!
//! # Why
//!
//! - *The median.* A burst of a neighbour's in one block must not move the answer. A mean would follow it.
//! - *The percentile method.* The median is not a smooth function of the data: the jackknife, which the accelerated (BCa)
//!   interval needs for its acceleration, is inconsistent for it, and a studentised interval needs a standard error that
//!   is as hard to get. The percentile interval of a median is made of order statistics, keeps its meaning under any
//!   monotone change of scale (log ratio, ratio, gain), and can be checked against the exact one.
//! - *The wider of the two decides* ([`Sample::cautious`]): lower bound of either, upper bound of either. Where they agree
//!   nothing is lost; where they do not (few blocks, ties, two clusters) neither may decide alone. Its cost is a coverage a
//!   little above the nominal one, which `tests/it/coverage.rs` measures.
//!
//! # Invariants
//!
//! 1. Two samples of the same differences and seed answer alike, in whatever order the differences came.
//! 2. No function panics, on any numbers.

mod binomial;
mod bootstrap;
mod holm;
mod sample;

pub use binomial::at_most_half;
pub use holm::adjusted;
pub use sample::{Interval, Sample};

/// How often the bootstrap resamples.
pub const RESAMPLES: usize = 10_000;

/// The error allowed on each side of an interval: two sides make 95 %.
pub const ONE_SIDED: f64 = 0.025;

/// The median; the mean of the middle two of an even number; `None` of nothing. Sorts `values`. NaN sorts last.
#[must_use]
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    median_of_sorted(values)
}

pub(crate) fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    // Half of each rather than half of the sum, which may overflow.
    Some(sorted[middle - 1] / 2.0 + upper / 2.0)
}
