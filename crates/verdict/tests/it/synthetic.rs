//! Measurements that nobody made: a machine with a known truth, and the engine's loop around it.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use fastrand::Rng;
use verdict::schema::{
    Arm, Block, Cell, Figures, Gauges, Machine, Mode, Plan, Results, Role, SCHEMA, ScenarioRun,
    Slice,
};
use verdict::{Decision, Facts, Known, Next, Record, decide};

pub(crate) const CRITERIA: &str = include_str!("../data/criteria.toml");

pub(crate) const KNOWN: Known<'_> = Known {
    scenarios: &["decode-step", "other-step"],
    arms: &["dashmap", "papaya", "scc"],
};

/// How a machine disturbs what runs on it. Standard deviations are of logarithms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// What a process has by its memory layout, in all its slices.
    pub(crate) layout: f64,
    /// What a block has by the time of day, in all its processes.
    pub(crate) drift: f64,
    /// What a turn has, in the slices of all processes.
    pub(crate) turn: f64,
    /// What a slice has: the mean distance of a Laplace distribution, which has the tails that were seen.
    pub(crate) slice: f64,
    /// The share of blocks in which a neighbour's burst slows half of the slices, by a fifth to three fifths.
    pub(crate) bursts: f64,
    /// The share of the slices in a burst whose run delay shows it.
    pub(crate) seen: f64,
    /// The share of all slices that are dirty anyhow.
    pub(crate) dirty: f64,
}

/// A layout as rough as the roughest of the first prototypes, where an A/A' half-width of 0.2 to 0.7 % at 30 blocks means 0.3 to
/// 1.1 %. Turns and slices are as 18 blocks of `decode-step` had them on a machine with busy neighbours.
pub(crate) const NOISE: Noise = Noise {
    layout: 0.010,
    drift: 0.03,
    turn: 0.14,
    slice: 0.045,
    bursts: 0.05,
    seen: 0.7,
    dirty: 0.03,
};

