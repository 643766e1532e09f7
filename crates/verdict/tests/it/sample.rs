//! A whole set of results to be rendered, with every part of the schema in it.

use fastrand::Rng;
use verdict::schema::{
    AllocationFigure, BytesFigure, Cell, Figures, Gauges, LatencyCurve, LatencyPoint, MapState,
    Results, Role,
};
use verdict::{Decision, Facts, decide};

use crate::synthetic::{NOISE, PLAN, arms, empty_results, empty_run, extend, facts, record};

/// Both passes of `decode-step` with scc above the threshold and papaya not, and two more scenarios.
pub(crate) fn results() -> Results {
    let mut rng = Rng::with_seed(5);
    let mut results = empty_results(5, PLAN);
    let mut truth = arms(&[("papaya", 0.93), ("scc", 0.81)]);
    truth.push(("rwlock + HashMap", Role::Baseline, 1.9));
    truth.push(("reference design (SipHash, ticks)", Role::Reference, 1.35));
    truth.push(("handle", Role::Free, 0.55));
    truth.push(("affinity=scc", Role::Swapped, 0.97));
    for (scenario, pass) in [
        ("decode-step", 1),
        ("decode-step", 2),
        ("on-token/2", 1),
        ("on-token/8", 1),
    ] {
        let mut run = empty_run(scenario, pass, &truth);
        run.gating = scenario == "decode-step";
        if scenario == "on-token/8" {
            run.threads = 8;
            run.oversubscribed = true;
        }
        extend(&mut run, &truth, NOISE, PLAN.blocks, &mut rng);
        results.runs.push(run);
    }
    results.runs[0].blocks[11].cells[3] = Cell::Void {
        reason: "hung, and was killed after 10 s".to_owned(),
        seed: 77,
    };
    for load in [0.5, 0.8] {
        for (arm, slower) in [("dashmap", 1.0), ("papaya", 0.9), ("scc", 0.85)] {
            let nanos = [
                (50.0, 900),
                (90.0, 1_500),
                (99.0, 9_000),
                (99.9, 180_000),
                (100.0, 2_400_000),
            ];
            let point = |&(percentile, nanos): &(f64, u32)| LatencyPoint {
                percentile,
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                nanos: (f64::from(nanos) * slower * (1.0 + load)) as u64,
            };
            results.latency.push(LatencyCurve {
                scenario: "decode-step".to_owned(),
                arm: arm.to_owned(),
                load,
                rate: 1e6 * load,
                samples: 2_000_000,
                run_delay: if arm == "scc" { 0.05 } else { 0.001 },
                points: nanos.iter().map(point).collect(),
            });
        }
    }
    for (arm, each) in [("dashmap", 96), ("papaya", 120), ("scc", 108)] {
        for entries in [1_000_u64, 10_000, 100_000, 1_000_000] {
            for (state, bytes) in [
                (MapState::Filled, each * entries + 4096),
                (MapState::AfterChurn, each * entries * 5 / 4),
                (MapState::AfterDrain, each * entries / 4),
            ] {
                results.bytes.push(BytesFigure {
                    arm: arm.to_owned(),
                    entries,
                    state,
                    bytes,
                });
            }
        }
    }
    results.allocations = Figures::Measured(vec![AllocationFigure {
        scenario: "decode-step".to_owned(),
        arm: "dashmap".to_owned(),
        ops: 100_000,
        allocations: 0,
    }]);
    results
}

pub(crate) fn decision(results: &Results) -> Decision {
    let facts = Facts {
        gauges: Gauges {
            tracked: Some(1_200),
            shards: Some(8),
            shard_skew: None,
        },
        ..facts()
    };
    decide(results, &record(), &facts)
}
