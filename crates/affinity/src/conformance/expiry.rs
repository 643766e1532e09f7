//! When a binding ends by itself, and who hears of it.

use super::{A, B, Subject};
use crate::BindingKind::{EngineBacked, RouterOnly};
use crate::{AffinityStore, Binding, ExpireCause, SessionRef, Written};

const KEY: SessionRef<'static> = SessionRef::new("chat-17");

async fn bound(subject: &impl Subject, key: SessionRef<'_>, engine: bool) -> Binding {
    let kind = if engine { EngineBacked } else { RouterOnly };
    let written = subject.store().bind(key, A, kind).await.unwrap();
    written.now.expect("it was bound")
}

/// Gives sweepers a while to tell of `expected` bindings, and longer, to tell of one too many.
async fn told<S: Subject>(subject: &S, expected: usize) -> Vec<(String, u64, ExpireCause)> {
    for _ in 0..100 {
        if subject.expired().len() >= expected {
            break;
        }
        subject.elapse(S::TTL / 10).await;
    }
    subject.elapse(S::TTL / 2).await;
    let mut told: Vec<_> = subject
        .expired()
        .into_iter()
        .map(|expired| {
            assert_eq!(expired.binding.kind, EngineBacked, "{expired:?}");
            (
                expired.key.as_ref().session.to_owned(),
                expired.binding.generation,
                expired.cause,
            )
        })
        .collect();
    told.sort_by_key(|(_, generation, _)| *generation);
    told
}

/// From its deadline on, swept or not.
pub async fn an_idle_binding_is_absent_to_every_operation<S: Subject>(subject: &S) {
    let store = subject.store();
    for operation in 0..8 {
        let session = format!("operation {operation}");
        let key = SessionRef::new(&session);
        let old = bound(subject, key, false).await;
        subject.elapse(S::TTL + S::TTL / 8).await;
        let nothing = Written::declined(None);
        match operation {
            0 => assert_eq!(store.get(key).await.unwrap(), None),
            1 => assert_eq!(store.peek(key).await.unwrap(), None),
            2 => assert_eq!(store.refresh_if(key, A).await.unwrap(), nothing),
            3 => {
                let late = store.rebind_if(key, old.generation, B, RouterOnly).await;
                assert_eq!(late.unwrap(), nothing);
            }
            4 => assert_eq!(store.remove(key).await.unwrap(), nothing),
            5 => assert_eq!(store.remove_if(key, old.generation).await.unwrap(), nothing),
            6 => assert!(store.claim(key, B, RouterOnly).await.unwrap().applied),
            _ => assert!(store.bind(key, B, RouterOnly).await.unwrap().applied),
        }
        let left = store.peek(key).await.unwrap().map(|binding| binding.worker);
        assert_eq!(left, (operation > 5).then_some(B), "operation {operation}");
    }
}

/// get, refresh_if, bind, rebind_if.
pub async fn uses_let_the_time_begin_anew<S: Subject>(subject: &S) {
    let store = subject.store();
    for kind in 0..4 {
        let mut binding = bound(subject, KEY, false).await;
        subject.elapse(S::TTL * 3 / 4).await;
        match kind {
            0 => assert_eq!(store.get(KEY).await.unwrap(), Some(binding)),
            1 => assert!(store.refresh_if(KEY, A).await.unwrap().applied),
            2 => binding = bound(subject, KEY, false).await,
            _ => {
                let written = store
                    .rebind_if(KEY, binding.generation, A, RouterOnly)
                    .await;
                binding = written.unwrap().now.expect("it was rebound");
            }
        }
        // Without the use, its time would be up by now.
        subject.elapse(S::TTL * 3 / 4).await;
        let seen = store.peek(KEY).await.unwrap();
        assert_eq!(seen, Some(binding), "use {kind} was none");
    }
}

/// peek, a lost claim, a refresh for another worker, a rebind and a removal of another generation.
pub async fn looks_do_not<S: Subject>(subject: &S) {
    let store = subject.store();
    for look in 0..5 {
        let binding = bound(subject, KEY, false).await;
        subject.elapse(S::TTL * 3 / 4).await;
        let seen = match look {
            0 => store.peek(KEY).await.unwrap(),
            1 => store.claim(KEY, B, RouterOnly).await.unwrap().now,
            2 => store.refresh_if(KEY, B).await.unwrap().now,
            3 => store.rebind_if(KEY, 0, B, RouterOnly).await.unwrap().now,
            _ => store.remove_if(KEY, 0).await.unwrap().now,
        };
        assert_eq!(seen, Some(binding), "look {look}");
        subject.elapse(S::TTL * 3 / 4).await;
        assert_eq!(
            store.peek(KEY).await.unwrap(),
            None,
            "look {look} was a use"
        );
    }
}

/// The engine's session has to be closed, once; a router's own pin ends silently.
pub async fn an_idle_engine_session_is_told_once<S: Subject>(subject: &S) {
    let mut expected = Vec::new();
    for number in 0..20 {
        let session = format!("session {number}");
        let binding = bound(subject, SessionRef::new(&session), number % 2 == 0).await;
        if number % 2 == 0 {
            expected.push((session, binding.generation, ExpireCause::Idle));
        }
    }
    expected.sort_by_key(|(_, generation, _)| *generation);
    assert_eq!(subject.expired(), [], "nothing has run out yet");
    assert_eq!(told(subject, expected.len()).await, expected);
}

/// Nobody has to close what was removed, and what was replaced went on.
pub async fn what_was_removed_or_replaced_is_not_told<S: Subject>(subject: &S) {
    let store = subject.store();
    for (session, way) in [
        ("removed", 0),
        ("removed if", 1),
        ("bound", 2),
        ("rebound", 3),
    ] {
        let key = SessionRef::new(session);
        let old = bound(subject, key, true).await;
        let written = match way {
            0 => store.remove(key).await,
            1 => store.remove_if(key, old.generation).await,
            2 => store.bind(key, B, RouterOnly).await,
            _ => store.rebind_if(key, old.generation, B, RouterOnly).await,
        };
        assert!(written.unwrap().applied);
    }
    subject.elapse(S::TTL * 2).await;
    // Something that is told, so that not to be told of anything else means something.
    let last = bound(subject, KEY, true).await;
    let expected = (KEY.session.to_owned(), last.generation, ExpireCause::Idle);
    assert_eq!(told(subject, 1).await, [expected]);
}

/// Whoever comes upon it first: it ended when its time was up, and not as it was replaced or removed.
pub async fn what_ran_out_before_it_was_replaced_is_told<S: Subject>(subject: &S) {
    let store = subject.store();
    let mut expected = Vec::new();
    for way in 0..3 {
        let session = format!("way {way}");
        let key = SessionRef::new(&session);
        let old = bound(subject, key, true).await;
        subject.elapse(S::TTL + S::TTL / 8).await;
        match way {
            0 => assert!(store.bind(key, B, RouterOnly).await.unwrap().applied),
            1 => assert!(store.claim(key, B, RouterOnly).await.unwrap().applied),
            _ => assert!(!store.remove(key).await.unwrap().applied),
        }
        expected.push((session, old.generation, ExpireCause::Idle));
    }
    expected.sort_by_key(|(_, generation, _)| *generation);
    assert_eq!(told(subject, expected.len()).await, expected);
}
