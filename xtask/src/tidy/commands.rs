//! That what the documents tell people to type can be typed.
//!
//! A command is parsed by what would parse it, and what it names must exist: the flags, the crate, the test, the example,
//! the feature, the step, the record. That it works is seen by running it, in a step of its own: `documents`.

use clap::Parser;

use super::{File, Finding, hold, root, workspace_files};
use crate::flags::{Flags, Task};
use crate::workspace::{self, Workspace};
use crate::{plan, test};

/// Words that begin a line of plain shell: what looks into the sources of dependencies, in a record of what was seen there, and
/// what stops a server that ran beside.
const SHELL: [&str; 4] = ["cd", "for", "grep", "kill"];

/// Flags of cargo's without a value that documents may use.
const BARE: [&str; 7] = [
    "--all-features",
    "--doc",
    "--lib",
    "--no-default-features",
    "--no-deps",
    "--release",
    "--workspace",
];

/// A package that documents may name, and what is in it.
#[derive(Debug, Default)]
struct Known {
    name: String,
    features: Vec<String>,
    /// As the flag that chooses it says, and its name.
    targets: Vec<(&'static str, String)>,
}

/// The commands of one `console` block, each with its line.
pub(super) type Block = Vec<(usize, String)>;

/// The `console` blocks of a document, or of the docs in a Rust file.
pub(super) fn blocks(file: &File) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for (index, line) in file.text.lines().enumerate() {
        let line = if file.is_rust() {
            let Some(docs) = ["//!", "///"]
                .iter()
                .find_map(|start| line.trim_start().strip_prefix(start))
            else {
                inside = false;
                continue;
            };
            docs.trim_start()
        } else {
            line
        };
        if line.starts_with("```") {
            inside = !inside && line == "```console";
            found.extend(inside.then(Block::new));
        } else if inside && let Some(block) = found.last_mut() {
            if let Some(command) = line.strip_prefix("$ ") {
                block.push((index + 1, command.to_owned()));
            } else if let Some(more) = line.strip_prefix("> ")
                && let Some((_, command)) = block.last_mut()
            {
                command.push('\n');
                command.push_str(more);
            }
        }
    }
    found
}

/// What of the files has commands that people type.
pub(super) fn documents(files: &[File]) -> impl Iterator<Item = &File> {
    files
        .iter()
        .filter(|file| file.is_rust() || file.path.ends_with(".md"))
}

/// What is wrong with a command, as far as can be told without running it.
fn fault(command: &str, known: &[Known]) -> Option<String> {
    let command = command.split(" #").next().unwrap_or_default();
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["cargo", "xtask", ..] => fault_of_task(&words[1..]),
        ["cargo", ref args @ ..] => fault_of_cargo(args, known),
        [first, ..] if SHELL.contains(&first) => None,
        _ => Some("nothing here can check it".to_owned()),
    }
}

fn fault_of_task(words: &[&str]) -> Option<String> {
    let flags = match Flags::try_parse_from(words) {
        Ok(flags) => flags,
        Err(error) => return Some(error.to_string().lines().next()?.to_owned()),
    };
    let workspace = Workspace::load().expect("the manifests can be read");
    match flags.task {
        Task::Test(flags) => {
            let steps = test::select(plan::steps(&workspace), &flags.only);
            steps.err().map(|error| error.to_string())
        }
        Task::Loom(flags) => {
            let is_member = |name: &String| workspace.members.iter().any(|one| one.name == *name);
            let stranger = flags.package.filter(|name| !is_member(name))?;
            Some(format!("there is no crate {stranger}"))
        }
        Task::Bench(flags) => {
            let number = flags.adr?;
            let criteria = format!("adr/{number}-criteria.toml");
            (!root().join(&criteria).exists()).then(|| format!("there is no {criteria}"))
        }
        Task::Figures(_) | Task::Adr(_) => None,
    }
}

