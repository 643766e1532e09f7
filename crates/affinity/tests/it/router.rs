//! Where turns go: hits, misses, workers that have gone, choices under way, stores that fail.

use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin as Pinned, pin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use affinity::BindingKind::{EngineBacked, RouterOnly};
use affinity::{
    AffinityStore, Binding, BindingKind, MemoryStore, MemoryStoreConfig, Pin, RouteError, Routed,
    SessionEntry, SessionFingerprint, SessionRef, Stickiness, StickySessionRouter, StoreError,
    WhenFull, Written,
};
use pollster::block_on;
use state_map::model::ReferenceMap;
use worker_id::WorkerWithDpRank;

type Store = MemoryStore<ReferenceMap<SessionFingerprint, SessionEntry>>;

const A: WorkerWithDpRank = WorkerWithDpRank::new(1, 0).with_incarnation(41);
const B: WorkerWithDpRank = WorkerWithDpRank::new(2, 0);
const BOTH: [WorkerWithDpRank; 2] = [A, B];

fn store(capacity: usize, when_full: WhenFull) -> Store {
    let config = MemoryStoreConfig {
        capacity,
        when_full,
        ..MemoryStoreConfig::default()
    };
    Store::with_map(config, ReferenceMap::default()).unwrap()
}

fn router() -> StickySessionRouter<Store> {
    StickySessionRouter::new(store(100, WhenFull::Reject))
}

type Answer = Result<Routed, RouteError<&'static str>>;

fn route<S: AffinityStore>(
    router: &StickySessionRouter<S>,
    candidates: &[WorkerWithDpRank],
    choice: WorkerWithDpRank,
) -> Answer {
    block_on(router.resolve_or_assign("s", candidates, || ready(Ok(choice))))
}

#[test]
fn a_session_stays_with_its_worker() {
    let router = router();
    let first = route(&router, &BOTH, A).unwrap();
    let Pin::Made(binding) = first.pin else {
        panic!("{first:?}")
    };
    assert_eq!((first.worker, binding.kind), (A, RouterOnly));
    let second = route(&router, &BOTH, B).unwrap();
    assert!(
        matches!(second.pin, Pin::Found(found) if found == binding),
        "{second:?}"
    );
    assert_eq!(second.worker, A);
    assert_eq!(block_on(router.resolve("s")).unwrap(), Some(binding));
    assert_eq!(block_on(router.peek("s")).unwrap(), Some(binding));
    assert!(block_on(router.unbind("s")).unwrap().applied);
    assert_eq!(block_on(router.peek("s")).unwrap(), None);
}

#[test]
fn binds_are_of_their_kind() {
    let router = router();
    let bound = block_on(router.bind_engine_session("s", A))
        .unwrap()
        .now
        .unwrap();
    assert_eq!(bound.kind, EngineBacked);
    let bound = block_on(router.bind_router_only("s", B))
        .unwrap()
        .now
        .unwrap();
    assert_eq!((bound.kind, bound.worker), (RouterOnly, B));
    assert_eq!(route(&router, &BOTH, A).unwrap().worker, B);
}

#[test]
fn a_worker_that_restarted_under_its_id_is_no_hit() {
    let restarted = A.with_incarnation(42);
    let soft = router();
    let old = route(&soft, &[A], A).unwrap().pin.binding().unwrap();
    let moved = route(&soft, &[restarted], restarted).unwrap();
    assert!(
        matches!(moved.pin, Pin::Made(new) if new.generation > old.generation),
        "{moved:?}"
    );
    assert!(moved.worker.same_incarnation(&restarted));

    let hard = router().with_stickiness(Stickiness::Hard);
    let old = route(&hard, &[A], A).unwrap().pin.binding().unwrap();
    assert_eq!(
        route(&hard, &[restarted, B], B).unwrap_err(),
        RouteError::WorkerGone { binding: old }
    );
    assert_eq!(
        block_on(hard.peek("s")).unwrap(),
        Some(old),
        "the pin stays"
    );
    assert!(block_on(hard.unbind("s")).unwrap().applied);
    assert_eq!(route(&hard, &[B], B).unwrap().worker, B);
}

/// A future of a turn, and its context, polled by hand.
struct Turn<'f>(Pinned<Box<dyn Future<Output = Answer> + 'f>>);

impl<'f> Turn<'f> {
    fn new(future: impl Future<Output = Answer> + 'f) -> Self {
        Self(Box::pin(future))
    }

    fn poll(&mut self) -> Option<Answer> {
        match self
            .0
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }
}

