//! How often the intervals hold the truth, and Holm's family errs: by simulation, seeded.

use fastrand::Rng;
use verdict::stats::{ONE_SIDED, Sample, adjusted};

use crate::synthetic::normal;

/// Shares of `rounds` in which the bootstrap, the exact and the cautious interval hold the true median, 0.
fn coverage(blocks: usize, rounds: u32, draw: impl Fn(&mut Rng) -> f64) -> [f64; 3] {
    let mut rng = Rng::with_seed(blocks as u64);
    let mut holds = [0_u32; 3];
    for _ in 0..rounds {
        let differences = (0..blocks).map(|_| draw(&mut rng)).collect();
        let sample = Sample::new(differences, rng.u64(..)).expect("numbers");
        let intervals = [
            sample.bootstrap(ONE_SIDED),
            sample.exact(ONE_SIDED),
            sample.cautious(ONE_SIDED),
        ];
        for (count, interval) in holds.iter_mut().zip(intervals) {
            *count += u32::from(interval.contains(0.0));
        }
    }
    holds.map(|count| f64::from(count) / f64::from(rounds))
}

/// Three standard deviations of a share of 0.95 over that many rounds.
fn slack(rounds: u32) -> f64 {
    3.0 * (0.95 * 0.05 / f64::from(rounds)).sqrt()
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    const ROUNDS: u32 = 600;
    let bursty = |rng: &mut Rng| {
        let burst = if rng.f64() < 0.1 { 20.0 } else { 1.0 };
        burst * normal(rng)
    };
    // Skewed, with the median ln 2 of the exponential moved to 0.
    let skewed = |rng: &mut Rng| -(1.0 - rng.f64()).ln() - std::f64::consts::LN_2;
    for blocks in [8, 30, 60] {
        for [bootstrap, exact, cautious] in [
            coverage(blocks, ROUNDS, normal),
            coverage(blocks, ROUNDS, bursty),
            coverage(blocks, ROUNDS, skewed),
        ] {
            println!("{blocks} blocks: bootstrap {bootstrap}, exact {exact}, cautious {cautious}");
            assert!(
                exact >= 0.95 - slack(ROUNDS),
                "exact {exact} at {blocks} blocks"
            );
            assert!(cautious >= exact && cautious >= bootstrap);
            // The bootstrap alone is a little short, which is why it does not decide alone.
            assert!(
                bootstrap >= 0.92 - slack(ROUNDS),
                "bootstrap {bootstrap} at {blocks} blocks"
            );
            // And the price of caution is not a useless interval.
            assert!(
                blocks < 30 || cautious <= 0.985,
                "cautious {cautious} at {blocks} blocks"
            );
        }
    }
}

#[test]
fn a_family_at_the_threshold_errs_no_more_often_than_one_test() {
    const ROUNDS: u32 = 600;
    let mut rng = Rng::with_seed(11);
    let (mut family, mut uncorrected) = (0_u32, 0_u32);
    for _ in 0..ROUNDS {
        let mut p = || {
            let differences = (0..30).map(|_| normal(&mut rng)).collect();
            let sample = Sample::new(differences, rng.u64(..)).expect("numbers");
            sample.p_at_least(0.0)
        };
        let p = [p(), p(), p(), p()];
        let errs = |p: &[f64]| u32::from(p.iter().any(|&p| p <= ONE_SIDED));
        family += errs(&adjusted(&p));
        uncorrected += errs(&p);
    }
    let share = |count| f64::from(count) / f64::from(ROUNDS);
    println!(
        "family {}, uncorrected {}",
        share(family),
        share(uncorrected)
    );
    let slack = 3.0 * (0.025_f64 * 0.975 / f64::from(ROUNDS)).sqrt();
    assert!(share(family) <= ONE_SIDED + slack, "{family}");
    assert!(
        share(uncorrected) > 2.0 * ONE_SIDED,
        "the correction would not be needed"
    );
}
