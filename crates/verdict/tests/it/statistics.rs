//! The estimators against values computed by hand.

use verdict::stats::{Interval, ONE_SIDED, RESAMPLES, Sample, adjusted, at_most_half, median};

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

fn numbers(n: u32) -> Sample {
    Sample::new((1..=n).map(f64::from).collect(), 1).expect("numbers")
}

#[test]
fn the_median_is_the_middle_or_the_mean_of_the_middle_two() {
    assert_eq!(median(&mut []), None);
    assert_eq!(median(&mut [3.0]), Some(3.0));
    assert_eq!(median(&mut [9.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&mut [9.0, 1.0, 2.0, 4.0]), Some(3.0));
    assert_eq!(median(&mut [f64::MAX, f64::MAX]), Some(f64::MAX));
}

#[test]
fn a_fair_coin() {
    assert!(close(at_most_half(3, 0), 1.0 / 8.0));
    assert!(close(at_most_half(3, 1), 4.0 / 8.0));
    assert!(close(at_most_half(4, 2), 11.0 / 16.0));
    assert!(close(
        at_most_half(30, 9),
        22_964_087.0 / f64::from(1 << 30)
    ));
    assert!(close(at_most_half(5, 5), 1.0));
    assert!(close(at_most_half(0, 0), 1.0));
    // Where one half to the power of n is no number any more.
    assert!((at_most_half(5000, 2499) - 0.4943587).abs() < 1e-6);
}

#[test]
fn the_exact_interval_lies_between_the_tabled_ranks() {
    for (blocks, lower, upper) in [
        (6, 1.0, 6.0),
        (8, 1.0, 8.0),
        (9, 2.0, 8.0),
        (10, 2.0, 9.0),
        (20, 6.0, 15.0),
        (30, 10.0, 21.0),
        (60, 22.0, 39.0),
    ] {
        let interval = numbers(blocks).exact(ONE_SIDED);
        assert_eq!(interval, Interval { lower, upper }, "{blocks} blocks");
    }
    assert!(!numbers(5).exact(ONE_SIDED).is_bounded());
    assert!(numbers(6).exact(ONE_SIDED).is_bounded());
}

#[test]
fn the_bootstrap_of_three_has_the_distribution_that_one_can_count() {
    // Of the 27 resamples of {1, 2, 3}, 7 have the median 1, 13 have 2 and 7 have 3.
    let sample = numbers(3);
    let whole = Interval {
        lower: 1.0,
        upper: 3.0,
    };
    let point = Interval {
        lower: 2.0,
        upper: 2.0,
    };
    let tail = 7.0 / 27.0;
    assert_eq!(sample.bootstrap(tail - 0.02), whole);
    assert_eq!(sample.bootstrap(tail + 0.02), point);
    // Of the 16 of {1, 2} twice: the median of two is a mean, 1.5 in half of them.
    let sample = numbers(2);
    assert_eq!(sample.bootstrap(0.23).lower, 1.0);
    assert_eq!(sample.bootstrap(0.27).lower, 1.5);
}

#[test]
fn a_p_value_is_the_larger_of_the_two() {
    // Nothing at or above 4: one more than none of the resamples; and three heads in a row.
    assert!(close(numbers(3).p_at_least(4.0), 1.0 / 8.0));
    // One of 20: the bootstrap hardly ever has it as a median, the sign test says 21 in a million.
    assert!(close(
        numbers(20).p_at_least(20.0),
        1.0 / (RESAMPLES as f64 + 1.0)
    ));
    assert!(close(numbers(20).p_at_least(1.0), 1.0));
    // A tie counts against.
    assert!(close(numbers(3).p_at_least(3.0), 4.0 / 8.0));
}

#[test]
fn interval_and_p_value_never_contradict() {
    let mut rng = fastrand::Rng::with_seed(3);
    for blocks in [5, 6, 7, 8, 15, 30, 61] {
        let differences = (0..blocks).map(|_| rng.f64()).collect();
        let sample = Sample::new(differences, rng.u64(..)).expect("numbers");
        for alpha in [0.025, 0.0125, 0.025 / 3.0, 0.3] {
            let upper = sample.cautious(alpha).upper;
            let tried = (0..=200).map(|step| f64::from(step) / 200.0);
            for value in tried.chain(sample.differences().iter().copied()) {
                let rejects = sample.p_at_least(value) <= alpha;
                assert_eq!(rejects, upper < value, "{blocks} {alpha} {value} {upper}");
            }
        }
    }
}

#[test]
fn the_wider_end_decides_on_each_side() {
    let sample = numbers(8);
    let (bootstrap, exact) = (sample.bootstrap(ONE_SIDED), sample.exact(ONE_SIDED));
    assert_ne!(bootstrap, exact, "the test would show nothing");
    assert_eq!(sample.cautious(ONE_SIDED), bootstrap.hull(exact));
    let interval = |lower, upper| Interval { lower, upper };
    let hull = interval(1.0, 9.0);
    for (one, other) in [((1.0, 5.0), (4.0, 9.0)), ((1.0, 9.0), (4.0, 5.0))] {
        let (one, other) = (interval(one.0, one.1), interval(other.0, other.1));
        assert_eq!((one.hull(other), other.hull(one)), (hull, hull));
    }
}

#[test]
fn the_order_of_the_blocks_does_not_matter_and_the_seed_repeats() {
    let ends = |values: &[f64], seed| {
        let sample = Sample::new(values.to_vec(), seed).expect("numbers");
        let alphas = (1..100).map(|alpha| f64::from(alpha) / 250.0);
        alphas
            .map(|alpha| sample.bootstrap(alpha).upper)
            .collect::<Vec<_>>()
    };
    let rising: Vec<f64> = (0..30).map(|i| f64::from(i * i)).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    assert_eq!(ends(&rising, 1), ends(&falling, 1));
    assert_ne!(ends(&rising, 1), ends(&rising, 2));
}

#[test]
fn what_is_no_number_is_no_sample() {
    assert!(Sample::new(Vec::new(), 1).is_none());
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Sample::new(vec![1.0, odd], 1).is_none());
    }
}

#[test]
fn holm_multiplies_the_smallest_most() {
    let by_hand = [0.03, 0.06, 0.06, 0.02];
    let adjusted_p = adjusted(&[0.01, 0.04, 0.03, 0.005]);
    assert!(
        by_hand.iter().zip(&adjusted_p).all(|(l, r)| close(*l, *r)),
        "{adjusted_p:?}"
    );
    assert_eq!(adjusted(&[]), [0.0; 0]);
    assert_eq!(adjusted(&[0.02]), [0.02]);
    assert_eq!(adjusted(&[0.9, 0.8]), [1.0, 1.0]);
    assert_eq!(adjusted(&[f64::NAN, 0.01]), [1.0, 0.02]);
}
