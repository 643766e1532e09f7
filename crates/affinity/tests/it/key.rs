//! Keys: one text for each, which comes back, whatever is in it.

use affinity::{
    BindingKind, Leg, MemoryStore, MemoryStoreConfig, SessionEntry, SessionFingerprint, SessionKey,
    SessionRef, StoreError,
};
use proptest::prelude::*;
use worker_id::WorkerWithDpRank;

fn any_parts() -> impl Strategy<Value = (Option<String>, Option<String>, Option<Leg>, String)> {
    let part = || prop_oneof![4 => "[a-b\0:]{0,3}", 1 => any::<String>().prop_map(|text| text.chars().take(20).collect())];
    let leg = prop_oneof![
        Just(None),
        Just(Some(Leg::Prefill)),
        Just(Some(Leg::Decode))
    ];
    (
        proptest::option::of(part()),
        proptest::option::of(part()),
        leg,
        part().prop_map(|text| text + "a"),
    )
}

fn key(parts: &(Option<String>, Option<String>, Option<Leg>, String)) -> SessionRef<'_> {
    SessionRef {
        tenant: parts.0.as_deref(),
        model: parts.1.as_deref(),
        leg: parts.2,
        session: &parts.3,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_comes_back_from_its_text(parts in any_parts()) {
        let borrowed = key(&parts);
        let owned = SessionKey::new(borrowed).unwrap();
        prop_assert_eq!(owned.as_ref(), borrowed);
        prop_assert_eq!(owned.canonical().len(), borrowed.len() + 4);
        prop_assert_eq!(SessionKey::from_canonical(owned.canonical()), Some(owned));
    }

    #[test]
    fn keys_are_equal_exactly_if_their_texts_are(left in any_parts(), right in any_parts()) {
        let (left, right) = (key(&left), key(&right));
        let texts = [left, right].map(|key| SessionKey::new(key).unwrap());
        prop_assert_eq!(left == right, texts[0] == texts[1]);
        prop_assert_eq!(texts[0] == texts[1], texts[0].canonical() == texts[1].canonical());
    }

    #[test]
    fn any_other_text_is_no_key(text in any::<String>()) {
        if let Some(key) = SessionKey::from_canonical(&text) {
            prop_assert_eq!(key.canonical(), &*text);
        }
    }
}

/// Around every length at which the text's shape takes another character.
#[test]
fn parts_of_any_length_come_back() {
    let long = "x".repeat(SessionKey::MAX_LEN);
    for tenant in [0, 1, 31, 32, 126, 127, 128, 4095, 4096, 8188] {
        for model in [0, 1, 126, 127, 128, 1023, 1024, 8188] {
            let key = SessionRef::new("s")
                .tenant(&long[..tenant])
                .model(&long[..model]);
            if let Ok(owned) = SessionKey::new(key) {
                assert_eq!(owned.as_ref(), key);
            }
        }
    }
}

/// A store finds a key with a scope by its parts, and one without by its text: neither stands in for the other.
#[test]
fn a_store_tells_all_keys_apart() {
    let bare = SessionRef::new("a");
    let mut keys = vec![bare, SessionRef::new("b")];
    for key in [bare, bare.leg(Leg::Prefill), bare.leg(Leg::Decode)] {
        keys.extend([key.tenant(""), key.model(""), key.tenant("").model("")]);
        keys.extend([key.tenant("t"), key.model("t"), key.tenant("t").model("t")]);
    }
    keys.extend([bare.leg(Leg::Prefill), bare.leg(Leg::Decode)]);
    let texts: Vec<_> = keys
        .iter()
        .map(|key| SessionKey::new(*key).unwrap())
        .collect();
    keys.extend(
        texts
            .iter()
            .map(|text| SessionRef::new(text.canonical()))
            .collect::<Vec<_>>(),
    );
    let map = state_map::model::ReferenceMap::<SessionFingerprint, SessionEntry>::default();
    let store = MemoryStore::with_map(MemoryStoreConfig::default(), map).unwrap();
    for (at, key) in (0..).zip(&keys) {
        assert_eq!(store.peek(*key).unwrap(), None, "{key}");
        let worker = WorkerWithDpRank::new(at, 0);
        let written = store.bind(*key, worker, BindingKind::RouterOnly);
        assert!(written.unwrap().applied);
    }
    for (at, key) in (0..).zip(&keys) {
        let found = store.get(*key).unwrap().expect("it was bound");
        assert_eq!(found.worker.worker_id, at, "{key}");
        assert!(store.remove(*key).unwrap().applied);
    }
    assert!(store.is_empty());
}

#[test]
fn texts_of_no_key() {
    for text in [
        "",
        "a",
        "abc",
        "\0\0\0\0",
        "\x03\0\0\0a",
        "\x04\0\0\0",
        "\x7f\x7f\x7f\x7fa",
        "éé",
        "\0\0\0\u{80}a",
    ] {
        assert_eq!(SessionKey::from_canonical(text), None, "{text:?}");
    }
}

#[test]
fn keys_are_shown_to_people() {
    let key = SessionRef::new("a\nb")
        .tenant("t")
        .model("m")
        .leg(Leg::Prefill);
    assert_eq!(key.to_string(), r"a\nb [tenant t, model m, prefill]");
    assert_eq!(
        SessionRef::new("s").leg(Leg::Decode).to_string(),
        "s [decode]"
    );
    assert_eq!(SessionKey::new("s").unwrap().to_string(), "s");
}

#[test]
fn what_is_no_key_says_why() {
    assert!(matches!(SessionKey::new(""), Err(StoreError::EmptySession)));
    let long = "x".repeat(SessionKey::MAX_LEN + 1);
    let error = SessionKey::new(&long).unwrap_err();
    assert!(error.to_string().contains("8191 bytes"), "{error}");
    assert!(SessionKey::new(&long[1..]).is_ok());
}
