//! The architecture's invariants that only the code itself shows, as far as a line of it does.

use super::floors::{Floor, floor};
use super::{File, hold, places, workspace_files};

/// The one crate that may put a hash map into a lock.
const MAY_LOCK_MAPS: &str = "state-map";

/// What opens files or sockets, or starts processes, threads or tasks.
const DOORS: [&str; 5] = ["std::fs", "std::net", "std::process", "spawn(", "Upkeep"];

/// The lines of production code: no comment, and no test module at the end.
fn production(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let is_test = file.path.ends_with("/tests.rs");
    let is_code = file.is_rust() && file.path.contains("/src/");
    let text = if is_test || !is_code { "" } else { &*file.text };
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

fn scattered_loom(files: &[File]) -> Vec<String> {
    find(files, "asks for `inflight_loom`", |file, line| {
        line.contains("inflight_loom") && !file.path.ends_with("/sync.rs")
    })
}

fn locked_maps(files: &[File]) -> Vec<String> {
    find(files, "puts a hash map into a lock", |file, line| {
        let lock = ["RwLock<", "Mutex<"]
            .iter()
            .find_map(|lock| line.split_once(lock));
        let is_map = lock.is_some_and(|(_, held)| {
            let path = held.split('<').next().unwrap_or_default();
            path.rsplit("::").next() == Some("HashMap")
        });
        is_map && file.crate_name() != Some(MAY_LOCK_MAPS)
    })
}

/// What a floor below the third must not reach for, whatever its manifest says.
fn system_below(files: &[File]) -> Vec<String> {
    find(files, "reaches for the system", |file, line| {
        let is_below = file
            .crate_name()
            .and_then(floor)
            .is_some_and(|floor| floor < Floor::Third);
        // The sweeper is a task by its name, behind a feature; a suite for tests has threads.
        let may = file.path.ends_with("/sweeper.rs") || file.path.contains("/conformance/");
        is_below && !may && DOORS.iter().any(|door| line.contains(door))
    })
}

/// The lines of production code in `crates/` that break a rule.
fn find(files: &[File], what: &str, breaks: impl Fn(&File, &str) -> bool) -> Vec<String> {
    let ours = files.iter().filter(|file| file.crate_name().is_some());
    let lines = ours.flat_map(|file| production(file).map(move |(at, line)| (file, at, line)));
    let broken = lines.filter(|(file, _, line)| breaks(file, line));
    broken.map(|(file, at, _)| file.finding(at, what)).collect()
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
        &format!("no crate below the third floor says {DOORS:?}"),
        "let the caller do it, or move what needs it to the third floor",
        &system_below(&workspace_files()),
    );
}

/// The same text in several places.
fn planted<const N: usize>(paths: [&str; N], text: &str) -> [File; N] {
    paths.map(|path| File::new(path, text))
}

#[test]
fn a_second_door_for_loom_is_found() {
    let text = "//! Under `cfg(inflight_loom)`.\n#[cfg(not(inflight_loom))]\nmod a {}\n";
    let paths = [
        "crates/a/src/b.rs",
        "crates/a/src/sync.rs",
        "crates/a/tests/loom.rs",
        "crates/a/Cargo.toml",
    ];
    assert_eq!(
        places(&scattered_loom(&planted(paths, text))),
        ["crates/a/src/b.rs:2"]
    );
}

#[test]
fn a_map_in_a_lock_is_found() {
    let text = "//! A RwLock<HashMap<K, V>>.\nstruct A(RwLock<HashMap<K, V>>);\n\
                struct B(Mutex<std::collections::HashMap<K, V>>);\n\
                struct C(Mutex<Vec<HashMap<K, V>>>, Mutex<HashMapLike>);\n\
                #[cfg(test)]\nmod tests {\n  struct Oracle(Mutex<HashMap<K, V>>);\n}\n";
    let paths = [
        "crates/a/src/lib.rs",
        "crates/state-map/src/a.rs",
        "crates/a/tests/a.rs",
        "benches/src/a.rs",
    ];
    assert_eq!(
        places(&locked_maps(&planted(paths, text))),
        ["crates/a/src/lib.rs:2", "crates/a/src/lib.rs:3"]
    );
}

#[test]
fn a_door_to_the_system_is_found() {
    let text = "//! std::net\nuse std::net::TcpStream;\nstd::fs::read(a);\nthread::spawn(f);\n\
                fn spawned() {}\n\
                Upkeep::new(t);\n#[cfg(test)]\nmod tests {\nfn a() { thread::spawn(f); }\n}\n";
    let paths = [
        "crates/affinity/src/a.rs",
        "crates/affinity/src/sweeper.rs",
        "crates/affinity/tests/a.rs",
        "crates/state-map/src/conformance/a.rs",
        "crates/call-home/src/a.rs",
        "benches/src/a.rs",
    ];
    let found = [2, 3, 4, 6].map(|line| format!("crates/affinity/src/a.rs:{line}"));
    assert_eq!(places(&system_below(&planted(paths, text))), found);
}
