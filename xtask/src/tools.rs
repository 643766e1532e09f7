//! What steps need beyond cargo itself: found, or installed and said so, or named with the command
//! that installs it.

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
    let is_there = || tool.probes().iter().any(|probe| succeeds(probe));
    if is_there() {
        return Ok(());
    }
    let install = tool.install();
    say(&format!("{tool:?} is missing, installing it: {install}"));
    if succeeds(&install) && is_there() {
        return Ok(());
    }
    Err(format!(
        "{tool:?} is missing and could not be installed; run: {install}"
    ))
}

impl Tool {
    /// Whether a step can do nothing without it. What misses a server, or valgrind, says itself
    /// that it was not run, and fails where `CI=true` is set.
    pub(crate) fn is_indispensable(self) -> bool {
        matches!(self, Tool::Clippy | Tool::Rustfmt)
    }

    /// It is there if one of these succeeds.
    fn probes(self) -> &'static [&'static str] {
        match self {
            Tool::Clippy => &["cargo clippy --version"],
            Tool::Rustfmt => &["cargo fmt --version"],
            Tool::RedisServer => &["redis-server --version", "valkey-server --version"],
            Tool::Valgrind => &["valgrind --version"],
        }
    }

    fn install(self) -> String {
        // What a package only recommends is not needed: valgrind's debugger counts nothing. And the
        // tests start their own servers: at this run level a package starts none.
        let sudo = if succeeds("test $(id -u) = 0") {
            ""
        } else {
            "sudo -n "
        };
        let apt = format!(
            "{sudo}apt-get update && {sudo}env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
             apt-get install --yes --no-install-recommends"
        );
        match self {
            Tool::Clippy => "rustup component add clippy".to_owned(),
            Tool::Rustfmt => "rustup component add rustfmt".to_owned(),
            Tool::RedisServer => format!("{apt} redis-server"),
            Tool::Valgrind => format!("{apt} valgrind"),
        }
    }
}

fn succeeds(line: &str) -> bool {
    let output = Command::new("sh").args(["-c", line]).output();
    output.is_ok_and(|output| output.status.success())
}
