//! What a criterion needs to know that no benchmark measures.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use super::parse::line_at;
use crate::schema::{Gauges, Results};

/// What the caller knows. What it does not know makes a criterion *not evaluated*, never *no*.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The versions of each crate, from [`lock_versions`].
    pub versions: BTreeMap<String, Vec<String>>,
    /// What there is to watch.
    pub gauges: Gauges,
}

impl Facts {
    /// The facts of the day a run was made, not of today: a dependency that has moved on does not make an old table false.
    #[must_use]
    pub fn of(results: &Results) -> Self {
        // A crate that is locked twice is recorded as `1.0.0, 2.0.0`.
        let versions = results.versions.iter().map(|(name, versions)| {
            let versions = versions.split(", ").map(str::to_owned).collect();
            (name.clone(), versions)
        });
        Self {
            versions: versions.collect(),
            gauges: results.gauges,
        }
    }
}

/// A text that is no `Cargo.lock`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Cargo.lock:{line}: {what}; write it anew with `cargo generate-lockfile`")]
pub struct LockError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// The versions of each package that the text of a `Cargo.lock` holds.
///
/// # Errors
///
/// [`LockError`] where it is not TOML, or a package of it has no name or version.
pub fn lock_versions(text: &str) -> Result<BTreeMap<String, Vec<String>>, LockError> {
    let lock: Lock = toml::from_str(text).map_err(|error| LockError {
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        what: error.message().to_owned(),
    })?;
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Package { name, version } in lock.package {
        versions.entry(name).or_default().push(version);
    }
    Ok(versions)
}
