//! Every scenario that there is.
//!
//! Apart from what scenarios have in common, so that the modules that make them lean on that, and this leans on them.

use anyhow::{Context, Result};

use crate::scenario::{Scenario, Shares};
use crate::{loras, phase_state, routers, serving_loop, sessions, streams};

/// An arm of a scenario, as flags of a program name it.
#[derive(clap::Args, Clone, Debug)]
pub struct Named {
    /// The scenario's name.
    #[arg(long)]
    pub scenario: String,
    /// The arm's name.
    #[arg(long)]
    pub arm: String,
    /// Seeds the keys and tokens.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The cores that its threads are pinned to, such as 0,1.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    pub cores: Vec<u32>,
}

impl Named {
    /// The scenario, as it is on so many cores.
    ///
    /// # Errors
    ///
    /// If there is none of that name.
    pub fn scenario(&self) -> Result<Scenario> {
        find(&self.scenario, self.cores.len())
    }

    /// The arm's shares.
    ///
    /// # Errors
    ///
    /// If there is no such scenario, or it has no such arm.
    pub fn shares(&self) -> Result<Shares> {
        self.scenario()?.shares(&self.arm, self.seed)
    }
}

/// The scenario of that name, on a machine with so many cores.
///
/// # Errors
///
/// If there is none.
pub fn find(name: &str, cores: usize) -> Result<Scenario> {
    let mut all = all(cores).into_iter();
    all.find(|scenario| scenario.name == name)
        .with_context(|| format!("no scenario is called {name}: `bench-worker list` names them"))
}

/// Every scenario, on a machine with so many cores: each operation as usual, and varied by one factor at a time.
#[must_use]
pub fn all(cores: usize) -> Vec<Scenario> {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    [
        phase_state::all(cores),
        loras::all(cores),
        routers::all(cores),
        sessions::all(cores),
        streams::all(cores),
        serving_loop::in_process::all(cores),
    ]
    .concat()
}
