//! The architecture's invariants that only the code itself shows.

use super::floors::{Floor, floor};
use super::source::{self, has_word, words};
use super::{File, Finding, hold, places, workspace_files};

/// The one crate that may say `unsafe`: a `GlobalAlloc` cannot be had without. It is for tests and never published.
const MAY_BE_UNSAFE: &str = "alloc-count";

/// The one crate that may put a hash map into a lock.
const MAY_LOCK_MAPS: &str = "state-map";

fn unforbidden_roots(files: &[File]) -> Vec<Finding> {
    let is_root = |path: &str| {
        ["src/lib.rs", "src/main.rs"]
            .iter()
            .any(|root| path.ends_with(root))
            || path
                .rsplit_once('/')
                .is_some_and(|(folder, _)| folder.ends_with("src/bin"))
    };
    let roots = files
        .iter()
        .filter(|file| file.is_rust() && is_root(&file.path) && !may_be_unsafe(file));
    let bare = roots.filter(|file| !source::code(&file.text).contains("#![forbid(unsafe_code)]"));
    bare.map(|file| file.finding(1, "does not say `#![forbid(unsafe_code)]`"))
        .collect()
}

fn unsafe_code(files: &[File]) -> Vec<Finding> {
    let safe = files
        .iter()
        .filter(|file| file.is_rust() && !may_be_unsafe(file));
    safe.flat_map(|file| {
        file.findings(&source::code(&file.text), "says `unsafe`", |line| {
            has_word(line, "unsafe")
        })
    })
    .collect()
}

fn may_be_unsafe(file: &File) -> bool {
    file.crate_name() == Some(MAY_BE_UNSAFE)
}

fn scattered_loom(files: &[File]) -> Vec<Finding> {
    let may = |file: &&File| file.is_test() || file.path.ends_with("/sync.rs");
    let production = files.iter().filter(|file| file.is_rust() && !may(file));
    production
        .flat_map(|file| {
            let breaks = |line: &str| has_word(line, "inflight_loom");
            file.findings(
                &source::code(&file.text),
                "asks for `inflight_loom`",
                breaks,
            )
        })
        .collect()
}

fn locked_maps(files: &[File]) -> Vec<Finding> {
    let elsewhere = files.iter().filter(|file| {
        file.is_rust()
            && !file.is_test()
            && file.path.contains("/src/")
            && file.crate_name().is_some_and(|name| name != MAY_LOCK_MAPS)
    });
    elsewhere
        .flat_map(|file| {
            let code = source::without_tests(&source::code(&file.text));
            let lines = locks_of_maps(&code);
            lines
                .into_iter()
                .map(|line| file.finding(line, "puts a hash map into a lock"))
        })
        .collect()
}

/// What a floor below the third must not reach for, whatever its manifest says: files, sockets, processes, threads, and
/// quanta's upkeep thread, which would be one.
fn system_below(files: &[File]) -> Vec<Finding> {
    let below = |file: &&File| {
        let on_floor = file.crate_name().and_then(floor);
        let is_below = on_floor.is_some_and(|floor| floor < Floor::Third);
        // The sweeper is a task by its name, behind a feature; the suites for tests have threads to test with.
        let may = file.path.ends_with("/sweeper.rs") || file.path.contains("/conformance/");
        file.is_rust() && file.path.contains("/src/") && !file.is_test() && is_below && !may
    };
    let breaks = |line: &str| {
        words(line).any(|(before, word)| match word {
            "fs" | "net" | "process" => before.ends_with("std::"),
            "spawn" | "Upkeep" => !before.ends_with("fn "),
            _ => false,
        })
    };
    let production = files.iter().filter(below);
    production
        .flat_map(|file| {
            let code = source::without_tests(&source::code(&file.text));
            file.findings(&code, "reaches for the system", breaks)
        })
        .collect()
}

/// The lines on which a `RwLock<` or `Mutex<` begins whose first argument is a `HashMap`, by whatever path.
fn locks_of_maps(code: &str) -> Vec<usize> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c.is_whitespace();
    let mut lines = Vec::new();
    for lock in ["RwLock<", "Mutex<"] {
        for (at, _) in code.match_indices(lock) {
            let argument = &code[at + lock.len()..];
            let path = &argument[..argument.find(|c| !is_path(c)).unwrap_or(argument.len())];
            if path
                .rsplit("::")
                .next()
                .is_some_and(|name| name.trim() == "HashMap")
            {
                lines.push(code[..at].matches('\n').count() + 1);
            }
        }
    }
    lines.sort_unstable();
    lines
}

#[test]
fn every_crate_forbids_unsafe_code() {
    hold(
        &format!("every crate root but {MAY_BE_UNSAFE}'s says `#![forbid(unsafe_code)]`"),
        "write the attribute below the crate's docs",
        &unforbidden_roots(&workspace_files()),
    );
}

