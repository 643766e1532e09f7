//! Criteria files: what they come to, and the line of whatever is wrong.

use std::num::NonZeroU64;

use verdict::criteria::Kind;
use verdict::schema::Gauges;
use verdict::{Known, Record, lock_versions};

use crate::world::{CRITERIA, KNOWN, record};

#[test]
fn a_record_is_read_as_it_stands() {
    let record = record();
    assert_eq!((record.number.as_str(), record.cores), ("0003", 2));
    let candidates: Vec<&str> = record
        .candidates
        .iter()
        .map(|each| &*each.crate_name)
        .collect();
    assert_eq!(candidates, ["papaya", "scc"]);
    assert_eq!(record.revisit, ["stable-api", "bottleneck"]);
    assert_eq!(record.watch, ["tracked-requests", "shard-skew"]);
    assert_eq!(record.gating(), ["decode-step"]);
    assert_eq!(record.label("bottleneck"), "(b) bottleneck");
    assert_eq!(record.label("shard-skew"), "shard-skew");
    let kind = |name| &record.criterion(name).expect("there").kind;
    let bottleneck = record.bottleneck().expect("there");
    assert_eq!(bottleneck.incumbent, "dashmap");
    assert!((bottleneck.threshold - 0.1).abs() < 1e-12);
    assert_eq!(
        kind("tracked-requests"),
        &Kind::GaugeAgainstCeiling {
            per_shard: NonZeroU64::new(512).expect("not 0")
        }
    );
    assert_eq!(kind("shard-skew"), &Kind::ShardSkew { at_most: 2.0 });
}

#[test]
fn numbers_may_be_written_as_toml_writes_them() {
    for (from, to) in [
        ("per-shard = 512", "per-shard = 0x200"),
        ("per-shard = 512", "per-shard = 5_1_2"),
        ("at-most = 2.0", "at-most = 2"),
        ("threshold = 0.10", "threshold = 1e-1"),
        ("threshold = 0.10\n", ""),
    ] {
        let text = CRITERIA.replace(from, to);
        assert_ne!(text, CRITERIA);
        let parsed = Record::parse("c.toml", &text, KNOWN).unwrap_or_else(|e| panic!("{to}: {e}"));
        assert_eq!(parsed, record(), "{to}");
    }
}

/// What is replaced by what in a valid file, the line of the error, and what it says.
const WRONG: [(&str, &str, usize, &str); 33] = [
    ("cores = 2", "cores = ", 3, ""),
    (
        "cores = 2",
        "cores = 2\ncore = 2",
        4,
        "unknown field `core`, expected one of `record`",
    ),
    (
        "cores = 2",
        "cores = 0",
        3,
        "invalid value: integer `0`, expected a nonzero u32",
    ),
    (
        "cores = 2",
        "cores = -2",
        3,
        "integer `-2`, expected a nonzero u32",
    ),
    (
        "cores = 2",
        "cores = 2.5",
        3,
        "invalid type: floating point `2.5`",
    ),
    ("cores = 2", "", 1, "missing field `cores`"),
    (
        "record = \"0003\"",
        "record = 3",
        1,
        "invalid type: integer `3`, expected a string",
    ),
    (
        "watch =",
        "look =",
        7,
        "unknown field `look`, expected `revisit` or `watch`",
    ),
    (
        "revisit = [\"stable-api\", \"bottleneck\"]",
        "revisit = []",
        5,
        "`revisit` names nothing",
    ),
    (
        "\"stable-api\", \"bottleneck\"]",
        "\"stable-api\", \"bottle\"]",
        5,
        "no criterion \"bottle\"; there are: stable-api, bottleneck, tracked-requests, shard-skew",
    ),
    (
        "\"stable-api\", \"bottleneck\"]",
        "\"stable-api\", 7]",
        6,
        "integer `7`, expected a string",
    ),
    (
        "\"bottleneck\"]",
        "\"stable-api\"]",
        5,
        "criterion \"stable-api\" is named twice",
    ),
    (
        ", \"shard-skew\"]",
        "]",
        5,
        "criterion \"shard-skew\" is in neither list; add it to",
    ),
    (
        "[\"tracked-requests\",",
        "[\"stable-api\",",
        5,
        "\"stable-api\" is named twice",
    ),
    (
        "[\"stable-api\", \"bottleneck\"]\nwatch = [",
        "[\"bottleneck\"]\nwatch = [\"stable-api\", ",
        5,
        "\"stable-api\" is answered for each candidate; move it to `revisit`",
    ),
    (
        "[\"tracked-requests\", \"shard-skew\"]",
        "3",
        7,
        "invalid type: integer `3`, expected a sequence",
    ),
    (
        "crate = \"papaya\"",
        "create = \"papaya\"",
        10,
        "unknown field `create`, expected `crate`",
    ),
    ("crate = \"papaya\"", "", 9, "missing field `crate`"),
    (
        "kind = \"crate-version\"",
        "kind = \"version\"",
        16,
        "unknown variant `version`, expected one of",
    ),
    ("kind = \"crate-version\"", "", 15, "missing field `kind`"),
    (
        "at-least = \"1.0.0\"",
        "at-least = \"1.0\"",
        15,
        "\"1.0\" is no version",
    ),
    (
        "at-least = \"1.0.0\"",
        "at-least = \"1.0.0\"\nat-most = 2",
        15,
        "unknown field `at-most`",
    ),
    (
        "incumbent = \"dashmap\"",
        "incumbent = \"hashmap\"",
        19,
        "[criterion.bottleneck]: there is no arm \"hashmap\"; there are: dashmap, papaya, scc",
    ),
    (
        "\"papaya\", \"scc\"]",
        "\"papaya\", \"moka\"]",
        19,
        "no candidate \"moka\"; there are: papaya, scc",
    ),
    (
        "\"papaya\", \"scc\"]",
        "\"papaya\", \"papaya\"]",
        19,
        "candidate \"papaya\" is named twice",
    ),
    (
        "\"papaya\", \"scc\"]",
        "\"papaya\"]",
        5,
        "candidate \"scc\" is compared by no bottleneck",
    ),
    (
        "incumbent = \"dashmap\"",
        "incumbent = \"scc\"",
        19,
        "\"scc\" cannot replace itself",
    ),
    (
        "threshold = 0.10",
        "threshold = 0.0",
        19,
        "the threshold 0 is not between 0 and 1",
    ),
    (
        "threshold = 0.10",
        "threshold = nan",
        19,
        "the threshold NaN is not",
    ),
    (
        "threshold = 0.10",
        "threshold = \"10 %\"",
        19,
        "invalid type: string \"10 %\", expected f64",
    ),
    (
        "gating = [\"decode-step\"]",
        "gating = [\"on-token\"]",
        19,
        "there is no scenario \"on-token\"",
    ),
    (
        "threshold = 0.10",
        "states = [\"farther\"]",
        19,
        "unknown variant `farther`, expected `near` or `far`",
    ),
    (
        "at-most = 2.0",
        "at-most = 0.5",
        30,
        "`at-most` is 0.5, and has to be at least 1",
    ),
];

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    for (from, to, line, says) in WRONG {
        let text = CRITERIA.replacen(from, to, 1);
        assert_ne!(text, CRITERIA, "{from} is not in the file");
        let parsed = Record::parse("adr/0003-criteria.toml", &text, KNOWN);
        let error = parsed.expect_err(to).to_string();
        let place = format!("adr/0003-criteria.toml:{line}: ");
        assert!(
            error.starts_with(&place) && error.contains(says),
            "{to}: {error}"
        );
    }
    let again = CRITERIA.replace("[criterion.stable-api]", "[criterion.again]");
    let bottleneck = &CRITERIA[CRITERIA.find("[criterion.bottleneck]").expect("there")..];
    let bottleneck = &bottleneck[..bottleneck.find("[criterion.tracked").expect("there")];
    let two = again.replace("stable-api", "again") + &bottleneck.replace("bottleneck]", "second]");
    let two = two.replace("\"again\", ", "\"again\", \"second\", ");
    let error = Record::parse("c.toml", &two, KNOWN)
        .expect_err("two")
        .to_string();
    assert!(
        error.contains("\"second\" is a second bottleneck"),
        "{error}"
    );
}

