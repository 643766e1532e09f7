//! Criteria files: what they come to, and the line of whatever is wrong.

use std::cmp::Ordering;

use verdict::criteria::{Kind, Version};
use verdict::schema::Gauges;
use verdict::{Known, Record, lock_versions};

use crate::synthetic::{CRITERIA, KNOWN, record};

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
    let Kind::Bottleneck(bottleneck) = kind("bottleneck") else {
        panic!("another kind");
    };
    assert_eq!(bottleneck.incumbent, "dashmap");
    assert!((bottleneck.threshold - 0.1).abs() < 1e-12);
    assert_eq!(
        kind("tracked-requests"),
        &Kind::GaugeAgainstCeiling { per_shard: 512 }
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
        "unknown key `core` in the file; it may hold: record, title, cores",
    ),
    (
        "cores = 2",
        "cores = 0",
        3,
        "`cores` is 0, and has to be at least 1",
    ),
    (
        "cores = 2",
        "cores = -2",
        3,
        "`cores` is of type integer, and has to be a whole number",
    ),
    ("cores = 2", "cores = 2.5", 3, "`cores` is of type float"),
    ("cores = 2", "", 1, "the file has no `cores`"),
    (
        "record = \"0003\"",
        "record = 3",
        1,
        "`record` is of type integer, and has to be a text",
    ),
    (
        "watch =",
        "look =",
        7,
        "unknown key `look` in [rule]; it may hold: revisit, watch",
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
        6,
        "there is no criterion \"bottle\"; there are: stable-api, bottleneck, tracked-requests, shard-skew",
    ),
    (
        "\"stable-api\", \"bottleneck\"]",
        "\"stable-api\", 7]",
        6,
        "`revisit` is of type integer, and has to be a text in this list",
    ),
    (
        "\"stable-api\", \"bottleneck\"]",
        "\"bottleneck\", \"bottleneck\"]",
        6,
        "\"bottleneck\" is named twice",
    ),
    (
        "[\"tracked-requests\", \"shard-skew\"]",
        "[\"tracked-requests\"]",
        30,
        "criterion \"shard-skew\" is in neither list",
    ),
    (
        "[\"tracked-requests\", \"shard-skew\"]",
        "[\"stable-api\", \"shard-skew\"]",
        7,
        "\"stable-api\" is named twice",
    ),
    (
        "[\"tracked-requests\", \"shard-skew\"]",
        "3",
        7,
        "has to be a list of texts",
    ),
    (
        "crate = \"papaya\"",
        "create = \"papaya\"",
        10,
        "unknown key `create` in [candidate.papaya]; it may hold: crate",
    ),
    (
        "crate = \"papaya\"",
        "",
        9,
        "[candidate.papaya] has no `crate`",
    ),
    (
        "kind = \"crate-version\"",
        "kind = \"version\"",
        16,
        "there is no kind \"version\"; there are: crate-version, bottleneck",
    ),
    (
        "kind = \"crate-version\"",
        "",
        15,
        "[criterion.stable-api] has no `kind`",
    ),
    (
        "at-least = \"1.0.0\"",
        "at-least = \"1.0\"",
        17,
        "\"1.0\" is no version",
    ),
    (
        "at-least = \"1.0.0\"",
        "at-least = \"1.0.0\"\nat-most = 2",
        18,
        "unknown key `at-most` in [criterion.stable-api]",
    ),
    (
        "incumbent = \"dashmap\"",
        "incumbent = \"hashmap\"",
        21,
        "there is no arm \"hashmap\"; there are: dashmap, papaya, scc",
    ),
    (
        "candidates = [\"papaya\", \"scc\"]",
        "candidates = [\"papaya\", \"moka\"]",
        22,
        "there is no candidate \"moka\"; there are: papaya, scc",
    ),
    (
        "candidates = [\"papaya\", \"scc\"]",
        "candidates = [\"papaya\",\n \"papaya\"]",
        23,
        "candidate \"papaya\" is named twice",
    ),
    (
        "candidates = [\"papaya\", \"scc\"]",
        "candidates = [\"papaya\"]",
        12,
        "candidate \"scc\" is compared by no bottleneck",
    ),
    (
        "incumbent = \"dashmap\"",
        "incumbent = \"scc\"",
        22,
        "arm \"scc\" is named twice",
    ),
    (
        "threshold = 0.10",
        "threshold = 0.0",
        23,
        "the threshold 0 is not strictly between 0 and 1",
    ),
    (
        "threshold = 0.10",
        "threshold = 1",
        23,
        "the threshold 1 is not strictly between 0 and 1",
    ),
    (
        "threshold = 0.10",
        "threshold = nan",
        23,
        "the threshold NaN is not",
    ),
    (
        "threshold = 0.10",
        "threshold = \"10 %\"",
        23,
        "`threshold` is of type string, and has to be a number",
    ),
    (
        "gating = [\"decode-step\"]",
        "gating = [\"on-token\"]",
        24,
        "there is no scenario \"on-token\"; there are: decode-step, other-step",
    ),
    (
        "at-most = 2.0",
        "at-most = 0.5",
        32,
        "`at-most` is 0.5, and has to be at least 1",
    ),
    (
        "at-most = 2.0",
        "at-most = 2.0\nat-most = 3.0",
        33,
        "duplicate key",
    ),
];

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    for (from, to, line, says) in WRONG {
        let text = CRITERIA.replacen(from, to, 1);
        assert_ne!(text, CRITERIA, "{from} is not in the file");
        match Record::parse("adr/0003-criteria.toml", &text, KNOWN) {
            Ok(_) => panic!("{to}: accepted"),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("adr/0003-criteria.toml:{line}: ")),
                    "{to}: {text}"
                );
                assert!(text.contains(says), "{to}: {text}");
            }
        }
    }
    for (text, says) in [
        ("", "has no `rule`"),
        (
            "rule = 3",
            "`rule` is of type integer, and has to be a table",
        ),
        (
            "[rule]\nrevisit = [\"a\"]",
            "there is no criterion \"a\"; there are: none",
        ),
    ] {
        let error = Record::parse("c.toml", text, KNOWN)
            .expect_err(text)
            .to_string();
        assert!(error.contains(says), "{text:?}: {error}");
    }
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
fn versions_are_ordered_as_releases() {
    let ordered = [
        "0.2.5",
        "0.10.0",
        "1.0.0-alpha",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.10.0",
        "2.0.0",
    ];
    let versions = ordered.map(|text| text.parse::<Version>().expect(text));
    for pair in versions.windows(2) {
        let orders = (pair[0].cmp(&pair[1]), pair[1].cmp(&pair[0]));
        assert_eq!(orders, (Ordering::Less, Ordering::Greater), "{pair:?}");
    }
    let with_build: Version = "1.0.0+spec-1.1.0".parse().expect("a version");
    assert_eq!(with_build, versions[4]);
    assert_eq!(versions[3].to_string(), "1.0.0-rc.1");
    for text in [
        "",
        "1",
        "1.0",
        "1.0.0.0",
        "1.0.x",
        "1..0",
        "1.0.0-",
        "+1.0.0",
        "1.0.-1",
        "v1.0.0",
        "1.0.99999999999999999999",
    ] {
        assert!(text.parse::<Version>().is_err(), "{text}");
    }
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
        let compared = record.criteria.iter().any(|each| match &each.kind {
            Kind::Bottleneck(bottleneck) => bottleneck.candidates.iter().any(|each| each == name),
            _ => false,
        });
        assert!(compared, "{record:?}");
    }
}
