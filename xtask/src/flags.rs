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

/// Count what the hot paths cost on every map, and fail where a figure is not as in `benches/baseline.json`.
///
/// Instructions may move by 2 %, bytes by 1 %, allocations by 0.2 %, which ids at random take. On another toolchain or
/// processor than the baseline's nothing is compared, and it says so.
#[derive(Debug, Args)]
pub(crate) struct Figures {
    /// Write what was counted as the new baseline.
    #[arg(long)]
    pub(crate) bless: bool,
}

/// Compare the map backends on the workloads of the crates, and answer each decision record.
///
/// A verdict is printed as soon as it is settled, which more measuring would not change; a record takes 90 s at most. Writes
/// `results.json`, `verdict.md` and `report.html`.
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

    /// Every scenario, each of which varies one factor; and count bytes, allocations and instructions.
    #[arg(long)]
    pub(crate) full: bool,

    /// Seeds the order of the arms, their tokens and the order of the builds; 1 if it is left away.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Go on with what a run left in the output folder: one that was interrupted, or whose answers are open.
    #[arg(long)]
    pub(crate) resume: bool,

    /// The cores to pin threads to, such as 0,1. By default all; or, where cache lines travel much farther between some, a
    /// near pair and a far one in turn.
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    pub(crate) cores: Vec<u32>,

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
    /// Fail where a record's section is not what the results file that it names says. Writes nothing.
    Check,
}

/// A verdict that somebody gates on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A candidate for which the record is to be revisited.
    Revisit,
}
