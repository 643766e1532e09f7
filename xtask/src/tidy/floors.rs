//! Who may depend on whom: the floors of the house, as a table.

use cargo_metadata::DependencyKind;

use super::{Finding, hold};
use crate::workspace;

/// Where each member of the workspace stands. A new crate gets its place here.
const HOUSE: [(Floor, &[&str]); 4] = [
    (Floor::First, &["state-map", "worker-id", "published"]),
    (
        Floor::Second,
        &[
            "phase-state",
            "stream-registry",
            "lora-tracker",
            "affinity",
            "router-snapshot",
            "worker-load",
        ],
    ),
    (Floor::Third, &["call-home", "affinity-redis"]),
    (
        Floor::Workshop,
        &["xtask", "benches", "verdict", "alloc-count", "linearize"],
    ),
];

/// What every floor may use in its tests.
const FOR_TESTS: [&str; 2] = ["alloc-count", "linearize"];

const MAPS: [&str; 4] = ["dashmap", "papaya", "scc", "parking_lot"];
const MAY_NAME_MAPS: [&str; 2] = ["state-map", "benches"];

/// Runtimes and doors to the world: only the third floor does I/O, or needs a runtime to be there.
pub(super) const RUNTIMES_AND_IO: [&str; 16] = [
    "async-io",
    "async-std",
    "compio",
    "fred",
    "h2",
    "hyper",
    "mio",
    "monoio",
    "quinn",
    "redis",
    "reqwest",
    "smol",
    "socket2",
    "tokio",
    "tonic",
    "ureq",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Floor {
    First,
    Second,
    Third,
    Workshop,
}

#[derive(Debug)]
struct Crate {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    for_tests: bool,
    optional: bool,
}

fn homeless(crates: &[Crate]) -> Vec<Finding> {
    let without_floor = crates.iter().filter(|each| floor(&each.name).is_none());
    without_floor
        .map(|each| each.finding("say on which floor it stands"))
        .collect()
}

fn upward(crates: &[Crate]) -> Vec<Finding> {
    findings(crates, |from, dependency| {
        let (Some(own), Some(other)) = (floor(&from.name), floor(&dependency.name)) else {
            return None;
        };
        // A crate may name itself, to turn a feature on for its tests.
        let allowed = from.name == dependency.name
            || own == Floor::Workshop
            || other < own
            || dependency.for_tests && FOR_TESTS.contains(&&*dependency.name);
        (!allowed).then(|| {
            format!(
                "on the floor {own:?}, depends on {} on the floor {other:?}",
                dependency.name
            )
        })
    })
}

fn maps_elsewhere(crates: &[Crate]) -> Vec<Finding> {
    findings(crates, |from, dependency| {
        let breaks = MAPS.contains(&&*dependency.name) && !MAY_NAME_MAPS.contains(&&*from.name);
        breaks.then(|| format!("depends on {}", dependency.name))
    })
}

fn partial_verdict(crates: &[Crate]) -> Vec<Finding> {
    findings(crates, |from, dependency| {
        let knows = floor(&dependency.name).is_some() || MAPS.contains(&&*dependency.name);
        (from.name == "verdict" && knows).then(|| format!("knows {}", dependency.name))
    })
}

fn world_below(crates: &[Crate]) -> Vec<Finding> {
    findings(crates, |from, dependency| {
        let below = floor(&from.name) < Some(Floor::Third);
        let breaks = below && !dependency.for_tests && !dependency.optional;
        (breaks && RUNTIMES_AND_IO.contains(&&*dependency.name))
            .then(|| format!("needs {}", dependency.name))
    })
}

pub(super) fn floor(name: &str) -> Option<Floor> {
    HOUSE
        .iter()
        .find(|(_, crates)| crates.contains(&name))
        .map(|(floor, _)| *floor)
}

fn findings(
    crates: &[Crate],
    rule: impl Fn(&Crate, &Dependency) -> Option<String>,
) -> Vec<Finding> {
    let pairs = crates.iter().flat_map(|from| {
        from.dependencies
            .iter()
            .map(move |dependency| (from, dependency))
    });
    pairs
        .filter_map(|(from, dependency)| Some(from.finding(rule(from, dependency)?)))
        .collect()
}

impl Crate {
    fn finding(&self, what: impl Into<String>) -> Finding {
        Finding {
            path: self.name.clone(),
            line: 0,
            what: what.into(),
        }
    }
}

fn crates() -> Vec<Crate> {
    let metadata = workspace::metadata().expect("the manifests can be read");
    let dependency = |from: &cargo_metadata::Dependency| Dependency {
        name: from.name.clone(),
        for_tests: from.kind == DependencyKind::Development,
        optional: from.optional,
    };
    let members = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| Crate {
            name: package.name.to_string(),
            dependencies: package.dependencies.iter().map(dependency).collect(),
        });
    members.collect()
}

