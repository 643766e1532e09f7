//! Updates and checks, on a repository that holds nothing but a record.

mod repository;

use std::fs;

use verdict::schema::{Mode, SCHEMA};

use self::repository::{ASKED, CRITERIA, KEPT, RECORD, RUN, Repository, UNMEASURED, results};
use super::update;

#[test]
fn a_record_that_was_never_measured_passes() {
    let repository = Repository::new("never");
    assert_eq!(repository.said(), "not measured yet");
    assert_eq!(repository.read(RECORD), UNMEASURED);
}

#[test]
fn a_record_that_was_updated_passes_and_says_what_was_measured() {
    let repository = Repository::measured("updated");
    assert_eq!(repository.said(), format!("is what {KEPT} says"));
    let record = repository.read(RECORD);
    let (before, after) = UNMEASURED.split_at(UNMEASURED.find("<!-- measured: end").unwrap());
    assert!(record.starts_with(before) && record.ends_with(after));
    // How the rest reads is the crate `verdict`'s, and tested there.
    for part in [
        "From [`0003-results.json`](0003-results.json), by `cargo xtask adr update 0003`.",
        "papaya: KEEP.",
        "papaya 0.2.5, and 1.0.0 is asked for",
        "3,000 tracked",
        "8 shards",
        "`cargo xtask bench --adr 0003 --tracked 3000 --seed 3`",
        "0123456789ab",
        "Synthetic",
        "2026-11-20 10:00 UTC",
        "| dashmap | 1000 | 119.0 | – | 16.4 |",
    ] {
        assert!(record.contains(part), "no {part:?} in:\n{record}");
    }
}

#[test]
fn to_update_again_changes_nothing_and_may_read_what_is_kept() {
    let repository = Repository::measured("again");
    let (record, kept) = (repository.read(RECORD), repository.read(KEPT));
    update(&repository.root, "0003", KEPT.as_ref()).unwrap();
    assert_eq!(repository.read(RECORD), record);
    assert_eq!(repository.read(KEPT), kept);
}

#[test]
fn what_is_kept_has_no_whitespace_however_it_came() {
    let repository = Repository::measured("compact");
    let kept = repository.read(KEPT);
    let value: serde_json::Value = serde_json::from_str(&kept).unwrap();
    repository.write(RUN, &serde_json::to_string_pretty(&value).unwrap());
    repository.update().unwrap();
    assert_eq!(repository.read(KEPT), kept);
}

#[test]
fn an_edited_section_is_found_on_its_line() {
    let repository = Repository::measured("edited");
    repository.replace(RECORD, "| 200.0 |", "| 190.0 |");
    let record = repository.read(RECORD);
    let line = record.lines().position(|line| line.contains("| 190.0 |"));
    assert_eq!(
        repository.said(),
        format!(
            "{RECORD}:{}: is not what {KEPT} says; mend it with `cargo xtask adr update 0003 --results {KEPT}`",
            line.unwrap() + 1
        )
    );
}

#[test]
fn other_criteria_than_it_was_answered_by_are_found() {
    let repository = Repository::measured("criteria");
    repository.replace(CRITERIA, "at-least = \"1.0.0\"", "at-least = \"0.2.0\"");
    let said = repository.said();
    assert!(
        said.contains("is not what adr/0003-results.json says"),
        "{said}"
    );
}

#[test]
fn results_that_are_missing_foreign_or_cut_short_fail_with_what_they_are() {
    let repository = Repository::measured("refused");
    let whole = repository.read(KEPT);
    let mut said = Vec::new();
    repository.write(KEPT, &whole[..whole.len() / 2]);
    said.push((repository.said(), "the results are cut short"));
    repository.write(KEPT, "{}");
    said.push((repository.said(), "schema \"\""));
    repository.write(KEPT, &whole.replace(SCHEMA, "inflight-results/0"));
    said.push((repository.said(), "schema \"inflight-results/0\""));
    repository.write(KEPT, &whole.replace("decode-step", "another"));
    said.push((repository.said(), "there is no scenario \"decode-step\""));
    fs::remove_file(repository.root.join(KEPT)).unwrap();
    said.push((repository.said(), "cannot be read"));
    for (said, what) in said {
        assert!(said.starts_with(&format!("{RECORD}:6: {KEPT} ")), "{said}");
        assert!(said.contains(what), "{said}");
        let mended =
            said.ends_with("`cargo xtask bench --adr 0003` and `cargo xtask adr update 0003`");
        assert!(mended, "{said}");
    }
}

#[test]
fn criteria_and_markers_are_checked_before_anything_is_measured() {
    let repository = Repository::new("broken");
    repository.replace(CRITERIA, "cores = 2", "core = 2");
    assert!(
        repository
            .said()
            .starts_with("adr/0003-criteria.toml:3: unknown field `core`")
    );
    repository.write(
        CRITERIA,
        &ASKED.replace("record = \"0003\"", "record = \"0004\""),
    );
    assert!(repository.said().contains("it is about record 0004"));
    repository.write(CRITERIA, ASKED);
    repository.replace(RECORD, "<!-- measured: end -->\n", "");
    assert!(
        repository
            .said()
            .starts_with("adr/0003-a-map.md:1: no line is `<!-- measured: end -->`")
    );
    repository.write(RECORD, UNMEASURED);
    fs::remove_file(repository.root.join(CRITERIA)).unwrap();
    assert!(
        repository
            .said()
            .contains("needs adr/0003-criteria.toml, which is missing")
    );
}

#[test]
fn an_update_that_is_refused_writes_nothing() {
    let repository = Repository::new("refusal");
    let whole = results().to_json().unwrap();
    let mut quick = results();
    quick.mode = Mode::Quick;
    let mut stopped = results();
    stopped.runs[0].blocks.truncate(3);
    for (run, what) in [
        (
            &whole[..whole.len() / 2],
            "is refused: the results are cut short",
        ),
        (&quick.to_json().unwrap(), "is of a quick run"),
        (
            &stopped.to_json().unwrap(),
            "is of a run that stopped before its end",
        ),
    ] {
        repository.write(RUN, run);
        let error = format!("{:#}", repository.update().unwrap_err());
        assert!(error.starts_with(RUN) && error.contains(what), "{error}");
        assert_eq!(repository.read(RECORD), UNMEASURED);
        assert!(!repository.root.join(KEPT).exists());
    }
}

#[test]
fn only_a_record_that_rests_on_measurements_can_be_updated() {
    let repository = Repository::new("others");
    let refused = |number: &str| {
        let error = update(&repository.root, number, RUN.as_ref()).unwrap_err();
        format!("{error:#}")
    };
    assert_eq!(refused("3"), "there is no record adr/3-*.md");
    assert!(refused("0001").contains("it has no adr/0001-criteria.toml"));
}
