//! Decides, from paired measurements, whether a decision record should be revisited, and shows why.
//!
//! The engine that measures hands in [`Results`]; a record's criteria come as [`Record`], what no
//! benchmark knows as [`Facts`]; [`decide()`] answers with a [`Decision`], after every block, and
//! says what to measure next. [`render`] turns both into lines for a terminal, Markdown and one
//! self-contained HTML page. Nothing here reads a file, a clock or an environment, and no backend
//! is known by name.
//!
//! ```
//! use verdict::{Facts, Known, Next, Record, decide, render, schema::Results};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let criteria = include_str!("../tests/data/criteria.toml");
//! # let json = include_str!("../tests/data/results.json");
//! let known = Known { scenarios: &["decode-step"], arms: &["dashmap", "papaya", "scc"] };
//! let record = Record::parse("adr/0003-criteria.toml", criteria, known)?;
//! let results = Results::from_json(json)?;
//!
//! let decision = decide(&results, &record, &Facts::of(&results));
//! for verdict in decision.candidates.iter().filter(|each| each.settled) {
//!     println!("{}", render::line(&decision, verdict));
//! }
//! match &decision.next {
//!     Next::Measure { scenarios } => println!("a block more of {scenarios:?}, and decide again"),
//!     Next::Done => print!("{}", render::terminal(&[decision], &results)),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Pure, since a decision that can be computed from a file can be tested on thousands of synthetic
//! files: its rate of false answers is measured, and anybody can check a published one. Slices are
//! never pooled: a process has one memory layout, which shifts all its slices alike, so that the
//! process is the unit and the sequence is one of blocks of processes.
//!
//! # Invariants
//!
//! 1. The same input gives the same output, byte for byte.
//! 2. No input panics. What is missing makes an answer *open* or *not evaluated*, never a guess.
//! 3. One may decide after every block, stop, and resume, and a false answer is no likelier for it
//!    ([`sequence`]).
//! 4. A quick run gives no verdict.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod bottleneck;
pub mod criteria;
pub mod decide;
mod evidence;
pub mod preconditions;
pub mod render;
pub mod schema;
pub mod sequence;
pub mod slices;
pub mod states;
pub mod stats;
mod text;

pub use criteria::{CriteriaError, Facts, Known, LockError, Record, lock_versions};
pub use decide::{Answered, CandidateVerdict, Decision, Next, Outcome, Ruling, decide};
pub use evidence::Answer;
pub use schema::{ReadError, Results};