#[test]
fn every_crate_has_its_floor() {
    hold(
        "every crate stands on a floor of the house",
        "add it to `HOUSE` in xtask/src/tidy/floors.rs",
        &homeless(&crates()),
    );
}

#[test]
fn every_arrow_points_down() {
    let way_out = "move what both need a floor down, or what needs both a floor up";
    hold(
        "a crate depends on lower floors only; its tests also on the crates for tests",
        way_out,
        &upward(&crates()),
    );
}

#[test]
fn only_the_seam_names_a_map() {
    let way_out = "take the map through `state-map`; for a lock, std's will do";
    hold(
        &format!("only {MAY_NAME_MAPS:?} depend on {MAPS:?}"),
        way_out,
        &maps_elsewhere(&crates()),
    );
}

#[test]
fn the_verdict_knows_no_party() {
    let way_out = "hand it numbers; who measured them stays in `benches`";
    hold(
        "`verdict` depends on no crate of ours and on no map",
        way_out,
        &partial_verdict(&crates()),
    );
}

#[test]
fn the_lower_floors_need_no_runtime() {
    let way_out = "make it optional and off by default, or move what needs it to the third floor";
    hold(
        "floors one and two do no I/O and need no runtime",
        way_out,
        &world_below(&crates()),
    );
}

#[cfg(test)]
mod teeth {
    use super::*;

    /// `dev:` marks what only tests depend on, `opt:` what is optional.
    fn planted(name: &str, dependencies: &[&str]) -> Vec<Crate> {
        let dependency = |text: &&str| Dependency {
            name: text.rsplit(':').next().unwrap_or_default().to_owned(),
            for_tests: text.starts_with("dev:"),
            optional: text.starts_with("opt:"),
        };
        vec![Crate {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(dependency).collect(),
        }]
    }

    fn whats(findings: &[Finding]) -> Vec<&str> {
        findings
            .iter()
            .map(|finding| finding.what.as_str())
            .collect()
    }

    #[test]
    fn a_crate_that_nobody_placed() {
        assert_eq!(
            whats(&homeless(&planted("attic", &[]))),
            ["say on which floor it stands"]
        );
        assert!(homeless(&planted("affinity", &[])).is_empty());
    }

    #[test]
    fn an_arrow_up_or_sideways() {
        let up = |name, dependency| upward(&planted(name, &[dependency])).len();
        assert_eq!(up("state-map", "affinity"), 1);
        assert_eq!(up("affinity", "lora-tracker"), 1);
        assert_eq!(up("affinity", "dev:lora-tracker"), 1);
        assert_eq!(up("affinity", "opt:call-home"), 1);
        assert_eq!(up("affinity", "linearize"), 1);
        assert_eq!(up("affinity", "dev:verdict"), 1);

        assert_eq!(up("affinity", "state-map"), 0);
        assert_eq!(up("affinity", "dev:linearize"), 0);
        assert_eq!(up("affinity", "dev:affinity"), 0);
        assert_eq!(up("benches", "verdict"), 0);
        assert_eq!(up("affinity", "serde"), 0);
    }

    #[test]
    fn a_map_behind_the_seam() {
        let found = |name, dependency| maps_elsewhere(&planted(name, &[dependency])).len();
        assert_eq!(found("affinity", "dashmap"), 1);
        assert_eq!(found("affinity", "dev:scc"), 1);
        assert_eq!(found("state-map", "opt:dashmap"), 0);
        assert_eq!(found("benches", "papaya"), 0);
    }

    #[test]
    fn a_verdict_that_takes_sides() {
        let planted = planted("verdict", &["papaya", "dev:state-map", "serde"]);
        assert_eq!(
            whats(&partial_verdict(&planted)),
            ["knows papaya", "knows state-map"]
        );
    }

    #[test]
    fn a_runtime_on_a_lower_floor() {
        let found = |name, dependency| world_below(&planted(name, &[dependency])).len();
        assert_eq!(found("stream-registry", "tokio"), 1);
        assert_eq!(found("stream-registry", "opt:tokio"), 0);
        assert_eq!(found("stream-registry", "dev:tokio"), 0);
        assert_eq!(found("call-home", "tokio"), 0);
    }
}
