//! What a crate of somebody else's, outside of this workspace, gets who takes one of ours.
//!
//! The rules of `trees` ask the workspace, whose members share one resolution. A crate by itself is resolved by itself, and
//! compiles against what is public.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::root;
use super::trees::tree;
use crate::workspace;

const MANIFEST: &str = r#"[package]
name = "downstream"
edition = "2024"

# Its own: the folder that it is built in may lie inside of ours.
[workspace]

[dependencies]
affinity = { path = "AFFINITY", default-features = false, features = ["papaya"] }
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

/// What an application that asked for papaya has no use for.
const UNASKED: [&str; 5] = ["dashmap", "parking_lot", "redis", "scc", "tokio"];

fn written(folder: &Path) {
    let affinity = root().join("crates/affinity");
    // A path may have what TOML reads otherwise.
    let affinity = affinity.to_str().expect("a path in UTF-8").escape_default();
    let manifest = MANIFEST.replace("AFFINITY", &affinity.to_string());
    fs::create_dir_all(folder.join("src")).expect("the target folder can be written");
    fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    fs::write(folder.join("src/main.rs"), MAIN).expect("a program");
    // The versions that are here already: nothing is fetched, and what is built is what is tested.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock");
}

#[test]
fn a_crate_outside_takes_one_crate_with_one_map() {
    let target = workspace::metadata()
        .expect("the manifests can be read")
        .target_directory;
    let folder = target.join("downstream");
    written(folder.as_std_path());

    let ran = Command::new("cargo")
        .args(["run", "--offline", "--quiet", "--target-dir"])
        .arg(folder.join("target"))
        .current_dir(&folder)
        .output()
        .expect("cargo can be started");
    assert!(
        ran.status.success(),
        "it does not build, or does not run:\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );

    let names = tree(folder.as_std_path(), &["--offline"]);
    assert!(names.iter().any(|name| name == "papaya"), "{names:?}");
    let unasked = unasked(&names);
    assert!(
        unasked.is_empty(),
        "whoever takes affinity with papaya gets {unasked:?}: `cargo tree --invert NAME` in {folder} says from whom"
    );
}

fn unasked(names: &[String]) -> Vec<&String> {
    let unasked = |name: &&String| UNASKED.contains(&name.as_str());
    names.iter().filter(unasked).collect()
}

#[test]
fn a_second_map_and_a_runtime_are_seen() {
    let names = ["affinity", "papaya", "scc", "tokio"].map(str::to_owned);
    assert_eq!(unasked(&names), ["scc", "tokio"]);
}
