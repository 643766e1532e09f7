//! e(n, f): against brute force, and by looking after every block where nothing is true.

use fastrand::Rng;
use verdict::sequence::{SETTLED, Sequence, log_e};

/// ln of 2^n · 2 · ∫ p^(n-f) (1-p)^f dp over p in (1/2, 1), by Simpson's rule, scaled by the
/// largest integrand.
fn integrated(n: usize, against: usize) -> f64 {
    const STEPS: u32 = 200_000;
    let (up, down) = ((n - against) as f64, against as f64);
    let log = |p: f64| {
        let of = |power: f64, x: f64| if power == 0.0 { 0.0 } else { power * x.ln() };
        of(up, p) + of(down, 1.0 - p)
    };
    let at = |step: u32| 0.5 + 0.5 * f64::from(step) / f64::from(STEPS);
    let most = (0..=STEPS)
        .map(|step| log(at(step)))
        .fold(f64::NEG_INFINITY, f64::max);
    let weight = |step: u32| match step {
        0 | STEPS => 1.0,
        odd if odd % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let sum: f64 = (0..=STEPS)
        .map(|step| weight(step) * (log(at(step)) - most).exp())
        .sum();
    let integral = (sum * 0.5 / f64::from(STEPS) / 3.0).ln() + most;
    (n + 1) as f64 * std::f64::consts::LN_2 + integral
}

#[test]
fn it_is_the_integral() {
    for n in [0, 1, 2, 7, 8, 12, 30, 60, 120, 400, 1_000, 2_000] {
        for against in [0, 1, 2, n / 4, n / 3, n / 2, n - n / 3, n] {
            let against = against.min(n);
            let (own, brute) = (log_e(n, against), integrated(n, against));
            let tolerance = 1e-9 * brute.abs().max(1.0);
            assert!(
                (own - brute).abs() <= tolerance,
                "e({n}, {against}): {own}, not {brute}"
            );
        }
    }
}

#[test]
fn it_is_exact_where_whole_numbers_reach() {
    // e(n, f) = Σ C(n+1, i) for i in 0..=n-f, over (n+1) C(n, f).
    let mut row: Vec<u128> = vec![1];
    for n in 0..=100_usize {
        let next: Vec<u128> = std::iter::once(1)
            .chain(row.windows(2).map(|pair| pair[0] + pair[1]))
            .chain([1])
            .collect();
        for (against, own) in row.iter().enumerate() {
            let above: u128 = next[..=n - against].iter().sum();
            let exact = (above as f64).ln() - ((n + 1) as f64).ln() - (*own as f64).ln();
            let error = (log_e(n, against) - exact).abs();
            assert!(
                error <= 1e-11 * exact.abs().max(1.0),
                "e({n}, {against}) is off by {error}"
            );
        }
        row = next;
    }
}

/// The most of `n` blocks that may speak against a claim whose e-value is at least `e`.
fn most_against(n: usize, e: f64) -> Option<usize> {
    (0..=n / 2)
        .take_while(|&against| log_e(n, against) >= e.ln())
        .last()
}

#[test]
fn what_may_speak_against_is_what_the_methodology_says() {
    let at_40 = |n| most_against(n, SETTLED);
    assert_eq!((at_40(0), at_40(7)), (None, None));
    let stated = [(8, 0), (12, 1), (16, 2), (30, 6), (60, 18)];
    for (n, most) in stated {
        assert_eq!(at_40(n), Some(most), "at {n} blocks");
    }
    assert_eq!(most_against(10, 160.0), Some(0));
    assert_eq!(most_against(9, 160.0), None);
}

/// Ville: under the worst null there is, a fair coin, the chance that e ever reaches 40 is at most
/// 1 in 40. Looked at after each of 1,000 blocks, which is stopping whenever one likes.
#[test]
fn whoever_looks_after_every_block_is_fooled_once_in_forty_at_most() {
    const ROUNDS: u32 = 20_000;
    const BLOCKS: usize = 1_000;
    let most: Vec<Option<usize>> = (0..=BLOCKS).map(|n| most_against(n, SETTLED)).collect();
    let mut rng = Rng::with_seed(1);
    let (mut fooled, mut early) = (0_u32, 0_u32);
    for _ in 0..ROUNDS {
        let mut against = 0;
        let crossing = (1..=BLOCKS).find(|&n| {
            against += usize::from(rng.bool());
            most[n].is_some_and(|most| against <= most)
        });
        fooled += u32::from(crossing.is_some());
        early += u32::from(crossing.is_some_and(|n| n <= 60));
    }
    let share = |count: u32| f64::from(count) / f64::from(ROUNDS);
    println!(
        "fooled within 60 blocks {}, within 1,000 {}",
        share(early),
        share(fooled)
    );
    assert!(share(fooled) <= 1.0 / SETTLED, "{}", share(fooled));
    // And the bound is no idle one.
    assert!(share(fooled) >= 0.4 / SETTLED, "{}", share(fooled));
}

#[test]
fn an_interval_is_what_no_e_value_has_excluded() {
    let mut rng = Rng::with_seed(2);
    for _ in 0..200 {
        let values: Vec<f64> = (0..rng.usize(0..40))
            .map(|_| f64::from(rng.u8(..20)))
            .collect();
        let interval = Sequence::new(values.iter().copied()).interval(SETTLED);
        for step in -1..=40 {
            let threshold = f64::from(step) / 2.0;
            let ever = |speaks_against: &dyn Fn(f64) -> bool| {
                (1..=values.len()).any(|n| {
                    let against = values[..n].iter().filter(|v| speaks_against(**v)).count();
                    log_e(n, against) >= SETTLED.ln()
                })
            };
            let below = ever(&|value| value >= threshold);
            let above = ever(&|value| value <= threshold);
            assert_eq!(
                below,
                threshold > interval.upper,
                "{threshold} of {values:?}"
            );
            assert_eq!(
                above,
                threshold < interval.lower,
                "{threshold} of {values:?}"
            );
        }
    }
}

#[test]
fn an_interval_holds_the_truth_at_all_times_at_once() {
    const ROUNDS: u32 = 4_000;
    let mut rng = Rng::with_seed(3);
    let mut misses = 0_u32;
    for _ in 0..ROUNDS {
        // Skewed, with the median of the exponential at ln 2.
        let values = (0..200).map(|_| -(1.0 - rng.f64()).ln());
        let interval = Sequence::new(values).interval(SETTLED);
        misses += u32::from(!interval.contains(std::f64::consts::LN_2));
    }
    let share = f64::from(misses) / f64::from(ROUNDS);
    println!("missed at some time: {share}");
    assert!(share <= 0.05, "{share}");
    assert!(Sequence::new([]).interval(SETTLED).contains(7.0));
    // An interval that early and late blocks contradict is empty, and says so.
    let torn = Sequence::new((0..80).map(|n| if n < 12 { 0.0 } else { 9.0 }));
    assert!(torn.interval(SETTLED).is_empty());
}
