//! Blocks: every arm once, each in a fresh process of its own, all on the same keys and tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use siphasher::sip::SipHasher13;
use verdict::schema::{Arm, Block, Cell, Role};

use crate::bench::cores::{Travel, pair};
use crate::bench::turns::{self, Process, Turns};
use crate::bench::worker::Worker;

/// What a process of a block is to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrant<'a> {
    /// The arm to build.
    pub(crate) arm: &'a str,
    /// What it is there for.
    pub(crate) role: Role,
    /// Slows it down by this share of its time; as its role asks if there is none.
    pub(crate) planted: Option<f64>,
}

impl<'a> Entrant<'a> {
    pub(crate) fn of(arm: &'a Arm) -> Self {
        Self {
            arm: &arm.name,
            role: arm.role,
            planted: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) worker: Worker,
    pub(crate) travel: Travel,
    /// The sets of cores that blocks take turns on.
    pub(crate) placements: Vec<Vec<u32>>,
    /// Somebody pressed Ctrl-C, which reaches the processes, too.
    pub(crate) stop: Arc<AtomicBool>,
}

impl Engine {
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Block `number` of a scenario that runs so many threads. What goes wrong with an arm makes its cell void. `None` if it
    /// was stopped: what a process says then is nothing of its arm.
    pub(crate) fn block(
        &mut self,
        (scenario, threads): (&str, u32),
        arms: &[Entrant<'_>],
        number: u32,
        seed: u64,
    ) -> Result<Option<Block>> {
        let mut draws = fastrand::Rng::with_seed(seed_of(seed, scenario, number));
        let tokens = draws.u64(..);
        let mut order: Vec<usize> = (0..arms.len()).collect();
        draws.shuffle(&mut order);
        let build = in_turn(seed, scenario, number, self.worker.builds.len());
        let places = self.placements.len();
        let cores = self.placements[(number as usize - 1) % places].clone();

        let command = |entrant: &Entrant<'_>| {
            let mut command = std::process::Command::new(&self.worker.builds[build]);
            command.args(["measure", "--scenario", scenario, "--arm", entrant.arm]);
            command.args(["--seed", &tokens.to_string()]);
            let names: Vec<String> = cores.iter().map(u32::to_string).collect();
            command.args(["--cores", &names.join(",")]);
            if let Some(extra) = entrant.planted {
                command.args(["--planted", &extra.to_string()]);
            }
            command
        };
        // In a random order, too: the first finds other memory than the last.
        let started = order.iter().map(|&arm| {
            let entrant = &arms[arm];
            let process = Process::start(command(entrant));
            (arm, Turns::new(entrant.role, process))
        });
        let started: BTreeMap<usize, Turns> = started.collect();
        let mut turns: Vec<Turns> = started.into_values().collect();
        let crowded = threads as usize > cores.len();
        let pair = pair(&cores).filter(|_| threads > 1);
        let mut travel = Vec::new();
        let probe = || {
            if let Some(pair) = pair {
                travel.push(self.travel.probe(pair)?);
            }
            Ok(())
        };
        let stopped = || self.stop.load(Ordering::Relaxed);
        let taken = turns::take(&mut turns, &order, crowded, probe, stopped);
        if self.is_stopped() || !taken? {
            return Ok(None);
        }
        let cells = turns.into_iter().map(|turns| match turns.process {
            Ok(_) => Cell::Measured {
                slices: turns.slices,
            },
            Err(error) => Cell::Void {
                reason: format!("{error:#}"),
                seed: tokens,
            },
        });
        Ok(Some(Block {
            number,
            build: u8::try_from(build)?,
            cores,
            order,
            travel,
            cells: cells.collect(),
        }))
    }
}

/// What a block draws from. Hashed, so that runs of two seeds have no block in common.
fn seed_of(seed: u64, scenario: &str, number: u32) -> u64 {
    SipHasher13::new_with_keys(seed, number.into()).hash(scenario.as_bytes())
}

/// Which of so many builds a block runs: each once in as many blocks, in an order of their own.
fn in_turn(seed: u64, scenario: &str, number: u32, builds: usize) -> usize {
    let (lap, place) = (
        (number as usize - 1) / builds,
        (number as usize - 1) % builds,
    );
    let lap = u32::try_from(lap).unwrap_or(u32::MAX);
    let mut order: Vec<usize> = (0..builds).collect();
    fastrand::Rng::with_seed(seed_of(seed, &format!("{scenario}, builds"), lap))
        .shuffle(&mut order);
    order[place]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_blocks_draw_alike_whatever_their_seeds() {
        let mut drawn = BTreeSet::new();
        for seed in 0..20 {
            for scenario in ["decode-step", "serving-loop"] {
                for number in 1..=60 {
                    let fresh = drawn.insert(seed_of(seed, scenario, number));
                    assert!(fresh, "{seed} {scenario} {number}");
                }
            }
        }
    }

    #[test]
    fn each_build_has_a_block_in_six_and_the_orders_differ() {
        let laps = |seed: u64| {
            let lap =
                |lap: u32| (1..=6).map(move |place| in_turn(seed, "handle", 6 * lap + place, 6));
            (0..10)
                .map(|number| lap(number).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        for lap in laps(1) {
            assert_eq!(lap.iter().collect::<BTreeSet<_>>().len(), 6, "{lap:?}");
        }
        assert!(laps(1).iter().collect::<BTreeSet<_>>().len() > 5);
        assert_ne!(laps(1), laps(2));
        assert!((1..20).all(|number| in_turn(1, "handle", number, 1) == 0));
    }
}
