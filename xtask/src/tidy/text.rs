//! Rules that hold for every Rust file.

use super::source::{self, words};
use super::{File, Finding, hold, places, workspace_files};

/// House rule: files of about 300 lines, think again at 600.
const MOST_LINES: usize = 600;

fn without_opening_line(files: &[File]) -> Vec<Finding> {
    let silent = files
        .iter()
        .filter(|file| file.is_rust() && !file.text.starts_with("//!"));
    silent
        .map(|file| file.finding(1, "does not open with `//!`"))
        .collect()
}

fn too_long(files: &[File]) -> Vec<Finding> {
    let lines = files
        .iter()
        .filter(|file| file.is_rust())
        .map(|file| (file, file.text.lines().count()));
    let long = lines.filter(|(_, count)| *count > MOST_LINES);
    long.map(|(file, count)| file.finding(0, format!("{count} lines")))
        .collect()
}

/// The crates whose words have been gone over. The others follow, each when its issue opens it.
const WRAPPED: [&str; 4] = ["published", "state-map", "std-or-loom", "stream-registry"];
const MOST_COLUMNS: usize = 100;

fn too_wide(files: &[File]) -> Vec<Finding> {
    let done = |file: &&File| {
        file.crate_name()
            .is_some_and(|name| WRAPPED.contains(&name))
    };
    let rust = files.iter().filter(|file| file.is_rust()).filter(done);
    let breaks = |line: &str| line.chars().count() > MOST_COLUMNS;
    rust.flat_map(|file| file.findings(&file.text, "is over 100 columns", breaks))
        .collect()
}

fn unfinished(files: &[File]) -> Vec<Finding> {
    let breaks = |line: &str| {
        let next = |before: &str, word: &str| line[before.len() + word.len()..].chars().next();
        words(line).any(|(before, word)| match word {
            "todo" | "unimplemented" => next(before, word) == Some('!'),
            "ignore" => before.trim_end().ends_with("#["),
            _ => false,
        })
    };
    let rust = files.iter().filter(|file| file.is_rust());
    rust.flat_map(|file| file.findings(&source::code(&file.text), "is not finished", breaks))
        .collect()
}

fn sleeps(files: &[File]) -> Vec<Finding> {
    // A method is a clock's own business, and may well be a mock's.
    let breaks = |line: &str| {
        words(line).any(|(before, word)| {
            ["sleep", "sleep_ms", "sleep_until"].contains(&word)
                && !before.ends_with('.')
                && !before.ends_with("fn ")
        })
    };
    let ours = files
        .iter()
        .filter(|file| file.is_rust() && file.crate_name().is_some());
    ours.flat_map(|file| file.findings(&source::code(&file.text), "sleeps", breaks))
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
fn no_file_is_too_long() {
    let way_out = "split it along what it is about; about 300 lines is the size to aim for";
    hold(
        &format!("no Rust file has more than {MOST_LINES} lines"),
        way_out,
        &too_long(&workspace_files()),
    );
}

#[test]
fn nothing_is_left_unfinished() {
    let way_out =
        "finish it or take it out; a slow test belongs behind a feature or into its own target";
    hold(
        "no `todo!`, no `unimplemented!`, no `#[ignore]`",
        way_out,
        &unfinished(&workspace_files()),
    );
}

#[test]
fn no_line_is_over_100_columns() {
    hold(
        "crates whose words have been gone over keep code and prose at 100 columns",
        "wrap it",
        &too_wide(&workspace_files()),
    );
}

#[test]
fn nobody_sleeps() {
    let way_out = "take the time as a parameter or from a clock that its owner advances; wait for an event, not for time";
    hold(
        "crates and their tests do not sleep to make time pass",
        way_out,
        &sleeps(&workspace_files()),
    );
}

#[cfg(test)]
mod teeth {
    use super::*;

    #[test]
    fn a_file_without_a_word_about_itself() {
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
    fn a_file_of_601_lines() {
        let files =
            [600, 601].map(|count| File::new(&format!("src/of_{count}.rs"), &"\n".repeat(count)));
        assert_eq!(places(&too_long(&files)), ["src/of_601.rs:0"]);
    }

    #[test]
    fn a_line_of_101_columns() {
        let wide = format!("{}\n{}\n", "é".repeat(100), "x".repeat(101));
        let files = ["crates/state-map/src/a.rs", "crates/affinity/src/a.rs"];
        let files = files.map(|path| File::new(path, &wide));
        assert_eq!(places(&too_wide(&files)), ["crates/state-map/src/a.rs:2"]);
    }

    #[test]
    fn unfinished_code() {
        let text = "//! todo!()\nfn a() { todo!() }\nfn b() { unimplemented!(\"b\") }\n#[ignore = \"slow\"]\n\
                    fn todo() { ignore(\"todo!\") }\n";
        let found = unfinished(&[File::new("benches/src/a.rs", text)]);
        assert_eq!(
            places(&found),
            [
                "benches/src/a.rs:2",
                "benches/src/a.rs:3",
                "benches/src/a.rs:4"
            ]
        );
    }

    #[test]
    fn every_spelling_of_a_sleep() {
        let text = "//! thread::sleep\nuse std::thread::{self, sleep};\nthread::sleep(ms);\ntokio::time::sleep_until(t);\n\
                    sleep(ms);\nclock.sleep(ms);\nfn sleep(self) {}\nlet asleep = \"thread::sleep\";\n";
        let found = sleeps(&[
            File::new("crates/a/tests/a.rs", text),
            File::new("benches/src/a.rs", text),
        ]);
        assert_eq!(
            found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            [2, 3, 4, 5]
        );
        assert!(
            found
                .iter()
                .all(|finding| finding.path == "crates/a/tests/a.rs")
        );
    }
}
