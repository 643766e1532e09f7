//! What a worker is told, as it travels with a request.

use call_home::{ConnectionInfo, StreamKind};

#[test]
fn connection_info_has_three_plain_fields() {
    let info = ConnectionInfo {
        address: "10.1.2.3:4567".parse().unwrap(),
        kind: StreamKind::Response,
        id: "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap(),
    };
    let text = serde_json::to_string(&info).unwrap();
    assert_eq!(
        text,
        r#"{"address":"10.1.2.3:4567","kind":"response","id":"67e55044-10b1-426f-9247-bb680e5fe0c8"}"#
    );
    assert_eq!(serde_json::from_str::<ConnectionInfo>(&text).unwrap(), info);
    let more = text.replace("{\"", "{\"x\":1,\"");
    assert!(serde_json::from_str::<ConnectionInfo>(&more).is_err());
    assert!(!format!("{info:?}").contains("10b1"), "an id is a secret");
}
