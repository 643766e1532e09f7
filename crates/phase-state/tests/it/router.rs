//! A router against a naive one: random calls, on every map, compared after each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::oracle::{Event, NaiveRequest};
use phase_state::{
    Converged, EntropySignal, Format, FormatId, NotFed, Overthinking, PhaseEvent, PhaseKind,
    PhaseMap, PhaseRouter, PhaseRouterConfig, PhaseSession, Registration, RequestHandle,
    RequestKey, RequestState, Shrink, Spans, StartPhase, StepToken, Summary, TrackError,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

crate::backends::on_every_backend! {
    matches_the_naive_router, a_handle_ends_its_own_registration_only, nothing_is_tracked_twice,
    two_routers_on_one_map, a_busy_request_is_not_idle
}

const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
struct Begin {
    start: StartPhase,
    format: usize,
    budget: Option<u32>,
}

#[derive(Debug, Clone)]
enum Call {
    Register(RequestKey, Begin),
    Track(RequestKey, Begin),
    Fork(RequestKey, RequestKey),
    Step(Vec<StepToken>),
    HandleToken(RequestKey, u32, Option<EntropySignal>),
    SetBudget(RequestKey, u32),
    Save(RequestKey),
    Rollback(RequestKey),
    DropHandle(RequestKey),
    Reap(RequestKey),
    /// Out, and in again under another key.
    Move(RequestKey, RequestKey),
    Touch(RequestKey),
    Sweep(Duration),
}

const KEYS: [RequestKey; 4] = [
    RequestKey::new(1, 0),
    RequestKey::new(1, 1),
    RequestKey::new(2, 0),
    RequestKey::new(3, 0),
];

/// Few keys, two of them choices of one request, so that calls meet.
fn any_key() -> impl Strategy<Value = RequestKey> {
    proptest::sample::select(KEYS.to_vec())
}

fn any_begin() -> impl Strategy<Value = Begin> {
    let start = prop_oneof![Just(StartPhase::Prefill), Just(StartPhase::ThinkDecode)];
    let budget = proptest::option::of(0..12_u32);
    (start, 0..2_usize, budget).prop_map(|(start, format, budget)| Begin {
        start,
        format,
        budget,
    })
}

fn any_sample() -> impl Strategy<Value = Option<EntropySignal>> {
    let signal = (
        0.0..4.0_f32,
        prop_oneof![9 => 0.0..1.0_f32, 1 => Just(f32::NAN)],
    );
    proptest::option::of(signal.prop_map(|(token_entropy, end_mass)| EntropySignal {
        token_entropy,
        end_mass,
    }))
}

fn any_call() -> impl Strategy<Value = Call> {
    let token = || (any_key(), 0..8_u32, any_sample());
    let step = token().prop_map(|(key, token, sample)| StepToken { key, token, sample });
    prop_oneof![
        3 => (any_key(), any_begin()).prop_map(|(key, begin)| Call::Register(key, begin)),
        2 => (any_key(), any_begin()).prop_map(|(key, begin)| Call::Track(key, begin)),
        1 => (any_key(), any_key()).prop_map(|(from, to)| Call::Fork(from, to)),
        6 => vec(step, 0..5).prop_map(Call::Step),
        4 => token().prop_map(|(key, token, sample)| Call::HandleToken(key, token, sample)),
        2 => (any_key(), 0..12_u32).prop_map(|(key, budget)| Call::SetBudget(key, budget)),
        2 => any_key().prop_map(Call::Save),
        2 => any_key().prop_map(Call::Rollback),
        1 => any_key().prop_map(Call::DropHandle),
        1 => any_key().prop_map(Call::Reap),
        1 => (any_key(), any_key()).prop_map(|(from, to)| Call::Move(from, to)),
        1 => any_key().prop_map(Call::Touch),
        2 => (0..70_u64).prop_map(|seconds| Call::Sweep(Duration::from_secs(seconds))),
    ]
}

/// Two formats: with markers that overlap themselves, several of a kind, re-entry, and limits that are reached; and with
/// tool calls, and one thought anywhere.
fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        formats: vec![
            Format {
                think_start: vec![vec![0, 0, 1]],
                think_end: vec![vec![2], vec![3, 4]],
                eos: vec![vec![5, 5]],
                spans: Spans::Any,
                ..Format::default()
            },
            Format {
                think_start: vec![vec![1]],
                think_end: vec![vec![2, 2, 3]],
                tool_start: vec![vec![4]],
                tool_end: vec![vec![5]],
                eos: vec![vec![6]],
                skipped: vec![vec![7]],
                spans: Spans::Once,
                ..Format::default()
            }
            .named("second"),
        ],
        min_think_tokens: 3,
        max_think_tokens: 9,
        ema_alpha: 0.5,
        transition_entropy_threshold: 2.0,
        converged: Some(Converged {
            max_variance: 0.05,
            min_mass: 0.4,
        }),
        overthinking: Some(Overthinking {
            min_index: 1.5,
            min_transitions: 2,
        }),
    }
}

