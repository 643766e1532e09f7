//! What a criterion needs to know that no benchmark measures.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

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
    /// The facts of the day a run was made, not of today: a dependency that has moved on does not
    /// make an old table false.
    #[must_use]
    pub fn of(results: &Results) -> Self {
        // A crate that is locked twice is recorded as `1.0.0, 2.0.0`.
        let each = |versions: &String| versions.split(", ").map(str::to_owned).collect();
        let versions = results.versions.iter();
        let versions = versions
            .map(|(name, own)| (name.clone(), each(own)))
            .collect();
        let gauges = results.gauges;
        Self { versions, gauges }
    }
}

/// A text that is no `Cargo.lock`: it is not TOML, or a package of it has no name or version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Cargo.lock cannot be read; write it anew with `cargo generate-lockfile`: {0}")]
pub struct LockError(#[from] toml::de::Error);

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
/// [`LockError`] where it is none.
pub fn lock_versions(text: &str) -> Result<BTreeMap<String, Vec<String>>, LockError> {
    let lock: Lock = toml::from_str(text)?;
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Package { name, version } in lock.package {
        versions.entry(name).or_default().push(version);
    }
    Ok(versions)
}
