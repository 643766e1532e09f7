//! The races of a request, each in a scenario of two or three threads, on the kind map and on the adversarial one.
#![cfg(inflight_loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use phase_state::{
    EntropySignal, PhaseEntry, PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig, RequestKey,
    StartPhase, ThinkPhase,
};
use quanta::Clock;
use state_map::model::{AdversarialMap, ReferenceMap};

const SAMPLE: EntropySignal = EntropySignal {
    token_entropy: 1.0,
    eat: 1.0,
};
const TIMEOUT: Duration = Duration::from_secs(60);

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

type Router<M> = Arc<PhaseRouter<M>>;

fn router<M: PhaseMap + Default>(clock: Clock) -> Router<M> {
    let config = PhaseRouterConfig {
        ema_alpha: 0.5,
        ..PhaseRouterConfig::with_marker_ids([1], [2], [3])
    };
    Arc::new(
        PhaseRouter::with_map(config, M::default())
            .unwrap()
            .with_clock(clock),
    )
}

fn thinking<M: PhaseMap + Default>() -> Router<M> {
    let router = router(Clock::mock().0);
    assert!(router.register_in(7, StartPhase::ThinkDecode));
    router
}

fn spawn<M, T>(router: &Router<M>, act: impl FnOnce(&Router<M>) -> T + 'static) -> JoinHandle<T>
where
    M: PhaseMap + 'static,
    T: 'static,
{
    let router = Arc::clone(router);
    thread::spawn(move || act(&router))
}

fn tokens<M: PhaseMap>(router: &PhaseRouter<M>) -> Option<u32> {
    match router.phase_of(7)? {
        ThinkPhase::ThinkDecode { tokens_so_far, .. } => Some(tokens_so_far),
        phase => panic!("the request thinks: {phase:?}"),
    }
}

/// The token is before the end, and was answered, or after it, and was not. In no order does it bring the request back.
fn reap_against_on_token<M: PhaseMap + Default + 'static>(sample: Option<&'static EntropySignal>) {
    model(move || {
        let router = thinking::<M>();
        let reaping = spawn(&router, |router| router.reap(7));
        let event = router.on_token(7, 9, sample);
        assert!(matches!(event, None | Some(PhaseEvent::Unchanged)));
        assert!(reaping.join().unwrap(), "nobody else ends it");
        assert_eq!((router.phase_of(7), router.tracked_requests()), (None, 0));
        assert_eq!(router.on_token(7, 9, None), None);
        assert!(router.register(7), "the key is free");
    });
}

/// Both are counted, and both samples are in the averages.
fn two_tokens_of_one_request_racing<M: PhaseMap + Default + 'static>(first: bool, second: bool) {
    model(move || {
        let router = thinking::<M>();
        let other = spawn(&router, move |router| {
            router.on_token(7, 9, first.then_some(&SAMPLE))
        });
        assert_eq!(
            router.on_token(7, 9, second.then_some(&SAMPLE)),
            Some(PhaseEvent::Unchanged)
        );
        assert_eq!(other.join().unwrap(), Some(PhaseEvent::Unchanged));
        let Some(ThinkPhase::ThinkDecode {
            tokens_so_far,
            eat_ema,
            eat_ema_sq,
            ..
        }) = router.phase_of(7)
        else {
            panic!("the request thinks");
        };
        let expected =
            [(0.5, 0.25), (0.75, 0.625), (0.875, 0.8125)][usize::from(first) + usize::from(second)];
        assert_eq!((tokens_so_far, (eat_ema, eat_ema_sq)), (2, expected));
    });
}

/// A reader sees the state after some token, whole: no count without its averages, and never an older one again.
fn handle_progress_against_readers<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = router::<M>(Clock::mock().0);
        let mut handle = router.track_in(7, StartPhase::ThinkDecode).unwrap();
        let reading = spawn(&router, |router| {
            reads_go_forward(router);
            assert_eq!(router.on_token(7, 9, None), Some(PhaseEvent::HandleDriven));
        });
        for sample in [Some(&SAMPLE), None] {
            assert_eq!(handle.on_token(9, sample), Some(PhaseEvent::Unchanged));
        }
        reading.join().unwrap();
        drop(handle);
        assert_eq!((router.phase_of(7), router.tracked_requests()), (None, 0));
    });
}

/// The same where the tokens come by key.
fn on_token_against_readers<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let reading = spawn(&router, |router| reads_go_forward(router));
        for sample in [Some(&SAMPLE), None] {
            assert_eq!(router.on_token(7, 9, sample), Some(PhaseEvent::Unchanged));
        }
        reading.join().unwrap();
    });
}

/// Reads twice, of a request whose first token has a sample.
///
/// In a thread that is spawned: loom remembers only the last access to an atomic. Where the reader went first, the
/// writer's own load before its store would hide the reader's, and loom would never let the two change places.
fn reads_go_forward<M: PhaseMap>(router: &PhaseRouter<M>) {
    const STATES: [(u32, f32, f32); 3] = [(0, 0.5, 0.25), (1, 0.75, 0.625), (2, 0.75, 0.625)];
    let mut last = 0;
    for _ in 0..2 {
        let phase = router.phase_of(7);
        let Some(ThinkPhase::ThinkDecode {
            tokens_so_far,
            eat_ema,
            eat_ema_sq,
            ..
        }) = phase
        else {
            panic!("the request thinks: {phase:?}");
        };
        let seen = STATES
            .iter()
            .position(|state| *state == (tokens_so_far, eat_ema, eat_ema_sq));
        let seen =
            seen.unwrap_or_else(|| panic!("a state that the request never was in: {phase:?}"));
        assert!(seen >= last, "the request went back");
        last = seen;
    }
}

