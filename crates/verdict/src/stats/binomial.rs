//! The binomial distribution of a fair coin.

/// The probability of at most `k` heads in `n` throws of a fair coin.
///
/// Summed in logarithms, so that it holds for any `n`; costs `k` steps.
#[must_use]
pub fn at_most_half(n: usize, k: usize) -> f64 {
    if k >= n {
        return 1.0;
    }
    // ln C(n, i) - n ln 2, stepped from i to i + 1.
    let mut ln_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = ln_term.exp();
    for i in 0..k {
        ln_term += ((n - i) as f64 / (i + 1) as f64).ln();
        sum += ln_term.exp();
    }
    sum.min(1.0)
}

/// The most heads `k` that come with a probability of at most `alpha`; `None` where even none is likelier than that.
pub(super) fn rank(n: usize, alpha: f64) -> Option<usize> {
    let within = |&k: &usize| at_most_half(n, k) <= alpha;
    (0..n / 2 + 1).take_while(within).last()
}
