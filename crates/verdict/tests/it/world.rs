//! Measurements that nobody made: a machine with a known truth, and the engine's loop around it.

use std::f64::consts::TAU;

use fastrand::Rng;
use verdict::schema::{Arm, Block, Cell, Results, Role, ScenarioRun, Slice};
use verdict::{Decision, Facts, Known, Next, Record, decide};

pub(crate) const CRITERIA: &str = include_str!("../data/criteria.toml");

pub(crate) const KNOWN: Known<'_> = Known {
    scenarios: &["decode-step", "other-step"],
    arms: &["dashmap", "papaya", "scc"],
};

/// What is true of an arm: its time near and far, that of the incumbent being 1.
pub(crate) type Truth = (&'static str, Role, [f64; 2]);

pub(crate) fn truth(near: [f64; 2], far: [f64; 2]) -> Vec<Truth> {
    let [papaya, scc] = [0, 1].map(|index| [near[index], far[index]]);
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
        ("no-map", Role::Free, [0.7; 2]),
    ]
}

/// How a machine disturbs what runs on it. What is about time is about its logarithm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// What a block has of its own, for each arm.
    pub(crate) noise: Noise,
    /// The standard deviation of what a link order does to an arm.
    pub(crate) builds: f64,
    /// The share of the blocks in which lines travel far.
    pub(crate) far: f64,
    /// How likely the state is drawn anew from one block to the next.
    pub(crate) flips: f64,
    /// The share of the blocks that change their state.
    pub(crate) torn: f64,
    /// The turns of each block.
    pub(crate) turns: usize,
    /// The share of the slices that are dirty.
    pub(crate) dirty: f64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Noise {
    /// Normal, with this standard deviation, and three times as wide in one block of ten.
    Normal(f64),
    /// As blocks of ours had it, all arms of a block together: rows of residuals around the
    /// medians.
    Ours(&'static [[f64; 5]]),
}

/// Blocks as rough as those of a busy machine, in one state.
pub(crate) const WORLD: World = World {
    noise: Noise::Normal(0.025),
    builds: 0.010,
    far: 0.0,
    flips: 0.2,
    torn: 0.03,
    turns: 1,
    dirty: 0.0,
};

pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (TAU * rng.f64()).cos()
}

/// A scenario that is being measured in a world.
pub(crate) struct Bench {
    world: World,
    truth: Vec<Truth>,
    rng: Rng,
    /// What each of the six link orders does to each arm: as much up as down, so that the truth is
    /// the median.
    builds: Vec<[f64; 6]>,
    rotation: Vec<u8>,
}

impl Bench {
    pub(crate) fn new(world: World, truth: &[Truth], mut rng: Rng) -> Self {
        let mut effects = || {
            let [a, b, c] = [0; 3].map(|_| world.builds * normal(&mut rng));
            let mut effects = [a, -a, b, -b, c, -c];
            rng.shuffle(&mut effects);
            effects
        };
        let builds = truth.iter().map(|_| effects()).collect();
        Self {
            world,
            truth: truth.to_vec(),
            builds,
            rotation: Vec::new(),
            rng,
        }
    }

    fn build(&mut self) -> u8 {
        if self.rotation.is_empty() {
            self.rotation = (0..6).collect();
            self.rng.shuffle(&mut self.rotation);
        }
        self.rotation.pop().unwrap_or_default()
    }

