//! `cargo xtask test`: every step, to the end, and what to type for those that failed.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::flags::Test;
use crate::plan;
use crate::progress::Progress;
use crate::step::{Outcome, Run, Step};
use crate::tools::Toolbox;
use crate::workspace::Workspace;

/// Says whether every step passed.
pub(crate) fn run(workspace: &Workspace, flags: &Test) -> Result<bool> {
    let run = match flags {
        _ if !flags.only.is_empty() => Run::Full,
        Test { quick: true, .. } => Run::Quick,
        Test { full: true, .. } => Run::Full,
        _ => Run::Default,
    };
    let selected = select(plan::steps(workspace), &flags.only)?;
    let (steps, left_out): (Vec<Step>, Vec<Step>) =
        selected.into_iter().partition(|step| step.run <= run);
    if flags.list {
        for step in &steps {
            println!("{}", step.name);
        }
        return Ok(true);
    }

    let mut progress = Progress::new(steps.len());
    let mut tools = Toolbox::default();
    let (mut failed, mut took) = (Vec::new(), Vec::new());
    for step in &steps {
        progress.start(&step.name);
        let outcome = attempt(step, workspace, &mut tools, &progress);
        let time = if outcome.passed {
            progress.passed()
        } else {
            failed.push(step);
            progress.failed(&outcome.output, &step.repeat())
        };
        took.push((&*step.name, time));
        if outcome.passed {
            for remark in remarks(&String::from_utf8_lossy(&outcome.output)) {
                progress.say(&format!("     {remark}"));
            }
        }
    }
    progress.end();

    println!("\ntook: {}", seconds(&took));
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
    let is_remark =
        |line: &&str| line.starts_with("not compared: ") || line.starts_with("not run: ");
    output.lines().filter(is_remark)
}

/// The steps called, or under, one of the names; all of them if there is no name.
pub(crate) fn select(mut steps: Vec<Step>, only: &[String]) -> Result<Vec<Step>> {
    let is_under = |step: &Step, name: &str| {
        let rest = step.name.strip_prefix(name.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for name in only {
        let known = steps.iter().any(|step| is_under(step, name));
        ensure!(
            known,
            "no step is called `{name}`: `cargo xtask test --full --list` names them"
        );
    }
    steps.retain(|step| only.is_empty() || only.iter().any(|name| is_under(step, name)));
    Ok(steps)
}

/// `fmt 1 s, check 40 s`: by the first part of the name, as they came.
fn seconds(took: &[(&str, Duration)]) -> String {
    let mut groups: Vec<(&str, Duration)> = Vec::new();
    for (name, took) in took {
        let group = name.split('/').next().unwrap_or_default();
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, sum)) => *sum += *took,
            None => groups.push((group, *took)),
        }
    }
    let each = groups
        .iter()
        .map(|(group, sum)| format!("{group} {:.0} s", sum.as_secs_f64()));
    each.collect::<Vec<_>>().join(", ")
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

    fn selected(only: &[&str]) -> Result<Vec<String>> {
        let steps = [
            "fmt",
            "check/map/all",
            "check/map/none",
            "check/map-extra/all",
        ];
        let steps = steps.map(|name| Step::cargo(name, ["--version"])).into();
        let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
        Ok(select(steps, &only)?
            .into_iter()
            .map(|step| step.name)
            .collect())
    }

    #[test]
    fn a_name_selects_what_stands_under_it_and_no_namesake() {
        assert_eq!(selected(&[]).unwrap().len(), 4);
        assert_eq!(selected(&["check"]).unwrap().len(), 3);
        assert_eq!(
            selected(&["check/map"]).unwrap(),
            ["check/map/all", "check/map/none"]
        );
        assert_eq!(
            selected(&["check/map/none", "fmt"]).unwrap(),
            ["fmt", "check/map/none"]
        );
        assert!(
            selected(&["chek"]).is_err(),
            "an unknown name is no empty run"
        );
    }

    #[test]
    fn the_last_lines_say_what_took_long_and_what_was_skipped() {
        assert_eq!(tally(12, 0, 0), "steps: 12 passed, 0 failed");
        assert_eq!(tally(3, 1, 9), "steps: 3 passed, 1 failed, 9 skipped");
        let took = [("a/b", 2), ("c", 1), ("a/d", 3)];
        let took = took.map(|(name, seconds)| (name, Duration::from_secs(seconds)));
        assert_eq!(seconds(&took), "a 5 s, c 1 s");
    }

    #[test]
    fn what_a_step_did_not_do_is_told() {
        let output = "   Compiling a\nnot compared: another processor\nit is not run: \n";
        assert!(remarks(output).eq(["not compared: another processor"]));
    }
}
