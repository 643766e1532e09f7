//! What every crate's manifest says, what a published crate brings, and that the one test command is the one told.

use cargo_metadata::Package;

use super::{File, Finding, hold, workspace_files};
use crate::workspace;

/// What README.md tells and `.ci/run` calls.
const TEST_COMMAND: &str = "cargo xtask test";

/// The one crate that cannot share the workspace's lints: they forbid what it is for.
const HAS_OWN_LINTS: &str = "alloc-count";

/// What crates.io shows of a crate, and what its users choose it by.
#[derive(Debug, Default)]
struct Shown {
    name: String,
    description: bool,
    license: bool,
    rust_version: bool,
    categories: bool,
    keywords: bool,
    /// That docs.rs shows what stands behind a feature, too.
    documents_all_features: bool,
}

fn not_presentable(crates: &[Shown], files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for each in crates {
        let manifest = format!("crates/{}/Cargo.toml", each.name);
        let is_there = |name: &str| {
            let path = format!("crates/{}/{name}", each.name);
            files.iter().any(|file| file.path == path)
        };
        for (has, what) in [
            (is_there("README.md"), "README.md beside it"),
            (is_there("LICENSE-APACHE"), "LICENSE-APACHE beside it"),
            (is_there("LICENSE-MIT"), "LICENSE-MIT beside it"),
            (each.description, "description"),
            (each.license, "license"),
            (each.rust_version, "rust-version"),
            (each.categories, "categories"),
            (each.keywords, "keywords, of which crates.io takes five"),
            (
                each.documents_all_features,
                "`all-features = true` for docs.rs",
            ),
        ] {
            if !has {
                findings.push(Finding {
                    path: manifest.clone(),
                    line: 0,
                    what: format!("has no {what}"),
                });
            }
        }
    }
    findings
}

fn own_lints(files: &[File]) -> Vec<Finding> {
    let members = files.iter().filter(|file| {
        file.path.ends_with("/Cargo.toml") && file.crate_name() != Some(HAS_OWN_LINTS)
    });
    let apart = members.filter(|file| {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        !lines
            .windows(2)
            .any(|pair| pair == ["[lints]", "workspace = true"])
    });
    apart
        .map(|file| file.finding(0, "does not share the lints"))
        .collect()
}

fn other_test_command(files: &[File]) -> Vec<Finding> {
    let has = |path: &str, tells: fn(&str) -> bool| {
        files
            .iter()
            .any(|file| file.path == path && file.text.lines().any(tells))
    };
    let told = has("README.md", |line| line.contains(TEST_COMMAND));
    let called = has(".ci/run", |line| line.trim() == TEST_COMMAND);
    let silent = [("README.md", told), (".ci/run", called)]
        .into_iter()
        .filter(|(_, says)| !says);
    silent
        .map(|(path, _)| File::new(path, "").finding(0, format!("does not say `{TEST_COMMAND}`")))
        .collect()
}

fn published() -> Vec<Shown> {
    let metadata = workspace::metadata().expect("the manifests can be read");
    let shown = |package: &Package| Shown {
        name: package.name.to_string(),
        description: package.description.is_some(),
        license: package.license.is_some(),
        rust_version: package.rust_version.is_some(),
        categories: !package.categories.is_empty(),
        keywords: (1..=5).contains(&package.keywords.len()),
        documents_all_features: package.metadata["docs"]["rs"]["all-features"] == true,
    };
    let packages = metadata.workspace_packages().into_iter();
    packages
        .filter(|package| workspace::is_published(package))
        .map(shown)
        .collect()
}

#[test]
fn published_crates_are_presentable() {
    hold(
        "a published crate has a README, a description, a licence and its texts, keywords, categories, a rust-version, and all its features on docs.rs",
        "write it, or say `publish = false`",
        &not_presentable(&published(), &workspace_files()),
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
fn there_is_one_test_command() {
    hold(
        "README.md tells the test command that `.ci/run` calls",
        "a check that only CI knows surprises everybody: make it a step of the command",
        &other_test_command(&workspace_files()),
    );
}

#[cfg(test)]
mod teeth {
    use super::*;

    #[test]
    fn a_crate_nobody_would_take() {
        let beside = ["README.md", "LICENSE-APACHE", "LICENSE-MIT"]
            .map(|name| File::new(&format!("crates/a/{name}"), "# a\n"));
        let bare = Shown {
            name: "a".to_owned(),
            ..Shown::default()
        };
        let dressed = Shown {
            description: true,
            license: true,
            rust_version: true,
            categories: true,
            keywords: true,
            documents_all_features: true,
            ..bare
        };
        assert!(not_presentable(&[dressed], &beside).is_empty());
        let bare = Shown {
            name: "a".to_owned(),
            ..Shown::default()
        };
        assert_eq!(not_presentable(&[bare], &[]).len(), 9);
    }

    #[test]
    fn a_crate_with_lints_of_its_own() {
        let file = |name: &str, text: &str| File::new(&format!("crates/{name}/Cargo.toml"), text);
        let files = [
            file("a", "[package]\n\n[lints.rust]\nworkspace = true\n"),
            file("b", "[package]\n\n[lints]\nworkspace = true\n"),
            file("alloc-count", "[package]\n"),
            File::new("Cargo.toml", "[workspace]\n"),
        ];
        let found = own_lints(&files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "crates/a/Cargo.toml");
    }

    #[test]
    fn a_readme_that_tells_another_command() {
        let readme = File::new("README.md", "Run `cargo test`.\n");
        let run = File::new(".ci/run", "cargo xtask test\n");
        assert_eq!(other_test_command(&[readme, run])[0].path, "README.md");
        assert_eq!(other_test_command(&[]).len(), 2);
    }
}
