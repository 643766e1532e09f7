//! Which keys there are, and that they are strangers to each other.

use super::{A, B, Subject};
use crate::BindingKind::RouterOnly;
use crate::{AffinityStore, Leg, SessionRef, StoreError};

/// Keys that differ in any part share nothing, whatever the parts look like put together.
pub async fn scopes_are_strangers(subject: &impl Subject) {
    let store = subject.store();
    let s = SessionRef::new;
    let keys = [
        s("s"),
        s("s").tenant("t"),
        s("s").tenant("u"),
        s("s").model("t"),
        s("s").tenant("t").model("t"),
        s("s").tenant("tt"),
        s("s").model("tt"),
        s("s").leg(Leg::Prefill),
        s("s").leg(Leg::Decode),
        s("s").tenant("t").model("t").leg(Leg::Decode),
        s("ts"),
        s("t:s"),
        s("t/s"),
        s("t\0s"),
        s("s").tenant("t\0"),
        s("s").tenant("t:"),
        s("s").tenant(""),
        s("s").model(""),
        s("s").tenant("").model(""),
    ];
    let mut bound = Vec::new();
    for (number, key) in (0..).zip(keys) {
        let written = store.claim(key, number.into(), RouterOnly).await.unwrap();
        assert!(written.applied, "{key} is taken: {written:?}");
        bound.push(written.now);
    }
    for (key, bound) in keys.into_iter().zip(&bound) {
        assert_eq!(store.peek(key).await.unwrap(), *bound, "{key}");
    }
    assert!(store.remove(keys[0]).await.unwrap().applied);
    for (key, bound) in keys.into_iter().zip(&bound).skip(1) {
        assert_eq!(
            store.peek(key).await.unwrap(),
            *bound,
            "{key} after its neighbour went"
        );
    }
}

/// A client may send any text.
pub async fn odd_ids_are_ids<S: Subject>(subject: &S) {
    let store = subject.store();
    let longest = "x".repeat(S::MAX_KEY_LEN);
    let ids = [
        "\0",
        "\0\0",
        "a\0b",
        "a",
        " a",
        "a ",
        "\r\n",
        "\u{85}",
        "*",
        "{a}",
        "{",
        "}",
        "a}b",
        "\"",
        "'; --",
        "../..",
        "ß",
        "é",
        "e\u{301}",
        "日本語",
        "🦀",
        "\u{200b}",
        "\u{feff}",
        "\u{7f}",
        "%00",
        &longest,
    ];
    for (number, id) in (0..).zip(ids) {
        let written = store
            .claim(SessionRef::new(id), number.into(), RouterOnly)
            .await
            .unwrap();
        assert!(written.applied, "{id:?} is taken: {written:?}");
    }
    for (number, id) in (0_u64..).zip(ids) {
        let found = store.get(SessionRef::new(id)).await.unwrap();
        assert_eq!(
            found.map(|binding| binding.worker.worker_id),
            Some(number),
            "{id:?}"
        );
    }
}

/// By every operation, with the error that says which rule, and nothing is bound by it.
pub async fn empty_and_oversized_keys_are_refused<S: Subject>(subject: &S) {
    let store = subject.store();
    let (long, half) = (
        "x".repeat(S::MAX_KEY_LEN + 1),
        "x".repeat(S::MAX_KEY_LEN / 2 + 1),
    );
    let huge = "x".repeat(100_000);
    for key in [
        SessionRef::new(""),
        SessionRef::new("").tenant("t").model("m"),
        SessionRef::new(&long),
        SessionRef::new(&half).tenant(&half),
        SessionRef::new(&half).model(&half),
        SessionRef::new("s").model(&huge),
        SessionRef::new(&huge),
    ] {
        let refusals = [
            store.get(key).await.map(drop),
            store.peek(key).await.map(drop),
            store.bind(key, A, RouterOnly).await.map(drop),
            store.claim(key, A, RouterOnly).await.map(drop),
            store.refresh_if(key, B).await.map(drop),
            store.rebind_if(key, 1, A, RouterOnly).await.map(drop),
            store.remove(key).await.map(drop),
            store.remove_if(key, 1).await.map(drop),
        ];
        for refusal in refusals {
            let right = match &refusal {
                Err(StoreError::EmptySession) => key.session.is_empty(),
                Err(StoreError::KeyTooLong { len, max }) => {
                    !key.session.is_empty() && *len == key.len() && *max == S::MAX_KEY_LEN
                }
                _ => false,
            };
            assert!(right, "a key of {} bytes: {refusal:?}", key.len());
        }
    }
}
