//! Ids as text and as bytes, and the configuration, in a format that is read by people and in one that is not

//! self-describing.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{from_str, from_value, json, to_value};
use stream_registry::{StreamId, StreamKind, StreamRegistryConfig};

proptest! {
    #[test]
    fn ids_and_kinds_round_trip(bytes: [u8; 16], request: bool) {
        let kind = if request { StreamKind::Request } else { StreamKind::Response };
        let value = (StreamId::from_bytes(bytes), kind);
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(from_str::<(StreamId, StreamKind)>(&json).unwrap(), value);
        let binary = postcard::to_allocvec(&value).unwrap();
        prop_assert_eq!(binary.len(), 17);
        prop_assert_eq!(postcard::from_bytes::<(StreamId, StreamKind)>(&binary).unwrap(), value);
    }
}

#[test]
fn an_id_is_one_text() {
    let text = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let id: StreamId = text.parse().unwrap();
    assert_eq!(to_value(id).unwrap(), json!(text));
    assert_eq!(to_value(StreamKind::Response).unwrap(), json!("response"));
    let upper = from_value::<StreamId>(json!(text.to_uppercase())).unwrap_err();
    assert!(upper.to_string().contains("lower case"));
    // Text that has to be unescaped is no text to borrow.
    assert_eq!(
        from_str::<StreamId>(r#""\u0036\u0037e55044-10b1-426f-9247-bb680e5fe0c8""#).unwrap(),
        id
    );
}

#[test]
fn a_config_has_defaults_and_no_strangers() {
    let config: StreamRegistryConfig = from_str("{}").unwrap();
    assert_eq!(config.tombstone_life, Duration::from_secs(5));
    let named: StreamRegistryConfig = from_value(to_value(config).unwrap()).unwrap();
    assert_eq!(named, config);
    let stranger = from_value::<StreamRegistryConfig>(json!({"tombstone_live": null}));
    assert!(stranger.unwrap_err().to_string().contains("tombstone_live"));
}
