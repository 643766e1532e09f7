//! What every crate's manifest says.

use cargo_metadata::Package;

use super::{File, hold, workspace_files};
use crate::workspace;

/// The one crate that cannot share the workspace's lints, which forbid `unsafe`. It is for tests.
const HAS_OWN_LINTS: &str = "alloc-count";

/// What crates.io and docs.rs show of a crate, and what its users choose it by.
fn not_presentable(package: &Package, files: &[File]) -> Vec<String> {
    let manifest = format!("crates/{}/Cargo.toml", package.name);
    let is_beside = |name: &str| {
        let path = format!("crates/{}/{name}", package.name);
        files.iter().any(|file| file.path == path)
    };
    let wanted = [
        ("README.md beside it", is_beside("README.md")),
        ("LICENSE-APACHE beside it", is_beside("LICENSE-APACHE")),
        ("LICENSE-MIT beside it", is_beside("LICENSE-MIT")),
        ("description", package.description.is_some()),
        ("license", package.license.is_some()),
        ("rust-version", package.rust_version.is_some()),
        ("categories", !package.categories.is_empty()),
        (
            "keywords, of which five are the most",
            (1..=5).contains(&package.keywords.len()),
        ),
        (
            "`all-features = true` for docs.rs",
            package.metadata["docs"]["rs"]["all-features"] == true,
        ),
    ];
    let missing = wanted.into_iter().filter(|(_, there)| !there);
    let finding = |what| File::new(&manifest, "").finding(0, format!("has no {what}"));
    missing.map(|(what, _)| finding(what)).collect()
}

fn own_lints(files: &[File]) -> Vec<String> {
    let members = files.iter().filter(|file| {
        file.path.ends_with("/Cargo.toml") && file.crate_name() != Some(HAS_OWN_LINTS)
    });
    let apart = members.filter(|file| !file.text.contains("\n[lints]\nworkspace = true\n"));
    apart
        .map(|file| file.finding(0, "does not share the lints"))
        .collect()
}

#[test]
fn published_crates_are_presentable() {
    let metadata = workspace::metadata().expect("the manifests can be read");
    let packages = metadata.workspace_packages().into_iter();
    let published = packages.filter(|package| workspace::is_published(package));
    let files = workspace_files();
    hold(
        "a published crate has all that crates.io and docs.rs show of one",
        "write it, or say `publish = false`",
        &published
            .flat_map(|package| not_presentable(package, &files))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_crate_shares_the_lints() {
    hold(
        &format!("every manifest but {HAS_OWN_LINTS}'s says `[lints]`, `workspace = true`"),
        "add the two lines",
        &own_lints(&workspace_files()),
    );
}

#[test]
fn a_crate_that_nobody_would_take_is_found() {
    let metadata = workspace::metadata().expect("the manifests can be read");
    let packages = metadata.workspace_packages();
    let named = |name: &str| {
        *packages
            .iter()
            .find(|package| *package.name == name)
            .unwrap()
    };
    assert_eq!(
        not_presentable(named("xtask"), &[]).len(),
        6,
        "it is not for publication"
    );
    assert_eq!(
        not_presentable(named("affinity"), &[]).len(),
        3,
        "here its folder is empty"
    );
}

#[test]
fn a_crate_with_lints_of_its_own_is_found() {
    let file = |name: &str, text: &str| File::new(&format!("crates/{name}/Cargo.toml"), text);
    let files = [
        file("a", "[package]\n\n[lints.rust]\nworkspace = true\n"),
        file("b", "[package]\n\n[lints]\nworkspace = true\n"),
        file("alloc-count", "[package]\n"),
        File::new("Cargo.toml", "[workspace]\n"),
    ];
    assert_eq!(
        own_lints(&files),
        [files[0].finding(0, "does not share the lints")]
    );
}
