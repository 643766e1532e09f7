//! The revisit criteria of a decision record, as a machine reads them.
//!
//! Beside each record stands a TOML file (`adr/NNNN-criteria.toml`):
//!
//! ```toml
//! record = "0003"
//! title = "DashMap for per-request phase state"
//! cores = 2                                   # fewer cannot answer it
//!
//! [rule]
//! revisit = ["stable-api", "bottleneck"]      # all of these; printed as (a), (b), ...
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
//! kind = "bottleneck"                         # yes where a candidate saves enough
//! incumbent = "dashmap"
//! candidates = ["papaya"]
//! threshold = 0.10                            # the share of time; 0.10 unless said
//! gating = ["decode-step"]
//! states = ["far"]                            # has to be decided for these too; none unless said
//!
//! [criterion.tracked-requests]
//! kind = "gauge-against-ceiling"              # yes where the gauge has reached shards x this
//! per-shard = 512
//!
//! [criterion.shard-skew]
//! kind = "shard-skew"                         # yes where the fullest exceeds the mean by more
//! at-most = 2.0
//! ```
//!
//! A list, not an expression: "all of these" is what the records say. And nothing is ignored: an
//! unknown key, a criterion that no rule names, a candidate that is not compared: each is an error
//! that says where, since a misspelt criterion that is silently absent changes verdicts.
//!
//! # Invariants
//!
//! Of a [`Record`] that was parsed: the rule names every criterion once, and no other; there is at
//! most one bottleneck, which compares every candidate; every incumbent, candidate and gating
//! scenario is one that the caller knows; the threshold lies strictly between 0 and 1.

mod facts;
mod parse;

pub use facts::{Facts, LockError, lock_versions};
pub use parse::CriteriaError;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use semver::Version;
use serde::Deserialize;

use crate::schema::Gauges;
use crate::states::State;

/// What the file beside a decision record says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Record {
    /// Its number as text, such as `0003`.
    #[serde(rename = "record")]
    pub number: String,
    /// Its title.
    pub title: String,
    /// The cores below which no measurement answers it.
    pub cores: NonZeroU32,
    /// What its criteria are for.
    pub rule: Rule,
    /// What might replace the incumbent, by the name that its arm bears too.
    #[serde(rename = "candidate")]
    pub candidates: BTreeMap<String, Candidate>,
    /// The criteria, by name.
    #[serde(rename = "criterion", default)]
    pub criteria: BTreeMap<String, Criterion>,
}

/// The names of the criteria.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// Those that must all hold for a candidate: (a), (b) and so on.
    pub revisit: Vec<String>,
    /// Those that are only reported.
    #[serde(default)]
    pub watch: Vec<String>,
}

/// What might replace the incumbent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Candidate {
    /// Its crate.
    #[serde(rename = "crate")]
    pub crate_name: String,
}

impl Record {
    /// Its bottleneck criterion, if it has one.
    #[must_use]
    pub fn bottleneck(&self) -> Option<&Bottleneck> {
        self.criteria.values().find_map(|each| match each {
            Criterion::Bottleneck(bottleneck) => Some(bottleneck),
            _ => None,
        })
    }

    /// The scenarios that it is decided on: what an engine has to run for it.
    #[must_use]
    pub fn gating(&self) -> Vec<&str> {
        let gating = self.bottleneck().map(|own| own.gating.iter());
        gating.into_iter().flatten().map(String::as_str).collect()
    }

    /// Where the gauge has reached the ceiling of this record: makes the incumbent with more shards
    /// a candidate, called `INCUMBENT-shards=N`, and answers with its name. N is the least power of
    /// two that lifts the ceiling above the gauge.
    pub fn add_more_shards(&mut self, gauges: &Gauges) -> Option<String> {
        let per_shard = self.criteria.values().find_map(|each| match each {
            Criterion::GaugeAgainstCeiling { per_shard } => Some(per_shard.get()),
            _ => None,
        })?;
        let (tracked, shards) = (gauges.tracked?, gauges.shards?);
        if tracked < shards.saturating_mul(per_shard) {
            return None;
        }
        let shards = (tracked / per_shard + 1).checked_next_power_of_two()?;
        let own = self.criteria.values_mut().find_map(|each| match each {
            Criterion::Bottleneck(bottleneck) => Some(bottleneck),
            _ => None,
        })?;
        let crate_name = own.incumbent.clone();
        let name = format!("{crate_name}-shards={shards}");
        own.candidates.push(name.clone());
        self.candidates
            .insert(name.clone(), Candidate { crate_name });
        Some(name)
    }

    /// `(a) stable-api`: a criterion with its letter, or just its name where it is only watched.
    #[must_use]
    pub fn label(&self, criterion: &str) -> String {
        let place = self.rule.revisit.iter().position(|name| name == criterion);
        match place.and_then(|place| ('a'..='z').nth(place)) {
            Some(letter) => format!("({letter}) {criterion}"),
            None => criterion.to_owned(),
        }
    }
}

/// What a criterion asks. Closed: a new kind needs a new way to answer it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
#[serde(deny_unknown_fields)]
pub enum Criterion {
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
    /// The states of the machine that have to be decided. Others are where they are seen often
    /// enough.
    #[serde(default)]
    pub states: Vec<State>,
}

/// A tenth of the time of the whole operation.
fn default_threshold() -> f64 {
    0.10
}

/// What the caller can measure: a record that asks for anything else is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The names of all scenarios.
    pub scenarios: &'a [&'a str],
    /// The names of all arms that may be an incumbent or a candidate.
    pub arms: &'a [&'a str],
}