#[test]
fn no_cut_or_changed_file_panics() {
    assert!(CRITERIA.is_ascii());
    for at in 0..CRITERIA.len() {
        let _ = Record::parse("c.toml", &CRITERIA[..at], KNOWN);
        for other in ["\"", "[", "]", "=", "\n", "9", "é"] {
            let text = format!("{}{other}{}", &CRITERIA[..at], &CRITERIA[at + 1..]);
            let _ = Record::parse("c.toml", &text, KNOWN);
        }
    }
    let nothing = Known {
        scenarios: &[],
        arms: &[],
    };
    assert!(Record::parse("c.toml", CRITERIA, nothing).is_err());
}

#[test]
fn a_lock_file_names_every_version() {
    let lock = "version = 4\n\n[[package]]\nname = \"papaya\"\nversion = \"0.2.5\"\n\n\
                [[package]]\nname = \"scc\"\nversion = \"2.1.0\"\n\n[[package]]\nname = \"scc\"\nversion = \"3.8.8\"\n";
    let versions = lock_versions(lock).expect("a lock file");
    assert_eq!(versions["scc"], ["2.1.0", "3.8.8"]);
    assert_eq!(versions["papaya"], ["0.2.5"]);

    let line = |text: &str| lock_versions(text).expect_err(text).line;
    assert_eq!(line("version = 4\n"), 1);
    assert_eq!(line("version = 4\n\nname = \n"), 3);
    assert_eq!(line(&lock.replace("name = \"papaya\"\n", "")), 3);
    let message = lock_versions("").expect_err("empty").to_string();
    assert!(
        message.contains("Cargo.lock:1") && message.contains("cargo generate-lockfile"),
        "{message}"
    );
}

#[test]
fn a_gauge_at_the_ceiling_makes_more_shards_a_candidate() {
    let with = |tracked| {
        let mut record = record();
        let gauges = Gauges {
            tracked,
            shards: Some(8),
            shard_skew: None,
        };
        let added = record.add_more_shards(&gauges);
        (added, record)
    };
    assert_eq!(with(None).0, None);
    assert_eq!(with(Some(4_095)).0, None);
    for (tracked, name) in [
        (4_096, "dashmap-shards=16"),
        (100_000, "dashmap-shards=256"),
    ] {
        let (added, record) = with(Some(tracked));
        assert_eq!(added.as_deref(), Some(name));
        let last = record.candidates.last().unwrap();
        assert_eq!((&*last.name, &*last.crate_name), (name, "dashmap"));
        let bottleneck = record.bottleneck().expect("there");
        assert!(
            bottleneck.candidates.iter().any(|each| each == name),
            "{record:?}"
        );
    }
}
