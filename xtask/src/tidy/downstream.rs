//! What somebody else gets who takes one of our crates, with one map or with none.
//!
//! The rules of `floors` look at what a manifest names. These look at what comes with it, outside
//! of this workspace, whose members share one resolution: a crate by itself is resolved by itself,
//! and compiles against what is public.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::floors::{Floor, floor};
use super::{hold, root};
use crate::workspace::{self, Workspace};

const MANIFEST: &str = r#"[package]
name = "downstream"
edition = "2024"

# Its own: the folder that it is built in may lie inside of ours.
[workspace]

[dependencies]
NAME = { path = "PATH", default-features = false, features = [FEATURES] }

# As in ours, so that what both need is built once.
[profile.dev]
debug = 0
"#;

const MAIN: &str = r#"use affinity::{BindingKind, MemoryStore, MemoryStoreConfig, SessionRef};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new(MemoryStoreConfig::default())?;
    let session = SessionRef::new("chat-17").tenant("acme");
    let written = store.claim(session, 7.into(), BindingKind::RouterOnly)?;
    assert!(written.applied);
    let pinned = store.get(session)?.expect("a pin");
    assert_eq!(pinned.worker, 7.into());
    Ok(())
}
"#;

/// A feature that chooses a map, and the crate that comes with it.
const MAPS: [(&str, &str); 4] = [
    ("dashmap", "dashmap"),
    ("papaya", "papaya"),
    ("scc", "scc"),
    ("rwlock", "parking_lot"),
];

/// Runtimes and doors to the world: only the third floor does I/O, or needs a runtime to be there.
const RUNTIMES_AND_IO: &str = "async-io async-std compio fred h2 hyper mio monoio quinn redis \
                               reqwest smol socket2 tokio tonic ureq";

/// A crate that takes `name`, with `feature` if there is one.
struct Downstream {
    folder: PathBuf,
    target: PathBuf,
}

impl Downstream {
    fn new(name: &str, feature: &str) -> Downstream {
        let target = workspace::metadata()
            .expect("the manifests can be read")
            .target_directory;
        let folder = target.join("downstream").join(format!("{name}-{feature}"));
        // A path may have what TOML reads otherwise.
        let path = root().join("crates").join(name);
        let path = path
            .to_str()
            .expect("a path in UTF-8")
            .escape_default()
            .to_string();
        let features = if feature.is_empty() {
            String::new()
        } else {
            format!("{feature:?}")
        };
        let manifest = MANIFEST.replace("NAME", name).replace("PATH", &path);
        let write = |file: &str, text: &str| {
            fs::create_dir_all(folder.join("src")).expect("the target folder can be written");
            fs::write(folder.join(file), text).expect("a file can be written");
        };
        write("Cargo.toml", &manifest.replace("FEATURES", &features));
        write("src/main.rs", MAIN);
        // The versions that are here: nothing is fetched, and what is built is what is tested.
        let lock = fs::read_to_string(root().join("Cargo.lock")).expect("there is a lock");
        write("Cargo.lock", &lock);
        Downstream {
            folder: folder.into(),
            target: target.into(),
        }
    }

    fn cargo(&self, args: &[&str]) -> String {
        let target: [&Path; 2] = ["--target-dir".as_ref(), &self.target];
        let output = Command::new("cargo")
            .args(args)
            .args(["--offline", "--quiet"])
            .args(target.iter().filter(|_| args == ["run"]))
            .current_dir(&self.folder)
            .output()
            .expect("cargo can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{args:?} in {:?}:\n{errors}",
            self.folder
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What cargo would link here: not all that a lock has.
    fn tree(&self) -> Vec<String> {
        let tree = self.cargo(&["tree", "--edges", "normal", "--prefix", "none"]);
        tree.lines()
            .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
            .collect()
    }
}

/// What is wrong with the tree of whoever takes this crate with this map, or with none.
fn unasked(name: &str, feature: &str, tree: &[String]) -> Vec<String> {
    let has = |name: &str| tree.iter().any(|found| found == name);
    let mut whats = Vec::new();
    for (asked, map) in MAPS {
        match (asked == feature, has(map)) {
            (true, false) => whats.push(format!("lacks {map}")),
            (false, true) => whats.push(format!("brings {map}")),
            _ => {}
        }
    }
    if floor(name) < Some(Floor::Third) {
        let runtimes = RUNTIMES_AND_IO.split(' ').filter(|name| has(name));
        whats.extend(runtimes.map(|name| format!("brings {name}")));
    }
    let found = whats
        .iter()
        .map(|what| format!("{name} with `{feature}` {what}"));
    found.collect()
}

#[test]
fn one_map_comes_alone() {
    let workspace = Workspace::load().expect("the manifests can be read");
    let mut findings = Vec::new();
    for member in workspace
        .members
        .iter()
        .filter(|member| member.is_published)
    {
        for feature in member.backends().chain([""]) {
            let tree = Downstream::new(&member.name, feature).tree();
            findings.extend(unasked(&member.name, feature, &tree));
        }
    }
    hold(
        "who takes a crate with one map gets no other map, and below floor three no runtime",
        "`cargo tree --invert NAME` in target/downstream/CRATE-MAP says who brings it",
        &findings,
    );
}

#[test]
fn a_crate_outside_builds_and_runs() {
    Downstream::new("affinity", "papaya").cargo(&["run"]);
}

#[test]
fn what_nobody_asked_for_is_found() {
    let found = |name, feature, tree: &[&str]| {
        let tree: Vec<String> = tree.iter().map(|&name| name.to_owned()).collect();
        unasked(name, feature, &tree).join(", ")
    };
    for (feature, tree, what) in [
        (
            "papaya",
            ["papaya", "scc"],
            "affinity with `papaya` brings scc",
        ),
        (
            "papaya",
            ["papaya", "tokio"],
            "affinity with `papaya` brings tokio",
        ),
        (
            "scc",
            ["affinity", "state-map"],
            "affinity with `scc` lacks scc",
        ),
        (
            "",
            ["state-map", "papaya"],
            "affinity with `` brings papaya",
        ),
        ("papaya", ["state-map", "papaya"], ""),
    ] {
        assert_eq!(found("affinity", feature, &tree), what);
    }
    assert_eq!(found("call-home", "papaya", &["papaya", "tokio"]), "");
}