#[test]
fn nothing_is_unsafe() {
    let way_out = "find the safe way, or a dependency whose business it is";
    hold(
        &format!("no crate but {MAY_BE_UNSAFE} says `unsafe`"),
        way_out,
        &unsafe_code(&workspace_files()),
    );
}

#[test]
fn loom_has_one_door() {
    hold(
        "production code asks for `inflight_loom` in its `sync.rs` alone",
        "re-export what differs under loom from `sync.rs`, and use it from there",
        &scattered_loom(&workspace_files()),
    );
}

#[test]
fn only_state_map_locks_a_map() {
    hold(
        &format!("no crate but {MAY_LOCK_MAPS} puts a hash map into a lock"),
        "be generic over the crate's map trait, so that downstream can choose the backend",
        &locked_maps(&workspace_files()),
    );
}

#[test]
fn the_lower_floors_touch_no_system() {
    hold(
        "no crate below the third floor opens files or sockets, or starts processes, threads or tasks",
        "let the caller do it, or move what needs it to the third floor",
        &system_below(&workspace_files()),
    );
}

#[cfg(test)]
mod teeth {
    use super::*;

    #[test]
    fn a_root_that_does_not_forbid() {
        let forbids = "//! A.\n#![forbid(unsafe_code)]\n";
        let files = [
            File::new(
                "crates/a/src/lib.rs",
                "//! `#![forbid(unsafe_code)]`, it says.\n",
            ),
            File::new("crates/b/src/lib.rs", forbids),
            File::new("crates/b/src/bin/b.rs", "//! B.\n"),
            File::new("crates/alloc-count/src/lib.rs", "//! C.\n"),
            File::new("xtask/src/main.rs", forbids),
            File::new("xtask/src/other.rs", "//! D.\n"),
        ];
        assert_eq!(
            places(&unforbidden_roots(&files)),
            ["crates/a/src/lib.rs:1", "crates/b/src/bin/b.rs:1"]
        );
    }

    #[test]
    fn an_unsafe_block() {
        let text = "//! Nothing unsafe.\n#![forbid(unsafe_code)]\nfn a() { unsafe { b() } }\n";
        let files = [
            File::new("crates/a/tests/a.rs", text),
            File::new("crates/alloc-count/src/lib.rs", text),
        ];
        assert_eq!(places(&unsafe_code(&files)), ["crates/a/tests/a.rs:3"]);
    }

    #[test]
    fn a_second_door_for_loom() {
        let text =
            "//! Under `cfg(inflight_loom)`.\n#[cfg(all(test, not(inflight_loom)))]\nmod a {}\n";
        let files = [
            "crates/a/src/cell.rs",
            "crates/a/src/sync.rs",
            "crates/a/tests/loom.rs",
            "crates/a/Cargo.toml",
        ]
        .map(|path| File::new(path, text));
        assert_eq!(places(&scattered_loom(&files)), ["crates/a/src/cell.rs:2"]);
    }

    #[test]
    fn a_map_in_a_lock() {
        let text = "//! A RwLock<HashMap>.\nstruct A(RwLock<HashMap<K, V>>);\nstruct B(Mutex<\n  std::collections::HashMap<K, V>>);\n\
                    struct C(Mutex<Vec<HashMap<K, V>>>, Mutex<HashMapLike>);\n\
                    #[cfg(test)]\nmod tests {\n  struct Oracle(Mutex<HashMap<K, V>>);\n}\n";
        let files = [
            "crates/a/src/lib.rs",
            "crates/state-map/src/rwlock.rs",
            "crates/a/tests/a.rs",
            "benches/src/a.rs",
        ]
        .map(|path| File::new(path, text));
        assert_eq!(
            places(&locked_maps(&files)),
            ["crates/a/src/lib.rs:2", "crates/a/src/lib.rs:3"]
        );
    }

    #[test]
    fn a_door_to_the_system() {
        let text = "//! std::net\nuse std::net::TcpStream;\nstd::fs::read(a);\nthread::spawn(f);\nfn spawn() {}\nUpkeep::new(t);\n\
                    #[cfg(test)]\nmod tests { fn a() { std::thread::spawn(f); } }\n";
        let files = [
            "crates/affinity/src/a.rs",
            "crates/affinity/src/sweeper.rs",
            "crates/affinity/tests/a.rs",
            "crates/state-map/src/conformance/a.rs",
            "crates/call-home/src/a.rs",
            "benches/src/a.rs",
        ]
        .map(|path| File::new(path, text));
        assert_eq!(
            places(&system_below(&files)),
            [2, 3, 4, 6].map(|line| format!("crates/affinity/src/a.rs:{line}"))
        );
    }
}
