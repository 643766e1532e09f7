//! The workspace's tasks: `cargo xtask --help`.

#![forbid(unsafe_code)]

mod adr;
mod bench;
mod figures;
mod flags;
mod leash;
mod loom;
mod plan;
mod progress;
mod step;
mod test;
#[cfg(test)]
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::flags::{Flags, Task};
use crate::workspace::Workspace;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // In one line: a person has mistyped or lacks something, and a backtrace helps neither.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether everything asked for has passed.
fn run(flags: &Flags) -> anyhow::Result<bool> {
    let workspace = Workspace::load()?;
    match &flags.task {
        Task::Bench(flags) => bench::run(&workspace, flags),
        Task::Test(flags) => test::run(&workspace, flags),
        Task::Loom(flags) => loom::run(&workspace, flags),
        Task::Figures(flags) => figures::run(&workspace, flags),
        Task::Adr(flags) => adr::run(&workspace, flags),
    }
}
