//! One scenario in one state of the machine, as pairs of figures.
//!
//! # Design
//!
//! The arms of a block take turns. Every arm is compared with the incumbent turn by turn, by ln(arm / incumbent) of their
//! nanoseconds per operation; the median over the turns of a block is one difference, and the blocks of a state, in the order
//! in which they were measured, are the [`Sequence`]. An arm's *gain* is 1 - exp(log ratio): the share of the incumbent's time
//! that it saves, negative where it takes more.
//!
//! # Why
//!
//! Turn by turn, not median by median: on a machine whose speed wanders, two medians of one block are of two machines. In 18
//! blocks of one run the incumbent's ratio to itself varied by 6.9 % between medians, and by 3.3 % turn by turn.
//!
//! # Invariants
//!
//! 1. A block gives a pair to nobody where it changed its state, or where an arm that decides crashed ([`Role::decides`]).
//! 2. A cell without a clean slice takes its block from its own pairs, and where it is the incumbent's, from all. An arm that
//!    decides nothing and crashed takes its block from its own pairs alone. Nothing is averaged over, or filled in.

use crate::schema::{Arm, Block, Cell, Role, ScenarioRun, Slice};
use crate::sequence::{SETTLED, Sequence};
use crate::states::{Boundary, State};
use crate::stats::{Interval, median};

/// A scenario, and what follows from it.
#[derive(Debug, Clone, Copy)]
pub struct Analysis<'a> {
    run: &'a ScenarioRun,
    boundary: Boundary,
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
    /// Of a scenario; costs nothing.
    #[must_use]
    pub fn new(run: &'a ScenarioRun, boundary: Boundary) -> Self {
        Self { run, boundary }
    }

    /// The scenario.
    #[must_use]
    pub fn run(&self) -> &'a ScenarioRun {
        self.run
    }

    /// The blocks of a state that are not void.
    pub fn blocks(&self, state: State) -> impl Iterator<Item = &'a Block> + use<'a> {
        let Self { run, boundary } = *self;
        let whole = move |block: &&Block| crashed(run, block).is_none();
        let of_state = move |block: &&Block| block.state(&boundary) == Some(state);
        run.blocks.iter().filter(of_state).filter(whole)
    }

    /// The state that a block was measured in; `None` where it changed.
    #[must_use]
    pub fn state(&self, block: &Block) -> Option<State> {
        block.state(&self.boundary)
    }

    /// The states that a block is of which is not void.
    #[must_use]
    pub fn states(&self) -> Vec<State> {
        let seen = |state: &State| self.blocks(*state).next().is_some();
        State::ALL.into_iter().filter(seen).collect()
    }

    /// How many blocks are void because they changed their state.
    #[must_use]
    pub fn changed(&self) -> usize {
        let changed = |block: &&Block| block.state(&self.boundary).is_none();
        self.run.blocks.iter().filter(changed).count()
    }

    /// The first cell of each block that is void because an arm that decides crashed.
    #[must_use]
    pub fn crashed(&self) -> Vec<VoidCell<'a>> {
        let blocks = self.run.blocks.iter();
        blocks
            .filter_map(|block| crashed(self.run, block))
            .collect()
    }

    /// The first arm of that role, as an index.
    #[must_use]
    pub fn with_role(&self, role: impl Fn(Role) -> bool) -> Option<usize> {
        self.run.arms.iter().position(|arm| role(arm.role))
    }

    /// The incumbent.
    #[must_use]
    pub fn incumbent(&self) -> Option<&'a Arm> {
        let arm = self.with_role(|role| role == Role::Incumbent)?;
        self.run.arms.get(arm)
    }

    /// The candidate of that name, as an index.
    #[must_use]
    pub fn candidate(&self, name: &str) -> Option<usize> {
        let arms = &mut self.run.arms.iter();
        arms.position(|arm| arm.role == Role::Candidate && arm.name == name)
    }

    /// The slices of the arms that decide, in the blocks of a state, and how many of them are dirty.
    #[must_use]
    pub fn slices(&self, state: State) -> (usize, usize) {
        let cells = self.blocks(state).flat_map(|block| &block.cells);
        let arms = self.run.arms.iter().cycle();
        let deciding = cells.zip(arms).filter(|(_, arm)| arm.role.decides());
        let slices = deciding.flat_map(|(cell, _)| cell.slices());
        slices.fold((0, 0), |(all, dirty), slice| {
            let clean = slice.is_clean(self.run.oversubscribed);
            (all + 1, dirty + usize::from(!clean))
        })
    }

    /// The median over a state's blocks of the incumbent's nanoseconds per operation. What other arms take follows from it by
    /// their [ratio](Estimate::ratio), so that the two agree.
    #[must_use]
    pub fn nanos_per_op(&self, state: State) -> Option<f64> {
        let incumbent = self.with_role(|role| role == Role::Incumbent)?;
        let figure = |block: &Block| {
            let cell = block.cells.get(incumbent)?;
            cell.nanos_per_op(self.run.oversubscribed)
        };
        median(&mut self.blocks(state).filter_map(figure).collect::<Vec<_>>())
    }

    /// The log ratios of an arm to the incumbent, with the numbers of their blocks.
    #[must_use]
    pub fn pairs(&self, arm: usize, state: State) -> Vec<(u32, f64)> {
        let Some(incumbent) = self.with_role(|role| role == Role::Incumbent) else {
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
        self.blocks(state).filter_map(pair).collect()
    }

    /// The same as a sequence.
    #[must_use]
    pub fn sequence(&self, arm: usize, state: State) -> Sequence {
        let pairs = self.pairs(arm, state);
        Sequence::new(pairs.into_iter().map(|(_, ratio)| ratio))
    }

    /// What an arm is against the incumbent. `None` without a pair.
    #[must_use]
    pub fn estimate(&self, arm: usize, state: State) -> Option<Estimate> {
        Estimate::of(&self.sequence(arm, state))
    }
}

fn crashed<'a>(run: &'a ScenarioRun, block: &'a Block) -> Option<VoidCell<'a>> {
    let mut cells = block.cells.iter().zip(&run.arms);
    cells.find_map(|(cell, arm)| match cell {
        Cell::Void { reason, seed } if arm.role.decides() => Some(VoidCell {
            block: block.number,
            arm: &arm.name,
            reason,
            seed: *seed,
        }),
        _ => None,
    })
}

/// An arm against the incumbent, over the blocks of one state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The blocks that gave a pair.
    pub blocks: usize,
    /// The median of ln(arm / incumbent).
    pub log_ratio: f64,
    /// Its sequential interval at [`SETTLED`]: 95 %, whenever one looks.
    pub interval: Interval,
}

impl Estimate {
    pub(crate) fn of(sequence: &Sequence) -> Option<Self> {
        Some(Self {
            blocks: sequence.blocks(),
            log_ratio: sequence.median()?,
            interval: sequence.interval(SETTLED),
        })
    }

    /// Time of the arm over that of the incumbent.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.log_ratio.exp()
    }

    /// The share of the incumbent's time that the arm saves; negative where it takes more.
    #[must_use]
    pub fn gain(&self) -> f64 {
        1.0 - self.ratio()
    }

    /// The interval of [`gain`](Self::gain).
    #[must_use]
    pub fn gain_interval(&self) -> Interval {
        gains(self.interval)
    }
}

/// An interval of log ratios as one of gains.
pub(crate) fn gains(log_ratios: Interval) -> Interval {
    Interval {
        lower: 1.0 - log_ratios.upper.exp(),
        upper: 1.0 - log_ratios.lower.exp(),
    }
}
