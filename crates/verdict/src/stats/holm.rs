//! Holm's correction for several comparisons at once.

/// The p-values adjusted by Holm's step-down method (Holm 1979), in the order given.
///
/// Rejecting where the adjusted value is at most `alpha` makes the chance of *any* false rejection at most `alpha`,
/// however the comparisons depend on each other. NaN counts as 1.
#[must_use]
pub fn adjusted(p: &[f64]) -> Vec<f64> {
    let proper = |value: f64| if value.is_nan() { 1.0 } else { value };
    let mut by_size: Vec<usize> = (0..p.len()).collect();
    by_size.sort_by(|&a, &b| proper(p[a]).total_cmp(&proper(p[b])));

    let mut adjusted = vec![1.0; p.len()];
    let mut at_least: f64 = 0.0;
    for (place, &index) in by_size.iter().enumerate() {
        let remaining = (p.len() - place) as f64;
        at_least = at_least.max(remaining * proper(p[index])).min(1.0);
        adjusted[index] = at_least;
    }
    adjusted
}
