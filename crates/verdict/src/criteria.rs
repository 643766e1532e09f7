//! The revisit criteria of a decision record, as a machine reads them.
//!
//! # Design
//!
//! Beside each record stands a TOML file (`adr/NNNN-criteria.toml`):
//!
//! ```toml
//! record = "0003"
//! title = "DashMap for per-request phase state"
//! cores = 2                                   # fewer cannot answer it
//!
//! [rule]
//! revisit = ["stable-api", "bottleneck"]      # all of these, per candidate; printed as (a), (b), ...
//! watch = ["tracked-requests", "shard-skew"]  # reported, never decisive
//!
//! [candidate.papaya]
//! crate = "papaya"                            # as Cargo.lock names it
//!
//! [criterion.stable-api]
//! kind = "crate-version"                      # yes where the candidate's crate has come so far
//! at-least = "1.0.0"
//!
//! [criterion.bottleneck]
//! kind = "bottleneck"                         # yes where the incumbent costs a whole operation too much
//! incumbent = "dashmap"
//! candidates = ["papaya"]
//! threshold = 0.10                            # the share of the operation's time; 0.10 unless said
//! gating = ["decode-step"]
//! states = ["far"]                            # has to be decided for these too; none unless said
//!
//! [criterion.tracked-requests]
//! kind = "gauge-against-ceiling"              # yes where the gauge has reached shards x this
//! per-shard = 512
//!
//! [criterion.shard-skew]
//! kind = "shard-skew"                         # yes where the fullest shard exceeds the mean by this factor
//! at-most = 2.0
//! ```
//!
//! # Why
//!
//! - *A list, not an expression.* "All of these" is what the records say. An expression language would need its own
//!   tests and its own reader's guide, for a rule nobody has.
//! - *Nothing is ignored.* An unknown key, a criterion that no rule names, a candidate that is not compared: each is an
//!   error that says where, since a misspelt criterion that is silently absent changes verdicts.
//!
//! # Invariants
//!
//! Of a [`Record`] that was parsed: every name in [`Record::revisit`] and [`Record::watch`] is that of a criterion, and
//! every criterion is named once; there is at most one bottleneck, which compares every one of [`Record::candidates`]; every
//! incumbent, candidate and gating scenario is one that the caller knows; the threshold lies strictly between 0 and 1.

mod facts;
mod parse;

pub use facts::{Facts, LockError, lock_versions};
pub use parse::CriteriaError;

use std::num::NonZeroU64;

use semver::Version;
use serde::Deserialize;

use crate::schema::Gauges;
use crate::states::State;

/// The threshold where a record names none: a tenth of the time of the whole operation.
pub const DEFAULT_THRESHOLD: f64 = 0.10;

/// What the file beside a decision record says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// Its number as text, such as `0003`.
    pub number: String,
    /// Its title.
    pub title: String,
    /// The cores below which no measurement answers it.
    pub cores: u32,
    /// What might replace the incumbent, in the order of the file.
    pub candidates: Vec<Candidate>,
    /// Names of the criteria that must all hold for a candidate: (a), (b) and so on.
    pub revisit: Vec<String>,
    /// Names of the criteria that are only reported.
    pub watch: Vec<String>,
    /// The criteria, in the order of the file.
    pub criteria: Vec<Criterion>,
}

impl Record {
    /// The criterion of that name.
    #[must_use]
    pub fn criterion(&self, name: &str) -> Option<&Criterion> {
        self.criteria.iter().find(|each| each.name == name)
    }

    /// Its bottleneck criterion, if it has one.
    #[must_use]
    pub fn bottleneck(&self) -> Option<&Bottleneck> {
        self.criteria.iter().find_map(|each| match &each.kind {
            Kind::Bottleneck(bottleneck) => Some(bottleneck),
            _ => None,
        })
    }

    /// The scenarios that it is decided on: what an engine has to run for it.
    #[must_use]
    pub fn gating(&self) -> Vec<&str> {
        let gating = self
            .bottleneck()
            .map_or(&[][..], |bottleneck| &bottleneck.gating);
        gating.iter().map(String::as_str).collect()
    }

    /// Where the gauge has reached the ceiling of this record: makes the incumbent with more shards a candidate, called
    /// `INCUMBENT-shards=N`, and answers with its name. N is the least power of two that lifts the ceiling above the gauge.
    pub fn add_more_shards(&mut self, gauges: &Gauges) -> Option<String> {
        let per_shard = self.criteria.iter().find_map(|each| match each.kind {
            Kind::GaugeAgainstCeiling { per_shard } => Some(per_shard.get()),
            _ => None,
        })?;
        let (tracked, shards) = (gauges.tracked?, gauges.shards?);
        if tracked < shards.saturating_mul(per_shard) {
            return None;
        }
        let shards = (tracked / per_shard + 1).checked_next_power_of_two()?;
        let bottleneck = self
            .criteria
            .iter_mut()
            .find_map(|each| match &mut each.kind {
                Kind::Bottleneck(bottleneck) => Some(bottleneck),
                _ => None,
            })?;
        let name = format!("{}-shards={shards}", bottleneck.incumbent);
        bottleneck.candidates.push(name.clone());
        self.candidates.push(Candidate {
            name: name.clone(),
            crate_name: bottleneck.incumbent.clone(),
        });
        Some(name)
    }

    /// `(a) stable-api`: a criterion with its letter, or just its name where it is only watched.
    #[must_use]
    pub fn label(&self, criterion: &str) -> String {
        let place = self.revisit.iter().position(|name| name == criterion);
        match place.and_then(|place| ('a'..='z').nth(place)) {
            Some(letter) => format!("({letter}) {criterion}"),
            None => criterion.to_owned(),
        }
    }
}

/// What might replace the incumbent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// Its name, which its arm bears too.
    pub name: String,
    /// Its crate.
    pub crate_name: String,
}

/// A named condition.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Criterion {
    /// Its name.
    pub name: String,
    /// What it asks.
    pub kind: Kind,
}

/// What a criterion asks. Closed: a new kind needs a new way to answer it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
#[serde(deny_unknown_fields)]
pub enum Kind {
    /// The candidate's crate is of this version or a later one.
    CrateVersion {
        /// The version.
        #[serde(deserialize_with = "parse::version")]
        at_least: Version,
    },
    /// A whole operation loses more than the threshold to the incumbent.
    Bottleneck(Bottleneck),
    /// The gauge of tracked entries has reached the ceiling.
    GaugeAgainstCeiling {
        /// The ceiling, for each shard.
        per_shard: NonZeroU64,
    },
    /// One shard holds far more than the mean.
    ShardSkew {
        /// The factor that is still fine.
        at_most: f64,
    },
}

/// What a bottleneck criterion compares.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Bottleneck {
    /// The arm that the record stands on.
    pub incumbent: String,
    /// The arms that might replace it.
    pub candidates: Vec<String>,
    /// The share of the operation's time that a candidate has to save.
    #[serde(default = "default_threshold")]
    pub threshold: f64,
    /// The scenarios that decide.
    pub gating: Vec<String>,
    /// The states of the machine that have to be decided. Others are where they are seen often enough.
    #[serde(default)]
    pub states: Vec<State>,
}

fn default_threshold() -> f64 {
    DEFAULT_THRESHOLD
}

/// What the caller can measure: a record that asks for anything else is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The names of all scenarios.
    pub scenarios: &'a [&'a str],
    /// The names of all arms that may be an incumbent or a candidate.
    pub arms: &'a [&'a str],
}
