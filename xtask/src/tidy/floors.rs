//! Who may depend on whom: the floors of the house, as a table.

use cargo_metadata::DependencyKind;

use super::hold;
use crate::workspace;

/// Where each member of the workspace stands. A new crate gets its place here.
const HOUSE: [(Floor, &[&str]); 5] = [
    // It takes no side: who measured, and what, is told to it in numbers.
    (Floor::Ground, &["verdict"]),
    (Floor::First, &["state-map", "worker-id", "published"]),
    (
        Floor::Second,
        &[
            "phase-state",
            "stream-registry",
            "lora-tracker",
            "affinity",
            "router-snapshot",
        ],
    ),
    (Floor::Third, &["call-home", "affinity-redis"]),
    (
        Floor::Workshop,
        &["xtask", "benches", "alloc-count", "linearize"],
    ),
];

/// What every floor may use in its tests.
const FOR_TESTS: [&str; 2] = ["alloc-count", "linearize"];

const MAPS: [&str; 4] = ["dashmap", "papaya", "scc", "parking_lot"];
const MAY_NAME_MAPS: [&str; 2] = ["state-map", "benches"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Floor {
    Ground,
    First,
    Second,
    Third,
    Workshop,
}

pub(super) fn floor(name: &str) -> Option<Floor> {
    let (floor, _) = HOUSE.iter().find(|(_, crates)| crates.contains(&name))?;
    Some(*floor)
}

/// That `from` names `to` in its manifest.
#[derive(Debug)]
struct Arrow {
    from: String,
    to: String,
    for_tests: bool,
}

fn arrows() -> Vec<Arrow> {
    let metadata = workspace::metadata().expect("the manifests can be read");
    let packages = metadata.workspace_packages().into_iter();
    let arrows = packages.flat_map(|package| {
        package.dependencies.iter().map(|dependency| Arrow {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            for_tests: dependency.kind == DependencyKind::Development,
        })
    });
    arrows.collect()
}

fn homeless<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let homeless = names.into_iter().filter(|name| floor(name).is_none());
    homeless
        .map(|name| format!("{name} stands on no floor"))
        .collect()
}

fn wrong(arrows: &[Arrow]) -> Vec<String> {
    let what = |arrow: &Arrow| {
        let Arrow {
            from,
            to,
            for_tests,
        } = arrow;
        if MAPS.contains(&&**to) && !MAY_NAME_MAPS.contains(&&**from) {
            return Some(format!("{from} names the map {to}"));
        }
        let (own, other) = (floor(from)?, floor(to)?);
        // A crate may name itself, to turn a feature on for its tests.
        let allowed = from == to
            || own == Floor::Workshop
            || other < own && other != Floor::Ground
            || *for_tests && FOR_TESTS.contains(&&**to);
        (!allowed).then(|| format!("{from} on {own:?} names {to} on {other:?}"))
    };
    arrows.iter().filter_map(what).collect()
}

#[test]
fn every_crate_has_its_floor() {
    let metadata = workspace::metadata().expect("the manifests can be read");
    let packages = metadata.workspace_packages();
    hold(
        "every crate stands on a floor of the house",
        "add it to `HOUSE` in xtask/src/tidy/floors.rs",
        &homeless(packages.iter().map(|package| package.name.as_str())),
    );
}

#[test]
fn every_arrow_points_down_and_only_the_seam_names_a_map() {
    hold(
        &format!(
            "a crate names lower floors, tests also {FOR_TESTS:?}; only {MAY_NAME_MAPS:?} {MAPS:?}"
        ),
        "move what both need a floor down, or what needs both up; take a map through `state-map`",
        &wrong(&arrows()),
    );
}

#[test]
fn a_crate_that_nobody_placed_is_found() {
    assert_eq!(
        homeless(["attic", "affinity"]),
        ["attic stands on no floor"]
    );
}

#[test]
fn an_arrow_up_or_sideways_or_to_a_map_is_found() {
    let is_wrong = |from: &str, to: &str| {
        let (for_tests, name) = (to.starts_with("dev:"), to.trim_start_matches("dev:"));
        let arrow = Arrow {
            from: from.to_owned(),
            to: name.to_owned(),
            for_tests,
        };
        !wrong(&[arrow]).is_empty()
    };
    for (from, to) in [
        ("state-map", "affinity"),
        ("affinity", "lora-tracker"),
        ("affinity", "dev:lora-tracker"),
        ("affinity", "call-home"),
        ("affinity", "linearize"),
        ("affinity", "dev:verdict"),
        ("affinity", "dashmap"),
        ("affinity", "dev:scc"),
        ("verdict", "dev:state-map"),
        ("verdict", "papaya"),
    ] {
        assert!(is_wrong(from, to), "{from} names {to}");
    }
    for (from, to) in [
        ("affinity", "state-map"),
        ("affinity", "dev:linearize"),
        ("affinity", "dev:affinity"),
        ("affinity", "serde"),
        ("benches", "papaya"),
        ("benches", "verdict"),
        ("state-map", "dashmap"),
    ] {
        assert!(!is_wrong(from, to), "{from} names {to}");
    }
}