/// What a naive router keeps of a request.
#[derive(Debug)]
struct Tracked {
    request: NaiveRequest,
    format: usize,
    by_handle: bool,
    changed: bool,
    stamp: Duration,
}

struct Naive {
    requests: BTreeMap<RequestKey, Tracked>,
    now: Duration,
}

impl Naive {
    fn insert(&mut self, key: RequestKey, request: NaiveRequest, format: usize, by_handle: bool) {
        let tracked = Tracked {
            request,
            format,
            by_handle,
            changed: true,
            stamp: Duration::ZERO,
        };
        assert!(self.requests.insert(key, tracked).is_none());
    }

    /// The request, where it is driven in this way.
    fn driven(&mut self, key: RequestKey, by_handle: bool) -> Result<&mut Tracked, NotFed> {
        let tracked = self.requests.get_mut(&key).ok_or(NotFed::NotTracked)?;
        if tracked.by_handle && !by_handle {
            return Err(NotFed::HandleDriven);
        }
        Ok(tracked)
    }

    fn token(&mut self, token: &StepToken, by_handle: bool) -> Result<Event, NotFed> {
        let tracked = self.driven(token.key, by_handle)?;
        tracked.changed = true;
        Ok(tracked.request.feed(&config(), token.token, token.sample))
    }

    fn sweep(&mut self) -> BTreeMap<RequestKey, Tracked> {
        let now = self.now;
        let idle: Vec<RequestKey> = self
            .requests
            .iter_mut()
            .filter_map(|(key, tracked)| {
                if std::mem::take(&mut tracked.changed) {
                    tracked.stamp = now;
                }
                (now - tracked.stamp >= TIMEOUT).then_some(*key)
            })
            .collect();
        let end = |key: RequestKey| (key, self.requests.remove(&key).unwrap());
        idle.into_iter().map(end).collect()
    }
}

fn agrees(summary: Summary, naive: &NaiveRequest) {
    assert_eq!(summary.phase, naive.phase(&config()).kind());
    let sums = (
        summary.think_tokens,
        summary.tool_tokens,
        summary.output_tokens,
        summary.think_spans,
        summary.tool_spans,
    );
    assert_eq!(sums, naive.sums());
    let forced = summary.forced.map(|it| (it.reason, it.at_token));
    assert_eq!(forced, naive.last_forced());
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

    fn give_back(&self) -> Shrink {
        self.0.give_back()
    }
}

fn entries<M: PhaseMap>(map: &M) -> usize {
    let mut entries = 0;
    map.open().visit(|_, _| entries += 1);
    entries
}

/// The router, the naive one, and what the test holds.
struct Both<M> {
    map: Arc<M>,
    router: Arc<PhaseRouter<Watched<M>>>,
    formats: [FormatId; 2],
    naive: Naive,
    /// The handles that are held, whether their requests are tracked or not.
    handles: BTreeMap<RequestKey, Vec<RequestHandle>>,
    saved: Vec<(RequestState, NaiveRequest, usize)>,
}

