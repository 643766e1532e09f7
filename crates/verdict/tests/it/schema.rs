//! Results that are read back, and texts that are refused with what they are.

use verdict::schema::{Cell, Plan, ReadError, Results, Role, SCHEMA};

use crate::exact::{pass, results};

fn good() -> Results {
    results(vec![pass(1, 0.9, 1.0), pass(2, 0.9, 1.0)])
}

#[test]
fn what_is_written_is_read_back() {
    let mut results = good();
    results.runs[0].blocks[0].cells[1] = Cell::Void {
        reason: "hung, and was killed after 10 s".to_owned(),
        seed: u64::MAX,
    };
    let text = results.to_json().expect("consistent");
    assert!(text.starts_with(&format!("{{\"schema\":\"{SCHEMA}\"")));
    assert_eq!(Results::from_json(&text).expect("just written"), results);
}

#[test]
fn every_beginning_of_a_file_is_cut_short() {
    let mut small = good();
    small.runs.truncate(1);
    small.runs[0].blocks.truncate(1);
    let text = small.to_json().expect("consistent");
    assert!(text.is_ascii());
    for length in 0..text.len() {
        match Results::from_json(&text[..length]) {
            Err(ReadError::CutShort { bytes, line: 0..=1 }) => assert_eq!(bytes, length),
            other => panic!("{length} of {} bytes: {other:?}", text.len()),
        }
    }
    let message = Results::from_json(&text[..100]).unwrap_err().to_string();
    assert!(
        message.contains("cut short") && message.contains("100 bytes"),
        "{message}"
    );
}

#[test]
fn another_version_is_named() {
    let text = good().to_json().expect("consistent");
    let other = text.replacen(SCHEMA, "inflight-results/2", 1);
    match Results::from_json(&other) {
        Err(ReadError::OtherVersion { found }) => assert_eq!(found, "inflight-results/2"),
        other => panic!("{other:?}"),
    }
    // Also where nothing else of it is known.
    let foreign = Results::from_json(r#"{"schema": "inflight-results/9", "planets": 8}"#);
    assert!(
        matches!(foreign, Err(ReadError::OtherVersion { .. })),
        "{foreign:?}"
    );
}

#[test]
fn other_texts_are_refused() {
    for text in ["{}", "[1]", r#"{"schema": 1}"#, r#"{"schema": null}"#] {
        assert!(
            matches!(Results::from_json(text), Err(ReadError::NotResults)),
            "{text}"
        );
    }
    let wrong_field = format!(r#"{{"schema": "{SCHEMA}", "seed": -1}}"#);
    for text in ["nonsense", "{} {}", "{\n] }", &wrong_field] {
        let error = Results::from_json(text);
        assert!(
            matches!(error, Err(ReadError::Malformed { .. })),
            "{text}: {error:?}"
        );
    }
}

type Break = fn(&mut Results);

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let broken: [(&str, Break); 12] = [
        ("a plan of 0 blocks", |r| r.plan.blocks = 0),
        ("a plan of 30 blocks, extended to 8", |r| {
            r.plan = Plan {
                blocks: 30,
                extended: 8,
            };
        }),
        ("has pass 1 twice", |r| r.runs[1].pass = 1),
        ("the first or the second", |r| r.runs[1].pass = 3),
        ("two arms have one name", |r| {
            r.runs[0].arms[1].name = "dashmap".to_owned();
        }),
        ("0 arms are the incumbent", |r| {
            r.runs[0].arms[0].role = Role::Baseline;
        }),
        ("2 arms are the incumbent", |r| {
            r.runs[0].arms[1].role = Role::Incumbent;
        }),
        ("has nothing planted", |r| {
            r.runs[0].arms[2].role = Role::Planted { extra: 0.0 }
        }),
        ("block 3 has 4 cells for 5 arms", |r| {
            r.runs[0].blocks[2].cells.pop();
        }),
        ("order of block 1", |r| {
            r.runs[0].blocks[0].order = vec![0, 1, 2, 3, 3];
        }),
        ("order of block 1", |r| {
            r.runs[0].blocks[0].order = vec![0, 1, 2, 3, 5];
        }),
        ("order of block 1", |r| {
            r.runs[0].blocks[0].order = vec![0, 1, 2, 3];
        }),
    ];
    for (what, break_it) in broken {
        let mut results = good();
        break_it(&mut results);
        let unread = serde_json::to_string(&results).expect("JSON");
        for error in [
            Results::from_json(&unread).expect_err(what),
            results.to_json().expect_err(what),
        ] {
            assert!(
                matches!(error, ReadError::Inconsistent { .. }),
                "{what}: {error}"
            );
            assert!(error.to_string().contains(what), "{what}: {error}");
        }
    }
}
