//! Reading and writing results: a file is whole, of this version and consistent, or it is refused.

use std::collections::BTreeSet;

use serde::Deserialize;
use thiserror::Error;

use super::{Block, Results, Role, SCHEMA, ScenarioRun};

/// Why a text is not taken for results.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It ends in the middle.
    #[error(
        "the results are cut short: the JSON ends in line {line} after {bytes} bytes, inside a value; \
         the run that wrote it was killed or the disk is full, so measure again (`--resume` keeps what is whole)"
    )]
    CutShort {
        /// The length of the text.
        bytes: usize,
        /// Its last line.
        line: usize,
    },
    /// It is JSON of something else.
    #[error(
        "this is no results file: it has no text field `schema`; a results file says `{SCHEMA}` there"
    )]
    NotResults,
    /// It is of another version.
    #[error(
        "the results are of schema {found:?}, and this program reads `{SCHEMA}` only; \
         read them with the revision that wrote them, or measure again"
    )]
    OtherVersion {
        /// What it says it is.
        found: String,
    },
    /// It is not JSON, or its fields are not those of the schema.
    #[error("the results cannot be read: {what}; measure again, or restore the file")]
    Malformed {
        /// What the parser met, with line and column.
        what: String,
    },
    /// It is well formed, and contradicts itself.
    #[error(
        "the results contradict themselves: {what}; they were edited, or this is a bug of the engine"
    )]
    Inconsistent {
        /// Where, and the rule that is broken.
        what: String,
    },
}

/// The one field whose meaning never changes.
#[derive(Deserialize)]
struct Header {
    schema: Option<serde_json::Value>,
}

impl Results {
    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// [`ReadError`], which says what the text is instead.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        let header: Header = serde_json::from_str(text).map_err(|e| refused(text, &e))?;
        match header.schema {
            Some(serde_json::Value::String(found)) if found == SCHEMA => {}
            Some(serde_json::Value::String(found)) => {
                let found = found.chars().take(64).collect();
                return Err(ReadError::OtherVersion { found });
            }
            _ => return Err(ReadError::NotResults),
        }
        let results: Self = serde_json::from_str(text).map_err(|e| refused(text, &e))?;
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
        serde_json::to_string(self).map_err(|e| ReadError::Malformed {
            what: e.to_string(),
        })
    }

    /// Checks the invariants of [the schema](crate::schema). Costs a look at each cell.
    ///
    /// # Errors
    ///
    /// [`ReadError::Inconsistent`] with the first that does not hold.
    pub fn validate(&self) -> Result<(), ReadError> {
        let inconsistent = |what| Err(ReadError::Inconsistent { what });
        if self.schema != SCHEMA {
            let found = self.schema.chars().take(64).collect();
            return Err(ReadError::OtherVersion { found });
        }
        if let Some(probe) = self.pilots.iter().find(|probe| !is_time(probe.nanos)) {
            return inconsistent(format!("a pilot probe of {} ns is no time", probe.nanos));
        }
        let mut seen = BTreeSet::new();
        for run in &self.runs {
            if let Some(what) = fault(run) {
                return inconsistent(format!("scenario {:?}: {what}", run.scenario));
            }
            if !seen.insert(&run.scenario) {
                return inconsistent(format!("scenario {:?} is there twice", run.scenario));
            }
        }
        Ok(())
    }
}

fn refused(text: &str, error: &serde_json::Error) -> ReadError {
    // A cut inside a number leaves one that is malformed at the very end.
    let last = text.lines().last().unwrap_or_default();
    let at_the_end = error.line() == text.lines().count() && error.column() >= last.len();
    if error.is_eof() || error.is_syntax() && at_the_end {
        ReadError::CutShort {
            bytes: text.len(),
            line: error.line(),
        }
    } else {
        let what = error.to_string();
        ReadError::Malformed { what }
    }
}

fn fault(run: &ScenarioRun) -> Option<String> {
    let names: BTreeSet<&str> = run.arms.iter().map(|arm| arm.name.as_str()).collect();
    if names.len() != run.arms.len() {
        return Some("two arms have one name".to_owned());
    }
    let of_incumbent = run.arms.iter().filter(|arm| arm.role == Role::Incumbent);
    let incumbents = of_incumbent.count();
    if incumbents != 1 {
        return Some(format!("{incumbents} arms are the incumbent, not one"));
    }
    let unplanted = run
        .arms
        .iter()
        .find(|arm| matches!(arm.role, Role::Planted { extra } if extra.is_nan() || extra <= 0.0));
    if let Some(arm) = unplanted {
        return Some(format!("arm {:?} has nothing planted", arm.name));
    }
    run.blocks.iter().find_map(|block| block_fault(run, block))
}

fn block_fault(run: &ScenarioRun, block: &Block) -> Option<String> {
    let (number, arms) = (block.number, run.arms.len());
    if block.cells.len() != arms {
        let cells = block.cells.len();
        return Some(format!("block {number} has {cells} cells for {arms} arms"));
    }
    if let Some(nanos) = block.travel.iter().find(|nanos| !is_time(**nanos)) {
        return Some(format!(
            "a probe of block {number}, of {nanos} ns, is no time"
        ));
    }
    let distinct: BTreeSet<usize> = block.order.iter().copied().collect();
    let in_range = distinct.iter().all(|&arm| arm < arms);
    if block.order.len() != arms || distinct.len() != arms || !in_range {
        return Some(format!(
            "the order of block {number} does not name each arm once"
        ));
    }
    None
}

fn is_time(nanos: f32) -> bool {
    nanos.is_finite() && nanos > 0.0
}