impl<M: PhaseMap + Default + 'static> Both<M> {
    fn new() -> Self {
        let map = Arc::new(M::default());
        let router = PhaseRouter::with_map(config(), Watched(Arc::clone(&map))).unwrap();
        Self {
            map,
            formats: [router.format("").unwrap(), router.format("second").unwrap()],
            router: Arc::new(router),
            naive: Naive {
                requests: BTreeMap::new(),
                now: Duration::ZERO,
            },
            handles: BTreeMap::new(),
            saved: Vec::new(),
        }
    }

    fn event(&self, event: PhaseEvent) -> Event {
        Event::of(event, |injection| self.router.injection(injection).to_vec())
    }

    fn begin(&mut self, key: RequestKey, begin: Begin, by_handle: bool) {
        let Begin {
            start,
            format,
            budget,
        } = begin;
        let mut registration = Registration::from(start).format(self.formats[format]);
        if let Some(budget) = budget {
            registration = registration.budget(budget);
        }
        let begun = if by_handle {
            let tracked = self.router.track_with(key, registration);
            tracked.map(|(handle, event)| {
                self.handles.entry(key).or_default().push(handle);
                event
            })
        } else {
            self.router.register_with(key, registration)
        };
        if self.naive.requests.contains_key(&key) {
            assert_eq!(begun, Err(TrackError::Tracked { key }));
        } else {
            let config = config();
            let (request, due) = NaiveRequest::new(&config, &config.formats[format], start, budget);
            self.naive.insert(key, request, format, by_handle);
            assert_eq!(self.event(begun.unwrap()), due);
        }
    }

    /// The last handle on a key is the only one that may still drive it.
    fn by_handle<R>(&mut self, key: RequestKey, act: impl Fn(&mut RequestHandle) -> R) -> Option<R>
    where
        R: PartialEq + std::fmt::Debug + From<NotTracked>,
    {
        let (last, ended) = self.handles.get_mut(&key)?.split_last_mut()?;
        for handle in ended {
            assert_eq!(act(handle), R::from(NotTracked));
        }
        Some(act(last))
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Register(key, begin) => self.begin(key, begin, false),
            Call::Track(key, begin) => self.begin(key, begin, true),
            Call::Fork(from, to) => {
                let forked = self.router.fork(from, to);
                let tracked = self.naive.requests.get(&from);
                let expected = match tracked {
                    None => Err(TrackError::NotTracked { key: from }),
                    Some(_) if self.naive.requests.contains_key(&to) => {
                        Err(TrackError::Tracked { key: to })
                    }
                    Some(parent) => {
                        let (request, format) = (parent.request.clone(), parent.format);
                        self.naive.insert(to, request, format, false);
                        Ok(())
                    }
                };
                assert_eq!(forked, expected);
            }
            Call::Step(step) => {
                let mut events = Vec::new();
                self.router.on_step(&step, &mut events);
                for (event, token) in events.into_iter().zip(&step) {
                    let expected = self.naive.token(token, false);
                    assert_eq!(event.map(|event| self.event(event)), expected);
                }
            }
            Call::HandleToken(key, token, sample) => {
                let act =
                    |handle: &mut RequestHandle| Answer(handle.on_token(token, sample.as_ref()));
                let Some(Answer(event)) = self.by_handle(key, act) else {
                    return;
                };
                let tracked = self.naive.requests.get(&key);
                let expected = if tracked.is_some_and(|tracked| tracked.by_handle) {
                    self.naive.token(&StepToken { key, token, sample }, true)
                } else {
                    Err(NotFed::NotTracked)
                };
                assert_eq!(event.map(|event| self.event(event)), expected);
            }
            Call::SetBudget(key, budget) => {
                let event = self.router.set_budget(key, budget);
                let expected = self.naive.driven(key, false).map(|tracked| {
                    tracked.changed = true;
                    tracked.request.set_budget(&config(), budget)
                });
                assert_eq!(event.map(|event| self.event(event)), expected);
                let act = |handle: &mut RequestHandle| Answer(handle.set_budget(budget));
                if let Err(NotFed::HandleDriven) = event {
                    let Some(Answer(event)) = self.by_handle(key, act) else {
                        panic!("somebody has the handle");
                    };
                    let tracked = self.naive.driven(key, true).unwrap();
                    tracked.changed = true;
                    let expected = tracked.request.set_budget(&config(), budget);
                    assert_eq!(self.event(event.unwrap()), expected);
                }
            }
            Call::Save(key) => {
                let state = self.router.state_of(key);
                let tracked = self.naive.requests.get(&key);
                assert_eq!(state.is_some(), tracked.is_some());
                if let (Some(state), Some(tracked)) = (state, tracked) {
                    let request = tracked.request.clone();
                    self.saved.push((state, request, tracked.format));
                }
            }
            Call::Rollback(key) => {
                // Of whichever request it was: a state is a value.
                let Some((state, before, format)) = self.saved.last().cloned() else {
                    return;
                };
                let event = self.router.rollback(key, &state);
                let of_it = self.naive.requests.get(&key).map(|it| it.format);
                let expected = match self.naive.driven(key, false) {
                    _ if of_it.is_some_and(|of_it| of_it != format) => Err(NotFed::OtherMarkers),
                    Err(refused) => Err(refused),
                    Ok(tracked) => {
                        tracked.changed = true;
                        Ok(tracked.request.roll_back(&before))
                    }
                };
                assert_eq!(event.map(|event| self.event(event)), expected);
            }
            Call::DropHandle(key) => {
                let Some(handle) = self.handles.get_mut(&key).and_then(Vec::pop) else {
                    return;
                };
                let is_live = handle.phase().is_some();
                let summary = handle.finish();
                assert_eq!(summary.is_some(), is_live);
                if let Some(summary) = summary {
                    agrees(summary, &self.naive.requests.remove(&key).unwrap().request);
                }
            }
            Call::Reap(key) => {
                let summary = self.router.reap(key);
                let tracked = self.naive.requests.remove(&key);
                assert_eq!(summary.is_some(), tracked.is_some());
                if let (Some(summary), Some(tracked)) = (summary, tracked) {
                    agrees(summary, &tracked.request);
                }
            }
            Call::Move(from, to) => {
                let state = self.router.move_out(from);
                let tracked = self.naive.requests.remove(&from);
                assert_eq!(state.is_some(), tracked.is_some());
                let (Some(state), Some(tracked)) = (state, tracked) else {
                    return;
                };
                let begun = self.router.register_with(to, Registration::resume(state));
                if self.naive.requests.contains_key(&to) {
                    assert_eq!(begun, Err(TrackError::Tracked { key: to }));
                } else {
                    assert!(begun.is_ok());
                    self.naive
                        .insert(to, tracked.request, tracked.format, false);
                }
            }
            Call::Touch(key) => {
                let tracked = self.naive.requests.get_mut(&key);
                assert_eq!(self.router.touch(key), tracked.is_some());
                if let Some(tracked) = tracked {
                    tracked.changed = true;
                }
            }
            Call::Sweep(later) => {
                self.naive.now += later;
                let ended = self.router.reap_idle(self.naive.now, TIMEOUT);
                let mut expected = self.naive.sweep();
                for (key, summary) in ended {
                    agrees(summary, &expected.remove(&key).unwrap().request);
                }
                assert!(expected.is_empty());
            }
        }
    }

    fn compare(&self) {
        let requests = &self.naive.requests;
        assert_eq!(self.router.tracked_requests(), requests.len());
        assert_eq!(
            entries(&*self.map),
            requests.len(),
            "an ended request is left in the map"
        );
        let listed = self.router.requests(usize::MAX);
        assert_eq!(listed.len(), requests.len());
        assert_eq!(self.router.requests(1).len(), requests.len().min(1));
        let counts = self.router.counts_by_phase();
        assert_eq!(counts.total(), requests.len());
        for kind in PhaseKind::ALL {
            let of_it = listed.iter().filter(|(_, phase)| phase.kind() == kind);
            assert_eq!(counts.of(kind), of_it.count());
        }
        for key in KEYS {
            let tracked = requests.get(&key);
            let expected = tracked.map(|tracked| tracked.request.phase(&config()));
            assert_eq!(self.router.phase_of(key), expected);
            assert_eq!(
                self.router.phase_kind(key),
                expected.map(|phase| phase.kind())
            );
            let remaining = tracked.map(|tracked| tracked.request.remaining());
            assert_eq!(self.router.remaining_budget(key), remaining);
            if let Some(summary) = self.router.summary_of(key) {
                agrees(summary, &tracked.unwrap().request);
            }
        }
    }
}

