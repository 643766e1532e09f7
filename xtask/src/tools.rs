//! What steps need beyond cargo itself: found, or installed and said so, or named with the command that installs it.

use std::collections::BTreeMap;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Clippy,
    Rustfmt,
}

/// Remembers what has been looked for, so that a hundred steps ask once.
#[derive(Debug, Default)]
pub(crate) struct Toolbox {
    looked_for: BTreeMap<Tool, Result<(), String>>,
}

impl Toolbox {
    /// Finds `tool` or installs it; `say` is told of an installation.
    ///
    /// The error is for a person: it holds the one command to run.
    pub(crate) fn require(&mut self, tool: Tool, say: impl FnOnce(&str)) -> Result<(), String> {
        self.looked_for
            .entry(tool)
            .or_insert_with(|| find_or_install(tool, say))
            .clone()
    }
}

fn find_or_install(tool: Tool, say: impl FnOnce(&str)) -> Result<(), String> {
    let (probe, install) = match tool {
        Tool::Clippy => (
            ["cargo", "clippy", "--version"],
            ["rustup", "component", "add", "clippy"],
        ),
        Tool::Rustfmt => (
            ["cargo", "fmt", "--version"],
            ["rustup", "component", "add", "rustfmt"],
        ),
    };
    if succeeds(&probe) {
        return Ok(());
    }
    let install_line = install.join(" ");
    say(&format!(
        "{tool:?} is missing, installing it: {install_line}"
    ));
    if succeeds(&install) && succeeds(&probe) {
        return Ok(());
    }
    Err(format!(
        "{tool:?} is missing and could not be installed; run: {install_line}"
    ))
}

fn succeeds(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .output()
        .is_ok_and(|output| output.status.success())
}
