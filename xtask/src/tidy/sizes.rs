//! How long files and lines may be, that each file says what it is for, and that each test is run.

use std::collections::BTreeSet;

use super::{File, hold, places, workspace_files};

/// Of a Rust file; about 250 is the size to aim for.
const MOST_LINES: usize = 400;
/// Of code and of prose.
const MOST_COLUMNS: usize = 100;

/// Files from before these rules, each with what it has too much of. Here nothing is added.
const EXEMPT: &str = include_str!("exempt.txt");

/// Where a decision record has what a machine has written.
const MEASURED: [&str; 2] = ["<!-- measured: begin -->", "<!-- measured: end -->"];

fn without_opening_line(files: &[File]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.is_rust());
    let silent = rust.filter(|file| !file.text.starts_with("//!"));
    silent
        .map(|file| file.finding(1, "does not open with `//!`"))
        .collect()
}

fn ignored_tests(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().enumerate();
        let ignored = lines.filter(|(_, line)| line.trim_start().starts_with("#[ignore"));
        findings.extend(ignored.map(|(index, _)| file.finding(index + 1, "is never run")));
    }
    findings
}

/// What is too large, once a file and kind, as `EXEMPT` has it: `lines PATH` or `columns PATH`.
fn too_large(files: &[File]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        if file.is_rust() && lines > MOST_LINES {
            let finding = file.finding(0, format!("{lines} lines"));
            found.push((format!("lines {}", file.path), finding));
        }
        if let Some(line) = first_wide_line(file) {
            let finding = file.finding(line, format!("more than {MOST_COLUMNS} columns"));
            found.push((format!("columns {}", file.path), finding));
        }
    }
    found
}

/// The first line that could be wrapped and is not: a table's row cannot.
fn first_wide_line(file: &File) -> Option<usize> {
    if !file.is_rust() && !file.path.ends_with(".md") {
        return None;
    }
    let mut measured = false;
    for (index, line) in file.text.lines().enumerate() {
        if MEASURED.contains(&line) {
            measured = line == MEASURED[0];
        }
        let is_row = line.trim_start_matches(['/', '!', ' ']).starts_with('|');
        if line.chars().count() > MOST_COLUMNS && !measured && !is_row {
            return Some(index + 1);
        }
    }
    None
}

/// What is too large and not exempt, and what is exempt and need not be.
fn wrong(files: &[File], exempt: &str) -> Vec<String> {
    let exempt: BTreeSet<&str> = exempt.lines().collect();
    let large = too_large(files);
    let is_large = |entry: &str| large.iter().any(|(one, _)| one == entry);
    let stale = exempt.iter().filter(|entry| !is_large(entry));
    let stale = stale.map(|entry| format!("exempt.txt: strike out `{entry}`, it is no longer so"));
    let new = large.iter().filter(|(entry, _)| !exempt.contains(&**entry));
    new.map(|(_, finding)| finding.clone())
        .chain(stale)
        .collect()
}

#[test]
fn every_file_says_what_it_is_for() {
    hold(
        "every Rust file opens with a `//!` line",
        "say in one line what the file is for, before any attribute",
        &without_opening_line(&workspace_files()),
    );
}

#[test]
fn no_test_is_ignored() {
    hold(
        "no `#[ignore]`",
        "mend it or take it out; what is slow belongs behind a feature, into a step of `--full`",
        &ignored_tests(&workspace_files()),
    );
}

#[test]
fn files_and_lines_are_of_a_size_to_read() {
    hold(
        &format!(
            "at most {MOST_LINES} lines a Rust file, {MOST_COLUMNS} columns a line of code or prose"
        ),
        "split the file along what it is about; wrap the line",
        &wrong(&workspace_files(), EXEMPT),
    );
}

#[test]
fn a_file_without_a_word_about_itself_is_found() {
    let files = [
        File::new(
            "crates/a/src/lib.rs",
            "#![forbid(unsafe_code)]\n//! Late.\n",
        ),
        File::new("crates/a/src/ok.rs", "//! Fine.\n"),
        File::new("README.md", "# a\n"),
    ];
    assert_eq!(
        places(&without_opening_line(&files)),
        ["crates/a/src/lib.rs:1"]
    );
}

#[test]
fn an_ignored_test_is_found() {
    let file = File::new(
        "a.rs",
        "//! #[ignore]\n#[test]\n#[ignore = \"slow\"]\nfn a() {}\n",
    );
    assert_eq!(places(&ignored_tests(&[file])), ["a.rs:3"]);
}

#[test]
fn a_line_too_many_and_a_column_too_many_are_found() {
    let wide =
        |start: &str, columns| format!("# a\n{start}{}\n", "é".repeat(columns - start.len()));
    let files = [
        File::new("a.rs", &"\n".repeat(400)),
        File::new("b.rs", &"\n".repeat(401)),
        File::new("c.md", &"\n".repeat(401)),
        File::new("d.md", &wide("", 100)),
        File::new("e.md", &wide("", 101)),
        File::new("f.md", &wide("| ", 101)),
        File::new("g.rs", &wide("//! | ", 101)),
        File::new("h.rs", &wide("/// ", 101)),
        File::new("i.md", &MEASURED.join(&format!("\n{}", wide("", 101)))),
        File::new("j.md", &(MEASURED.join("\n") + "\n" + &wide("", 101))),
        File::new("k.toml", &wide("", 101)),
    ];
    assert_eq!(
        places(&wrong(&files, "")),
        ["b.rs", "e.md:2", "h.rs:2", "j.md:4"]
    );
    let exempt = "lines b.rs\ncolumns e.md\ncolumns h.rs\ncolumns j.md\n";
    assert!(wrong(&files, exempt).is_empty());
    let stale = wrong(&files, &(exempt.to_owned() + "lines e.md\n"));
    assert_eq!(
        stale,
        ["exempt.txt: strike out `lines e.md`, it is no longer so"]
    );
}
