//! One pass of one scenario, as pairs of figures.
//!
//! # Design
//!
//! The arms of a block take turns. Every arm is compared with the incumbent turn by turn, by ln(arm / incumbent) of their
//! nanoseconds per operation; the median over the turns of a block is one difference, and the blocks are the sample.
//! Signs: a *negative* log ratio is an arm that takes less time, and its *gain*, 1 - exp(log ratio), is then positive:
//! the share of the incumbent's time that is saved.
//!
//! # Why
//!
//! The ratio of the two medians of a block was the estimate before. On a machine whose speed wanders, two medians are of two
//! different machines: in 18 blocks of one run, the incumbent's ratio to itself varied with a standard deviation of 6.9 %
//! by the medians, and of 3.3 % turn by turn.
//!
//! # Invariants
//!
//! A block with a void cell gives no pair to anybody; a cell without a clean slice takes its block from its own pairs, and
//! where it is the incumbent's, from all. Nothing is averaged over, or filled in.

use crate::schema::{Block, Cell, Role, ScenarioRun, Slice};
use crate::stats::{Interval, ONE_SIDED, Sample, median};

/// A pass of a scenario, and what follows from it.
#[derive(Debug, Clone)]
pub struct Analysis<'a> {
    run: &'a ScenarioRun,
    seed: u64,
}

/// A cell that makes its block void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoidCell<'a> {
    /// The number of the block.
    pub block: u32,
    /// The arm.
    pub arm: &'a str,
    /// What happened.
    pub reason: &'a str,
    /// The seed that repeats it.
    pub seed: u64,
}

impl<'a> Analysis<'a> {
    /// Of a pass; costs nothing, the bootstrap happens in [`estimate`](Self::estimate). `seed` is that of the results.
    #[must_use]
    pub fn new(run: &'a ScenarioRun, seed: u64) -> Self {
        Self { run, seed }
    }

    /// The blocks that are not void.
    fn whole(&self) -> impl Iterator<Item = &'a Block> + use<'a> {
        self.run.blocks.iter().filter(|block| !is_void(block))
    }

    /// The pass.
    #[must_use]
    pub fn run(&self) -> &'a ScenarioRun {
        self.run
    }

    /// The first arm of that role, as an index.
    #[must_use]
    pub fn with_role(&self, role: impl Fn(Role) -> bool) -> Option<usize> {
        self.run.arms.iter().position(|arm| role(arm.role))
    }

    /// The incumbent, as an index.
    #[must_use]
    pub fn incumbent(&self) -> Option<usize> {
        self.with_role(|role| role == Role::Incumbent)
    }

    /// The candidate of that name, as an index.
    #[must_use]
    pub fn candidate(&self, name: &str) -> Option<usize> {
        let arms = &mut self.run.arms.iter();
        arms.position(|arm| arm.role == Role::Candidate && arm.name == name)
    }

    /// The cells that made blocks void.
    #[must_use]
    pub fn void(&self) -> Vec<VoidCell<'a>> {
        let mut void = Vec::new();
        for block in &self.run.blocks {
            for (cell, arm) in block.cells.iter().zip(&self.run.arms) {
                if let Cell::Void { reason, seed } = cell {
                    void.push(VoidCell {
                        block: block.number,
                        arm: &arm.name,
                        reason,
                        seed: *seed,
                    });
                }
            }
        }
        void
    }

    /// How many blocks are void.
    #[must_use]
    pub fn void_blocks(&self) -> usize {
        self.run.blocks.len() - self.whole().count()
    }

    /// The slices of all blocks that are not void, and how many of them are dirty.
    #[must_use]
    pub fn slices(&self) -> (usize, usize) {
        let slices = self
            .whole()
            .flat_map(|block| block.cells.iter().flat_map(Cell::slices));
        slices.fold((0, 0), |(all, dirty), slice| {
            let clean = slice.is_clean(self.run.oversubscribed);
            (all + 1, dirty + usize::from(!clean))
        })
    }

    /// The figures of an arm in nanoseconds per operation, the median of each block, with the blocks' numbers.
    pub fn figures(&self, arm: usize) -> impl Iterator<Item = (u32, f64)> {
        let oversubscribed = self.run.oversubscribed;
        self.whole().filter_map(move |block| {
            let cell = block.cells.get(arm)?;
            Some((block.number, cell.nanos_per_op(oversubscribed)?))
        })
    }

    /// The median of an arm's figures, in nanoseconds per operation.
    #[must_use]
    pub fn nanos_per_op(&self, arm: usize) -> Option<f64> {
        median(
            &mut self
                .figures(arm)
                .map(|(_, nanos)| nanos)
                .collect::<Vec<_>>(),
        )
    }

    /// The log ratios of an arm to the incumbent, the median over the turns of each block that were clean for both, with the
    /// blocks' numbers.
    #[must_use]
    pub fn pairs(&self, arm: usize) -> Vec<(u32, f64)> {
        let Some(incumbent) = self.incumbent() else {
            return Vec::new();
        };
        let clean = |slice: &Slice| {
            let clean = slice.is_clean(self.run.oversubscribed);
            clean.then(|| slice.nanos_per_op())
        };
        let pair = |block: &Block| {
            let slices = |arm: usize| block.cells.get(arm).map(Cell::slices);
            let turns = slices(arm)?.iter().zip(slices(incumbent)?);
            let ratio = |(own, other)| Some((clean(own)? / clean(other)?).ln());
            let mut ratios: Vec<f64> = turns.filter_map(ratio).collect();
            Some((block.number, median(&mut ratios)?))
        };
        self.whole().filter_map(pair).collect()
    }

    /// The sample of an arm's log ratios; bootstraps. `None` without a pair.
    ///
    /// Its bootstrap is seeded by the results' seed, the scenario, the pass and the arm, so that it repeats, and so that
    /// two arms do not share their resamples.
    #[must_use]
    pub fn sample(&self, arm: usize) -> Option<Sample> {
        let name = &self.run.arms.get(arm)?.name;
        let pass = self.run.pass.to_string();
        let seed = mixed(self.seed, &[&self.run.scenario, &pass, name]);
        let pairs = self.pairs(arm);
        Sample::new(pairs.into_iter().map(|(_, ratio)| ratio).collect(), seed)
    }

    /// What an arm is against the incumbent; bootstraps. `None` without a pair.
    #[must_use]
    pub fn estimate(&self, arm: usize) -> Option<Estimate> {
        self.sample(arm).map(|sample| Estimate::of(&sample))
    }
}