#[test]
fn one_turn_of_a_session_chooses_and_the_others_join() {
    let router = router();
    let (chosen, open) = (AtomicUsize::new(0), AtomicBool::new(false));
    let turn = |number: u64| {
        let (chosen, open) = (&chosen, &open);
        async move {
            chosen.fetch_add(1, Ordering::Relaxed);
            poll_fn(|_| {
                if open.load(Ordering::Relaxed) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            Ok::<_, &'static str>(WorkerWithDpRank::from(number))
        }
    };
    let candidates: Vec<_> = (0..8).map(WorkerWithDpRank::from).collect();
    let mut turns: Vec<_> = (0..8)
        .map(|number| {
            let future = turn(number);
            Turn::new(router.resolve_or_assign("s", &candidates, move || future))
        })
        .collect();
    for turn in &mut turns {
        assert!(turn.poll().is_none());
    }
    assert_eq!(
        (chosen.load(Ordering::Relaxed), router.choices_under_way()),
        (1, 1)
    );
    // Another session does not wait for this one.
    let other = block_on(router.resolve_or_assign("other", &BOTH, || ready(Ok::<_, ()>(B))));
    assert_eq!(other.unwrap().worker, B);

    open.store(true, Ordering::Relaxed);
    let mut routed = Vec::new();
    for turn in &mut turns {
        routed.push(turn.poll().expect("its turn has come").unwrap());
    }
    assert_eq!(chosen.load(Ordering::Relaxed), 1, "one choice for all");
    assert!(matches!(routed[0].pin, Pin::Made(_)));
    for each in &routed[1..] {
        assert!(matches!(each.pin, Pin::Joined(_)), "{each:?}");
        assert_eq!(each.worker, routed[0].worker);
    }
    drop(turns);
    assert_eq!(router.choices_under_way(), 0);
}

#[test]
fn turns_that_go_away_leave_nothing_behind() {
    let router = router();
    let stuck = || pending::<Result<WorkerWithDpRank, &'static str>>();
    let mut leader = Turn::new(router.resolve_or_assign("s", &BOTH, stuck));
    let mut waiter = Turn::new(router.resolve_or_assign("s", &BOTH, || ready(Ok(B))));
    let mut later = Turn::new(router.resolve_or_assign("s", &BOTH, || ready(Ok(A))));
    assert!(leader.poll().is_none() && waiter.poll().is_none() && later.poll().is_none());
    drop(later);
    drop(leader);
    let routed = waiter.poll().expect("the leader has gone").unwrap();
    assert!(
        routed.worker == B && matches!(routed.pin, Pin::Made(_)),
        "{routed:?}"
    );
    drop(waiter);
    assert_eq!(router.choices_under_way(), 0);

    let mut only = Turn::new(router.resolve_or_assign("t", &BOTH, stuck));
    assert!(only.poll().is_none());
    assert_eq!(router.choices_under_way(), 1);
    drop(only);
    assert_eq!(router.choices_under_way(), 0);
    assert_eq!(block_on(router.peek("t")).unwrap(), None);
}

#[test]
fn a_choice_that_fails_is_the_next_ones() {
    let router = router();
    let failed = block_on(
        router.resolve_or_assign("s", &BOTH, || ready(Err::<WorkerWithDpRank, _>("no room"))),
    );
    assert_eq!(failed.unwrap_err(), RouteError::Choose("no room"));
    assert_eq!((router.choices_under_way(), router.store().len()), (0, 0));
    assert_eq!(route(&router, &BOTH, B).unwrap().worker, B);
}

#[test]
fn a_full_store_routes_anyway() {
    for when_full in [WhenFull::Reject, WhenFull::Unpinned] {
        let router = StickySessionRouter::new(store(1, when_full));
        assert!(
            block_on(router.bind_router_only("other", A))
                .unwrap()
                .applied
        );
        let routed = route(&router, &BOTH, B).unwrap();
        assert_eq!(routed.worker, B);
        let said = match &routed.pin {
            Pin::Unpinned(Some(StoreError::Full { capacity: 1 })) => WhenFull::Reject,
            Pin::Unpinned(None) => WhenFull::Unpinned,
            other => panic!("{other:?}"),
        };
        assert_eq!(said, when_full);
    }
}

#[test]
fn a_key_that_is_none_routes_anyway_and_says_so() {
    let router = router();
    for session in ["", &"x".repeat(257), &"x".repeat(1 << 20)] {
        let routed =
            block_on(router.resolve_or_assign(session, &BOTH, || ready(Ok::<_, ()>(B)))).unwrap();
        assert_eq!(routed.worker, B);
        let said = matches!(
            routed.pin,
            Pin::Unpinned(Some(
                StoreError::EmptySession | StoreError::KeyTooLong { .. }
            ))
        );
        assert!(said, "{routed:?}");
    }
    assert_eq!((router.store().len(), router.choices_under_way()), (0, 0));
}

/// A store whose answers are written down: what does not appear fails.
#[derive(Debug, Default)]
struct Scripted {
    gets: Mutex<Vec<Result<Option<Binding>, StoreError>>>,
    claims: Mutex<Vec<Result<Written, StoreError>>>,
    rebinds: Mutex<Vec<Result<Written, StoreError>>>,
}

fn next<T>(script: &Mutex<Vec<Result<T, StoreError>>>) -> Result<T, StoreError> {
    let mut script = script.lock().unwrap();
    if script.is_empty() {
        return Err(StoreError::unavailable("the script is at its end"));
    }
    script.remove(0)
}

impl AffinityStore for Scripted {
    async fn get(&self, _: SessionRef<'_>) -> Result<Option<Binding>, StoreError> {
        next(&self.gets)
    }

    async fn peek(&self, _: SessionRef<'_>) -> Result<Option<Binding>, StoreError> {
        next(&self.gets)
    }

    async fn bind(
        &self,
        _: SessionRef<'_>,
        _: WorkerWithDpRank,
        _: BindingKind,
    ) -> Result<Written, StoreError> {
        next(&self.claims)
    }

    async fn claim(
        &self,
        _: SessionRef<'_>,
        _: WorkerWithDpRank,
        _: BindingKind,
    ) -> Result<Written, StoreError> {
        next(&self.claims)
    }

    async fn refresh_if(
        &self,
        _: SessionRef<'_>,
        _: WorkerWithDpRank,
    ) -> Result<Written, StoreError> {
        next(&self.claims)
    }

    async fn rebind_if(
        &self,
        _: SessionRef<'_>,
        _: u64,
        _: WorkerWithDpRank,
        _: BindingKind,
    ) -> Result<Written, StoreError> {
        next(&self.rebinds)
    }

    async fn remove(&self, _: SessionRef<'_>) -> Result<Written, StoreError> {
        next(&self.claims)
    }

    async fn remove_if(&self, _: SessionRef<'_>, _: u64) -> Result<Written, StoreError> {
        next(&self.claims)
    }
}

fn binding(worker: WorkerWithDpRank, generation: u64) -> Binding {
    Binding {
        worker,
        kind: RouterOnly,
        generation,
    }
}

#[test]
fn a_store_that_fails_makes_no_difference_to_where_a_turn_goes() {
    let late = || StoreError::Timeout {
        after: Duration::from_millis(50),
    };
    for (gets, claims) in [
        (vec![], vec![]),
        (vec![Err(late())], vec![]),
        (vec![Ok(None)], vec![]),
        (vec![Ok(None), Ok(None)], vec![]),
        (vec![Ok(None), Ok(None)], vec![Err(late())]),
    ] {
        let script = Scripted {
            gets: gets.into(),
            claims: claims.into(),
            ..Scripted::default()
        };
        let router = StickySessionRouter::new(script);
        let routed = route(&router, &BOTH, B).unwrap();
        assert_eq!(routed.worker, B);
        let said = matches!(
            routed.pin,
            Pin::Unpinned(Some(
                StoreError::Unavailable { .. } | StoreError::Timeout { .. }
            ))
        );
        assert!(said, "{routed:?}");
    }
}

/// Another router was faster, with other candidates than these.
#[test]
fn a_lost_claim_follows_the_winner() {
    let winner = binding(WorkerWithDpRank::from(99), 5);
    let script = Scripted {
        gets: vec![Ok(None), Ok(None)].into(),
        claims: vec![Ok(Written::declined(Some(winner)))].into(),
        ..Scripted::default()
    };
    let routed = route(&StickySessionRouter::new(script), &BOTH, B).unwrap();
    assert!(
        matches!(routed.pin, Pin::Joined(joined) if joined == winner),
        "{routed:?}"
    );
    assert_eq!(routed.worker, winner.worker);
}

#[test]
fn a_lost_rebind_follows_the_winner_or_claims() {
    let (gone, winner) = (binding(WorkerWithDpRank::from(99), 5), binding(A, 6));
    let lost = Scripted {
        gets: vec![Ok(Some(gone)), Ok(Some(gone))].into(),
        rebinds: vec![Ok(Written::declined(Some(winner)))].into(),
        ..Scripted::default()
    };
    let routed = route(&StickySessionRouter::new(lost), &BOTH, B).unwrap();
    assert!(
        matches!(routed.pin, Pin::Joined(joined) if joined == winner) && routed.worker == A,
        "{routed:?}"
    );

    let run_out = Scripted {
        gets: vec![Ok(Some(gone)), Ok(Some(gone))].into(),
        rebinds: vec![Ok(Written::declined(None))].into(),
        claims: vec![Ok(Written::applied(Some(binding(B, 7))))].into(),
    };
    let routed = route(&StickySessionRouter::new(run_out), &BOTH, B).unwrap();
    assert!(
        matches!(routed.pin, Pin::Made(_)) && routed.worker == B,
        "{routed:?}"
    );
}

/// The pin was made while this turn waited to choose: nothing is chosen.
#[test]
fn who_comes_to_choose_asks_again() {
    let made = binding(A, 5);
    let script = Scripted {
        gets: vec![Ok(None), Ok(Some(made))].into(),
        ..Scripted::default()
    };
    let router = StickySessionRouter::new(script);
    let chose = pin!(
        router.resolve_or_assign("s", &BOTH, || async { Err::<WorkerWithDpRank, _>("chose") })
    );
    let routed = block_on(chose).unwrap();
    assert!(
        matches!(routed.pin, Pin::Found(found) if found == made),
        "{routed:?}"
    );
}