struct NotTracked;

#[derive(Debug, PartialEq)]
struct Answer(Result<PhaseEvent, NotFed>);

impl From<NotTracked> for Answer {
    fn from(_: NotTracked) -> Self {
        Self(Err(NotFed::NotTracked))
    }
}

fn matches_the_naive_router<M: PhaseMap + Default + 'static>() {
    let runner = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(runner).run(&vec(any_call(), 0..80), |calls| {
        let mut both = Both::<M>::new();
        for call in calls {
            both.call(call);
            both.compare();
        }
        // Whoever holds the last handle of a tracked request ends it.
        let Both {
            router,
            mut naive,
            handles,
            ..
        } = both;
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
    assert!(router.reap(1).is_some(), "by key, whoever drives it");
    assert_eq!(handle.on_token(9, None), Err(NotFed::NotTracked));
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
    let key = RequestKey::from(1);
    assert_eq!(
        router.register_with(1, StartPhase::ThinkDecode),
        Err(TrackError::Tracked { key }),
        "changes nothing"
    );
    assert_eq!(router.track(1).unwrap_err(), TrackError::Tracked { key });
    assert!(
        router.register((1, 1)),
        "another choice of the same request"
    );
    assert_eq!(router.tracked_requests(), 2);

    let handle = router.track(2).unwrap();
    assert!(router.track(2).is_err() && !router.register(2));
    assert_eq!(router.on_token(2, 9, None), Err(NotFed::HandleDriven));
    assert_eq!(handle.phase(), router.phase_of(2));
    assert!(
        router
            .track(2)
            .unwrap_err()
            .to_string()
            .contains("request 2 ")
    );

    let mut answers = Vec::new();
    let thinking = Registration::from(StartPhase::ThinkDecode).budget(0);
    router.register_batch(&[(7.into(), thinking), (7.into(), thinking)], &mut answers);
    assert!(matches!(
        answers[..],
        [
            Ok(PhaseEvent::ForceBudget { .. }),
            Err(TrackError::Tracked { .. })
        ]
    ));
}

/// Each request goes by the format that it was registered with, and is counted where it was.
fn two_routers_on_one_map<M: PhaseMap + Default + 'static>() {
    let map = Arc::new(M::default());
    let one = PhaseRouter::with_map(config(), Watched(Arc::clone(&map))).unwrap();
    let other_config = PhaseRouterConfig::with_marker_ids([1], [2], [3]);
    let other = PhaseRouter::with_map(other_config, Watched(map)).unwrap();
    assert!(one.register(1) && !other.register(1));
    // Under way in a marker that the other router does not have.
    for token in [0, 0, 0, 1] {
        assert!(other.on_token(1, token, None).is_ok());
    }
    assert_eq!(other.phase_kind(1), Some(PhaseKind::ThinkDecode));
    assert_eq!((one.tracked_requests(), other.tracked_requests()), (1, 0));
    drop(one);
    assert!(other.reap(1).is_some());
    assert_eq!(other.tracked_requests(), 0);
}

