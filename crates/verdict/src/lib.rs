//! Decides, from paired measurements, whether a decision record should be revisited, and shows why.
//!
//! The engine that measures hands in [`Results`]; a record's criteria come as [`Record`], what no benchmark
//! knows as [`Facts`]; [`decide()`] answers with a [`Decision`], and [`render`] turns both into a terminal table, Markdown and
//! one self-contained HTML page. Nothing here reads a file, a clock or an environment, and no backend is known by name.
//!
//! ```
//! use verdict::{Facts, Known, Next, Record, decide, render, schema::Results};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let criteria = include_str!("../tests/data/criteria.toml");
//! # let json = include_str!("../tests/data/results.json");
//! let known = Known { scenarios: &["decode-step"], arms: &["dashmap", "papaya", "scc"] };
//! let record = Record::parse("adr/0003-criteria.toml", criteria, known)?;
//! let results = Results::from_json(json)?;
//! let facts = Facts::of(&results);
//!
//! let decision = decide(&results, &record, &facts);
//! match &decision.next {
//!     Next::Extend { pass, scenarios } => println!("extend pass {pass} of {scenarios:?}, and decide again"),
//!     Next::Confirm { scenarios } => println!("run a second pass of {scenarios:?}, and decide again"),
//!     Next::Done => println!("{}", render::terminal(&[decision])),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! A line of small steps, each usable alone: slices → the figure of a [cell](slices) → [pairs](analysis) within a block → a
//! [sample](stats) over blocks with two intervals → [preconditions] and [comparisons](bottleneck) → the record's [rule](mod@decide).
//!
//! # Why
//!
//! - *Pure.* A decision that can be computed from a file can be tested on a thousand synthetic files, so that its rate of
//!   false answers is measured and not hoped for, and anybody can check a published one.
//! - *One effect, one sample.* A process has one memory layout, which shifts all its slices alike. Slices are therefore
//!   never pooled: the process is the unit, the block of processes the sample.
//!
//! # Invariants
//!
//! 1. The same input gives the same output, byte for byte: the bootstrap is seeded by the results.
//! 2. No input panics. What is missing makes an answer *open* or *not evaluated*, never a guess.
//! 3. A yes to the bottleneck needs two passes. A quick run gives no verdict.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod bottleneck;
pub mod criteria;
pub mod decide;
mod evidence;
mod next;
pub mod preconditions;
pub mod render;
pub mod schema;
pub mod slices;
pub mod stats;
mod text;

pub use criteria::{CriteriaError, Facts, Known, LockError, Record, lock_versions};
pub use decide::{Answered, CandidateVerdict, Decision, Outcome, Ruling, decide};
pub use evidence::Answer;
pub use next::Next;
pub use schema::{ReadError, Results};
