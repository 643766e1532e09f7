//! The command line, as types.

use clap::{Args, Parser, Subcommand};

/// The workspace's tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    Test(Test),
    Loom(Loom),
}

/// Check the whole workspace: format, lints, every feature alone, tests, loom models, docs and tidiness.
///
/// Goes on after a failure, prints for each failed step the command that repeats it, and ends with one line
/// `steps: N passed, M failed`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Leave out what takes long: tests of one feature at a time, loom models and docs.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Run this step, or every step under this name (`clippy`, `clippy/state-map`); may be given repeatedly.
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Vec<String>,

    /// Print the names of the steps instead of running them.
    #[arg(long)]
    pub(crate) list: bool,
}

/// Run the loom models: every `tests/loom*.rs` of every crate, each with the features its manifest requires.
///
/// `LOOM_MAX_PREEMPTIONS` is 3 unless the environment says otherwise.
#[derive(Debug, Args)]
pub(crate) struct Loom {
    /// The one crate whose models to run.
    #[arg(value_name = "CRATE")]
    pub(crate) package: Option<String>,

    /// Passed on to the test binaries: a filter on names, `--nocapture`, ...
    #[arg(last = true, value_name = "TEST FILTER")]
    pub(crate) filter: Vec<String>,
}
