//! `cargo xtask loom`: the loom models, with their output as it comes, for work on one of them.

use anyhow::{Context, Result, bail};

use crate::flags::Loom;
use crate::plan;
use crate::workspace::Workspace;

/// Says whether every model passed.
pub(crate) fn run(workspace: &Workspace, flags: &Loom) -> Result<bool> {
    let with_models = workspace
        .members
        .iter()
        .filter(|member| !member.loom_tests.is_empty());
    let chosen: Vec<_> = with_models
        .clone()
        .filter(|member| {
            flags
                .package
                .as_ref()
                .is_none_or(|package| *package == member.name)
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = with_models.map(|member| member.name.as_str()).collect();
        bail!(
            "no loom models there; the crates that have some: [{}]",
            names.join(", ")
        );
    }

    let mut passed = true;
    for member in chosen {
        for step in plan::loom(member, &workspace.loom_target_dir) {
            let step = step.test_args(&flags.filter);
            println!("{}", step.repeat());
            passed &= step
                .command(&workspace.root)
                .status()
                .context("cannot start cargo")?
                .success();
        }
    }
    Ok(passed)
}
