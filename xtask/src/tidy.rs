//! What no compiler checks: the rules of the house, each a function from files or manifests to findings.
//!
//! A rule has two tests: one shows on a planted violation that it fires, the other holds the workspace to it.

mod code;
mod commands;
#[cfg(feature = "documents")]
mod documents;
mod downstream;
mod floors;
mod manifests;
mod source;
mod text;
mod trees;

use std::fmt::{self, Write};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the workspace that holds text.
#[derive(Debug)]
struct File {
    /// Relative to the root, with `/` on every system.
    path: String,
    text: String,
}

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// 0 where the finding is about the file as a whole.
    line: usize,
    what: String,
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

    /// Test code as a whole; a test module inside of a file is not told here.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            what: what.into(),
        }
    }

    /// One finding for each line of `text`, which has the lines of this file, that `breaks` the rule.
    fn findings(&self, text: &str, what: &str, breaks: impl Fn(&str) -> bool) -> Vec<Finding> {
        let broken = text.lines().enumerate().filter(|(_, line)| breaks(line));
        broken
            .map(|(index, _)| self.finding(index + 1, what))
            .collect()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Fails with every finding, the rule and the way out of it.
#[track_caller]
fn hold(rule: &str, way_out: &str, findings: &[Finding]) {
    let mut message = format!("\nthe rule: {rule}\n");
    for finding in findings {
        writeln!(message, "  {finding}").expect("a string takes everything");
    }
    assert!(findings.is_empty(), "{message}the way out: {way_out}\n");
}

/// The places a rule found, for comparison in its tests.
fn places(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| format!("{}:{}", finding.path, finding.line))
        .collect()
}

fn root() -> PathBuf {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir
        .parent()
        .expect("xtask is a folder of the workspace")
        .to_owned()
}

/// Every file that is, or would be, under version control.
fn workspace_files() -> Vec<File> {
    let root = root();
    let paths = listed_by_git(&root).unwrap_or_else(|| walk(&root));
    let files: Vec<File> = paths.iter().filter_map(|path| read(&root, path)).collect();
    assert!(
        files.iter().any(|file| file.path == "xtask/src/tidy.rs"),
        "the list of files lacks this one"
    );
    files
}

/// Nothing for what is no text, and for what git still lists but is gone.
fn read(root: &Path, path: &str) -> Option<File> {
    Some(File {
        path: path.to_owned(),
        text: fs::read_to_string(root.join(path)).ok()?,
    })
}

/// Files not added yet are in the list: a rule is to be heard before the commit, not after.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let args = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let output = Command::new("git")
        .args(args)
        .current_dir(root)
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let list = String::from_utf8(output.stdout).ok()?;
    // Unpacked inside of somebody else's repository, git may know nothing of these files.
    let paths: Vec<String> = list.split_terminator('\0').map(str::to_owned).collect();
    if paths.is_empty() { None } else { Some(paths) }
}

/// The list where there is no git, as in an unpacked archive.
fn walk(root: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace can be read") {
            let path = entry.expect("an entry of a folder can be read").path();
            if path.is_dir() {
                let skipped = [".git", "target"].iter().any(|name| path.ends_with(name));
                folders.extend((!skipped).then_some(path));
            } else {
                let relative = path
                    .strip_prefix(root)
                    .expect("the walk starts at the root");
                paths.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    paths
}

#[test]
fn the_list_is_the_same_without_git() {
    let Some(mut listed) = listed_by_git(&root()) else {
        return;
    };
    let walked = walk(&root());
    listed.retain(|path| path.ends_with(".rs") && root().join(path).exists());
    let missing: Vec<&String> = listed
        .iter()
        .filter(|path| !walked.contains(path))
        .collect();
    assert!(missing.is_empty(), "only git lists {missing:?}");
}
