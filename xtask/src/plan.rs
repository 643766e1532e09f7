//! The steps of `cargo xtask test`, from what the manifests say.
//!
//! Every member is linted, checked and tested alone and with one selection of features at a time: in a build of the
//! whole workspace each crate has the features that any other asks for, and would not show what it misses.

use crate::step::Step;
use crate::tools::Tool;
use crate::workspace::{LoomTest, Member, Workspace};

/// Its tests start a server each.
const NEEDS_REDIS: &str = "affinity-redis";

pub(crate) fn steps(workspace: &Workspace) -> Vec<Step> {
    let members = &workspace.members;
    let mut steps = vec![Step::cargo("fmt", ["fmt", "--all", "--check"]).needs(Tool::Rustfmt)];
    steps.extend(members.iter().flat_map(clippy));
    steps.extend(members.iter().flat_map(check));
    steps.extend(
        members
            .iter()
            .filter(|member| !member.is_xtask())
            .flat_map(features),
    );
    steps.extend(
        members
            .iter()
            .flat_map(|member| loom(member, &workspace.loom_target_dir)),
    );
    steps.push(doc());
    steps.push(package(members));
    steps.push(figures());
    steps.push(Step::cargo("tidy", ["test", "--package", "xtask"]));
    steps.push(documents());
    steps.push(Step::cargo("adr", ["xtask", "adr", "check"]));
    steps
}

/// The loom models of one crate. Each target is built by itself, since what one requires may break the other: scc's
/// `loom` feature, for one, does not only add.
pub(crate) fn loom(member: &Member, target_dir: &str) -> Vec<Step> {
    let step = |test: &LoomTest| {
        let mut args = vec![
            "test",
            "--release",
            "--target-dir",
            target_dir,
            "--package",
            &member.name,
        ];
        args.extend(["--test", &test.name, "--no-default-features"]);
        let features = test.features.join(",");
        if !features.is_empty() {
            args.extend(["--features", &features]);
        }
        Step::cargo(format!("loom/{}/{}", member.name, test.name), args)
            .flags("RUSTFLAGS", "--cfg inflight_loom")
            .env_default("LOOM_MAX_PREEMPTIONS", "3")
            .slow(true)
            .must_run_tests()
    };
    member.loom_tests.iter().map(step).collect()
}

fn clippy(member: &Member) -> Vec<Step> {
    let step = |selection: Selection| {
        let args = [
            "clippy",
            "--package",
            &member.name,
            "--no-deps",
            "--all-targets",
        ]
        .map(str::to_owned);
        let deny = ["--", "-D", "warnings"].map(str::to_owned);
        let args = args.into_iter().chain(selection.flags(&[])).chain(deny);
        Step::cargo(selection.step_name("clippy", member), args).needs(Tool::Clippy)
    };
    selections(member).into_iter().map(step).collect()
}

/// What downstream compiles: no tests, so no dev-dependency adds a feature that the library forgot to ask for.
fn check(member: &Member) -> Vec<Step> {
    let step = |selection: Selection| {
        let args = ["check", "--package", &member.name].map(str::to_owned);
        Step::cargo(
            selection.step_name("check", member),
            args.into_iter().chain(selection.flags(&[])),
        )
    };
    selections(member).into_iter().map(step).collect()
}

fn features(member: &Member) -> Vec<Step> {
    let conformance: &[&str] = if member.has_feature("conformance") {
        &["conformance"]
    } else {
        &[]
    };
    let step = |selection: Selection| {
        let args = ["test", "--package", &member.name].map(str::to_owned);
        let args = args.into_iter().chain(selection.flags(conformance));
        let slow = !member.features.is_empty() && selection != Selection::All;
        let step = Step::cargo(selection.step_name("features", member), args).slow(slow);
        if member.name == NEEDS_REDIS {
            step.needs(Tool::RedisServer)
        } else {
            step
        }
    };
    selections(member).into_iter().map(step).collect()
}

fn doc() -> Step {
    Step::cargo("doc", ["doc", "--workspace", "--no-deps", "--all-features"])
        .flags("RUSTDOCFLAGS", "-D warnings")
        .slow(true)
}

/// Packs every published crate as a registry would get it. Together: none of them is in a registry yet, and what one needs
/// of another cargo takes from beside it. What is packed is not built, which the other steps do.
fn package(members: &[Member]) -> Step {
    let unpublished = members.iter().filter(|member| !member.is_published);
    let excluded = unpublished.flat_map(|member| ["--exclude", &member.name]);
    let how = ["--no-verify", "--allow-dirty", "--offline"];
    Step::cargo(
        "package",
        ["package", "--workspace"]
            .into_iter()
            .chain(excluded)
            .chain(how),
    )
}

/// Runs the commands that the documents tell people to type.
fn documents() -> Step {
    let xtask = ["test", "--package", "xtask", "--features", "documents"];
    let only = ["documents::", "--", "--nocapture"];
    Step::cargo("documents", xtask.into_iter().chain(only))
        .slow(true)
        .must_run_tests()
}

fn figures() -> Step {
    Step::cargo("figures", ["xtask", "figures"])
        .needs(Tool::Valgrind)
        .slow(true)
}

