//! What can be measured: scenarios, and their arms.
//!
//! Each crate's scenarios stand in a module of its own, which says what its settings are; here is what all have in common.

use std::fmt;
use std::sync::Arc;

use anyhow::{Result, bail};
use serde::Serialize;
use verdict::schema::{Arm, Role};

/// One thread's share of a scenario's work.
pub trait Share: Send {
    /// Does a round of operations, checks that they did what they should, and answers how many they were.
    fn round(&mut self) -> u64;
}

/// The shares of all threads of one arm.
pub type Shares = Vec<Box<dyn Share>>;

/// Makes the shares of an arm from its name and a seed.
type Build = dyn Fn(&str, u64) -> Result<Shares> + Send + Sync;

/// An operation in a setting.
#[derive(Clone, Serialize)]
pub struct Scenario {
    /// Its name: the operation, and after a slash the one factor that is not as usual.
    pub name: String,
    /// The record that it is there for.
    pub adr: &'static str,
    /// Whether it is a whole operation, which may decide a record.
    pub gating: bool,
    /// One line on what it stands for in production.
    pub what: String,
    /// Threads that operate at once.
    pub threads: u32,
    /// What is compared.
    pub arms: Vec<Arm>,
    /// Makes an arm.
    #[serde(skip)]
    pub build: Arc<Build>,
}

impl Scenario {
    /// Builds one arm.
    ///
    /// # Errors
    ///
    /// If the scenario has no such arm.
    pub fn shares(&self, arm: &str, seed: u64) -> Result<Shares> {
        if more_shards(arm).is_none() && !self.arms.iter().any(|each| each.name == arm) {
            bail!(
                "the scenario {} has no arm {arm}: `bench-worker list` names them",
                self.name
            );
        }
        (self.build)(arm, seed)
    }

    /// The share of its time by which this arm is slowed down on purpose.
    #[must_use]
    pub fn planted(&self, arm: &str) -> Option<f64> {
        self.arms
            .iter()
            .find(|each| each.name == arm)
            .and_then(|each| match each.role {
                Role::Planted { extra } => Some(extra),
                _ => None,
            })
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .field("arms", &self.arms)
            .finish_non_exhaustive()
    }
}

/// The name of the arm that is the incumbent once more.
pub const AGAIN: &str = "dashmap-again";
/// The name of the arm that is the incumbent, slowed down by a tenth: see
/// [`planted`](crate::planted).
pub const PLANTED: &str = "dashmap-plus-10-percent";

/// The name of the arm whose maps cost next to nothing: see [`free`](crate::free).
pub const FREE: &str = "free";

/// The shards of an arm that is the incumbent with more of them, such as `dashmap-shards=64`: one that a run adds, where a
/// gauge from production asks for it.
#[must_use]
pub fn more_shards(arm: &str) -> Option<usize> {
    arm.strip_prefix("dashmap-shards=")?.parse().ok()
}

/// The arms of every comparison of maps: the incumbent, again, the candidates, the rejected
/// baseline.
#[must_use]
pub fn maps() -> Vec<Arm> {
    vec![
        Arm::new("dashmap", Role::Incumbent),
        Arm::new(AGAIN, Role::IncumbentAgain),
        Arm::new("papaya", Role::Candidate),
        Arm::new("scc", Role::Candidate),
        Arm::new("rwlock", Role::Baseline),
    ]
}

/// Those of a scenario that may decide a record: with the positive control, and a map that costs
/// next to nothing.
#[must_use]
pub fn deciding() -> Vec<Arm> {
    let mut arms = maps();
    arms.push(Arm::new(PLANTED, Role::Planted { extra: 0.10 }));
    arms.push(Arm::new(FREE, Role::Free));
    arms
}

/// A scenario's name, and what it stands for, from those of its operation and the one factor that is not as usual.
pub(crate) fn varied(name: &str, what: &str, variation: &str) -> (String, String) {
    if variation.is_empty() {
        (name.to_owned(), what.to_owned())
    } else {
        (
            format!("{name}/{variation}"),
            format!("{what}; {variation}"),
        )
    }
}
