//! What neither the compiler nor clippy checks: the rules of the house, each a function from files
//! or manifests to findings.
//!
//! A rule has two tests: one shows on a planted violation that it bites, the other holds the
//! workspace to it. What clippy can say, its files say: `clippy.toml` and the workspace's lints.

mod commands;
#[cfg(feature = "documents")]
mod documents;
mod downstream;
mod floors;
mod manifests;
mod seams;
mod sizes;

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the workspace that holds text.
#[derive(Debug)]
struct File {
    /// Relative to the root, with `/` on every system.
    path: String,
    text: String,
}

impl File {
    fn new(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The folder under `crates/` that the file is in.
    fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// A place that breaks a rule; line 0 where it is the file as a whole.
    fn finding(&self, line: usize, what: impl Display) -> String {
        match line {
            0 => format!("{}: {what}", self.path),
            line => format!("{}:{line}: {what}", self.path),
        }
    }
}

/// Fails with every finding, the rule and the way out of it.
#[track_caller]
fn hold(rule: &str, way_out: &str, findings: &[String]) {
    let found = findings.join("\n  ");
    assert!(
        findings.is_empty(),
        "\nthe rule: {rule}\n  {found}\nthe way out: {way_out}\n"
    );
}

/// The places that a rule found, for comparison in its tests.
fn places(findings: &[String]) -> Vec<&str> {
    findings
        .iter()
        .filter_map(|finding| finding.split(": ").next())
        .collect()
}

fn root() -> PathBuf {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir
        .parent()
        .expect("xtask is a folder of the workspace")
        .to_owned()
}

/// Every file with text, whether git knows it or not: a rule is to be heard before the commit.
fn workspace_files() -> Vec<File> {
    let root = root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace can be read") {
            let path = entry.expect("an entry of a folder can be read").path();
            if path.is_dir() {
                let skipped = [".git", "target"].iter().any(|name| path.ends_with(name));
                folders.extend((!skipped).then_some(path));
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path
                    .strip_prefix(&root)
                    .expect("the walk starts at the root");
                files.push(File::new(
                    &relative.to_string_lossy().replace('\\', "/"),
                    &text,
                ));
            }
        }
    }
    assert!(
        files.iter().any(|file| file.path == "xtask/src/tidy.rs"),
        "this one is missing"
    );
    files
}
