//! That what the documents tell people to type can be typed.
//!
//! A command is parsed by what would parse it, and what it names must exist: the flags, the crate,
//! the test, the example, the feature, the step, the record. That it works is seen by running it,
//! in a step of its own: `documents`.

use std::collections::BTreeSet;

use clap::Parser;

use super::{File, hold, root, workspace_files};
use crate::flags::{Flags, Task};
use crate::workspace::{self, Workspace};
use crate::{plan, test};

/// Words that begin a line of plain shell: what looks into the sources of dependencies, in a record
/// of what was seen there, and what stops a server that ran beside.
const SHELL: [&str; 4] = ["cd", "for", "grep", "kill"];

/// Flags of cargo's that documents may use: those without a value, and those with a name of ours.
const BARE: &str =
    "--all-features --doc --lib --no-default-features --no-deps --release --workspace";
const NAMING: &str = "--bench --bin --example --features --package --test -p";

/// The commands of one `console` block, each with its line.
pub(super) type Block = Vec<(usize, String)>;

/// The `console` blocks of a document, or of the docs in a Rust file.
pub(super) fn blocks(file: &File) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for (index, line) in file.text.lines().enumerate() {
        let line = if file.is_rust() {
            let docs = line.trim_start();
            let docs = docs
                .strip_prefix("//!")
                .or_else(|| docs.strip_prefix("///"));
            docs.map_or("```", str::trim_start)
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

/// What is wrong with a command, as far as can be told without running it. What may be named is
/// `known`, each name behind its flag.
fn fault(command: &str, known: &BTreeSet<String>) -> Option<String> {
    let command = command.split(" #").next().unwrap_or_default();
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["cargo", "xtask", ..] => fault_of_task(&words[1..]),
        ["cargo", _, ref args @ ..] => fault_of_cargo(args, known),
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
            let criteria = format!("adr/{}-criteria.toml", flags.adr?);
            (!root().join(&criteria).exists()).then(|| format!("there is no {criteria}"))
        }
        Task::Figures(_) | Task::Adr(_) => None,
    }
}

fn fault_of_cargo(args: &[&str], known: &BTreeSet<String>) -> Option<String> {
    let mut rest = args.iter().take_while(|&&arg| arg != "--");
    while let Some(&arg) = rest.next() {
        let is_in = |list: &str| list.split(' ').any(|flag| flag == arg);
        if is_in(NAMING) {
            let value = rest.next()?;
            let flag = if arg == "-p" { "--package" } else { arg };
            let stranger = value
                .split(',')
                .find(|name| !known.contains(&format!("{flag} {name}")));
            if let Some(name) = stranger {
                return Some(format!("there is no {arg} {name}"));
            }
        } else if arg == "--invert" {
            rest.next();
        } else if arg.starts_with('-') && !is_in(BARE) {
            return Some(format!("{arg} is no flag that is known here"));
        }
    }
    None
}

/// All that a command may name.
fn names() -> BTreeSet<String> {
    let metadata = workspace::metadata().expect("the manifests can be read");
    let mut names = BTreeSet::new();
    for package in metadata.workspace_packages() {
        names.insert(format!("--package {}", package.name));
        names.extend(
            package
                .features
                .keys()
                .map(|name| format!("--features {name}")),
        );
        let kinds = |target: &cargo_metadata::Target| {
            let kinds = target
                .kind
                .iter()
                .map(|kind| format!("--{kind} {}", target.name));
            kinds.collect::<Vec<_>>()
        };
        names.extend(package.targets.iter().flat_map(kinds));
    }
    names
}

#[test]
fn documents_say_what_can_be_typed() {
    let (files, names) = (workspace_files(), names());
    let readme = files.iter().find(|file| file.path == "README.md");
    let told = blocks(readme.expect("there is a README.md"));
    assert!(told.len() >= 2, "README.md tells its commands: {told:?}");
    let mut faults: Vec<String> = Vec::new();
    for file in documents(&files) {
        for (line, command) in blocks(file).into_iter().flatten() {
            let fault = fault(&command, &names);
            faults.extend(fault.map(|fault| file.finding(line, format!("`{command}`: {fault}"))));
        }
    }
    hold(
        "every command in a `console` block parses, and what it names exists",
        "mend it; or, if it is of a new kind, teach xtask/src/tidy/commands.rs to check it",
        &faults,
    );
}

#[test]
fn blocks_are_found_in_documents_and_in_docs() {
    let text = "`$ a`\n```console\n$ b\nout\n$ c\n> d\n```\n```text\n$ e\n```\n";
    let found = [vec![(3, "b".to_owned()), (5, "c\nd".to_owned())]];
    assert_eq!(blocks(&File::new("a.md", text)), found);
    let docs: String = text.lines().map(|line| format!("//! {line}\n")).collect();
    assert_eq!(blocks(&File::new("a.rs", &docs)), found);
    assert!(blocks(&File::new("a.rs", text)).is_empty());
}

#[test]
fn commands_that_cannot_be_typed_are_found() {
    let names = names();
    for command in [
        "cargo xtask bemch",
        "cargo xtask bench --qick",
        "cargo xtask bench --adr 9999",
        "cargo xtask test --only no-such-step",
        "cargo xtask loom no-such-crate",
        "cargo test --package afinity",
        "cargo test -p affinity --test orcale",
        "cargo test -p affinity --features papaya,scx",
        "cargo run --example it",
        "cargo test --relaese",
        "make",
        "",
    ] {
        assert!(fault(command, &names).is_some(), "{command}");
    }
    for command in [
        "cargo xtask bench",
        "cargo xtask bench --adr 0003 --seed 7   # other keys",
        "cargo xtask test --only tidy",
        "cargo test -p affinity --no-default-features --features papaya --test it -- --nocapture",
        "cargo tree --package affinity --invert ahash",
        "grep -n a b | head",
    ] {
        assert_eq!(fault(command, &names), None, "{command}");
    }
}
