//! A router against a naive one: random calls, on every map, compared after each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::oracle::NaiveRequest;
use phase_state::{
    EntropySignal, PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig, PhaseSession,
    RequestHandle, RequestKey, StartPhase, StepToken, TrackError,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use quanta::Clock;

crate::backends::on_every_backend! { matches_the_naive_router, a_handle_ends_its_own_registration_only, nothing_is_tracked_twice }

const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
enum Call {
    Register(RequestKey, StartPhase),
    Track(RequestKey, StartPhase),
    Step(Vec<StepToken>),
    HandleToken(RequestKey, u32, Option<EntropySignal>),
    DropHandle(RequestKey),
    Reap(RequestKey),
    Touch(RequestKey),
    Sweep(Duration),
}

/// Few keys, two of them choices of one request, so that calls meet.
fn any_key() -> impl Strategy<Value = RequestKey> {
    prop_oneof![
        Just(RequestKey::new(1, 0)),
        Just(RequestKey::new(1, 1)),
        (2..4_u64).prop_map(RequestKey::from)
    ]
}

fn any_start() -> impl Strategy<Value = StartPhase> {
    prop_oneof![Just(StartPhase::Prefill), Just(StartPhase::ThinkDecode)]
}

fn any_sample() -> impl Strategy<Value = Option<EntropySignal>> {
    let signal = (
        0.0..4.0_f32,
        prop_oneof![9 => 0.0..1.0_f32, 1 => Just(f32::NAN)],
    );
    proptest::option::of(
        signal.prop_map(|(token_entropy, eat)| EntropySignal { token_entropy, eat }),
    )
}

fn any_call() -> impl Strategy<Value = Call> {
    let token = || (any_key(), 0..6_u32, any_sample());
    let step = token().prop_map(|(key, token, sample)| StepToken { key, token, sample });
    prop_oneof![
        3 => (any_key(), any_start()).prop_map(|(key, start)| Call::Register(key, start)),
        2 => (any_key(), any_start()).prop_map(|(key, start)| Call::Track(key, start)),
        6 => vec(step, 0..5).prop_map(Call::Step),
        4 => token().prop_map(|(key, token, sample)| Call::HandleToken(key, token, sample)),
        1 => any_key().prop_map(Call::DropHandle),
        1 => any_key().prop_map(Call::Reap),
        1 => any_key().prop_map(Call::Touch),
        2 => (0..70_u64).prop_map(|seconds| Call::Sweep(Duration::from_secs(seconds))),
    ]
}

/// Markers that overlap themselves, several of a kind, re-entry, and limits that are reached.
fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        think_start_markers: vec![vec![0, 0, 1]],
        think_end_markers: vec![vec![2], vec![3, 4]],
        eos_markers: vec![vec![5, 5]],
        min_think_tokens: 3,
        max_think_tokens: 9,
        ema_alpha: 0.5,
        transition_entropy_threshold: 2.0,
        reentry: true,
        ..PhaseRouterConfig::default()
    }
}

/// What a naive router keeps of a request.
#[derive(Debug)]
struct Tracked {
    request: NaiveRequest,
    by_handle: bool,
    changed: bool,
    stamp: Duration,
}

struct Naive {
    requests: BTreeMap<RequestKey, Tracked>,
    now: Duration,
}

impl Naive {
    fn insert(&mut self, key: RequestKey, start: StartPhase, by_handle: bool) -> bool {
        let fresh = !self.requests.contains_key(&key);
        if fresh {
            let request = NaiveRequest::new(start);
            self.requests.insert(
                key,
                Tracked {
                    request,
                    by_handle,
                    changed: true,
                    stamp: Duration::ZERO,
                },
            );
        }
        fresh
    }

    fn token(&mut self, token: &StepToken, by_handle: bool) -> Option<PhaseEvent> {
        let tracked = self.requests.get_mut(&token.key)?;
        if tracked.by_handle && !by_handle {
            return Some(PhaseEvent::HandleDriven);
        }
        tracked.changed = true;
        Some(tracked.request.feed(&config(), token.token, token.sample))
    }

    fn sweep(&mut self) -> usize {
        let (now, before) = (self.now, self.requests.len());
        self.requests.retain(|_, tracked| {
            if std::mem::take(&mut tracked.changed) {
                tracked.stamp = now;
                return true;
            }
            now - tracked.stamp < TIMEOUT
        });
        before - self.requests.len()
    }
}

/// A map that the test can look at while a router stands on it; and a map of one's own, as downstream may bring one.
#[derive(Default)]
struct Watched<M>(Arc<M>);

impl<M: PhaseMap> PhaseMap for Watched<M> {
    type Session<'a>
        = M::Session<'a>
    where
        Self: 'a;

    fn open(&self) -> Self::Session<'_> {
        self.0.open()
    }

    fn shard_loads(&self) -> Option<Vec<usize>> {
        self.0.shard_loads()
    }
}

fn entries<M: PhaseMap>(map: &M) -> usize {
    let mut entries = 0;
    map.open().visit(|_, _| entries += 1);
    entries
}

