//! Criteria files: what they come to, and the line of whatever is wrong.

use verdict::criteria::Criterion;
use verdict::schema::Gauges;
use verdict::{Known, Record, lock_versions};

use crate::world::{CRITERIA, KNOWN, record};

#[test]
fn a_record_is_read_as_it_stands() {
    let record = record();
    assert_eq!((record.number.as_str(), record.cores.get()), ("0003", 2));
    let crates = record
        .candidates
        .values()
        .map(|each| each.crate_name.as_str());
    assert_eq!(Vec::from_iter(crates), ["papaya", "scc"]);
    assert_eq!(record.rule.revisit, ["stable-api", "bottleneck"]);
    assert_eq!(record.rule.watch, ["tracked-requests", "shard-skew"]);
    assert_eq!(record.gating(), ["decode-step"]);
    assert_eq!(record.label("bottleneck"), "(b) bottleneck");
    assert_eq!(record.label("shard-skew"), "shard-skew");
    let bottleneck = record.bottleneck().expect("there");
    assert_eq!(bottleneck.incumbent, "dashmap");
    assert!((bottleneck.threshold - 0.1).abs() < 1e-12);
    let skew = Criterion::ShardSkew { at_most: 2.0 };
    assert_eq!(record.criteria["shard-skew"], skew);
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

/// What is replaced in a valid file, by what, the line of the error, and what it says.
const WRONG: &str = r#"
cores = 2|cores = |3|
cores = 2|cores = 2\ncore = 2|4|unknown field `core`, expected one of `record`
cores = 2|cores = 0|3|invalid value: integer `0`, expected a nonzero u32
cores = 2|cores = -2|3|integer `-2`, expected a nonzero u32
cores = 2|cores = 2.5|3|invalid type: floating point `2.5`
cores = 2||1|missing field `cores`
record = "0003"|record = 3|1|invalid type: integer `3`, expected a string
watch =|look =|7|unknown field `look`, expected `revisit` or `watch`
revisit = ["stable-api", "bottleneck"]|revisit = []|5|`revisit` names nothing
"stable-api", "bottleneck"]|"stable-api", "bottle"]|5|no criterion "bottle"; there are: bottleneck, shard
"stable-api", "bottleneck"]|"stable-api", 7]|6|integer `7`, expected a string
"bottleneck"]|"stable-api"]|5|criterion "stable-api" is named twice
, "shard-skew"]|]|5|criterion "shard-skew" is in neither list; add it to
["tracked-requests",|["stable-api",|5|"stable-api" is named twice
["stable-api", "bottleneck"]\nwatch = [|["bottleneck"]\nwatch = ["stable-api", |5|move it to `revisit`
["tracked-requests", "shard-skew"]|3|7|invalid type: integer `3`, expected a sequence
crate = "papaya"|create = "papaya"|10|unknown field `create`, expected `crate`
crate = "papaya"||9|missing field `crate`
kind = "crate-version"|kind = "version"|16|unknown variant `version`, expected one of
kind = "crate-version"||15|missing field `kind`
at-least = "1.0.0"|at-least = "1.0"|15|"1.0" is no version
at-least = "1.0.0"|at-least = "1.0.0"\nat-most = 2|15|unknown field `at-most`
incumbent = "dashmap"|incumbent = "hashmap"|19|[criterion.bottleneck]: there is no arm "hashmap"
"papaya", "scc"]|"papaya", "moka"]|19|no candidate "moka"; there are: papaya, scc
"papaya", "scc"]|"papaya", "papaya"]|19|candidate "papaya" is named twice
"papaya", "scc"]|"papaya"]|19|it does not compare "scc"; add it to `candidates`
incumbent = "dashmap"|incumbent = "scc"|19|"scc" cannot replace itself
threshold = 0.10|threshold = 0.0|19|the threshold 0 is not between 0 and 1
threshold = 0.10|threshold = nan|19|the threshold NaN is not
threshold = 0.10|threshold = "10 %"|19|invalid type: string "10 %", expected f64
gating = ["decode-step"]|gating = ["on-token"]|19|there is no scenario "on-token"
threshold = 0.10|states = ["farther"]|19|unknown variant `farther`, expected `near` or `far`
at-most = 2.0|at-most = 0.5|30|`at-most` is 0.5, and has to be at least 1
"#;

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    for case in WRONG.trim().lines() {
        let parts: Vec<String> = case
            .split('|')
            .map(|part| part.replace("\\n", "\n"))
            .collect();
        let text = CRITERIA.replacen(&parts[0], &parts[1], 1);
        assert_ne!(text, CRITERIA, "{case}: is not in the file");
        let parsed = Record::parse("adr/0003-criteria.toml", &text, KNOWN);
        let error = parsed.expect_err(case).to_string();
        let place = format!("adr/0003-criteria.toml:{}: ", parts[2]);
        let said = error.starts_with(&place) && error.contains(&parts[3]);
        assert!(said, "{case}: {error}");
    }
    let table = &CRITERIA[CRITERIA.find("[criterion.bottleneck]").expect("there")..];
    let table = &table[..table.find("[criterion.tracked").expect("there")];
    let two = CRITERIA.to_owned() + "\n" + &table.replace("bottleneck]", "second]");
    let two = two.replace("\"stable-api\", ", "\"stable-api\", \"second\", ");
    let parsed = Record::parse("c.toml", &two, KNOWN);
    let error = parsed.expect_err("two").to_string();
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

    let nameless = lock.replace("name = \"papaya\"\n", "");
    for (text, line) in [
        ("version = 4\n", 1),
        ("a = 4\n\nname = \n", 3),
        (&nameless, 3),
    ] {
        let error = lock_versions(text).expect_err(text).to_string();
        assert!(error.contains("cargo generate-lockfile"), "{error}");
        assert!(
            error.contains(&format!("at line {line}")) || line == 1,
            "{error}"
        );
    }
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
        assert_eq!(record.candidates[name].crate_name, "dashmap");
        let bottleneck = record.bottleneck().expect("there");
        assert!(
            bottleneck.candidates.iter().any(|each| each == name),
            "{record:?}"
        );
    }
}