/// What is true: the time of each arm, the incumbent's being 1.
pub(crate) type Truth<'a> = &'a [(&'a str, Role, f64)];

pub(crate) fn arms(candidates: &[(&'static str, f64)]) -> Vec<(&'static str, Role, f64)> {
    let mut arms = vec![
        ("dashmap", Role::Incumbent, 1.0),
        ("dashmap again", Role::IncumbentAgain, 1.0),
        ("dashmap + 10 %", Role::Planted { extra: 0.1 }, 1.1),
    ];
    arms.extend(
        candidates
            .iter()
            .map(|&(name, time)| (name, Role::Candidate, time)),
    );
    arms
}

pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (TAU * rng.f64()).cos()
}

fn laplace(rng: &mut Rng) -> f64 {
    let distance = -(1.0 - rng.f64()).ln();
    if rng.bool() { distance } else { -distance }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn cell(noise: Noise, mean: f64, turns: &[f64], burst: Option<f64>, rng: &mut Rng) -> Cell {
    const NANOS: u64 = 5_000_000;
    let process = mean * (noise.layout * normal(rng)).exp();
    let mut slice = |turn: &f64| {
        let slowed = burst.filter(|_| rng.bool());
        let seen = slowed.is_some() && rng.f64() < noise.seen;
        let dirty = seen || rng.f64() < noise.dirty;
        let own = (noise.slice * laplace(rng)).exp();
        let nanos_per_op = process * turn * slowed.unwrap_or(1.0) * own;
        Slice {
            ops: (NANOS as f64 / nanos_per_op) as u64,
            nanos: NANOS,
            run_delay_nanos: if dirty { NANOS / 10 } else { NANOS / 200 },
            steal_ticks: 0,
        }
    };
    let slices = turns.iter().map(&mut slice).collect();
    Cell::Measured { slices }
}

/// Adds blocks to a pass, up to `blocks`.
pub(crate) fn extend(
    run: &mut ScenarioRun,
    truth: Truth<'_>,
    noise: Noise,
    blocks: u32,
    rng: &mut Rng,
) {
    let have = u32::try_from(run.blocks.len()).unwrap();
    for number in have + 1..=blocks {
        let block = 400.0 * (noise.drift * normal(rng)).exp();
        let mut order: Vec<usize> = (0..truth.len()).collect();
        rng.shuffle(&mut order);
        let turns: Vec<f64> = (0..40).map(|_| (noise.turn * normal(rng)).exp()).collect();
        let burst = (rng.f64() < noise.bursts).then(|| 1.2 + 0.4 * rng.f64());
        let cells = truth
            .iter()
            .map(|(_, _, time)| cell(noise, time * block, &turns, burst, rng))
            .collect();
        run.blocks.push(Block {
            number,
            order,
            cells,
        });
    }
}

pub(crate) fn empty_run(scenario: &str, pass: u8, truth: Truth<'_>) -> ScenarioRun {
    ScenarioRun {
        scenario: scenario.to_owned(),
        adr: Some("0003".to_owned()),
        gating: true,
        pass,
        what: "one token of each of 256 requests, with its chunk serialised".to_owned(),
        threads: 2,
        cores_needed: 2,
        oversubscribed: false,
        arms: truth
            .iter()
            .map(|(name, role, _)| Arm::new(*name, *role))
            .collect(),
        blocks: Vec::new(),
    }
}

pub(crate) fn empty_results(seed: u64, plan: Plan) -> Results {
    Results {
        schema: SCHEMA.to_owned(),
        started: "2026-11-20 10:00 UTC".to_owned(),
        command: format!("cargo xtask bench --adr 0003 --seed {seed}"),
        seed,
        revision: "0123456789ab".to_owned(),
        machine: Machine {
            cores: 2,
            model: "Synthetic CPU".to_owned(),
            kernel: "Linux 6.1".to_owned(),
            virtualised: Some("kvm".to_owned()),
            compiler: "rustc 1.95.0".to_owned(),
            memory_bytes: Some(8 << 30),
        },
        versions: BTreeMap::from([("papaya".to_owned(), "0.2.5".to_owned())]),
        mode: Mode::Default,
        plan,
        runs: Vec::new(),
        latency: Vec::new(),
        bytes: Vec::new(),
        allocations: Figures::Measured(Vec::new()),
        instructions: Figures::NotMeasured {
            why: "valgrind is not installed".to_owned(),
            command: "apt-get install valgrind".to_owned(),
        },
        gauges: Gauges::default(),
        notes: Vec::new(),
    }
}

pub(crate) fn record() -> Record {
    Record::parse("adr/0003-criteria.toml", CRITERIA, KNOWN).expect("valid criteria")
}

/// Versions with which papaya fails (a) and scc passes it.
pub(crate) fn facts() -> Facts {
    let version = |name: &str, version: &str| (name.to_owned(), vec![version.to_owned()]);
    Facts {
        versions: BTreeMap::from([version("papaya", "0.2.5"), version("scc", "3.8.8")]),
        ..Facts::default()
    }
}

pub(crate) const PLAN: Plan = Plan {
    blocks: 30,
    extended: 60,
};

/// Measures, decides, and measures what the decision asks for, until it asks for nothing.
pub(crate) fn settle(
    record: &Record,
    truth: Truth<'_>,
    noise: Noise,
    plan: Plan,
    seed: u64,
) -> (Results, Decision) {
    let mut rng = Rng::with_seed(seed);
    let mut results = empty_results(seed, plan);
    for scenario in record.gating() {
        let mut run = empty_run(scenario, 1, truth);
        extend(&mut run, truth, noise, plan.blocks, &mut rng);
        results.runs.push(run);
    }
    for _ in 0..4 {
        let decision = decide(&results, record, &facts());
        match &decision.next {
            Next::Done => return (results, decision),
            Next::Extend { pass, scenarios } => {
                let runs = results.runs.iter_mut();
                for run in runs.filter(|run| run.pass == *pass && scenarios.contains(&run.scenario))
                {
                    extend(run, truth, noise, plan.extended, &mut rng);
                }
            }
            Next::Confirm { scenarios } => {
                for scenario in scenarios {
                    let mut run = empty_run(scenario, 2, truth);
                    extend(&mut run, truth, noise, plan.blocks, &mut rng);
                    results.runs.push(run);
                }
            }
        }
    }
    panic!("measured, extended, confirmed, extended, and still not done");
}
