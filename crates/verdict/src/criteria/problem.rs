//! What can be wrong with a criteria file.

use thiserror::Error;

use super::version::ParseVersionError;

/// A criteria file that is not accepted: where, and why.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{file}:{line}: {problem}")]
#[non_exhaustive]
pub struct CriteriaError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong in a criteria file.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that means nothing there.
    #[error("unknown key `{key}` in {table}; it may hold: {allowed}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The table it stands in.
        table: String,
        /// The keys that mean something.
        allowed: String,
    },
    /// A key without which nothing can be decided.
    #[error("{table} has no `{key}`; add it")]
    MissingKey {
        /// The key.
        key: String,
        /// The table that lacks it.
        table: String,
    },
    /// A value of another type.
    #[error("`{key}` is {found}, and has to be {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// What is there.
        found: String,
        /// What has to be there.
        expected: String,
    },
    /// A name that stands for nothing.
    #[error("there is no {what} {name:?}; there are: {known}")]
    Unknown {
        /// What it should name: a scenario, an arm, a candidate, a criterion, a kind.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A threshold that no gain can be held against.
    #[error("the threshold {0} is not strictly between 0 and 1; a tenth of the time is 0.10")]
    Threshold(f64),
    /// A number that is too small to mean anything.
    #[error("`{key}` is {found}, and has to be at least {least}")]
    TooSmall {
        /// The key.
        key: String,
        /// What is there.
        found: String,
        /// The least that is accepted.
        least: String,
    },
    /// A text that is no version.
    #[error(transparent)]
    Version(#[from] ParseVersionError),
    /// An empty list.
    #[error("`{key}` names nothing; name at least one {what}")]
    Empty {
        /// The key.
        key: String,
        /// What it should name.
        what: &'static str,
    },
    /// A name that stands twice where once is meant.
    #[error("{what} {name:?} is named twice; name it once")]
    Twice {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A criterion that decides nothing and is not watched.
    #[error(
        "criterion {0:?} is in neither list of [rule]; add it to `revisit` or to `watch`, or remove it"
    )]
    Unused(String),
    /// A candidate that a bottleneck leaves out.
    #[error(
        "candidate {0:?} is compared by no bottleneck; add it to the `candidates` of one, or remove it"
    )]
    NotCompared(String),
}
