//! The worker: a binary of the package `benches`, a fresh process of which measures one arm.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use verdict::schema::{Arm, Cell, Slice};
use wait_timeout::ChildExt;

/// Many times what a worker takes.
const HUNG: Duration = Duration::from_secs(20);

/// A scenario, as the worker describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) adr: String,
    pub(crate) gating: bool,
    pub(crate) what: String,
    pub(crate) arms: Vec<Arm>,
    pub(crate) setting: Setting,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Setting {
    pub(crate) threads: u32,
}

#[derive(Debug)]
pub(crate) struct Worker {
    binary: PathBuf,
    cores: u32,
    scenarios: Vec<Scenario>,
}

/// Builds a binary of the package `benches`, and says where it is.
pub(crate) fn built(root: &Path, name: &str) -> Result<PathBuf> {
    let built = Command::new("cargo")
        .args(["build", "--release", "--package", "benches", "--bin", name])
        .args(["--message-format", "json-render-diagnostics"])
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
            binary: built(root, "bench-worker")?,
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

    /// Measures one arm in a fresh process, slowed down by a share of its time if one is `planted`, and otherwise as its role
    /// asks. What goes wrong with it makes a void cell.
    pub(crate) fn measure(
        &self,
        scenario: &str,
        arm: &str,
        seed: u64,
        planted: Option<f64>,
    ) -> Cell {
        self.slices(scenario, arm, seed, planted).map_or_else(
            |error| Cell::Void {
                reason: format!("{error:#}"),
                seed,
            },
            |slices| Cell::Measured { slices },
        )
    }

    fn slices(
        &self,
        scenario: &str,
        arm: &str,
        seed: u64,
        planted: Option<f64>,
    ) -> Result<Vec<Slice>> {
        let mut child = self
            .command("measure")
            .args([
                "--scenario",
                scenario,
                "--arm",
                arm,
                "--seed",
                &seed.to_string(),
            ])
            .args(
                planted
                    .iter()
                    .flat_map(|extra| ["--planted".to_owned(), extra.to_string()]),
            )
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("the worker did not start")?;
        let Some(status) = child.wait_timeout(HUNG)? else {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("the worker hung, and was killed after {} s", HUNG.as_secs());
        };
        let said = |pipe: Option<&mut dyn Read>| {
            let mut text = String::new();
            pipe.map(|pipe| pipe.read_to_string(&mut text));
            text
        };
        let (out, err) = (
            said(child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read)),
            said(child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read)),
        );
        ensure!(
            status.success(),
            "the worker crashed, {status}: {}",
            err.lines().take(3).collect::<Vec<_>>().join(" ")
        );
        serde_json::from_str(&out).context("the worker brought back no slices")
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
