//! What the tasks know of the workspace. All of it is read from the manifests, so that a new crate,
//! feature or loom model needs no change here.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The features that each choose one map backend; a crate has all of them or none.
const BACKENDS: [&str; 4] = ["dashmap", "papaya", "scc", "rwlock"];

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Other `RUSTFLAGS` in the usual directory would rebuild everything, back and forth.
    pub(crate) loom_target_dir: String,
    /// And so would their binaries with fixed seeds.
    pub(crate) counted_target_dir: String,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// All features but `default`.
    pub(crate) features: Vec<String>,
    /// What `default` turns on.
    pub(crate) default: Vec<String>,
    pub(crate) loom_tests: Vec<LoomTest>,
    /// Whether a registry may have it.
    pub(crate) is_published: bool,
}

#[derive(Debug, Default)]
pub(crate) struct LoomTest {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

impl Workspace {
    pub(crate) fn load() -> Result<Workspace> {
        let metadata = metadata()?;
        // Relative, if it can be: the line that repeats a step is to be read and shared.
        let own_target_dir = |name| {
            let folder = metadata.target_directory.join(name);
            let relative = folder.strip_prefix(&metadata.workspace_root);
            relative.unwrap_or(&folder).to_string()
        };

        let mut members: Vec<Member> = metadata
            .workspace_packages()
            .into_iter()
            .map(Member::new)
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Workspace {
            loom_target_dir: own_target_dir("loom"),
            counted_target_dir: own_target_dir("counted"),
            root: metadata.workspace_root.into_std_path_buf(),
            members,
        })
    }
}

impl Member {
    fn new(package: &Package) -> Member {
        let loom_tests = package
            .targets
            .iter()
            .filter(|target| target.is_test() && target.name.starts_with("loom"));
        Member {
            name: package.name.to_string(),
            features: package
                .features
                .keys()
                .filter(|name| *name != "default")
                .cloned()
                .collect(),
            default: package.features.get("default").cloned().unwrap_or_default(),
            loom_tests: loom_tests
                .map(|target| LoomTest {
                    name: target.name.clone(),
                    features: target.required_features.clone(),
                })
                .collect(),
            is_published: is_published(package),
        }
    }

    pub(crate) fn backends(&self) -> impl Iterator<Item = &'static str> {
        let has = |backend: &&str| self.features.iter().any(|name| name == backend);
        BACKENDS.into_iter().filter(has)
    }
}

/// Whether no `publish = false` keeps it from registries.
pub(crate) fn is_published(package: &Package) -> bool {
    let registries = package.publish.as_ref();
    registries.is_none_or(|registries| !registries.is_empty())
}

/// The members and what they declare, without resolving what they depend on: needs no network.
pub(crate) fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cannot read the workspace's manifests")
}