fn matches_the_naive_router<M: PhaseMap + Default + 'static>() {
    let runner = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(runner).run(&vec(any_call(), 0..80), |calls| {
        let (clock, time) = Clock::mock();
        let map = Arc::new(M::default());
        let router = PhaseRouter::with_map(config(), Watched(Arc::clone(&map))).unwrap();
        let router = Arc::new(router.with_clock(clock));
        let mut naive = Naive {
            requests: BTreeMap::new(),
            now: Duration::ZERO,
        };
        // The handles that are held, whether their requests are tracked or not.
        let mut handles: BTreeMap<RequestKey, Vec<RequestHandle>> = BTreeMap::new();
        let mut events = Vec::new();
        for call in calls {
            match call {
                Call::Register(key, start) => {
                    prop_assert_eq!(
                        router.register_in(key, start),
                        naive.insert(key, start, false)
                    );
                }
                Call::Track(key, start) => match router.track_in(key, start) {
                    Ok(handle) => {
                        prop_assert!(naive.insert(key, start, true));
                        handles.entry(key).or_default().push(handle);
                    }
                    Err(TrackError { key: named, .. }) => {
                        prop_assert_eq!(named, key);
                        prop_assert!(!naive.insert(key, start, true));
                    }
                },
                Call::Step(step) => {
                    router.on_step(&step, &mut events);
                    let expected: Vec<_> =
                        step.iter().map(|token| naive.token(token, false)).collect();
                    prop_assert_eq!(&events, &expected);
                }
                Call::HandleToken(key, token, sample) => {
                    // The last handle on a key is the only one that may still drive it.
                    let Some((last, ended)) =
                        handles.get_mut(&key).and_then(|held| held.split_last_mut())
                    else {
                        continue;
                    };
                    for handle in ended {
                        prop_assert_eq!(handle.on_token(token, sample.as_ref()), None);
                    }
                    let drives = naive
                        .requests
                        .get(&key)
                        .is_some_and(|tracked| tracked.by_handle);
                    let expected = drives
                        .then(|| naive.token(&StepToken { key, token, sample }, true))
                        .flatten();
                    prop_assert_eq!(last.on_token(token, sample.as_ref()), expected);
                }
                Call::DropHandle(key) => {
                    let Some(handle) = handles.get_mut(&key).and_then(Vec::pop) else {
                        continue;
                    };
                    if handle.phase().is_some() {
                        naive.requests.remove(&key);
                    }
                    drop(handle);
                }
                Call::Reap(key) => {
                    prop_assert_eq!(router.reap(key), naive.requests.remove(&key).is_some());
                }
                Call::Touch(key) => {
                    let tracked = naive.requests.get_mut(&key);
                    prop_assert_eq!(router.touch(key), tracked.is_some());
                    if let Some(tracked) = tracked {
                        tracked.changed = true;
                    }
                }
                Call::Sweep(later) => {
                    time.increment(later);
                    naive.now += later;
                    prop_assert_eq!(router.reap_idle(TIMEOUT), naive.sweep());
                }
            }
            prop_assert_eq!(router.tracked_requests(), naive.requests.len());
            prop_assert_eq!(
                entries(&*map),
                naive.requests.len(),
                "an ended request is left in the map"
            );
            for key in [
                RequestKey::new(1, 0),
                RequestKey::new(1, 1),
                2.into(),
                3.into(),
            ] {
                let expected = naive
                    .requests
                    .get(&key)
                    .map(|tracked| tracked.request.phase());
                prop_assert_eq!(router.phase_of(key), expected);
                prop_assert_eq!(router.phase_kind(key), expected.map(|phase| phase.kind()));
            }
        }
        // Whoever holds the last handle of a tracked request ends it.
        drop(handles);
        naive.requests.retain(|_, tracked| !tracked.by_handle);
        prop_assert_eq!(router.tracked_requests(), naive.requests.len());
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("the router and the naive one disagree: {failure}");
    }
}

fn router<M: PhaseMap + Default>() -> Arc<PhaseRouter<M>> {
    Arc::new(PhaseRouter::with_map(config(), M::default()).unwrap())
}

fn a_handle_ends_its_own_registration_only<M: PhaseMap + Default + 'static>() {
    let router = router::<M>();
    let mut handle = router.track(1).unwrap();
    assert!(router.reap(1), "by key, whoever drives it");
    assert_eq!(handle.on_token(9, None), None);
    assert!(router.register(1), "the key is free");
    drop(handle);
    assert_eq!(router.tracked_requests(), 1);
    assert!(router.phase_of(1).is_some(), "the later registration stays");

    let handle = router.track(2).unwrap();
    std::thread::spawn(move || drop(handle)).join().unwrap();
    assert_eq!((router.phase_of(2), router.tracked_requests()), (None, 1));
}

fn nothing_is_tracked_twice<M: PhaseMap + Default + 'static>() {
    let router = router::<M>();
    assert!(router.register(1));
    assert!(
        !router.register_in(1, StartPhase::ThinkDecode),
        "changes nothing"
    );
    assert_eq!(router.track(1).unwrap_err().key, 1.into());
    assert!(
        router.register((1, 1)),
        "another choice of the same request"
    );
    assert_eq!(router.tracked_requests(), 2);

    let handle = router.track(2).unwrap();
    assert!(router.track(2).is_err() && !router.register(2));
    assert_eq!(router.on_token(2, 9, None), Some(PhaseEvent::HandleDriven));
    assert_eq!(handle.phase(), router.phase_of(2));
    assert!(
        router
            .track(2)
            .unwrap_err()
            .to_string()
            .contains("request 2 ")
    );
}
