//! What a benchmark run writes down: raw slices, and everything one needs to judge or repeat them.
//!
//! The engine fills these structs and writes [`Results::to_json`]; everybody else starts from
//! [`Results::from_json`], which accepts a whole, consistent file of this version and nothing else.
//! All times are in nanoseconds. No figure is stored that can be computed from the raw slices.
//!
//! # Invariants
//!
//! Of a [`Results`] that was read (or that passed [`Results::validate`]):
//!
//! 1. Every block of a run has one cell for each arm, in the order of `arms`, and its `order` names
//!    each arm once.
//! 2. A run has exactly one [`Role::Incumbent`], and names its arms apart. No two runs are of the
//!    same scenario.
//! 3. Every probe of line travel is a time: finite, and more than nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod figures;
mod read;

pub use figures::{AllocationFigure, BytesFigure, Figures, InstructionFigure, MapState};
pub use read::ReadError;

/// The version that this crate writes and reads.
pub const SCHEMA: &str = "inflight-results/2";

/// All that one call of the benchmark engine measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: String,
    /// When it began, as text that a human reads.
    pub started: String,
    /// The command that repeats it.
    pub command: String,
    /// What the orders of the arms, the key streams and the builds were seeded with.
    pub seed: u64,
    /// The source revision, with a mark where the tree was not clean.
    pub revision: String,
    /// Where it ran.
    pub machine: Machine,
    /// The version of each crate that was measured.
    pub versions: BTreeMap<String, String>,
    /// How much was asked for.
    pub mode: Mode,
    /// How long a cache line travels, probed before the first block: 20 probes for each pair of
    /// cores that is used. They alone say what is near and what is far
    /// ([`Boundary`](crate::states::Boundary)).
    pub pilots: Vec<Probe>,
    /// The paired measurements, one run for each scenario.
    pub runs: Vec<ScenarioRun>,
    /// Memory of the maps.
    pub bytes: Vec<BytesFigure>,
    /// Allocations per operation, exact.
    pub allocations: Figures<AllocationFigure>,
    /// Instructions per operation.
    pub instructions: Figures<InstructionFigure>,
    /// What production, or the incumbent's shards, were said or found to be like.
    pub gauges: Gauges,
    /// What else a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// What the criteria that watch compare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Gauges {
    /// The gauge of tracked entries, from production.
    pub tracked: Option<u64>,
    /// The shards of the incumbent there, or else as it comes on this machine.
    pub shards: Option<u64>,
    /// Entries of the incumbent's fullest shard over the mean, in the gating scenario's setting.
    pub shard_skew: Option<f64>,
}

/// The machine, as far as it can be known from inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The cores that threads may be pinned to.
    pub cores: u32,
    /// The processor, as it calls itself.
    pub model: String,
    /// The operating system and the version of its kernel.
    pub kernel: String,
    /// The hypervisor, if one was seen: then there are neighbours.
    pub virtualised: Option<String>,
    /// The compiler and the flags that matter.
    pub compiler: String,
    /// The memory, in bytes, if known.
    pub memory_bytes: Option<u64>,
}

/// How much was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A minute at most. Never ends in a verdict, only in what one would say.
    Quick,
    /// What the decision records ask for.
    Default,
    /// More scenarios, each varying one factor.
    Full,
}

/// How long a cache line took from one core to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The two cores.
    pub cores: [u32; 2],
    /// One way, in nanoseconds.
    pub nanos: f32,
}

/// All that was measured of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioRun {
    /// Its name, as the criteria of a record name it.
    pub scenario: String,
    /// The record it was run for, such as `0003`.
    pub adr: Option<String>,
    /// Whether it may decide a record. For readers: the record's own list is what counts.
    pub gating: bool,
    /// One line on what it stands for in production.
    pub what: String,
    /// The threads that operate at once.
    pub threads: u32,
    /// The cores without which its figures mean something else.
    pub cores_needed: u32,
    /// More threads than cores: then slices are not asked to be clean.
    pub oversubscribed: bool,
    /// What was compared.
    pub arms: Vec<Arm>,
    /// The measurements, void blocks included.
    pub blocks: Vec<Block>,
}

/// One of the things compared in a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Its name, unique in its run. For a candidate or an incumbent, the name that the record uses.
    pub name: String,
    /// Why it is there.
    pub role: Role,
}

impl Arm {
    /// An arm of that name and role.
    #[must_use]
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        let name = name.into();
        Self { name, role }
    }
}

/// Why an arm is in a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// What the record stands on, and all others are compared with.
    Incumbent,
    /// The incumbent a second time (A'): what the comparison shows where there is no difference.
    IncumbentAgain,
    /// The incumbent with a delay planted: what it shows where there is one.
    Planted {
        /// The share of its time that was added, such as 0.1.
        extra: f64,
    },
    /// What might replace the incumbent.
    Candidate,
    /// What the record rejected.
    Baseline,
    /// The design that was there before ours.
    Reference,
    /// A map that costs next to nothing: how much any map could matter.
    Free,
    /// The incumbent with one of its several maps another: of which of them a candidate's
    /// difference is.
    Swapped,
}

impl Role {
    /// Whether verdicts rest on such an arm. Where one that decides crashes, or is dirty, nobody
    /// may decide; what becomes of the others is their own affair.
    #[must_use]
    pub fn decides(self) -> bool {
        !matches!(self, Self::Baseline | Self::Reference | Self::Swapped)
    }
}

/// Every arm once, each in a fresh process; the processes take turns of one slice, round after
/// round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Counted from 1 within its run.
    pub number: u32,
    /// Which of the link orders of the code it ran, so that the layout of the code is inside the
    /// spread.
    pub build: u8,
    /// The cores that its threads were pinned to, in the order of the threads.
    pub cores: Vec<u32>,
    /// The order in which the arms took their turns, as indices into [`ScenarioRun::arms`].
    pub order: Vec<usize>,
    /// Line travel between those cores, one way in nanoseconds: before the first round, between the
    /// rounds, after the last. Empty where one thread runs, or one core is all there is.
    pub travel: Vec<f32>,
    /// What each arm's process brought back, in the order of [`ScenarioRun::arms`].
    pub cells: Vec<Cell>,
}

/// What one worker process brought back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cell {
    /// Its raw slices.
    Measured {
        /// In the order of time: of the same place in two cells are two turns of one round.
        slices: Vec<Slice>,
    },
    /// Nothing usable. Where its arm is one that decides, its whole block is void.
    Void {
        /// What happened to the process: crashed, hung and killed, and how.
        reason: String,
        /// The seed that repeats it.
        seed: u64,
    },
}

/// A stretch of uninterrupted measuring, over all threads of the process. In a file it is an array
/// of its four numbers, in the order of the fields: a run has ten thousand slices, and repositories
/// keep them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct Slice {
    /// Operations of all threads together.
    pub ops: u64,
    /// Wall time of the slice.
    pub nanos: u64,
    /// The longest that any of its threads was runnable and did not run.
    pub run_delay_nanos: u64,
    /// Ticks that the hypervisor gave to somebody else.
    pub steal_ticks: u64,
}

impl From<[u64; 4]> for Slice {
    fn from([ops, nanos, run_delay_nanos, steal_ticks]: [u64; 4]) -> Self {
        Self {
            ops,
            nanos,
            run_delay_nanos,
            steal_ticks,
        }
    }
}

impl From<Slice> for [u64; 4] {
    fn from(own: Slice) -> Self {
        [own.ops, own.nanos, own.run_delay_nanos, own.steal_ticks]
    }
}
