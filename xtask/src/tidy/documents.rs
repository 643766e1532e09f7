//! That what the documents tell people to type works: every command of a `console` block is run. It
//! takes minutes, and is a step of its own.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use wait_timeout::ChildExt;

use super::commands::{blocks, documents};
use super::{root, workspace_files};
use crate::leash::Leash;

/// For one block, compilation included.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What is run for a command: itself, but for the two that take long and the one that wants a
/// benchmark's results. A benchmark is tried without timing, all of it once; of its flags, all but
/// the scenarios change only what is timed and how.
fn run_for(command: &str) -> String {
    let command = command.split(" #").next().unwrap_or_default().trim_end();
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["cargo", "xtask", "bench", ref flags @ ..] => {
            let has = |flag| flags.contains(&flag);
            let instead = if has("--list") || has("--test") {
                ""
            } else if flags.is_empty() || has("--scenario") {
                " --test"
            } else {
                " --list"
            };
            format!("{command}{instead}")
        }
        ["cargo", "xtask", "test", ..] => format!("{command} --list"),
        ["cargo", "xtask", "adr", "update", number] => {
            format!("{command} --results adr/{number}-results.json")
        }
        _ => command.to_owned(),
    }
}

/// A block is one shell, as it would be to whoever types it: where it has gone, it stays.
#[test]
fn documents_say_what_works() {
    let files = workspace_files();
    let scripts: BTreeSet<String> = documents(&files)
        .flat_map(blocks)
        .map(|block| {
            let lines = block.iter().map(|(_, command)| run_for(command));
            lines.collect::<Vec<_>>().join("\n")
        })
        .collect();
    let fails = |script: &&String| {
        println!("{script}");
        let begun = Instant::now();
        let leash = Leash::new().expect("there is a shell");
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(root());
        let mut ran = leash.spawn(&mut shell).expect("there is a bash");
        let status = ran
            .wait_timeout(PATIENCE)
            .expect("a child can be waited for");
        println!("took {} s", begun.elapsed().as_secs());
        !status.is_some_and(|status| status.success())
    };
    let failed: Vec<_> = scripts.iter().filter(fails).collect();
    assert!(failed.is_empty(), "these do not work: {failed:#?}");
}

#[test]
fn what_takes_long_is_run_for_what_it_does_first() {
    for (command, run) in [
        (
            "cargo xtask bench --adr 0003   # other keys",
            "cargo xtask bench --adr 0003 --list",
        ),
        (
            "cargo xtask bench --scenario aa",
            "cargo xtask bench --scenario aa --test",
        ),
        ("cargo xtask bench", "cargo xtask bench --test"),
        ("cargo xtask bench --list", "cargo xtask bench --list"),
        ("cargo xtask test", "cargo xtask test --list"),
        (
            "cargo xtask adr update 0003",
            "cargo xtask adr update 0003 --results adr/0003-results.json",
        ),
        ("grep -n a b | head", "grep -n a b | head"),
    ] {
        assert_eq!(run_for(command), run);
    }
}
