//! The command line, as types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The workspace's tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    Bench(Bench),
    Test(Test),
    Loom(Loom),
    Figures(Figures),
    Adr(Adr),
}

/// Check the whole workspace: format, lints, each crate alone, tests, loom models, docs, tidiness.
///
/// Goes on after a failure, prints for each failed step the command that repeats it, and ends with
/// one line `steps: N passed, M failed`.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Only what a change most likely breaks: format, lints, tidiness, and the short tests on every
    /// map.
    #[arg(long)]
    pub(crate) quick: bool,

    /// The tests of each crate with each map alone, too, the counted figures, and the commands of
    /// the documents.
    #[arg(long, conflicts_with = "quick")]
    pub(crate) full: bool,

    /// Run this step, or every step under this name (`check`, `check/state-map`), of whichever run;
    /// may be given repeatedly.
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Vec<String>,

    /// Print the names of the steps instead of running them.
    #[arg(long)]
    pub(crate) list: bool,
}

/// Run the loom models: every `tests/loom*.rs`, each with the features its manifest requires.
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

/// Count what the hot paths cost on every map, and fail where a figure is not as in `benches/baseline.json`.
///
/// Instructions may move by 2 %, bytes by 1 %, allocations by 0.2 %, which ids at random take. On another toolchain or processor than the baseline's
/// nothing is compared, and it says so.
#[derive(Debug, Args)]
pub(crate) struct Figures {
    /// Write what was counted as the new baseline.
    #[arg(long)]
    pub(crate) bless: bool,
}

/// Compare the map backends on the workloads of the crates, and answer each decision record.
///
/// A pass of a scenario takes about a minute and a half. Where the answer is still open, a pass is extended, and what was
/// found is confirmed by a second one; either is announced. Writes `results.json`, `verdict.md` and `report.html`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Only records about this crate; may be given repeatedly.
    #[arg(long = "crate", value_name = "CRATE")]
    pub(crate) crates: Vec<String>,

    /// Only this record, such as 0003.
    #[arg(long, value_name = "N")]
    pub(crate) adr: Option<String>,

    /// Only these scenarios, whether they gate a record or not; may be given repeatedly.
    #[arg(long, value_name = "SCENARIO")]
    pub(crate) scenario: Vec<String>,

    /// A minute at most; says what it would say, and never a verdict.
    #[arg(long, conflicts_with = "full")]
    pub(crate) quick: bool,

    /// Every scenario, each of which varies one factor.
    #[arg(long)]
    pub(crate) full: bool,

    /// Seeds the order of the arms, their tokens, and the bootstrap.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Go on with what an interrupted run left in the output folder.
    #[arg(long)]
    pub(crate) resume: bool,

    /// Where to write.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub(crate) out: PathBuf,

    /// The requests that production tracks at once, for the criterion that watches them.
    #[arg(long, value_name = "N")]
    pub(crate) tracked: Option<u64>,

    /// The shards of the map in production; by default those of this machine.
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<u64>,

    /// Run every scenario without timing: a benchmark is also a test.
    #[arg(long)]
    pub(crate) test: bool,

    /// Name the scenarios and what each stands for.
    #[arg(long)]
    pub(crate) list: bool,

    /// End with an error where a record says so.
    #[arg(long, value_name = "VERDICT")]
    pub(crate) fail_on: Option<FailOn>,
}

/// Keep the measured sections of the decision records in step with the results that they come from.
#[derive(Debug, Args)]
pub(crate) struct Adr {
    #[command(subcommand)]
    pub(crate) task: AdrTask,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdrTask {
    /// Write the verdicts and tables of a run into a record, and keep the run's results beside it.
    Update {
        /// The record, such as 0003.
        #[arg(value_name = "N")]
        number: String,

        /// The results of the run.
        #[arg(long, value_name = "PATH", default_value = "target/bench/results.json")]
        results: PathBuf,
    },
    /// Fail where a record's section is not what the results beside it say. Writes nothing.
    Check,
}

/// A verdict that somebody gates on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A candidate for which the record is to be revisited.
    Revisit,
}
