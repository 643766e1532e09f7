//! The worker: a binary of the package `benches`, a fresh process of which measures one arm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use verdict::schema::Arm;

/// In so many orders the worker is linked: where code lies in memory makes it some per cent faster or slower.
const LINK_ORDERS: u8 = 6;

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

/// The worker, in each order that it was linked in.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) builds: Vec<PathBuf>,
}

/// Builds a binary of the package `benches`, and says where it is. What `rustc` is told beside is of the binary alone: no
/// library is compiled anew for it.
pub(crate) fn built(
    root: &Path,
    name: &str,
    env: &[(&str, &str)],
    rustc: &[&str],
) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command
        .args(["rustc", "--release", "--package", "benches", "--bin", name])
        .args(["--message-format", "json-render-diagnostics", "--"])
        .args(rustc)
        .envs(env.iter().copied())
        .current_dir(root);
    if rustc.is_empty() {
        command.stderr(Stdio::inherit());
    }
    let built = command.output().context("cannot start cargo")?;
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
    /// As the linker has it.
    pub(crate) fn build(root: &Path) -> Result<Self> {
        let own = built(root, "bench-worker", &[], &[])?;
        let mut worker = Self { builds: Vec::new() };
        worker.keep(&own)?;
        Ok(worker)
    }

    /// And in other orders of its functions. Says whether the linker can.
    pub(crate) fn shuffle(&mut self, root: &Path) -> Result<bool> {
        for order in 1..LINK_ORDERS {
            let flag = format!("link-arg=-Wl,--shuffle-sections=.text*={order}");
            let Ok(shuffled) = built(root, "bench-worker", &[], &["-C", &flag]) else {
                self.builds.truncate(1);
                return Ok(false);
            };
            self.keep(&shuffled)?;
        }
        Ok(true)
    }

    /// Cargo puts every build in the same place.
    fn keep(&mut self, built: &Path) -> Result<()> {
        let kept = built.with_extension(format!("order-{}", self.builds.len()));
        let copied = fs::copy(built, &kept);
        copied.with_context(|| format!("cannot copy {}", built.display()))?;
        self.builds.push(kept);
        Ok(())
    }

    /// A task of it.
    pub(crate) fn command(&self, task: &str) -> Command {
        let mut command = Command::new(&self.builds[0]);
        command.arg(task);
        command
    }

    /// What it can measure on so many cores.
    pub(crate) fn scenarios(&self, cores: usize) -> Result<Vec<Scenario>> {
        listed(&mut self.command("list"), cores)
    }

    /// How uneven the incumbent's shards are with so many requests. `None` where it cannot be measured: no verdict waits for it.
    pub(crate) fn shard_skew(&self, entries: u64) -> Option<f64> {
        let mut command = self.command("skew");
        let said = command.args(["--entries", &entries.to_string()]).output();
        serde_json::from_slice(&said.ok()?.stdout).ok()
    }

    /// Runs the scenarios without timing, and says whether all did what they should.
    pub(crate) fn test(&self, scenarios: &[Scenario], cores: usize) -> Result<bool> {
        let mut failed = 0;
        for scenario in scenarios {
            let status = self
                .command("test")
                .args(["--scenario", &scenario.name])
                .args(["--cores", &cores.to_string()])
                .status()?;
            failed += usize::from(!status.success());
        }
        println!(
            "scenarios: {} passed, {failed} failed",
            scenarios.len() - failed
        );
        Ok(failed == 0)
    }
}

/// The scenarios that `list` of a worker names for so many cores.
pub(crate) fn listed(list: &mut Command, cores: usize) -> Result<Vec<Scenario>> {
    let listed = list.args(["--cores", &cores.to_string()]).output();
    let listed = listed.context("cannot start the worker")?;
    serde_json::from_slice(&listed.stdout).context("the worker names no scenarios")
}
