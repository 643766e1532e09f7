//! The form with named fields, in a format that is read by people and in one that is not

//! self-describing.

use phase_state::{PhaseRouterConfig, RequestKey};
use proptest::{collection::vec, prelude::*};
use serde_json::{from_str, from_value, json, to_value};

fn markers() -> impl Strategy<Value = Vec<Vec<u32>>> {
    vec(vec(any::<u32>(), 0..4), 0..4)
}

prop_compose! {
    fn any_config()(
        floats in prop::array::uniform4(-1e9..1e9f32),
        limits: (u32, u32),
        markers in prop::array::uniform3(markers()),
        reentry: bool,
    ) -> PhaseRouterConfig {
        let [think_start_markers, think_end_markers, eos_markers] = markers;
        PhaseRouterConfig {
            ema_alpha: floats[0],
            transition_entropy_threshold: floats[1],
            rpdi_threshold: floats[2],
            eat_ema_variance_threshold: floats[3],
            min_think_tokens: limits.0,
            max_think_tokens: limits.1,
            think_start_markers,
            think_end_markers,
            eos_markers,
            reentry,
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
        eat_ema_variance_threshold: 0.125,
        ..PhaseRouterConfig::with_marker_ids([1], [2], [3, 4])
    };
    let expected = json!({
        "ema_alpha": 0.5,
        "transition_entropy_threshold": 2.5,
        "rpdi_threshold": 3.0,
        "eat_ema_variance_threshold": 0.125,
        "min_think_tokens": 512,
        "max_think_tokens": 32768,
        "think_start_markers": [[1]],
        "think_end_markers": [[2]],
        "eos_markers": [[3], [4]],
        "reentry": false,
    });
    assert_eq!(to_value(&config).unwrap(), expected);
    assert_eq!(
        to_value(RequestKey::new(42, 1)).unwrap(),
        json!({"request": 42, "choice": 1})
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
