//! What writes do, and what they answer.

use super::{A, B, C, Subject, race};
use crate::BindingKind::{EngineBacked, RouterOnly};
use crate::{AffinityStore, Binding, SessionRef, Written};

const KEY: SessionRef<'static> = SessionRef::new("chat-17");

/// The binding of an answer that is to be applied.
#[track_caller]
fn applied(written: Written) -> Binding {
    assert!(written.applied, "not applied: {written:?}");
    written.now.expect("a binding that was made holds")
}

#[track_caller]
fn same(left: Option<Binding>, right: Binding) {
    let left = left.expect("there is a binding");
    assert_eq!(left, right);
    assert!(
        left.worker.same_incarnation(&right.worker),
        "{left:?} has another incarnation than {right:?}"
    );
}

/// Lookups find nothing; conditional writes and removals change nothing and say so.
pub async fn an_unbound_session_has_nothing(subject: &impl Subject) {
    let store = subject.store();
    let nothing = Written::declined(None);
    assert_eq!(store.get(KEY).await.unwrap(), None);
    assert_eq!(store.peek(KEY).await.unwrap(), None);
    assert_eq!(store.refresh_if(KEY, A).await.unwrap(), nothing);
    assert_eq!(
        store.rebind_if(KEY, 0, A, RouterOnly).await.unwrap(),
        nothing
    );
    assert_eq!(
        store.rebind_if(KEY, 1, A, RouterOnly).await.unwrap(),
        nothing
    );
    assert_eq!(store.remove(KEY).await.unwrap(), nothing);
    assert_eq!(store.remove_if(KEY, 0).await.unwrap(), nothing);
    assert_eq!(
        store.peek(KEY).await.unwrap(),
        None,
        "none of these has bound anything"
    );
}

/// Worker, rank, incarnation, kind and generation, at the ends of their ranges.
pub async fn a_binding_comes_back_whole(subject: &impl Subject) {
    let store = subject.store();
    for (worker, kind) in [
        (A, RouterOnly),
        (B, EngineBacked),
        (C, RouterOnly),
        (A, EngineBacked),
    ] {
        let bound = applied(store.bind(KEY, worker, kind).await.unwrap());
        assert_eq!(bound.kind, kind);
        assert!(bound.worker.same_incarnation(&worker));
        same(store.get(KEY).await.unwrap(), bound);
        same(store.peek(KEY).await.unwrap(), bound);
        same(store.claim(KEY, A, RouterOnly).await.unwrap().now, bound);
        same(store.refresh_if(KEY, worker).await.unwrap().now, bound);
    }
}

/// A bind is unconditional, and each makes a new binding, to the same worker too.
pub async fn a_bind_replaces(subject: &impl Subject) {
    let store = subject.store();
    let mut last = applied(store.bind(KEY, A, RouterOnly).await.unwrap());
    for worker in [B, B, A] {
        let next = applied(store.bind(KEY, worker, RouterOnly).await.unwrap());
        assert!(next.generation > last.generation, "{next:?} after {last:?}");
        same(store.peek(KEY).await.unwrap(), next);
        last = next;
    }
}

/// The winner's binding comes back, and stays.
pub async fn a_claim_loses_to_who_is_there(subject: &impl Subject) {
    let store = subject.store();
    let won = applied(store.claim(KEY, A, EngineBacked).await.unwrap());
    for worker in [B, A] {
        let lost = store.claim(KEY, worker, RouterOnly).await.unwrap();
        assert_eq!(lost, Written::declined(Some(won)));
    }
    same(store.peek(KEY).await.unwrap(), won);
}

/// Of claims that race one is applied, and all answer with its binding.
pub async fn racing_claims_have_one_winner(subject: &impl Subject) {
    let store = subject.store();
    for round in 0..10 {
        let session = format!("round {round}");
        let key = SessionRef::new(&session);
        let answers = race((0..8).map(|number| async move {
            store.claim(key, number.into(), RouterOnly).await.unwrap()
        }))
        .await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.applied).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert!(
            answers.iter().all(|answer| answer.now == winners[0].now),
            "{answers:?}"
        );
        assert_eq!(store.peek(key).await.unwrap(), winners[0].now);
    }
}

