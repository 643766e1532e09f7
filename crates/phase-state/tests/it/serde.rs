//! The form with named fields, in a format that is read by people and in one that is not
//! self-describing.

use phase_state::{
    Converged, Format, Overthinking, PhaseRouter, PhaseRouterConfig, Registration, RequestKey,
    RequestState, Spans, StartPhase, TrackError,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{from_str, from_value, json, to_value};
use state_map::model::ReferenceMap;

fn markers() -> impl Strategy<Value = Vec<Vec<u32>>> {
    vec(vec(any::<u32>(), 0..4), 0..4)
}

prop_compose! {
    fn any_format()(
        name: String,
        markers in prop::array::uniform6(markers()),
        spans in select(vec![Spans::First, Spans::Once, Spans::Any]),
    ) -> Format {
        let [think_start, think_end, tool_start, tool_end, eos, skipped] = markers;
        Format { name, think_start, think_end, tool_start, tool_end, eos, skipped, spans }
    }
}

prop_compose! {
    fn any_config()(
        floats in prop::array::uniform5(-1e9..1e9f32),
        limits: (u32, u32, u32),
        rules: (bool, bool),
        formats in vec(any_format(), 0..3),
    ) -> PhaseRouterConfig {
        PhaseRouterConfig {
            ema_alpha: floats[0],
            transition_entropy_threshold: floats[1],
            converged: rules.0.then_some(Converged {
                max_variance: floats[2],
                min_mass: floats[3],
            }),
            overthinking: rules.1.then_some(Overthinking {
                min_index: floats[4],
                min_transitions: limits.2,
            }),
            min_think_tokens: limits.0,
            max_think_tokens: limits.1,
            formats,
        }
    }
}

proptest! {
    #[test]
    fn configs_and_keys_round_trip(value in (any_config(), any::<(u64, u32)>())) {
        let value = (value.0, RequestKey::from(value.1));
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(&from_str::<(PhaseRouterConfig, RequestKey)>(&json).unwrap(), &value);
        let binary = postcard::to_allocvec(&value).unwrap();
        prop_assert_eq!(
            postcard::from_bytes::<(PhaseRouterConfig, RequestKey)>(&binary).unwrap(),
            value
        );
    }
}

#[test]
fn fields_are_named_as_in_the_literal() {
    let config = PhaseRouterConfig {
        ema_alpha: 0.5,
        converged: Some(Converged {
            max_variance: 0.125,
            ..Converged::default()
        }),
        ..PhaseRouterConfig::with_marker_ids([1], [2], [3, 4])
    };
    let expected = json!({
        "ema_alpha": 0.5,
        "transition_entropy_threshold": 2.5,
        "converged": {"max_variance": 0.125, "min_mass": 0.5},
        "overthinking": null,
        "min_think_tokens": 512,
        "max_think_tokens": 32768,
        "formats": [{
            "name": "",
            "think_start": [[1]],
            "think_end": [[2]],
            "tool_start": [],
            "tool_end": [],
            "eos": [[3], [4]],
            "skipped": [],
            "spans": "first",
        }],
    });
    assert_eq!(to_value(&config).unwrap(), expected);
    assert_eq!(
        to_value(RequestKey::new(42, 1)).unwrap(),
        json!({"request": 42, "name": 0, "choice": 1})
    );
}

#[test]
fn missing_fields_take_their_defaults() {
    assert_eq!(
        from_str::<PhaseRouterConfig>("{}").unwrap(),
        PhaseRouterConfig::default()
    );
    let config: PhaseRouterConfig = from_value(json!({"max_think_tokens": 8192})).unwrap();
    assert_eq!(config.max_think_tokens, 8_192);
    let config: PhaseRouterConfig = from_value(json!({"overthinking": {}})).unwrap();
    assert_eq!(config.overthinking, Some(Overthinking::default()));
    let format: Format = from_value(json!({"think_end": [[2]]})).unwrap();
    assert_eq!(format.think_end, [[2]]);
    let key: RequestKey = from_value(json!({"request": 42})).unwrap();
    assert_eq!(key, RequestKey::from(42));
}

#[test]
fn unknown_fields_are_refused() {
    let config = from_value::<PhaseRouterConfig>(json!({"max_think_token": 1}));
    assert!(config.unwrap_err().to_string().contains("max_think_token"));
    let key = from_value::<RequestKey>(json!({"request": 1, "chioce": 1}));
    assert!(key.unwrap_err().to_string().contains("chioce"));
}

type Router = PhaseRouter<ReferenceMap<RequestKey, phase_state::PhaseEntry>>;

fn router(format: Format) -> Router {
    let config = PhaseRouterConfig {
        min_think_tokens: 0,
        max_think_tokens: 100,
        ..PhaseRouterConfig::from(format)
    };
    PhaseRouter::with_map(config, ReferenceMap::default()).unwrap()
}

fn format() -> Format {
    Format {
        think_start: vec![vec![1]],
        think_end: vec![vec![2, 3]],
        ..Format::default()
    }
}

/// A request in the middle of a thought and of a marker, with a budget of its own.
fn moved() -> RequestState {
    let here = router(format().named("here"));
    let registration = Registration::from(StartPhase::ThinkDecode).budget(7);
    assert!(here.register_with(42, registration).is_ok());
    for token in [9, 9, 2] {
        let _ = here.on_token(42, token, None);
    }
    let state = here.move_out(42).unwrap();
    assert_eq!(here.tracked_requests(), 0);
    state
}

#[test]
fn a_request_goes_on_elsewhere() {
    let state = moved();
    let binary = postcard::to_allocvec(&state).unwrap();
    assert!(binary.len() <= 64, "{} bytes", binary.len());
    assert_eq!(
        postcard::from_bytes::<RequestState>(&binary).unwrap(),
        state
    );
    let json = serde_json::to_string(&state).unwrap();
    let state: RequestState = from_str(&json).unwrap();

    // The same markers under another name, and not the first of its formats.
    let config = PhaseRouterConfig {
        min_think_tokens: 0,
        formats: vec![
            Format::with_marker_ids([1], [2], [3]),
            format().named("there"),
        ],
        ..PhaseRouterConfig::default()
    };
    let there = PhaseRouter::with_map(config, ReferenceMap::default()).unwrap();
    assert!(there.register_with(42, Registration::resume(state)).is_ok());
    assert_eq!(there.remaining_budget(42), Some(4));
    let ended = there.on_token(42, 3, None);
    assert_eq!(
        ended,
        Ok(phase_state::PhaseEvent::ExitThink { tokens_used: 4 })
    );
    assert_eq!(there.reap(42).unwrap().think_tokens, 4);
}

#[test]
fn what_no_request_was_ever_in_is_refused() {
    let good = to_value(moved()).unwrap();
    let there = router(format());
    let takes = |value: serde_json::Value| {
        let state: RequestState = from_value(value).unwrap();
        there
            .register_with(1, Registration::resume(state))
            .map(|_| there.reap(1))
    };
    assert!(takes(good.clone()).is_ok());
    for (field, bad) in [
        ("markers", json!(1)),
        ("node", json!(4_000)),
        ("phase", json!("output_decode")),
        ("phase", json!("complete")),
        ("think_spans", json!(0)),
    ] {
        let mut value = good.clone();
        value[field] = bad;
        assert_eq!(takes(value), Err(TrackError::OtherMarkers), "{field}");
    }
    let mut newer = good;
    newer["version"] = json!(2);
    let refused = from_value::<RequestState>(newer).unwrap_err().to_string();
    assert!(refused.contains("version 2"), "{refused}");
}
