//! The steady state of one thread, by criterion: for people who want the usual tool and its baselines.
//!
//! `cargo bench -p benches`, or `cargo bench -p benches -- on-token` for some. An iteration is a round of operations,
//! and its throughput says how many a second. All arms share
//! this process and its memory layout, which is enough to shift two of them against each other by several percent: no
//! verdict comes from here. `cargo xtask bench` is what compares.

use std::time::Duration;

use benches::catalogue;
use benches::scenario::Shares;
use criterion::{BenchmarkId, Criterion, Throughput};

fn steady_state(criterion: &mut Criterion) {
    // As usual, on one core: what varies a factor has a slash in its name.
    let scenarios = catalogue::all(1);
    for scenario in scenarios.iter().filter(|each| !each.name.contains('/')) {
        let mut group = criterion.benchmark_group(&scenario.name);
        for arm in &scenario.arms {
            if scenario.planted(&arm.name).is_some() {
                continue;
            }
            let mut shares = scenario
                .shares(&arm.name, 1)
                .expect("an arm of the scenario");
            // A round is what a share can do; an iteration is a round, and its throughput is given in operations.
            group.throughput(Throughput::Elements(round(&mut shares)));
            group.bench_function(BenchmarkId::from_parameter(&arm.name), |bencher| {
                bencher.iter(|| round(&mut shares));
            });
        }
        group.finish();
    }
}

fn round(shares: &mut Shares) -> u64 {
    shares.iter_mut().map(|share| share.round()).sum()
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    steady_state(&mut criterion);
    criterion.final_summary();
}