fn is_void(block: &Block) -> bool {
    let void = |cell: &Cell| matches!(cell, Cell::Void { .. });
    block.cells.iter().any(void)
}

/// FNV-1a over the texts: stable over versions of Rust, which std's hasher is not.
fn mixed(seed: u64, texts: &[&str]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(seed ^ 0xcbf2_9ce4_8422_2325, step)
}

/// An arm against the incumbent, over the blocks of one pass, with both 95 % intervals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The blocks that gave a pair.
    pub blocks: usize,
    /// The median of ln(arm / incumbent).
    pub log_ratio: f64,
    /// Its interval by the bootstrap.
    pub bootstrap: Interval,
    /// Its interval between order statistics; unbounded under 6 blocks.
    pub exact: Interval,
}

impl Estimate {
    pub(crate) fn of(sample: &Sample) -> Self {
        Self {
            blocks: sample.blocks(),
            log_ratio: sample.median(),
            bootstrap: sample.bootstrap(ONE_SIDED),
            exact: sample.exact(ONE_SIDED),
        }
    }

    /// The interval of the log ratio that decides: from the lower of the two lower ends to the upper of the upper ones.
    #[must_use]
    pub fn interval(&self) -> Interval {
        self.bootstrap.hull(self.exact)
    }

    /// Time of the arm over that of the incumbent.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.log_ratio.exp()
    }

    /// The interval of [`ratio`](Self::ratio).
    #[must_use]
    pub fn ratio_interval(&self) -> Interval {
        let Interval { lower, upper } = self.interval();
        Interval {
            lower: lower.exp(),
            upper: upper.exp(),
        }
    }

    /// The share of the incumbent's time that the arm saves; negative where it takes more.
    #[must_use]
    pub fn gain(&self) -> f64 {
        1.0 - self.ratio()
    }

    /// The interval of [`gain`](Self::gain).
    #[must_use]
    pub fn gain_interval(&self) -> Interval {
        let Interval { lower, upper } = self.ratio_interval();
        Interval {
            lower: 1.0 - upper,
            upper: 1.0 - lower,
        }
    }
}
