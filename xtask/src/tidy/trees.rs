//! What a crate brings along: the whole tree that somebody gets who takes one crate, with one map.
//!
//! The rules of `floors` look at what a manifest names. These look at what comes with it.

use std::path::Path;
use std::process::Command;

use super::floors::{Floor, RUNTIMES_AND_IO, floor};
use super::{Finding, hold, root};
use crate::workspace::{Member, Workspace};

/// A feature that chooses a map, and the crate that comes with it.
const MAPS: [(&str, &str); 4] = [
    ("dashmap", "dashmap"),
    ("papaya", "papaya"),
    ("scc", "scc"),
    ("rwlock", "parking_lot"),
];

/// A crate, as it comes with one map.
#[derive(Debug)]
struct Taken<'a> {
    name: &'a str,
    feature: &'static str,
    /// The names in its tree.
    tree: Vec<String>,
}

fn unasked(taken: &Taken<'_>) -> Vec<Finding> {
    let has = |name: &str| taken.tree.iter().any(|found| found == name);
    let mut whats = Vec::new();
    for (feature, map) in MAPS {
        match (feature == taken.feature, has(map)) {
            (true, false) => whats.push(format!("lacks {map}")),
            (false, true) => whats.push(format!("brings {map}")),
            _ => {}
        }
    }
    if floor(taken.name) < Some(Floor::Third) {
        let runtimes = RUNTIMES_AND_IO.iter().filter(|name| has(name));
        whats.extend(runtimes.map(|name| format!("brings {name}")));
    }
    let finding = |what: String| Finding {
        path: format!("{} with {} only", taken.name, taken.feature),
        line: 0,
        what,
    };
    whats.into_iter().map(finding).collect()
}

/// What cargo would link into what is in `folder`: not all that a lock has, but what this machine would build.
pub(super) fn tree(folder: &Path, args: &[&str]) -> Vec<String> {
    let output = Command::new("cargo")
        .args(["tree", "--edges", "normal", "--prefix", "none"])
        .args(args)
        .current_dir(folder)
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// What comes to whoever depends on `member` with this feature alone.
fn take<'a>(member: &'a Member, feature: &'static str) -> Taken<'a> {
    let taken = [
        "--package",
        &member.name,
        "--no-default-features",
        "--features",
        feature,
    ];
    Taken {
        name: &member.name,
        feature,
        tree: tree(&root(), &taken),
    }
}

#[test]
fn one_map_comes_alone() {
    let workspace = Workspace::load().expect("the manifests can be read");
    let mut findings = Vec::new();
    for member in &workspace.members {
        for feature in member.backends() {
            findings.extend(unasked(&take(member, feature)));
        }
    }
    hold(
        "who takes a crate with one map gets no other map, and below floor three no runtime",
        "`cargo tree --package CRATE --no-default-features --features MAP --invert NAME` says who brings it",
        &findings,
    );
}

#[cfg(test)]
mod teeth {
    use super::*;

    fn whats(name: &str, feature: &'static str, tree: &[&str]) -> Vec<String> {
        let tree = tree.iter().map(|&name| name.to_owned()).collect();
        let findings = unasked(&Taken {
            name,
            feature,
            tree,
        });
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_second_map() {
        let tree = ["affinity", "state-map", "papaya", "scc"];
        assert_eq!(whats("affinity", "papaya", &tree), ["brings scc"]);
        assert!(whats("affinity", "papaya", &tree[..3]).is_empty());
    }

    #[test]
    fn a_feature_that_does_nothing() {
        assert_eq!(whats("affinity", "scc", &["affinity"]), ["lacks scc"]);
    }

    #[test]
    fn a_runtime_that_a_dependency_brings() {
        let tree = ["tokio", "papaya"];
        assert_eq!(whats("affinity", "papaya", &tree), ["brings tokio"]);
        assert!(whats("call-home", "papaya", &tree).is_empty());
    }
}
