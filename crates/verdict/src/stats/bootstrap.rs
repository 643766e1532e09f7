//! Medians of resampled data.

use fastrand::Rng;

/// The medians of `resamples` samples drawn with replacement from `sorted`, in rising order.
///
/// Resampling positions of sorted data and counting them gives the median without sorting each resample:
/// `resamples * sorted.len()` draws and as many steps.
pub(super) fn medians(sorted: &[f64], resamples: usize, seed: u64) -> Vec<f64> {
    let n = sorted.len();
    if n == 0 {
        return Vec::new();
    }
    let mut rng = Rng::with_seed(seed);
    let mut counts = vec![0_usize; n];
    let mut medians: Vec<f64> = (0..resamples)
        .map(|_| {
            counts.fill(0);
            for _ in 0..n {
                counts[rng.usize(..n)] += 1;
            }
            let lower = sorted[at_rank(&counts, (n - 1) / 2)];
            let upper = sorted[at_rank(&counts, n / 2)];
            lower / 2.0 + upper / 2.0
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    medians
}

/// The position that holds the value of that rank (from 0) in the resample which `counts` describes.
fn at_rank(counts: &[usize], rank: usize) -> usize {
    let mut up_to = 0;
    let holds = |&count: &usize| {
        up_to += count;
        up_to > rank
    };
    counts.iter().position(holds).unwrap_or_default()
}
