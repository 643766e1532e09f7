//! `cargo xtask test`: every step, to the end, and what to type for those that failed.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::flags::Test;
use crate::plan;
use crate::progress::Progress;
use crate::step::{Outcome, Step};
use crate::tools::Toolbox;
use crate::workspace::Workspace;

/// Says whether every step passed.
pub(crate) fn run(workspace: &Workspace, flags: &Test) -> Result<bool> {
    let selected = select(plan::steps(workspace), &flags.only)?;
    let (left_out, steps): (Vec<Step>, Vec<Step>) = selected
        .into_iter()
        .partition(|step| flags.quick && step.slow);
    if flags.list {
        for step in &steps {
            println!("{}", step.name);
        }
        return Ok(true);
    }

    let mut progress = Progress::new(steps.len());
    let mut tools = Toolbox::default();
    let mut failed = Vec::new();
    for step in &steps {
        progress.start(&step.name);
        let outcome = attempt(step, workspace, &mut tools, &progress);
        if outcome.passed {
            progress.passed();
            for remark in remarks(&String::from_utf8_lossy(&outcome.output)) {
                progress.say(&format!("     {remark}"));
            }
        } else {
            progress.failed(&outcome.output, &step.repeat());
            failed.push(step);
        }
    }
    progress.end();

    println!();
    if !left_out.is_empty() {
        println!("left out by --quick: {}", groups(&left_out));
    }
    for step in &failed {
        println!("failed: {}\n        {}", step.name, step.repeat());
    }
    println!(
        "{}",
        tally(steps.len() - failed.len(), failed.len(), left_out.len())
    );
    Ok(failed.is_empty())
}

/// Runs the step; what keeps it from starting is its failure, and not the end of the run.
fn attempt(
    step: &Step,
    workspace: &Workspace,
    tools: &mut Toolbox,
    progress: &Progress,
) -> Outcome {
    let failure = |message: String| Outcome {
        passed: false,
        output: message.into_bytes(),
    };
    if let Some(tool) = step.tool
        && let Err(message) = tools.require(tool, |line| progress.say(line))
    {
        if tool.is_indispensable() {
            return failure(message);
        }
        progress.say(&format!("{message}; what needs it is not run"));
    }
    step.run(&workspace.root, |line| progress.activity(line))
        .unwrap_or_else(|error| failure(format!("{error:#}")))
}

/// What a step that passed did not do: green, it would be taken for done.
fn remarks(output: &str) -> impl Iterator<Item = &str> {
    let is_remark = |line: &&str| {
        ["not compared: ", "not run: "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    output.lines().filter(is_remark)
}

/// The steps called, or under, one of the names; all of them if there is no name.
pub(crate) fn select(steps: Vec<Step>, only: &[String]) -> Result<Vec<Step>> {
    let is_under = |step: &Step, name: &str| {
        let rest = step.name.strip_prefix(name.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for name in only {
        let known = steps.iter().any(|step| is_under(step, name));
        ensure!(
            known,
            "no step is called `{name}`: `cargo xtask test --list` names them"
        );
    }
    Ok(steps
        .into_iter()
        .filter(|step| only.is_empty() || only.iter().any(|name| is_under(step, name)))
        .collect())
}

/// `doc (1), features (12)`: dozens of names would hide what was run.
fn groups(steps: &[Step]) -> String {
    let mut groups = BTreeMap::<&str, usize>::new();
    for step in steps {
        let group = step.name.split('/').next().unwrap_or_default();
        *groups.entry(group).or_default() += 1;
    }
    groups
        .iter()
        .map(|(group, count)| format!("{group} ({count})"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The last line, whose form machines read.
fn tally(passed: usize, failed: usize, skipped: usize) -> String {
    let skipped = if skipped == 0 {
        String::new()
    } else {
        format!(", {skipped} skipped")
    };
    format!("steps: {passed} passed, {failed} failed{skipped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Vec<Step> {
        [
            "fmt",
            "clippy/state-map/all",
            "clippy/state-map/none",
            "clippy/state-map-extra/all",
        ]
        .map(|name| Step::cargo(name, ["--version"]))
        .into()
    }

    fn selected(only: &[&str]) -> Vec<String> {
        let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
        select(steps(), &only)
            .unwrap()
            .into_iter()
            .map(|step| step.name)
            .collect()
    }

    #[test]
    fn a_name_selects_what_stands_under_it_and_no_namesake() {
        assert_eq!(selected(&[]).len(), 4);
        assert_eq!(selected(&["clippy"]).len(), 3);
        assert_eq!(
            selected(&["clippy/state-map"]),
            ["clippy/state-map/all", "clippy/state-map/none"]
        );
        assert_eq!(
            selected(&["clippy/state-map/none", "fmt"]),
            ["fmt", "clippy/state-map/none"]
        );
    }

    #[test]
    fn an_unknown_name_is_an_error_and_not_an_empty_run() {
        assert!(select(steps(), &["clipy".to_owned()]).is_err());
    }

    #[test]
    fn the_last_line_names_skipped_steps_only_if_there_are_some() {
        assert_eq!(tally(12, 0, 0), "steps: 12 passed, 0 failed");
        assert_eq!(tally(3, 1, 9), "steps: 3 passed, 1 failed, 9 skipped");
    }

    #[test]
    fn what_a_step_did_not_do_is_told() {
        let output = "   Compiling a\nnot compared: another processor\nit is not run: \n";
        assert!(remarks(output).eq(["not compared: another processor"]));
    }

    #[test]
    fn what_was_left_out_is_told_by_group() {
        assert_eq!(groups(&steps()), "clippy (3), fmt (1)");
    }
}
