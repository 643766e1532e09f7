//! The steps of `cargo xtask test`, from what the manifests say.
//!
//! In a build of the whole workspace each crate has the features that any other asks for, and would
//! not show what it misses. So every member is checked alone, too, with one selection of features
//! at a time; and tested so, in the full run.

use std::collections::BTreeMap;

use crate::step::{Run, Step};
use crate::tools::Tool;
use crate::workspace::{Member, Workspace};

/// Its tests start a server each.
const NEEDS_REDIS: &str = "affinity-redis";

/// One crate with one map, whose tests stand for all others of that kind in the default run.
const CANARY: &str = "alone/stream-registry/papaya";

/// Recorded histories, many threads for a while, and a million of something.
const LONG: [&str; 4] = ["linearizability::", "stress::", "churn::", "memory::"];

/// What finds the first mistake soonest comes first.
pub(crate) fn steps(workspace: &Workspace) -> Vec<Step> {
    let members = &workspace.members;
    let xtask = ["--package", env!("CARGO_PKG_NAME")];
    let fmt = Step::cargo("fmt", ["fmt", "--all", "--check"]).needs(Tool::Rustfmt);
    let every = ["--workspace", "--all-targets", "--all-features"];
    let mut steps = vec![
        fmt.run_in(Run::Quick),
        clippy("clippy/workspace", every).run_in(Run::Quick),
        Step::cargo("tidy", ["test"].into_iter().chain(xtask)).run_in(Run::Quick),
        Step::cargo("adr", ["xtask", "adr", "check"]).run_in(Run::Quick),
    ];
    steps.extend(tests());
    let featured = members.iter().filter(|member| !member.features.is_empty());
    steps.extend(featured.clone().map(featureless));
    steps.extend(members.iter().flat_map(check));
    steps.extend(featured.flat_map(alone));
    steps.extend(loom(members, &workspace.loom_target_dir));
    steps.push(
        Step::cargo("doc", ["doc", "--workspace", "--no-deps", "--all-features"])
            .flags("RUSTDOCFLAGS", "-D warnings"),
    );
    steps.push(package(members));
    let figures = Step::cargo("figures", ["xtask", "figures"]).needs(Tool::Valgrind);
    steps.push(figures.run_in(Run::Full));
    let documents = [
        "--features",
        "documents",
        "documents::",
        "--",
        "--nocapture",
    ];
    let documents = ["test"].into_iter().chain(xtask).chain(documents);
    let documents = Step::cargo("documents", documents).must_run_tests();
    steps.push(documents.run_in(Run::Full));
    steps
}

/// The loom models of these crates: all of one name in one build. Others have one of their own,
/// since what they require may break the rest: scc's `loom` feature, for one, does not only add.
pub(crate) fn loom<'a>(
    members: impl IntoIterator<Item = &'a Member>,
    target_dir: &str,
) -> Vec<Step> {
    let mut builds = BTreeMap::<&str, (Vec<&str>, Vec<String>)>::new();
    for member in members {
        for test in &member.loom_tests {
            let (packages, features) = builds.entry(&test.name).or_default();
            packages.extend(["--package", &member.name]);
            let required = test.features.iter();
            features.extend(required.map(|feature| format!("{}/{feature}", member.name)));
        }
    }
    let step = |(name, (packages, features)): (&str, (Vec<&str>, Vec<String>))| {
        let how = [
            "test",
            "--profile",
            "loom",
            "--target-dir",
            target_dir,
            "--no-fail-fast",
        ];
        let what = ["--test", name, "--no-default-features"];
        let features = features.join(",");
        let features = ["--features", &features];
        let features = features.iter().filter(|_| !features[1].is_empty());
        let args = how.iter().chain(&what).chain(&packages).chain(features);
        Step::cargo(format!("loom/{name}"), args.copied())
            .flags("RUSTFLAGS", "--cfg inflight_loom")
            .env_default("LOOM_MAX_PREEMPTIONS", "3")
            .must_run_tests()
    };
    builds.into_iter().map(step).collect()
}

fn clippy<'a>(name: impl Into<String>, args: impl IntoIterator<Item = &'a str>) -> Step {
    let args = ["clippy"]
        .into_iter()
        .chain(args)
        .chain(["--", "-D", "warnings"]);
    Step::cargo(name, args).needs(Tool::Clippy)
}

/// A crate's tests and examples compile without its features, too.
fn featureless(member: &Member) -> Step {
    let what = ["--no-deps", "--all-targets", "--no-default-features"];
    let name = format!("clippy/{}", member.name);
    clippy(name, what.into_iter().chain(["--package", &member.name]))
}

/// What downstream compiles: no tests, so no dev-dependency adds a feature that the library forgot
/// to ask for. By clippy, which also sees what a single map leaves unused.
fn check(member: &Member) -> Vec<Step> {
    let step = |(label, flags): (&str, Vec<String>)| {
        let what = ["--no-deps", "--package", &member.name];
        let args = what.into_iter().chain(flags.iter().map(String::as_str));
        clippy(format!("check/{}/{label}", member.name), args)
    };
    selections(member, "").into_iter().map(step).collect()
}

/// Every test of the workspace, each on all maps, in one build: what is short, and what is long.
/// Those of xtask are `tidy`.
fn tests() -> [Step; 2] {
    let step = |name, args: &[&str]| {
        let all = [
            "test",
            "--workspace",
            "--exclude",
            env!("CARGO_PKG_NAME"),
            "--all-features",
        ];
        let args = all.iter().chain(&["--no-fail-fast"]).chain(args);
        Step::cargo(name, args.copied()).needs(Tool::RedisServer)
    };
    let skip = LONG.map(|name| ["--skip", name]).concat();
    let short = step("tests/short", &[&["--"], &skip[..]].concat());
    let long = step("tests/long", &[&["--tests", "--"], &LONG[..]].concat());
    [short.run_in(Run::Quick), long.must_run_tests()]
}

