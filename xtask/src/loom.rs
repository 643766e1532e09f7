//! `cargo xtask loom`: the loom models, with their output as it comes, for work on one of them.

use anyhow::{Result, ensure};

use crate::flags::Loom;
use crate::plan;
use crate::workspace::Workspace;

/// Says whether every model passed.
pub(crate) fn run(workspace: &Workspace, flags: &Loom) -> Result<bool> {
    let asked = flags.package.as_ref();
    let chosen = workspace
        .members
        .iter()
        .filter(|one| asked.is_none_or(|name| *name == one.name));
    let steps = plan::loom(chosen, &workspace.loom_target_dir);
    ensure!(
        !steps.is_empty(),
        "no crate of that name has a `tests/loom*.rs`"
    );

    let mut passed = true;
    for step in steps {
        let step = step.test_args(&flags.filter);
        println!("{}", step.repeat());
        passed &= step.show(&workspace.root)?;
    }
    Ok(passed)
}
