//! Five records as a whole run would answer them, for the report: seven gating scenarios, one that
//! decides nothing, and figures.

use fastrand::Rng;
use verdict::schema::{Results, Role, ScenarioRun};
use verdict::{Decision, Facts, Known, Next, Record, decide};

use crate::world::{Bench, CRITERIA, Truth, WORLD, World, facts, results, run};

/// Record, title, and of each gating scenario: name, papaya near and far, scc near and far, and the
/// free map.
type Sample = (
    &'static str,
    &'static str,
    &'static [(&'static str, [[f64; 2]; 3])],
);

const RECORDS: [Sample; 5] = [
    (
        "0003",
        "DashMap for per-request phase state",
        &[
            ("decode-step", [[1.01, 0.99], [1.02, 1.086], [0.92, 0.85]]),
            ("serving-loop", [[0.99, 0.69], [1.0, 1.02], [0.81, 0.57]]),
        ],
    ),
    (
        "0004",
        "One map of streams, on DashMap",
        &[("stream-request", [[1.18, 1.1], [1.01, 1.0], [0.95, 0.9]])],
    ),
    (
        "0005",
        "One snapshot for adapters, and DashMap to find a worker in it",
        &[("lora-placement", [[1.0, 0.99], [0.99, 1.0], [0.97, 0.95]])],
    ),
    (
        "0006",
        "DashMap for session affinity",
        &[("affinity-turn", [[1.021, 0.933], [1.01, 1.02], [0.8, 0.7]])],
    ),
    (
        "0007",
        "DashMap for routers and workers by id",
        &[
            ("router-lookup", [[0.978, 0.872], [1.02, 1.03], [0.7, 0.6]]),
            ("router-churn", [[1.667, 1.25], [1.03, 1.0], [0.75, 0.7]]),
        ],
    ),
];

fn arms([papaya, scc, free]: [[f64; 2]; 3]) -> Vec<Truth> {
    vec![
        ("dashmap", Role::Incumbent, [1.0; 2]),
        ("dashmap-again", Role::IncumbentAgain, [1.0; 2]),
        (
            "dashmap-plus-10-percent",
            Role::Planted { extra: 0.1 },
            [1.1; 2],
        ),
        ("papaya", Role::Candidate, papaya),
        ("scc", Role::Candidate, scc),
        ("rwlock", Role::Baseline, [2.6, 4.0]),
        ("reference", Role::Reference, [1.14, 1.79]),
        ("no-map", Role::Free, free),
    ]
}

pub(crate) fn records() -> Vec<Record> {
    let scenarios: Vec<&str> = RECORDS
        .iter()
        .flat_map(|(.., gating)| gating.iter().map(|(name, _)| *name))
        .collect();
    let arms = ["dashmap", "papaya", "scc"];
    let known = Known {
        scenarios: &scenarios,
        arms: &arms,
    };
    let record = |(number, title, gating): &Sample| {
        let gating: Vec<&str> = gating.iter().map(|(name, _)| *name).collect();
        let text = CRITERIA
            .replace("0003", number)
            .replace("DashMap for per-request phase state", title)
            .replace("[\"decode-step\"]", &format!("{gating:?}"));
        Record::parse("sample.toml", &text, known).expect("valid")
    };
    RECORDS.iter().map(record).collect()
}

pub(crate) fn decisions(results: &Results) -> Vec<Decision> {
    let known = Facts {
        gauges: results.gauges,
        ..facts()
    };
    records()
        .iter()
        .map(|record| decide(results, record, &known))
        .collect()
}

/// Measured until every record is done. `far` is the share of the blocks in which lines travel far.
pub(crate) fn measured(far: f64) -> Results {
    let world = World {
        turns: 4,
        dirty: 0.04,
        far,
        ..WORLD
    };
    let mut rng = Rng::with_seed(5);
    let mut results = results(5);
    results.command = "cargo xtask bench --seed 5".to_owned();
    results.notes = vec!["Record 0007 was stopped after 90 s.".to_owned()];
    results.gauges.tracked = Some(1_200);
    results.gauges.shards = Some(8);
    results.versions = [("dashmap", "6.2.1"), ("papaya", "0.2.5"), ("scc", "3.8.8")]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into();
    let gating = RECORDS.iter().flat_map(|(.., gating)| gating.iter());
    let mut benches: Vec<Bench> = Vec::new();
    for (name, truth) in gating {
        let arms = arms(*truth);
        results.runs.push(run(name, &arms));
        benches.push(Bench::new(world, &arms, rng.fork()));
    }
    results.runs.push(oversubscribed());
    let mut is_far = false;
    loop {
        let decisions = decisions(&results);
        let wanted: Vec<String> = decisions
            .into_iter()
            .flat_map(|decision| match decision.next {
                Next::Measure { scenarios } => scenarios,
                Next::Done => Vec::new(),
            })
            .collect();
        if wanted.is_empty() {
            return results;
        }
        for (run, bench) in results.runs.iter_mut().zip(&mut benches) {
            if wanted.contains(&run.scenario) {
                if rng.f64() < world.flips {
                    is_far = rng.f64() < far;
                }
                let number = u32::try_from(run.blocks.len() + 1).expect("few");
                run.blocks.push(bench.block(number, is_far));
            }
        }
    }
}

fn oversubscribed() -> ScenarioRun {
    let arms = arms([[0.7; 2], [3.1; 2], [0.6; 2]]);
    let mut bench = Bench::new(WORLD, &arms, Rng::with_seed(6));
    let mut run = run("on-token/8", &arms);
    run.gating = false;
    run.threads = 8;
    run.oversubscribed = true;
    run.blocks = (1..=8).map(|number| bench.block(number, false)).collect();
    run
}