fn fault_of_cargo(args: &[&str], known: &[Known]) -> Option<String> {
    let ours = args.split(|&arg| arg == "--").next().unwrap_or_default();
    let mut rest = ours.iter().skip(1);
    let mut packages: Vec<&Known> = known.iter().collect();
    while let Some(&arg) = rest.next() {
        if BARE.contains(&arg) || !arg.starts_with('-') {
            continue;
        }
        let Some(&value) = rest.next() else {
            return Some(format!("{arg} is no flag that is known here"));
        };
        let has = |each: &&Known| match arg {
            "-p" | "--package" => each.name == value,
            "--features" => value
                .split(',')
                .all(|feature| each.features.iter().any(|name| name == feature)),
            "--invert" => true,
            kind => each
                .targets
                .iter()
                .any(|(flag, name)| *flag == kind && name == value),
        };
        packages.retain(has);
        if packages.is_empty() {
            return Some(format!("there is no {arg} {value}"));
        }
    }
    None
}

fn faults(files: &[File], known: &[Known]) -> Vec<Finding> {
    let commands = documents(files).flat_map(|file| {
        let each = blocks(file).into_iter().flatten();
        each.map(move |(line, command)| (file, line, command))
    });
    commands
        .filter_map(|(file, line, command)| {
            let fault = fault(&command, known)?;
            Some(file.finding(line, format!("`{command}`: {fault}")))
        })
        .collect()
}

fn members() -> Vec<Known> {
    let metadata = workspace::metadata().expect("the manifests can be read");
    let known = |package: &cargo_metadata::Package| {
        let target = |target: &cargo_metadata::Target| {
            let kinds = [
                ("--bench", target.is_bench()),
                ("--bin", target.is_bin()),
                ("--example", target.is_example()),
                ("--test", target.is_test()),
            ];
            let (flag, _) = kinds.into_iter().find(|(_, is)| *is)?;
            Some((flag, target.name.clone()))
        };
        Known {
            name: package.name.to_string(),
            features: package.features.keys().cloned().collect(),
            targets: package.targets.iter().filter_map(target).collect(),
        }
    };
    metadata
        .workspace_packages()
        .into_iter()
        .map(known)
        .collect()
}

#[test]
fn documents_say_what_can_be_typed() {
    let files = workspace_files();
    let readme = files.iter().find(|file| file.path == "README.md");
    let told = blocks(readme.expect("there is a README.md"));
    assert!(told.len() >= 2, "README.md tells its commands: {told:?}");
    hold(
        "every command in a `console` block parses, and what it names exists",
        "mend the command; or, if it is of a kind that is new here, teach xtask/src/tidy/commands.rs to check it",
        &faults(&files, &members()),
    );
}

#[cfg(test)]
mod teeth {
    use super::*;

    fn known() -> Vec<Known> {
        vec![Known {
            name: "affinity".to_owned(),
            features: vec!["papaya".to_owned()],
            targets: vec![("--test", "oracle".to_owned())],
        }]
    }

    #[test]
    fn blocks_are_found_in_documents_and_in_docs() {
        let text = "`$ a`\n```console\n$ b\nout\n$ c\n> d\n```\n```text\n$ e\n```\n";
        let found = [vec![(3, "b".to_owned()), (5, "c\nd".to_owned())]];
        assert_eq!(blocks(&File::new("a.md", text)), found);

        let docs = text
            .lines()
            .fold(String::new(), |docs, line| docs + "//! " + line + "\n");
        assert_eq!(blocks(&File::new("a.rs", &docs)), found);
        assert!(blocks(&File::new("a.rs", text)).is_empty());
    }

    #[test]
    fn commands_that_cannot_be_typed() {
        for command in [
            "cargo xtask bemch",
            "cargo xtask bench --qick",
            "cargo xtask bench --adr 9999",
            "cargo xtask test --only no-such-step",
            "cargo xtask loom no-such-crate",
            "cargo test --package afinity",
            "cargo test -p affinity --test orcale",
            "cargo test -p affinity --features papaya,scc",
            "cargo run --example oracle",
            "cargo test --relaese",
            "cargo test --relaese -p affinity",
            "make",
            "",
        ] {
            assert!(fault(command, &known()).is_some(), "{command}");
        }
    }

    #[test]
    fn commands_that_can() {
        for command in [
            "cargo xtask bench",
            "cargo xtask bench --adr 0003 --seed 7   # other keys",
            "cargo xtask test --only tidy",
            "cargo xtask adr check",
            "cargo test -p affinity --no-default-features --features papaya --test oracle -- --nocapture",
            "cargo tree --package affinity --invert ahash",
            "grep -n a b | head",
        ] {
            assert_eq!(fault(command, &known()), None, "{command}");
        }
    }
}
