//! Every scenario that there is.
//!
//! Apart from what scenarios have in common, so that the modules that make them lean on that, and this leans on them.

use anyhow::{Context, Result};

use crate::scenario::Scenario;
use crate::{loads, loras, phase_scenarios, routers, serving_loop, sessions, streams};

/// The scenario of that name, on a machine with so many cores.
///
/// # Errors
///
/// If there is none.
pub fn find(name: &str, cores: u32) -> Result<Scenario> {
    let mut all = all(cores).into_iter();
    all.find(|scenario| scenario.name == name)
        .with_context(|| format!("no scenario is called {name}: `bench-worker list` names them"))
}

/// Every scenario, on a machine with so many cores: each operation as usual, and varied by one factor at a time.
#[must_use]
pub fn all(cores: u32) -> Vec<Scenario> {
    [
        phase_scenarios::all(cores),
        loads::all(cores),
        loras::all(cores),
        routers::all(cores),
        sessions::all(cores),
        streams::all(cores),
        serving_loop::in_process::all(cores),
    ]
    .concat()
}