/// Which features of a crate a step turns on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Selection {
    Default,
    All,
    None,
    Backend(&'static str),
}

impl Selection {
    fn step_name(self, group: &str, member: &Member) -> String {
        let label = match self {
            Selection::Default => "default",
            Selection::All => "all",
            Selection::None => "none",
            Selection::Backend(backend) => backend,
        };
        format!("{group}/{}/{label}", member.name)
    }

    /// The flags for cargo; a backend has `with` beside it.
    fn flags(self, with: &[&str]) -> Vec<String> {
        match self {
            Selection::Default => Vec::new(),
            Selection::All => vec!["--all-features".to_owned()],
            Selection::None => vec!["--no-default-features".to_owned()],
            Selection::Backend(backend) => {
                let features = [&[backend], with].concat().join(",");
                vec![
                    "--no-default-features".to_owned(),
                    "--features".to_owned(),
                    features,
                ]
            }
        }
    }
}

/// The selections that differ from one another.
fn selections(member: &Member) -> Vec<Selection> {
    if member.features.is_empty() {
        return vec![Selection::Default];
    }
    let mut selections = vec![Selection::All];
    let default_is_a_backend =
        matches!(&member.default[..], [only] if member.backends().any(|name| name == only));
    if !member.default.is_empty() && !default_is_a_backend {
        selections.push(Selection::Default);
    }
    selections.push(Selection::None);
    selections.extend(member.backends().map(Selection::Backend));
    selections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, features: &[&str], default: &[&str]) -> Member {
        let owned = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        Member {
            name: name.to_owned(),
            features: owned(features),
            default: owned(default),
            loom_tests: Vec::new(),
            is_published: true,
        }
    }

    fn lines(steps: &[Step]) -> Vec<String> {
        steps
            .iter()
            .map(|step| format!("{}: {}", step.name, step.repeat()))
            .collect()
    }

    #[test]
    fn every_backend_is_tested_alone_and_the_default_backend_once() {
        let phase = member(
            "phase-state",
            &["conformance", "dashmap", "papaya"],
            &["dashmap"],
        );
        let steps = features(&phase);
        assert_eq!(
            lines(&steps),
            [
                "features/phase-state/all: cargo test --package phase-state --all-features",
                "features/phase-state/none: cargo test --package phase-state --no-default-features",
                "features/phase-state/dashmap: \
                 cargo test --package phase-state --no-default-features --features dashmap,conformance",
                "features/phase-state/papaya: \
                 cargo test --package phase-state --no-default-features --features papaya,conformance",
            ]
        );
        assert_eq!(
            steps.iter().map(|step| step.slow).collect::<Vec<_>>(),
            [false, true, true, true]
        );
    }

    #[test]
    fn a_crate_without_features_is_built_one_way_and_never_left_out() {
        let steps = features(&member("worker-id", &[], &[]));
        assert_eq!(
            lines(&steps),
            ["features/worker-id/default: cargo test --package worker-id"]
        );
        assert!(!steps[0].slow);
    }

    #[test]
    fn only_the_tests_on_a_server_need_one() {
        let tools = |name| {
            let steps = features(&member(name, &["tls"], &[]));
            steps.into_iter().map(|step| step.tool).collect::<Vec<_>>()
        };
        assert_eq!(tools("affinity-redis"), [Some(Tool::RedisServer); 2]);
        assert_eq!(tools("affinity"), [None; 2]);
    }

    #[test]
    fn defaults_that_are_no_single_backend_are_a_selection_of_their_own() {
        assert_eq!(
            selections(&member("call-home", &["tls", "quic"], &["tls"])),
            [Selection::All, Selection::Default, Selection::None]
        );
        assert_eq!(
            selections(&member("worker-id", &["serde"], &[])),
            [Selection::All, Selection::None]
        );
    }

    #[test]
    fn what_is_never_published_is_not_packed() {
        let benches = Member {
            is_published: false,
            ..member("benches", &[], &[])
        };
        let line = package(&[member("affinity", &[], &[]), benches]).repeat();
        assert!(
            line.starts_with("cargo package --workspace --exclude benches --no-verify"),
            "{line}"
        );
    }

    #[test]
    fn each_loom_target_has_exactly_the_features_it_requires() {
        let mut map = member("state-map", &["scc"], &[]);
        map.loom_tests = vec![
            LoomTest {
                name: "loom".to_owned(),
                features: Vec::new(),
            },
            LoomTest {
                name: "loom_scc".to_owned(),
                features: vec!["scc".to_owned(), "conformance".to_owned()],
            },
        ];
        let steps = loom(&map, "target/loom");
        let lines = lines(&steps);
        assert!(
            lines[0].ends_with("--package state-map --test loom --no-default-features"),
            "{lines:?}"
        );
        assert!(
            lines[1].ends_with("--test loom_scc --no-default-features --features scc,conformance"),
            "{lines:?}"
        );
        assert!(
            lines
                .iter()
                .all(|line| line.contains("--cfg inflight_loom")),
            "{lines:?}"
        );
        assert!(
            lines
                .iter()
                .all(|line| line.contains(" --target-dir target/loom ")),
            "{lines:?}"
        );
    }
}