    /// The noise of each arm; the incumbent's is in that of the others.
    fn noise(&mut self) -> Vec<f64> {
        let rng = &mut self.rng;
        match self.world.noise {
            Noise::Normal(deviation) => {
                let mut own = || {
                    let wide = if rng.u8(..10) == 0 { 3.0 } else { 1.0 };
                    wide * deviation * normal(rng)
                };
                self.truth.iter().map(|_| own()).collect()
            }
            Noise::Ours(rows) => {
                let row = rows[rng.usize(..rows.len())];
                // So that no resampled value is met exactly, and the threshold least of all.
                let blurred = row.map(|value| value + 0.002 * normal(rng));
                std::iter::once(0.0).chain(blurred).collect()
            }
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn block(&mut self, number: u32, far: bool) -> Block {
        let World {
            torn, turns, dirty, ..
        } = self.world;
        let (build, noise) = (self.build(), self.noise());
        let rng = &mut self.rng;
        let torn = rng.f64() < torn;
        let travel = (0..12).map(|place| {
            let far = far != (torn && place > 5);
            let nanos = if far { 193.0 } else { 21.0 };
            (nanos * (1.0 + 0.03 * rng.f64())) as f32
        });
        let travel = travel.collect();
        let mut order: Vec<usize> = (0..self.truth.len()).collect();
        rng.shuffle(&mut order);
        let drift = 400.0 * (0.1 * normal(rng)).exp();
        let arms = self.truth.iter().zip(&self.builds).zip(&noise);
        let cells = arms.map(|(((_, _, time), builds), noise)| {
            let log = time[usize::from(far)].ln() + builds[usize::from(build)] + noise;
            let slices = (0..turns).map(|_| slice(drift * log.exp(), rng.f64() < dirty));
            Cell::Measured {
                slices: slices.collect(),
            }
        });
        Block {
            number,
            build,
            cores: vec![0, 1],
            cells: cells.collect(),
            order,
            travel,
        }
    }
}

/// Of so many nanoseconds an operation. As exact as a whole number of operations is.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn slice(nanos_per_op: f64, dirty: bool) -> Slice {
    const NANOS: u64 = 5_000_000_000;
    Slice {
        ops: (NANOS as f64 / nanos_per_op) as u64,
        nanos: NANOS,
        run_delay_nanos: if dirty { NANOS / 10 } else { NANOS / 200 },
        steal_ticks: 0,
    }
}

pub(crate) fn run(scenario: &str, truth: &[Truth]) -> ScenarioRun {
    ScenarioRun {
        scenario: scenario.to_owned(),
        adr: Some("0003".to_owned()),
        gating: true,
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

/// Results of a machine of both states, before the first block.
pub(crate) fn results(seed: u64) -> Results {
    let empty = Results::from_json(include_str!("../data/results.json"));
    Results {
        seed,
        ..empty.expect("consistent")
    }
}

pub(crate) fn record() -> Record {
    Record::parse("adr/0003-criteria.toml", CRITERIA, KNOWN).expect("valid criteria")
}

/// The record with its gating scenarios replaced.
pub(crate) fn gated_by(gating: &[&str]) -> Record {
    let text = CRITERIA.replace("[\"decode-step\"]", &format!("{gating:?}"));
    Record::parse("adr/0003-criteria.toml", &text, KNOWN).expect("valid criteria")
}

/// Versions with which papaya fails (a) and scc passes it.
pub(crate) fn facts() -> Facts {
    let mut facts = Facts::default();
    for (name, version) in [("papaya", "0.2.5"), ("scc", "3.8.8")] {
        facts
            .versions
            .insert(name.to_owned(), vec![version.to_owned()]);
    }
    facts
}

/// Measures what the decision asks for, until it asks for nothing.
pub(crate) fn settle(
    record: &Record,
    truth: &[Truth],
    world: World,
    seed: u64,
) -> (Results, Decision) {
    let mut results = results(seed);
    let mut rng = Rng::with_seed(seed);
    let mut benches: Vec<Bench> = Vec::new();
    for scenario in record.gating() {
        results.runs.push(run(scenario, truth));
        benches.push(Bench::new(world, truth, rng.fork()));
    }
    let mut far = rng.f64() < world.far;
    for _ in 0..400 {
        let decision = decide(&results, record, &facts());
        let Next::Measure { scenarios } = &decision.next else {
            return (results, decision);
        };
        assert!(!scenarios.is_empty());
        for (run, bench) in results.runs.iter_mut().zip(&mut benches) {
            if scenarios.contains(&run.scenario) {
                // The scenarios take turns, and the machine does not wait for any.
                if rng.f64() < world.flips {
                    far = rng.f64() < world.far;
                }
                let number = u32::try_from(run.blocks.len() + 1).expect("few");
                run.blocks.push(bench.block(number, far));
            }
        }
    }
    panic!("400 rounds, and still not done");
}