/// The tests of a crate with fewer features than all of them.
fn alone(member: &Member) -> Vec<Step> {
    let has_suite = member.features.iter().any(|name| name == "conformance");
    let step = |(label, flags): (&str, Vec<String>)| {
        let name = format!("alone/{}/{label}", member.name);
        let run = if name == CANARY {
            Run::Default
        } else {
            Run::Full
        };
        let args = ["test", "--package", &member.name].map(str::to_owned);
        let step = Step::cargo(name, args.into_iter().chain(flags)).run_in(run);
        if member.name == NEEDS_REDIS {
            step.needs(Tool::RedisServer)
        } else {
            step
        }
    };
    let selections = selections(member, if has_suite { ",conformance" } else { "" });
    selections
        .into_iter()
        .filter(|(label, _)| *label != "all")
        .map(step)
        .collect()
}

/// Packs every published crate as a registry would get it. Together: none of them is in a registry
/// yet, and what one needs of another cargo takes from beside it. What is packed is not built.
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

/// The selections of features that differ from one another: what each is called, and its flags for
/// cargo. A single map has `with` behind it.
fn selections<'a>(member: &'a Member, with: &str) -> Vec<(&'a str, Vec<String>)> {
    if member.features.is_empty() {
        return vec![("default", Vec::new())];
    }
    let none = "--no-default-features".to_owned();
    let mut selections = vec![("all", vec!["--all-features".to_owned()])];
    let is_map = |name: &String| member.backends().any(|map| map == name);
    if !member.default.is_empty() && !member.default.iter().all(is_map) {
        selections.push(("default", Vec::new()));
    }
    selections.push(("none", vec![none.clone()]));
    let flags = |map| {
        vec![
            none.clone(),
            "--features".to_owned(),
            format!("{map}{with}"),
        ]
    };
    selections.extend(member.backends().map(|map| (map, flags(map))));
    selections
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::LoomTest;

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

    #[test]
    fn the_default_run_has_one_crate_with_one_map() {
        let count = |run| {
            let steps = steps(&Workspace::load().unwrap());
            let alone = steps.iter().filter(|step| step.name.starts_with("alone/"));
            alone.filter(|step| step.run <= run).count()
        };
        assert_eq!([Run::Quick, Run::Default].map(count), [0, 1]);
        assert!(count(Run::Full) > 30);
    }

    #[test]
    fn every_test_is_either_short_or_long() {
        let [short, long] = tests().map(|step| step.repeat());
        let names = |line: &str| line.split(" -- ").nth(1).unwrap().to_owned();
        assert_eq!(names(&short).replace("--skip ", ""), names(&long));
        assert!(
            long.ends_with(" --tests -- linearizability:: stress:: churn:: memory::"),
            "{long}"
        );
    }

    #[test]
    fn every_map_is_checked_alone_and_the_default_map_once() {
        let phase = member(
            "phase-state",
            &["conformance", "dashmap", "papaya"],
            &["dashmap"],
        );
        let [all, none, dashmap, papaya] = &check(&phase)[..] else {
            panic!("four")
        };
        assert_eq!(dashmap.name, "check/phase-state/dashmap");
        for (step, flags) in [
            (all, "--all-features"),
            (none, "--no-default-features"),
            (papaya, "--no-default-features --features papaya"),
        ] {
            let line =
                format!("cargo clippy --no-deps --package phase-state {flags} -- -D warnings");
            assert_eq!(step.repeat(), line);
        }
        let tests = alone(&phase);
        assert_eq!(
            (tests.len(), &*tests[2].repeat()),
            (
                3,
                "cargo test --package phase-state --no-default-features \
                 --features papaya,conformance"
            )
        );
    }

    #[test]
    fn defaults_that_are_no_map_are_a_selection_of_their_own() {
        let labels = |features: &[&str], default: &[&str]| {
            let member = member("call-home", features, default);
            let labels = selections(&member, "")
                .into_iter()
                .map(|(label, _)| label.to_owned());
            labels.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(&["tls", "quic"], &["tls"]), "all default none");
        assert_eq!(labels(&["serde"], &[]), "all none");
        assert_eq!(
            labels(&[], &[]),
            "default",
            "a crate without features is never left out"
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
            line.starts_with("cargo package --workspace --exclude benches --no-"),
            "{line}"
        );
    }

    #[test]
    fn models_share_a_build_with_their_namesakes_only() {
        let with = |name: &str, tests: &[(&str, &str)]| {
            let test = |&(name, feature): &(&str, &str)| LoomTest {
                name: name.to_owned(),
                features: vec![feature.to_owned()],
            };
            Member {
                loom_tests: tests.iter().map(test).collect(),
                ..member(name, &[], &[])
            }
        };
        let map = with("map", &[("loom", "model"), ("loom_scc", "scc")]);
        let [both, scc] = &loom(&[with("affinity", &[("loom", "a")]), map], "target/loom")[..]
        else {
            panic!("two builds");
        };
        let (both, scc) = (both.repeat(), scc.repeat());
        assert!(
            both.starts_with("RUSTFLAGS='--cfg inflight_loom' LOOM_MAX_PREEMPTIONS="),
            "{both}"
        );
        let end = "--package affinity --package map --features affinity/a,map/model";
        assert!(
            both.ends_with(&format!("--test loom --no-default-features {end}")),
            "{both}"
        );
        assert!(scc.ends_with("--package map --features map/scc"), "{scc}");
    }
}