/// A refresh for a worker that the session has left, or for another life of its worker, changes nothing.
pub async fn a_refresh_is_the_workers_own(subject: &impl Subject) {
    let store = subject.store();
    let bound = applied(store.bind(KEY, B, RouterOnly).await.unwrap());
    assert_eq!(
        store.refresh_if(KEY, B).await.unwrap(),
        Written::applied(Some(bound))
    );
    for other in [A, B.with_incarnation(42), (7, 1).into()] {
        let late = store.refresh_if(KEY, other).await.unwrap();
        assert!(!late.applied, "{other} refreshed {bound:?}");
        same(late.now, bound);
    }
    same(store.peek(KEY).await.unwrap(), bound);
}

/// On what was observed and nothing else, not on a later binding to the same worker either.
pub async fn a_rebind_goes_by_generation(subject: &impl Subject) {
    let store = subject.store();
    let first = applied(store.bind(KEY, A, RouterOnly).await.unwrap());
    let second = applied(
        store
            .rebind_if(KEY, first.generation, B, EngineBacked)
            .await
            .unwrap(),
    );
    assert!(second.generation > first.generation && second.kind == EngineBacked);
    assert!(second.worker.same_incarnation(&B));
    same(store.peek(KEY).await.unwrap(), second);

    let back = applied(
        store
            .rebind_if(KEY, second.generation, A, RouterOnly)
            .await
            .unwrap(),
    );
    for stale in [first.generation, second.generation, 0, u64::MAX] {
        let late = store.rebind_if(KEY, stale, C, RouterOnly).await.unwrap();
        assert_eq!(late, Written::declined(Some(back)));
    }
    same(store.peek(KEY).await.unwrap(), back);
}

/// Of rebinds that observed the same binding one is applied, and the others answer with what it made.
pub async fn racing_rebinds_have_one_winner(subject: &impl Subject) {
    let store = subject.store();
    let mut generation = applied(store.bind(KEY, A, RouterOnly).await.unwrap()).generation;
    for _ in 0..10 {
        let answers = race((0..8).map(|number| async move {
            store
                .rebind_if(KEY, generation, number.into(), RouterOnly)
                .await
                .unwrap()
        }))
        .await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.applied).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert!(
            answers.iter().all(|answer| answer.now == winners[0].now),
            "{answers:?}"
        );
        generation = winners[0].now.expect("it was bound").generation;
    }
}

/// Once, and by generation only the binding that was meant.
pub async fn a_removal_ends_what_it_observed(subject: &impl Subject) {
    let store = subject.store();
    let first = applied(store.bind(KEY, A, RouterOnly).await.unwrap());
    assert_eq!(store.remove(KEY).await.unwrap(), Written::applied(None));
    assert_eq!(store.get(KEY).await.unwrap(), None);
    assert_eq!(store.remove(KEY).await.unwrap(), Written::declined(None));

    let second = applied(store.claim(KEY, A, RouterOnly).await.unwrap());
    let late = store.remove_if(KEY, first.generation).await.unwrap();
    assert_eq!(late, Written::declined(Some(second)));
    same(store.peek(KEY).await.unwrap(), second);
    assert_eq!(
        store.remove_if(KEY, second.generation).await.unwrap(),
        Written::applied(None)
    );
    assert_eq!(store.peek(KEY).await.unwrap(), None);
}

/// Through removals and expiry: greater each time.
pub async fn a_generation_is_never_given_twice<S: Subject>(subject: &S) {
    let store = subject.store();
    let mut last = applied(store.claim(KEY, A, RouterOnly).await.unwrap()).generation;
    for end in 0..4 {
        match end {
            0 => assert!(store.remove(KEY).await.unwrap().applied),
            1 => assert!(store.remove_if(KEY, last).await.unwrap().applied),
            _ => subject.elapse(S::TTL + S::TTL / 2).await,
        }
        let next = applied(store.claim(KEY, A, RouterOnly).await.unwrap()).generation;
        assert!(next > last, "{next} after {last}");
        last = next;
    }
}