/// One of them registers the request, and it is counted once.
fn register_against_register<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = router::<M>(Clock::mock().0);
        let other = spawn(&router, |router| router.register(7));
        let own = router.register_in(7, StartPhase::ThinkDecode);
        assert!(own ^ other.join().unwrap());
        assert_eq!(router.tracked_requests(), 1);
        assert_eq!(
            router.phase_of(7).unwrap() == ThinkPhase::Prefill,
            !own,
            "whose phase it has"
        );
    });
}

/// A touch that was answered keeps the request; one that came too late was told so.
fn reap_idle_against_touch<M: PhaseMap + Default + 'static>() {
    reap_idle_against::<M>(|router| router.touch(7));
}

/// A token that was answered keeps the request; one that came too late was told so.
fn reap_idle_against_on_token<M: PhaseMap + Default + 'static>() {
    reap_idle_against::<M>(|router| router.on_token(7, 9, None).is_some());
}

fn reap_idle_against<M: PhaseMap + Default + 'static>(live: fn(&PhaseRouter<M>) -> bool) {
    model(move || {
        let (clock, time) = Clock::mock();
        let router = router::<M>(clock);
        assert!(router.register_in(7, StartPhase::ThinkDecode));
        assert_eq!(router.reap_idle(TIMEOUT), 0, "the first sweep stamps it");
        time.increment(TIMEOUT);
        let sweeping = spawn(&router, |router| router.reap_idle(TIMEOUT));
        let answered = live(&router);
        let reaped = sweeping.join().unwrap();
        assert_eq!(reaped, usize::from(!answered));
        assert_eq!(router.tracked_requests(), usize::from(answered));
        assert_eq!(router.phase_of(7).is_some(), answered);
    });
}

/// Two sweeps at once end an idle request once.
fn reap_idle_against_reap<M: PhaseMap + Default + 'static>() {
    model(|| {
        let (clock, time) = Clock::mock();
        let router = router::<M>(clock);
        assert!(router.register(7));
        assert_eq!(router.reap_idle(TIMEOUT), 0);
        time.increment(TIMEOUT);
        let sweeping = spawn(&router, |router| router.reap_idle(TIMEOUT));
        let own = usize::from(router.reap(7));
        assert_eq!(own + sweeping.join().unwrap(), 1);
        assert_eq!(router.tracked_requests(), 0);
    });
}

/// Two sweeps at once, after a sign of life since the last: neither takes what the other is about to stamp for idle.
fn reap_idle_against_reap_idle<M: PhaseMap + Default + 'static>() {
    model(|| {
        let (clock, time) = Clock::mock();
        let router = router::<M>(clock);
        assert!(router.register(7));
        assert_eq!(router.reap_idle(TIMEOUT), 0);
        time.increment(TIMEOUT);
        assert!(router.touch(7));
        let other = spawn(&router, |router| router.reap_idle(TIMEOUT));
        assert_eq!(router.reap_idle(TIMEOUT), 0);
        assert_eq!(other.join().unwrap(), 0);
        assert_eq!(router.tracked_requests(), 1);
    });
}

/// Whoever ends a request removes it, and not the one that takes its key in between.
fn reap_against_register<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let registering = spawn(&router, |router| router.register(7));
        assert!(router.reap(7));
        let registered = registering.join().unwrap();
        assert_eq!(router.tracked_requests(), usize::from(registered));
        assert_eq!(
            router.phase_of(7),
            registered.then_some(ThinkPhase::Prefill)
        );
    });
}

/// A handle that is dropped while its key is reaped and registered again ends no request but its own.
fn handle_drop_against_register<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = router::<M>(Clock::mock().0);
        let handle = router.track(7).unwrap();
        let dropping = thread::spawn(move || drop(handle));
        router.reap(7);
        assert!(
            router.register_in(7, StartPhase::ThinkDecode),
            "one of the two has ended the first"
        );
        dropping.join().unwrap();
        assert_eq!((tokens(&router), router.tracked_requests()), (Some(0), 1));
    });
}

macro_rules! races {
    ($map:ident) => {
        type Map = super::$map<super::RequestKey, super::PhaseEntry>;

        #[test]
        fn reap_against_on_token() {
            super::reap_against_on_token::<Map>(None);
            super::reap_against_on_token::<Map>(Some(&super::SAMPLE));
        }

        #[test]
        fn two_tokens_of_one_request_racing() {
            for (first, second) in [(false, false), (true, false), (true, true)] {
                super::two_tokens_of_one_request_racing::<Map>(first, second);
            }
        }

        races!($map: handle_progress_against_readers, on_token_against_readers, register_against_register, reap_idle_against_touch,
            reap_idle_against_on_token, reap_idle_against_reap, reap_idle_against_reap_idle, reap_against_register, handle_drop_against_register);
    };
    ($map:ident: $($race:ident),+) => {
        $(
            #[test]
            fn $race() {
                super::$race::<Map>();
            }
        )+
    };
}

mod reference {
    races!(ReferenceMap);
}

mod adversarial {
    races!(AdversarialMap);
}
