//! One figure at a time, each counted in a fresh process.
//!
//! # Instructions
//!
//! `valgrind --tool=callgrind` counts them within the worker's function `counted_rounds` alone, so what comes before it is
//! left out. That is also why they are not the difference of a short run and a long one: a router calibrates its clock when
//! it is made, for as many instructions as fit the time it takes, which is more than the rounds. (gungraun, the usual driver
//! of callgrind, wants a runner of the very same version installed beside it, for figures that are then to be read back from
//! its files.)
//!
//! # Seeds
//!
//! Maps seed their hashers at random, so lookups probe a little differently in every process. Repeated five times, a figure
//! moved by up to 0.3 %, on papaya mostly by up to 3 %, and by 28 % where the seed decided whether a table was still growing
//! while it was counted. What is compared from one revision to the next is built with fixed seeds instead
//! ([`crate::figures`]): then nothing moves but ids.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use verdict::schema::{AllocationFigure, BytesFigure};

use super::process::{Programs, Said, line, said};

/// Rounds that instructions are counted over, and those before: by then requests of a decode step begin to complete.
const ROUNDS: u64 = 256;
const WARM_UP_ROUNDS: u64 = 512;

impl Programs {
    /// Whether valgrind, which counts instructions, is installed.
    pub(crate) fn can_count_instructions() -> bool {
        Command::new("valgrind").arg("--version").output().is_ok()
    }

    /// Instructions per operation of an arm, as it is on one core.
    pub(crate) fn instructions(&self, scenario: &str, arm: &str, seed: u64) -> Result<f64> {
        let said = said(
            self.under_callgrind("count")
                .args(["--scenario", scenario, "--arm", arm])
                .args(["--seed", &seed.to_string()])
                .args(["--warm-up", &WARM_UP_ROUNDS.to_string()])
                .args(["--rounds", &ROUNDS.to_string()]),
        )?;
        per_op(&said)
    }

    /// Allocations of so many operations of an arm, as it is on one core.
    pub(crate) fn allocations(
        &self,
        scenario: &str,
        arm: &str,
        seed: u64,
        ops: u64,
    ) -> Result<AllocationFigure> {
        json(
            self.figures("allocations")
                .args(["--scenario", scenario, "--arm", arm])
                .args(["--seed", &seed.to_string()])
                .args(["--ops", &ops.to_string()]),
        )
    }

    /// What a crate's state holds when it keeps so many of what it is for.
    pub(crate) fn kept_bytes(&self, kept: &str, arm: &str, entries: u64) -> Result<BytesFigure> {
        json(
            self.figures("kept-bytes")
                .args(["--kept", kept, "--arm", arm])
                .args(["--entries", &entries.to_string()]),
        )
    }

    /// What a router of phases holds with so many requests, and after some came and went.
    pub(crate) fn bytes(&self, arm: &str, entries: u64) -> Result<Vec<BytesFigure>> {
        json(
            self.figures("bytes")
                .args(["--arm", arm, "--entries", &entries.to_string()]),
        )
    }
}

/// What callgrind collected, by the operations that the worker says they were.
fn per_op(said: &Said) -> Result<f64> {
    let ops: u64 = said
        .out
        .trim()
        .parse()
        .context("the worker did not say how many operations it did")?;
    let instructions = collected(&said.err).context("callgrind collected nothing")?;
    ensure!(
        ops > 0 && instructions > 0,
        "callgrind saw {instructions} instructions in {ops} operations: are the worker's symbols stripped?"
    );
    Ok(instructions as f64 / ops as f64)
}

/// The total in a line such as `==123== Collected : 7247606`.
fn collected(err: &str) -> Option<u64> {
    err.lines()
        .find_map(|line| line.split_once("== Collected :")?.1.trim().parse().ok())
}

pub(super) fn json<T: for<'de> Deserialize<'de>>(command: &mut Command) -> Result<T> {
    serde_json::from_str(&said(command)?.out)
        .with_context(|| format!("{} brought back no figures", line(command)))
}

#[cfg(test)]
mod tests {
    use super::{Said, collected, per_op};

    const CALLGRIND: &str = "\
==5194== Command: bench-worker count --scenario on-token --arm dashmap
==5194==
==5194== Events    : Ir
==5194== Collected : 26567059
==5194==
==5194== I   refs:      26,567,059
";

    fn said(out: &str, err: &str) -> Said {
        Said {
            out: out.to_owned(),
            err: err.to_owned(),
        }
    }

    #[test]
    fn the_total_of_callgrind() {
        assert_eq!(collected(CALLGRIND), Some(26_567_059));
        assert_eq!(collected("==5194== Events    : Ir\n"), None);
        assert_eq!(collected("==5194== Collected : \n"), None);
    }

    #[test]
    fn instructions_by_operations() {
        let whole = per_op(&said("1000\n", CALLGRIND)).unwrap();
        assert!((whole - 26_567.059).abs() < 1e-9, "{whole}");

        let why = |said| per_op(&said).unwrap_err().to_string();
        assert!(why(said("", CALLGRIND)).contains("how many operations"));
        assert!(why(said("1000", "")).contains("collected nothing"));
        // Where its function is not found, callgrind collects nothing, and is content.
        let stripped = "==1== Collected : 0\n";
        assert!(why(said("1000", stripped)).contains("stripped"));
        assert!(why(said("0", CALLGRIND)).contains("in 0 operations"));
    }
}
