//! Results that are read back, and texts that are refused with what they are.

use verdict::schema::{Probe, ReadError, Results, Role, SCHEMA};

use crate::exact::{blocks, of, step, void};

fn good() -> Results {
    of(vec![step(9, 0.9, 1.0), blocks("other-step", 9, 0.9, 1.0)])
}

#[test]
fn what_is_written_is_read_back() {
    let mut results = good();
    results.runs[0].blocks[0].cells[1] = void("hung, and was killed after 10 s");
    let text = results.to_json().expect("consistent");
    assert!(text.starts_with(&format!("{{\"schema\":\"{SCHEMA}\"")));
    assert_eq!(Results::from_json(&text).expect("just written"), results);
}

#[test]
fn every_beginning_of_a_file_is_refused() {
    let mut small = good();
    small.runs.truncate(1);
    small.runs[0].blocks.truncate(1);
    let text = small.to_json().expect("consistent");
    assert!(text.is_ascii());
    for length in 0..text.len() {
        // Within a number, or a word such as `null`, what is cut off cannot be told from what is malformed.
        match Results::from_json(&text[..length]) {
            Err(ReadError::CutShort { line: 0..=1 } | ReadError::Malformed(_)) => {}
            other => panic!("{length} of {} bytes: {other:?}", text.len()),
        }
    }
    let message = Results::from_json(&text[..100]).unwrap_err().to_string();
    assert!(
        message.contains("cut short") && message.contains("line 1"),
        "{message}"
    );
}

#[test]
fn another_version_is_named() {
    let text = good().to_json().expect("consistent");
    let older = text.replacen(SCHEMA, "inflight-results/1", 1);
    let foreign = r#"{"schema": "inflight-results/9", "planets": 8}"#;
    for (text, version) in [
        (older.as_str(), "inflight-results/1"),
        // Also where nothing else of it is known.
        (foreign, "inflight-results/9"),
        ("{}", ""),
        ("[1]", ""),
        (r#"{"schema": 1}"#, ""),
        (r#"{"schema": null}"#, ""),
    ] {
        match Results::from_json(text) {
            Err(ReadError::OtherVersion { found }) => assert_eq!(found, version),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn other_texts_are_refused() {
    let wrong_field = format!(r#"{{"schema": "{SCHEMA}", "seed": -1}}"#);
    for text in ["nonsense", "{} {}", "{\n] }", &wrong_field] {
        let error = Results::from_json(text);
        assert!(
            matches!(error, Err(ReadError::Malformed(_))),
            "{text}: {error:?}"
        );
    }
}

type Break = fn(&mut Results);

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let broken: [(&str, Break); 11] = [
        ("a pilot probe of 0 ns is no time", |r| {
            r.pilots.push(Probe {
                cores: [0, 1],
                nanos: 0.0,
            });
        }),
        ("a probe of block 2, of -3 ns, is no time", |r| {
            r.runs[0].blocks[1].travel[4] = -3.0;
        }),
        ("\"decode-step\": it is there twice", |r| {
            r.runs[1].scenario = "decode-step".to_owned();
        }),
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
        ("block 3 has 5 cells for 6 arms", |r| {
            r.runs[0].blocks[2].cells.pop();
        }),
        ("order of block 1", |r| {
            r.runs[0].blocks[0].order = vec![0, 1, 2, 3, 4, 4];
        }),
        ("order of block 1", |r| {
            r.runs[0].blocks[0].order = vec![0, 1, 2, 3, 4, 6];
        }),
        ("order of block 1", |r| {
            r.runs[0].blocks[0].order = vec![0, 1, 2, 3, 4];
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
