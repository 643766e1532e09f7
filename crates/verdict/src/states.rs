//! States of the machine: how far a cache line travels between the cores at hand.
//!
//! On a machine that others share, the host moves its virtual cores: now they share a cache, now a
//! line between them crosses a socket. The time one way is then of a few kinds (21, 62 and 193 ns
//! were seen), flips within seconds, and decides what a map costs. Run delay and steal time do not
//! show it. So it is probed, and everything is decided state by state.
//!
//! The [`Boundary`] between *near* and *far* comes from the pilot probes alone. A [`Block`] is of
//! the state that its own probes show, and of none where they disagree: then it changed its state,
//! and is void.
//!
//! # Invariants
//!
//! 1. A boundary depends on nothing that is measured after the first block, so that it never moves.
//! 2. A block without probes, of one thread or one core, has no line that travels. It counts as
//!    near.

use std::fmt;

use serde::Deserialize;

use crate::schema::{Block, Probe, ScenarioRun};
use crate::stats::median;

/// Where all pilots are of one kind, they are near up to so many nanoseconds: cores that share a
/// cache or a mesh take less on the machines that are published, sockets and core complexes more.
const NEAR_AT_MOST: f64 = 80.0;

/// Two kinds of travel differ by this factor at least. Probes of one kind do not.
const APART: f64 = 2.0;

/// One probe in so many may stray, as one does that was preempted, before its block counts as
/// changed.
const STRAY_ONE_IN: usize = 8;

/// How far a line travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Within a cache or a mesh.
    Near,
    /// Across core complexes or sockets.
    Far,
}

impl State {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Near, Self::Far];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Near => "near",
            Self::Far => "far",
        })
    }
}

/// The travel above which a line travels far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boundary {
    /// In nanoseconds.
    pub nanos: f64,
}

impl Boundary {
    /// From the pilots. Where they are of two kinds, it is in the middle of the widest gap (on a
    /// logarithmic scale) that has at least two of them on either side. Where they are of one, it
    /// is twice, or where they are far half, their median.
    #[must_use]
    pub fn of(pilots: &[Probe]) -> Self {
        let mut all: Vec<f64> = pilots.iter().map(|probe| f64::from(probe.nanos)).collect();
        let Some(middle) = median(&mut all) else {
            let nanos = NEAR_AT_MOST;
            return Self { nanos };
        };
        let inner = all.len().saturating_sub(1);
        let gaps = (2..inner).map(|place| (all[place - 1], all[place]));
        let ratio = |(low, high): &(f64, f64)| high / low;
        let widest = gaps.max_by(|one, other| ratio(one).total_cmp(&ratio(other)));
        let nanos = match widest.filter(|gap| ratio(gap) >= APART) {
            Some((low, high)) => (low * high).sqrt(),
            None if middle <= NEAR_AT_MOST => middle * APART,
            None => middle / APART,
        };
        Self { nanos }
    }

    /// Of which state a probe is.
    #[must_use]
    pub fn state(&self, nanos: f32) -> State {
        let near = f64::from(nanos) <= self.nanos;
        if near { State::Near } else { State::Far }
    }
}

impl Block {
    /// The state in which it was measured; `None` where it changed meanwhile, which makes it void.
    #[must_use]
    pub fn state(&self, boundary: &Boundary) -> Option<State> {
        let far = |nanos: &&f32| boundary.state(**nanos) == State::Far;
        let far = self.travel.iter().filter(far).count();
        let near = self.travel.len() - far;
        let stray = self.travel.len() / STRAY_ONE_IN;
        if far <= stray {
            Some(State::Near)
        } else if near <= stray {
            Some(State::Far)
        } else {
            None
        }
    }
}

/// `21 ns (near)`: how long a line travels in a state, by all probes of these scenarios' blocks.
/// `None` where there are none.
pub(crate) fn travel<'a>(
    runs: impl Iterator<Item = &'a ScenarioRun>,
    boundary: Boundary,
    state: State,
) -> Option<String> {
    let blocks = runs.flat_map(|run| &run.blocks);
    let own = blocks.filter(|block| block.state(&boundary) == Some(state));
    let probes = own.flat_map(|block| &block.travel);
    let mut probes: Vec<f64> = probes.map(|nanos| f64::from(*nanos)).collect();
    let middle = median(&mut probes)?;
    // One probe in ten aside at either end, so that a stray one makes no range.
    let tenth = probes.len() / 10;
    let (low, high) = (probes[tenth], probes[probes.len() - 1 - tenth]);
    Some(if high / low > 1.5 {
        format!("{low:.0} to {high:.0} ns ({state})")
    } else {
        format!("{middle:.0} ns ({state})")
    })
}
