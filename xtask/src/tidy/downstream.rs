//! What a crate of somebody else's, outside of this workspace, gets who takes one of ours.
//!
//! The rules of `trees` ask the workspace, whose members share one resolution. A crate by itself is resolved by itself, and
//! compiles against what is public.

use std::fs;
use std::path::{Path, PathBuf};
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
affinity = { path = "CRATES/affinity", default-features = false, features = ["papaya"] }
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

const OWN_MAP: &str = include_str!("../../../crates/stream-registry/examples/own_map.rs");

const OWN_MANIFEST: &str = r#"[package]
name = "own-map"
edition = "2024"

[workspace]

[dependencies]
state-map = { path = "CRATES/state-map", default-features = false }
stream-registry = { path = "CRATES/stream-registry", default-features = false }

[dev-dependencies]
state-map = { path = "CRATES/state-map", default-features = false, features = ["conformance"] }
stream-registry = { path = "CRATES/stream-registry", default-features = false, features = ["conformance"] }
"#;

/// What an application that asked for papaya has no use for.
const UNASKED: [&str; 5] = ["dashmap", "parking_lot", "redis", "scc", "tokio"];

/// A folder for a crate, among what is built.
fn outside(name: &str) -> PathBuf {
    let metadata = workspace::metadata().expect("the manifests can be read");
    metadata.target_directory.join(name).into_std_path_buf()
}

fn written(folder: &Path, manifest: &str, main: &str) {
    let crates = root().join("crates");
    // A path may have what TOML reads otherwise.
    let crates = crates.to_str().expect("a path in UTF-8").escape_default();
    let manifest = manifest.replace("CRATES", &crates.to_string());
    fs::create_dir_all(folder.join("src")).expect("the target folder can be written");
    fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    fs::write(folder.join("src/main.rs"), main).expect("a program");
    // The versions that are here already: nothing is fetched, and what is built is what is tested.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock");
}

/// What cargo says of the crate in a folder. It succeeds, or this fails.
fn cargo(command: &str, folder: &Path) -> String {
    let ran = Command::new("cargo")
        .args([command, "--offline", "--quiet", "--target-dir"])
        .arg(folder.join("target"))
        .current_dir(folder)
        .output()
        .expect("cargo can be started");
    assert!(
        ran.status.success(),
        "`cargo {command}` fails in a crate outside:\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[test]
fn a_crate_outside_takes_one_crate_with_one_map() {
    let folder = outside("downstream");
    written(&folder, MANIFEST, MAIN);
    cargo("run", &folder);

    let names = tree(&folder, &["--offline"]);
    assert!(names.iter().any(|name| name == "papaya"), "{names:?}");
    let unasked = unasked(&names);
    assert!(
        unasked.is_empty(),
        "whoever takes affinity with papaya gets {unasked:?}: `cargo tree --invert NAME` in {} says from whom",
        folder.display()
    );
}

#[test]
fn a_crate_outside_stands_on_a_map_of_its_own() {
    let folder = outside("own-map");
    written(&folder, OWN_MANIFEST, OWN_MAP);
    cargo("run", &folder);
    let tested = cargo("test", &folder);
    assert!(tested.contains("test result: ok. 9 passed"), "{tested}");
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
