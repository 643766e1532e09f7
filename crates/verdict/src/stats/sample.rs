//! A sample of differences with its estimate, its intervals and its p-values.

use serde::{Deserialize, Serialize};

use super::{RESAMPLES, binomial, bootstrap, median_of_sorted};

/// A range of values; infinite on a side that the data cannot bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
}

impl Interval {
    /// The smallest interval that holds both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self {
            lower: self.lower.min(other.lower),
            upper: self.upper.max(other.upper),
        }
    }

    /// Half of its width.
    #[must_use]
    pub fn half_width(self) -> f64 {
        (self.upper - self.lower) / 2.0
    }

    /// Whether `value` lies in it, ends included.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        (self.lower..=self.upper).contains(&value)
    }

    /// Whether both ends are finite.
    #[must_use]
    pub fn is_bounded(self) -> bool {
        self.lower.is_finite() && self.upper.is_finite()
    }
}

/// Differences of independent blocks, and the bootstrap over them.
#[derive(Debug, Clone)]
pub struct Sample {
    sorted: Vec<f64>,
    medians: Vec<f64>,
}

impl Sample {
    /// Bootstraps [`RESAMPLES`] times; some milliseconds for 60 blocks. `None` without differences, or with one that is
    /// not finite.
    #[must_use]
    pub fn new(mut differences: Vec<f64>, seed: u64) -> Option<Self> {
        if differences.is_empty() || differences.iter().any(|d| !d.is_finite()) {
            return None;
        }
        differences.sort_by(f64::total_cmp);
        let medians = bootstrap::medians(&differences, RESAMPLES, seed);
        Some(Self {
            sorted: differences,
            medians,
        })
    }

    /// The blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.sorted.len()
    }

    /// The differences, in rising order.
    #[must_use]
    pub fn differences(&self) -> &[f64] {
        &self.sorted
    }

    /// The estimate.
    #[must_use]
    pub fn median(&self) -> f64 {
        median_of_sorted(&self.sorted).unwrap_or_default()
    }

    /// The percentile interval of the bootstrap with an error of `alpha` on each side.
    #[must_use]
    pub fn bootstrap(&self, alpha: f64) -> Interval {
        let resamples = self.medians.len();
        // The most resamples that may lie beyond an end, counted as the p-value counts them.
        let beyond = (0..resamples / 2)
            .take_while(|&count| bootstrap_p(count, resamples) <= alpha)
            .last();
        between(&self.medians, beyond)
    }

    /// The interval between two order statistics with an error of at most `alpha` on each side: exact for independent
    /// blocks of any continuous distribution. Unbounded where there are too few blocks (under 6 for 95 %).
    #[must_use]
    pub fn exact(&self, alpha: f64) -> Interval {
        between(&self.sorted, binomial::rank(self.blocks(), alpha))
    }

    /// The smallest interval that holds both of the above: the one that decides.
    #[must_use]
    pub fn cautious(&self, alpha: f64) -> Interval {
        self.bootstrap(alpha).hull(self.exact(alpha))
    }

    /// The one-sided p-value of "the median is at least `value`": the larger of the bootstrap's, which is
    /// (1 + medians at or above) / (1 + resamples), and the sign test's.
    ///
    /// It is at most `alpha` exactly if the upper end of [`cautious`](Self::cautious) at `alpha` lies below `value`.
    #[must_use]
    pub fn p_at_least(&self, value: f64) -> f64 {
        let at_or_above = |sorted: &[f64]| sorted.len() - sorted.partition_point(|&d| d < value);
        let sign = binomial::at_most_half(self.blocks(), at_or_above(&self.sorted));
        let medians = self.medians.len();
        sign.max(bootstrap_p(at_or_above(&self.medians), medians))
    }
}

fn bootstrap_p(beyond: usize, resamples: usize) -> f64 {
    (1 + beyond) as f64 / (1 + resamples) as f64
}

/// From the value with `beyond` others below it to the one with as many above it.
fn between(sorted: &[f64], beyond: Option<usize>) -> Interval {
    let end = |index: Option<usize>| index.and_then(|index| sorted.get(index).copied());
    let upper = beyond.and_then(|beyond| sorted.len().checked_sub(beyond + 1));
    Interval {
        lower: end(beyond).unwrap_or(f64::NEG_INFINITY),
        upper: end(upper).unwrap_or(f64::INFINITY),
    }
}
