//! What a request asks for, as its headers say it.

use http::{HeaderMap, HeaderValue};
use router_snapshot::Selection;

fn headers(of: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in of {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

#[test]
fn the_two_headers_are_read() {
    type Header = (&'static str, &'static [u8]);
    let cases: [(&[Header], _, _); 9] = [
        (&[], None, false),
        (&[("x-prefer-pd", b"true")], None, true),
        (&[("x-prefer-pd", b"1")], None, true),
        (&[("x-prefer-pd", b"TRUE")], None, false),
        (&[("x-prefer-pd", b"0")], None, false),
        (&[("x-prefer-pd", b"")], None, false),
        (
            &[("x-model-id", b"m"), ("x-prefer-pd", b"1")],
            Some("m"),
            true,
        ),
        (
            &[("x-model-id", "mod\u{e8}le".as_bytes())],
            Some("mod\u{e8}le"),
            false,
        ),
        (
            &[("x-model-id", b"first"), ("x-model-id", b"second")],
            Some("first"),
            false,
        ),
    ];
    for (of, model, prefer_pd) in cases {
        let headers = headers(of);
        let read = Selection::from_headers(&headers).unwrap();
        assert_eq!(
            read,
            Selection {
                model,
                prefer_pd,
                ..Selection::default()
            },
            "{of:?}"
        );
    }
}

#[test]
fn an_empty_model_is_told_from_none() {
    let headers = headers(&[("x-model-id", b"")]);
    assert_eq!(Selection::from_headers(&headers).unwrap().model, Some(""));
}

#[test]
fn a_header_that_is_not_utf_8_is_named() {
    for name in ["x-prefer-pd", "x-model-id"] {
        let headers = headers(&[(name, b"\xff\xfe")]);
        let refused = Selection::from_headers(&headers).unwrap_err();
        assert_eq!(refused.name, name);
        assert_eq!(
            refused.to_string(),
            format!("the header `{name}` is not UTF-8: send text, or leave it out")
        );
    }
}