/// The cycle that was as long as a version was wide: a word came round, and the request was taken for idle.
fn a_busy_request_is_not_idle<M: PhaseMap + Default + 'static>() {
    let router = router::<M>();
    assert!(router.register_with(1, StartPhase::ThinkDecode).is_ok());
    let cycle = [2, 0, 0, 1];
    assert!(router.reap_idle(Duration::ZERO, TIMEOUT).is_empty());
    for _ in 0..16_384 / cycle.len() {
        for token in cycle {
            assert!(router.on_token(1, token, None).is_ok());
        }
    }
    assert!(router.reap_idle(TIMEOUT, TIMEOUT).is_empty());
    for _ in 0..1 << 16 {
        assert!(router.touch(1));
    }
    assert!(router.reap_idle(2 * TIMEOUT, TIMEOUT).is_empty());
    assert_eq!(router.reap_idle(3 * TIMEOUT, TIMEOUT).len(), 1);
}

/// Sweeps every second, each a little later than planned.
#[test]
fn idle_time_is_never_short_and_at_most_two_sweeps_long() {
    let router = router::<state_map::model::ReferenceMap<RequestKey, phase_state::PhaseEntry>>();
    for at in [0.001_f64, 0.5, 0.999] {
        assert!(router.register(1));
        let ended = (1..100)
            .map(|sweep| f64::from(sweep) + if sweep % 2 == 1 { 1e-4 } else { 0.0 })
            .find(|now| {
                let now = Duration::from_secs_f64(1_000.0 + now);
                !router.reap_idle(now, TIMEOUT).is_empty()
            });
        let idle = ended.unwrap() - at;
        assert!((60.0..62.0).contains(&idle), "{idle}");
    }
}
