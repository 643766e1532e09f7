//! When to stop: blocks looked at one after the other, and what may be said after each.
//!
//! A claim about the median of the blocks, "more than half of all blocks lie below t", is a bet on
//! each block. After n blocks of which f spoke against it, the bet is worth
//!
//! ```text
//! e(n, f) = 2^n · 2 · ∫ p^(n-f) (1-p)^f dp, p from 1/2 to 1
//! ```
//!
//! This is the likelihood ratio of "each block is for it with probability p", mixed evenly over p,
//! against a fair coin. Where the claim is false, no bet gains on average, so that e is a
//! nonnegative supermartingale whose chance of *ever* reaching 40 is at most 1 in 40 (Ville's
//! inequality). So one may look after every block, stop when one likes, and resume.
//!
//! The thresholds that no bet at 40 has excluded yet, on either side, after any of the blocks so
//! far, are the *sequential interval* of the median: right at all times at once with a chance of at
//! least 95 %.
//!
//! # Why
//!
//! - *Signs, not sizes.* The claim is about a median, so one wild block is one vote. Nothing is
//!   assumed of the distribution.
//! - *A value that equals the threshold speaks against both claims.* So ties never help.
//! - *What was excluded stays excluded.* The inequality is about the largest e so far, so that a
//!   verdict that was printed does not waver.
//!
//! # Invariants
//!
//! The order of the blocks matters, and more of them never widen an interval.
//!
//! H. Robbins: *Statistical methods related to the law of the iterated logarithm*, 1970 (the
//! mixture). S. Howard, A. Ramdas: *Sequential estimation of quantiles with applications to A/B
//! testing and best-arm identification*, Bernoulli 2022.

use std::f64::consts::LN_2;

use crate::stats::{Interval, median};

/// The e-value that settles a claim: one that is false ever gets there with a chance of 1 in 40.
pub const SETTLED: f64 = 40.0;

/// The natural logarithm of e(n, f): what `n` blocks say for a claim that `against` of them speak
/// against.
///
/// The integral is a ratio of binomial coefficients, Σ C(n+1, i) for i from 0 to n-f over (n+1)
/// C(n, f). It is summed in logarithms from the shorter end, so that it is exact to ten digits for
/// thousands of blocks.
///
/// # Examples
///
/// ```
/// use verdict::sequence::log_e;
///
/// // Eight of eight are enough, seven of seven are not.
/// assert!(log_e(8, 0) >= 40_f64.ln() && log_e(7, 0) < 40_f64.ln());
/// ```
#[must_use]
pub fn log_e(n: usize, against: usize) -> f64 {
    let against = against.min(n);
    let all = (n + 1) as f64 * LN_2;
    if 2 * against < n {
        // All coefficients but the last: Σ C(n+1, i), i from 0 to f, is less than half of 2^(n+1).
        let (sum, last) = coefficients(n + 1, against);
        // (n+1) C(n, f) = (n+1-f) C(n+1, f).
        all + (-(sum - all).exp()).ln_1p() - last - ((n + 1 - against) as f64).ln()
    } else {
        let (sum, last) = coefficients(n + 1, n - against);
        // (n+1) C(n, f) = (f+1) C(n+1, n-f).
        sum - last - ((against + 1) as f64).ln()
    }
}

/// The logarithms of `Σ C(n, i), i from 0 to k`, and of its last term; `k` is at most half of `n`,
/// so that the terms rise.
fn coefficients(n: usize, k: usize) -> (f64, f64) {
    // The sum so far over its last term, which is between 1 and `k + 1`: nothing overflows.
    let (mut share, mut last) = (1.0_f64, 0.0_f64);
    for i in 1..=k {
        let rise = (n + 1 - i) as f64 / i as f64;
        share = share / rise + 1.0;
        last += rise.ln();
    }
    (last + share.ln(), last)
}

/// Values of blocks, in the order in which they were measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence {
    /// The values.
    pub values: Vec<f64>,
}

impl Sequence {
    /// Of these values. What is not a number has nothing to say, and is left out.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let values = values.into_iter().filter(|value| !value.is_nan()).collect();
        Self { values }
    }

    /// The estimate; `None` without a block.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        median(&mut self.values.clone())
    }

    /// The thresholds for the median that no e-value has excluded at `e`, on either side, after any
    /// of the blocks so far.
    ///
    /// Unbounded before the eighth block at 40. Empty only where early blocks contradict late ones.
    #[must_use]
    pub fn interval(&self, e: f64) -> Interval {
        let mut interval = Interval::ALL;
        let mut sorted: Vec<f64> = Vec::with_capacity(self.values.len());
        let mut most = None;
        for &value in &self.values {
            let place = sorted.partition_point(|&other| other < value);
            sorted.insert(place, value);
            // It never falls with more blocks, so the search goes on from where it was.
            let n = sorted.len();
            let mut next = most.map_or(0, |most| most + 1);
            while next <= n / 2 && log_e(n, next) >= e.ln() {
                most = Some(next);
                next += 1;
            }
            if let Some(most) = most {
                // A threshold above this value has at most so many blocks at or above it.
                interval.upper = interval.upper.min(sorted[n - 1 - most]);
                interval.lower = interval.lower.max(sorted[most]);
            }
        }
        interval
    }
}
