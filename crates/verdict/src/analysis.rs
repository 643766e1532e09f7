//! One scenario in one state of the machine, as pairs of figures.
//!
//! The arms of a block take turns. Every arm is compared with the incumbent turn by turn, by the
//! ratio of their nanoseconds per operation. The median over the turns of a block, on a logarithmic
//! scale, makes the block's *gain*: 1 - ratio, the share of the incumbent's time that the arm
//! saves, negative where it takes more. The gains of a state's blocks, in the order in which they
//! were measured, are the [`Sequence`].
//!
//! Turn by turn, not median by median: on a machine whose speed wanders, two medians of one block
//! are of two machines. In 18 blocks of one run the incumbent's ratio to itself varied by 6.9 %
//! between medians, and by 3.3 % turn by turn.
//!
//! # Invariants
//!
//! 1. A block gives a pair to nobody where it changed its state, or where an arm that decides
//!    crashed ([`Role::decides`]).
//! 2. A cell without a clean slice takes its block from its own pairs, and where it is the
//!    incumbent's, from all. An arm that decides nothing and crashed takes its block from its own
//!    pairs alone. Nothing is averaged over, or filled in.

use std::fmt;

use crate::schema::{Block, Cell, Role, ScenarioRun, Slice};
use crate::sequence::{SETTLED, Sequence};
use crate::states::{Boundary, State};
use crate::stats::{Interval, median};
use crate::text::{interval, signed};

/// A scenario, its blocks sorted by the state of the machine.
#[derive(Debug, Clone)]
pub struct Analysis<'a> {
    /// The scenario.
    pub run: &'a ScenarioRun,
    near: Vec<&'a Block>,
    far: Vec<&'a Block>,
    /// Blocks that are void because they changed their state.
    pub changed: usize,
    /// Of each block that is void because an arm that decides crashed, what happened, in a clause.
    pub crashed: Vec<String>,
}

impl<'a> Analysis<'a> {
    /// Of a scenario. Costs a look at each block.
    #[must_use]
    pub fn new(run: &'a ScenarioRun, boundary: Boundary) -> Self {
        let (mut near, mut far, mut changed, mut crashed) = (vec![], vec![], 0, vec![]);
        for block in &run.blocks {
            match (crash(run, block), block.state(&boundary)) {
                (Some(what), _) => crashed.push(what),
                (None, None) => changed += 1,
                (None, Some(State::Near)) => near.push(block),
                (None, Some(State::Far)) => far.push(block),
            }
        }
        Self {
            run,
            near,
            far,
            changed,
            crashed,
        }
    }

    /// The blocks of a state that are not void, in the order in which they were measured.
    #[must_use]
    pub fn blocks(&self, state: State) -> &[&'a Block] {
        match state {
            State::Near => &self.near,
            State::Far => &self.far,
        }
    }

    /// The states that it has a block of which is not void.
    pub fn states(&self) -> impl Iterator<Item = State> {
        let seen = |state: &State| !self.blocks(*state).is_empty();
        State::ALL.into_iter().filter(seen)
    }

    /// The first arm of that role, as an index.
    #[must_use]
    pub fn with_role(&self, role: Role) -> Option<usize> {
        self.run.arms.iter().position(|arm| arm.role == role)
    }

    /// The name of the incumbent; of one of several arms, where the results are not valid.
    #[must_use]
    pub fn incumbent(&self) -> &'a str {
        let arm = self.with_role(Role::Incumbent);
        arm.map_or("the incumbent", |arm| &self.run.arms[arm].name)
    }

    /// The slices of the arms that decide, in the blocks of a state, and how many of them are
    /// dirty.
    #[must_use]
    pub fn slices(&self, state: State) -> (usize, usize) {
        let cells = |block: &'a Block| block.cells.iter().zip(&self.run.arms);
        let cells = self.blocks(state).iter().flat_map(|block| cells(block));
        let deciding = cells.filter(|(_, arm)| arm.role.decides());
        let slices = deciding.flat_map(|(cell, _)| cell.slices());
        slices.fold((0, 0), |(all, dirty), slice| {
            let clean = slice.is_clean(self.run.oversubscribed);
            (all + 1, dirty + usize::from(!clean))
        })
    }

    /// The median over a state's blocks of the incumbent's nanoseconds per operation. What other
    /// arms take follows from it by their gain, so that the two agree.
    #[must_use]
    pub fn nanos_per_op(&self, state: State) -> Option<f64> {
        let incumbent = self.with_role(Role::Incumbent)?;
        let over = self.run.oversubscribed;
        let figure = |block: &&Block| block.cells.get(incumbent)?.nanos_per_op(over);
        let figures = self.blocks(state).iter().filter_map(figure);
        median(&mut figures.collect::<Vec<_>>())
    }

    /// The gains of an arm on the incumbent, one for each block that gives a pair.
    #[must_use]
    pub fn sequence(&self, arm: usize, state: State) -> Sequence {
        let incumbent = self.with_role(Role::Incumbent);
        let clean = |slice: &Slice| {
            let clean = slice.is_clean(self.run.oversubscribed);
            clean.then(|| slice.nanos_per_op())
        };
        let pair = |block: &&Block| {
            let slices = |arm: usize| block.cells.get(arm).map(Cell::slices);
            let turns = slices(arm)?.iter().zip(slices(incumbent?)?);
            let ratio = |(own, other)| Some((clean(own)? / clean(other)?).ln());
            let middle = median(&mut turns.filter_map(ratio).collect::<Vec<f64>>())?;
            Some(1.0 - middle.exp())
        };
        Sequence::new(self.blocks(state).iter().filter_map(pair))
    }

    /// What an arm is against the incumbent. `None` without a pair.
    #[must_use]
    pub fn estimate(&self, arm: usize, state: State) -> Option<Estimate> {
        Estimate::of(&self.sequence(arm, state))
    }
}

fn crash(run: &ScenarioRun, block: &Block) -> Option<String> {
    let mut cells = block.cells.iter().zip(&run.arms);
    cells.find_map(|(cell, arm)| match cell {
        Cell::Void { reason, seed } if arm.role.decides() => {
            let (name, number) = (&arm.name, block.number);
            Some(format!("{name} {reason} (block {number}, seed {seed})"))
        }
        _ => None,
    })
}

/// An arm against the incumbent, over the blocks of one state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The blocks that gave a pair.
    pub blocks: usize,
    /// The median of the gains.
    pub gain: f64,
    /// Its sequential interval at [`SETTLED`]: 95 %, whenever one looks.
    pub interval: Interval,
}

impl Estimate {
    pub(crate) fn of(gains: &Sequence) -> Option<Self> {
        Some(Self {
            blocks: gains.values.len(),
            gain: gains.median()?,
            interval: gains.interval(SETTLED),
        })
    }
}

/// The gain with its interval: `+1.2 % [0.1 to 2.2 %]`.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", signed(self.gain), interval(self.interval))
    }
}
