//! Reading and writing results: a file is whole, of this version and consistent, or it is refused.

use std::collections::BTreeSet;

use serde::Deserialize;
use thiserror::Error;

use super::{Arm, Block, Results, Role, SCHEMA, ScenarioRun};

/// Why a text is not taken for results.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It ends in the middle.
    #[error(
        "the results are cut short: the JSON ends in line {line} inside a value; the run that \
         wrote it was killed or the disk is full, so measure again (`--resume` keeps what is whole)"
    )]
    CutShort {
        /// Its last line.
        line: usize,
    },
    /// It is of another version, or JSON of something else.
    #[error(
        "the results are of schema {found:?}, and this program reads `{SCHEMA}` only; \
         read them with the revision that wrote them, or measure again"
    )]
    OtherVersion {
        /// What it says it is; empty where it says nothing.
        found: String,
    },
    /// It is not JSON, or its fields are not those of the schema.
    #[error("the results cannot be read: {0}; measure again, or restore the file")]
    Malformed(serde_json::Error),
    /// It is well formed, and contradicts itself.
    #[error(
        "the results contradict themselves: {0}; they were edited, or this is a bug of the engine"
    )]
    Inconsistent(String),
}

/// The one field whose meaning never changes.
#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    schema: serde_json::Value,
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        let line = error.line();
        if error.is_eof() {
            Self::CutShort { line }
        } else {
            Self::Malformed(error)
        }
    }
}

impl Results {
    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// [`ReadError`], which says what the text is instead.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        let header: Header = serde_json::from_str(text)?;
        of_this_version(header.schema.as_str().unwrap_or_default())?;
        let results: Self = serde_json::from_str(text)?;
        results.validate()?;
        Ok(results)
    }

    /// The text that [`from_json`](Self::from_json) takes back.
    ///
    /// # Errors
    ///
    /// [`ReadError::Inconsistent`] where it would not: nothing is written that could not be read.
    pub fn to_json(&self) -> Result<String, ReadError> {
        self.validate()?;
        Ok(serde_json::to_string(self)?)
    }

    /// Checks the invariants of [the schema](crate::schema). Costs a look at each cell.
    ///
    /// # Errors
    ///
    /// [`ReadError::Inconsistent`] with the first that does not hold.
    pub fn validate(&self) -> Result<(), ReadError> {
        of_this_version(&self.schema)?;
        let mut seen = BTreeSet::new();
        let pilot = self.pilots.iter().find(|probe| !is_time(probe.nanos));
        let pilot = pilot.map(|probe| format!("a pilot probe of {} ns is no time", probe.nanos));
        let fault = pilot.or_else(|| {
            self.runs.iter().find_map(|run| {
                let twice = (!seen.insert(&run.scenario)).then(|| "it is there twice".to_owned());
                let fault = twice.or_else(|| run_fault(run))?;
                Some(format!("scenario {:?}: {fault}", run.scenario))
            })
        });
        fault.map_or(Ok(()), |fault| Err(ReadError::Inconsistent(fault)))
    }
}

fn of_this_version(found: &str) -> Result<(), ReadError> {
    if found == SCHEMA {
        return Ok(());
    }
    let found = found.chars().take(64).collect();
    Err(ReadError::OtherVersion { found })
}

fn run_fault(run: &ScenarioRun) -> Option<String> {
    let names: BTreeSet<&str> = run.arms.iter().map(|arm| arm.name.as_str()).collect();
    let incumbent = |arm: &&Arm| arm.role == Role::Incumbent;
    let incumbents = run.arms.iter().filter(incumbent).count();
    let unplanted =
        |arm: &&Arm| matches!(arm.role, Role::Planted { extra } if extra.is_nan() || extra <= 0.0);
    if names.len() != run.arms.len() {
        Some("two arms have one name".to_owned())
    } else if incumbents != 1 {
        Some(format!("{incumbents} arms are the incumbent, not one"))
    } else if let Some(arm) = run.arms.iter().find(unplanted) {
        Some(format!("arm {:?} has nothing planted", arm.name))
    } else {
        run.blocks.iter().find_map(|block| block_fault(run, block))
    }
}

fn block_fault(run: &ScenarioRun, block: &Block) -> Option<String> {
    let (number, arms, cells) = (block.number, run.arms.len(), block.cells.len());
    let mut order = block.order.clone();
    order.sort_unstable();
    if cells != arms {
        Some(format!("block {number} has {cells} cells for {arms} arms"))
    } else if !order.into_iter().eq(0..arms) {
        Some(format!(
            "the order of block {number} does not name each arm once"
        ))
    } else {
        let nanos = block.travel.iter().find(|nanos| !is_time(**nanos))?;
        Some(format!(
            "a probe of block {number}, of {nanos} ns, is no time"
        ))
    }
}

fn is_time(nanos: f32) -> bool {
    nanos.is_finite() && nanos > 0.0
}
