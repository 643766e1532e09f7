//! What steps need beyond cargo itself: found, or installed and said so, or named with the command that installs it.

use std::collections::BTreeMap;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Clippy,
    Rustfmt,
    /// Redis or Valkey. From Debian's packages, where they are.
    RedisServer,
    /// What counts instructions.
    Valgrind,
}

impl Tool {
    /// Whether a step can do nothing without it. What misses a server, or valgrind, says itself that it was not run, and fails
    /// where `CI=true` is set.
    pub(crate) fn is_indispensable(self) -> bool {
        matches!(self, Tool::Clippy | Tool::Rustfmt)
    }
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
    let probes = tool.probes();
    let is_there = || probes.iter().any(|probe| succeeds(probe));
    if is_there() {
        return Ok(());
    }
    let commands = tool.install();
    let lines: Vec<String> = commands.iter().map(|command| command.join(" ")).collect();
    let install_line = lines.join(" && ");
    say(&format!(
        "{tool:?} is missing, installing it: {install_line}"
    ));
    if commands.iter().all(|command| succeeds(command)) && is_there() {
        return Ok(());
    }
    Err(format!(
        "{tool:?} is missing and could not be installed; run: {install_line}"
    ))
}

impl Tool {
    /// It is there if one of these succeeds.
    fn probes(self) -> &'static [&'static [&'static str]] {
        match self {
            Tool::Clippy => &[&["cargo", "clippy", "--version"]],
            Tool::Rustfmt => &[&["cargo", "fmt", "--version"]],
            Tool::RedisServer => &[
                &["redis-server", "--version"],
                &["valkey-server", "--version"],
            ],
            Tool::Valgrind => &[&["valgrind", "--version"]],
        }
    }

    /// One after the other.
    fn install(self) -> &'static [&'static [&'static str]] {
        match self {
            Tool::Clippy => &[&["rustup", "component", "add", "clippy"]],
            Tool::Rustfmt => &[&["rustup", "component", "add", "rustfmt"]],
            // The tests start their own: at this run level the package starts none.
            Tool::RedisServer => &[
                &["apt-get", "update"],
                &[
                    "env",
                    "DEBIAN_FRONTEND=noninteractive",
                    "RUNLEVEL=1",
                    "apt-get",
                    "install",
                    "--yes",
                    "--no-install-recommends",
                    "redis-server",
                ],
            ],
            // Its debugger, which it only recommends, counts nothing.
            Tool::Valgrind => &[
                &["apt-get", "update"],
                &[
                    "env",
                    "DEBIAN_FRONTEND=noninteractive",
                    "apt-get",
                    "install",
                    "--yes",
                    "--no-install-recommends",
                    "valgrind",
                ],
            ],
        }
    }
}

fn succeeds(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .output()
        .is_ok_and(|output| output.status.success())
}
