//! The worker: a binary of the package `benches`, a fresh process of which measures one arm.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use verdict::schema::{Arm, Block, Cell};

use crate::bench::turns::{self, Turns};

/// A scenario, as the worker describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) adr: String,
    pub(crate) gating: bool,
    pub(crate) what: String,
    pub(crate) arms: Vec<Arm>,
    pub(crate) threads: u32,
}

/// What a process of a block is to measure.
pub(crate) struct Entrant<'a> {
    pub(crate) arm: &'a str,
    /// Slows the arm down by this share of its time; as its role asks if there is none.
    pub(crate) planted: Option<f64>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    binary: PathBuf,
    cores: u32,
    scenarios: Vec<Scenario>,
}

/// Builds a binary of the package `benches` in an environment with this, and says where it is.
pub(crate) fn built(root: &Path, name: &str, env: &[(&str, &str)]) -> Result<PathBuf> {
    let built = Command::new("cargo")
        .args(["build", "--release", "--package", "benches", "--bin", name])
        .args(["--message-format", "json-render-diagnostics"])
        .envs(env.iter().copied())
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        built.status.success(),
        "{name} does not build: cargo build --release --package benches --bin {name}"
    );
    cargo_metadata::Message::parse_stream(&built.stdout[..])
        .filter_map(Result::ok)
        .find_map(|message| match message {
            cargo_metadata::Message::CompilerArtifact(artifact) => artifact.executable,
            _ => None,
        })
        .map(PathBuf::from)
        .with_context(|| format!("cargo built no {name}"))
}

impl Worker {
    /// Builds the worker and asks it what it can measure.
    pub(crate) fn build(root: &Path) -> Result<Self> {
        let cores = thread::available_parallelism()
            .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
        let mut worker = Self {
            binary: built(root, "bench-worker", &[])?,
            cores,
            scenarios: Vec::new(),
        };
        let listed = worker
            .command("list")
            .output()
            .context("cannot start the worker")?;
        worker.scenarios =
            serde_json::from_slice(&listed.stdout).context("the worker names no scenarios")?;
        Ok(worker)
    }

    pub(crate) fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// Runs the scenarios without timing, and says whether all did what they should.
    pub(crate) fn test(&self, scenarios: &[Scenario]) -> Result<bool> {
        let mut failed = 0;
        for scenario in scenarios {
            let status = self
                .command("test")
                .args(["--scenario", &scenario.name])
                .status()?;
            failed += u32::from(!status.success());
        }
        println!(
            "scenarios: {} passed, {failed} failed",
            scenarios.len() - failed as usize
        );
        Ok(failed == 0)
    }

    /// Every arm in a fresh process of its own, all on the same keys and tokens, taking turns in a random order. What goes
    /// wrong with an arm makes its cell void. `None` if it was stopped.
    pub(crate) fn block(
        &self,
        scenario: &str,
        arms: &[Entrant<'_>],
        number: u32,
        seed: u64,
        stopped: impl Fn() -> bool,
    ) -> Option<Block> {
        let mut seeds = fastrand::Rng::with_seed(seed);
        let tokens = seeds.u64(..);
        let mut order: Vec<usize> = (0..arms.len()).collect();
        seeds.shuffle(&mut order);
        let command = |entrant: &Entrant<'_>| {
            let mut command = self.command("measure");
            command.args(["--scenario", scenario, "--arm", entrant.arm]);
            command.args(["--seed", &tokens.to_string()]);
            if let Some(extra) = entrant.planted {
                command.args(["--planted", &extra.to_string()]);
            }
            command
        };
        let started = arms.iter().map(|entrant| Turns::start(command(entrant)));
        let slices = turns::taken(started.collect(), &order, &stopped)?;
        let cells = slices.into_iter().map(|slices| match slices {
            Ok(slices) => Cell::Measured { slices },
            Err(error) => Cell::Void {
                reason: format!("{error:#}"),
                seed: tokens,
            },
        });
        Some(Block {
            number,
            order,
            cells: cells.collect(),
        })
    }

    fn command(&self, task: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(task).args(["--cores", &self.cores.to_string()]);
        command
    }

    pub(crate) fn cores(&self) -> u32 {
        self.cores
    }
}
