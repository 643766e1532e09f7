//! The races of a request, each in a scenario of two or three threads, on the kind map and on the adversarial one.
#![cfg(inflight_loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::model::Builder;
use loom::thread::{self, JoinHandle};
use phase_state::{
    EntropySignal, NotFed, PhaseEntry, PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig,
    Registration, RequestKey, StartPhase, ThinkPhase,
};
use state_map::model::{AdversarialMap, ReferenceMap};

const SAMPLE: EntropySignal = EntropySignal {
    token_entropy: 1.0,
    end_mass: 1.0,
};
const TIMEOUT: Duration = Duration::from_secs(60);
const UNCHANGED: Result<PhaseEvent, NotFed> = Ok(PhaseEvent::Unchanged);

fn model(scenario: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.check(scenario);
}

type Router<M> = Arc<PhaseRouter<M>>;

fn router<M: PhaseMap + Default>() -> Router<M> {
    let config = PhaseRouterConfig {
        ema_alpha: 0.5,
        min_think_tokens: 0,
        ..PhaseRouterConfig::with_marker_ids([1], [2], [3])
    };
    Arc::new(PhaseRouter::with_map(config, M::default()).unwrap())
}

fn begin<M: PhaseMap>(router: &PhaseRouter<M>) {
    let begun = router.register_with(7, StartPhase::ThinkDecode);
    assert_eq!(begun, Ok(PhaseEvent::Unchanged));
}

fn thinking<M: PhaseMap + Default>() -> Router<M> {
    let router = router();
    begin(&router);
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

/// The one sweep of a scenario, which is the second: how many it ended.
fn sweep<M: PhaseMap>(router: &PhaseRouter<M>) -> usize {
    router.reap_idle(TIMEOUT, TIMEOUT).len()
}

fn first_sweep<M: PhaseMap>(router: &PhaseRouter<M>) {
    let ended = router.reap_idle(Duration::ZERO, TIMEOUT);
    assert!(ended.is_empty(), "the first sweep stamps it");
}

/// The token is before the end, and was answered, or after it, and was not. In no order does it bring the request back.
fn reap_against_on_token<M: PhaseMap + Default + 'static>(sample: Option<&'static EntropySignal>) {
    model(move || {
        let router = thinking::<M>();
        let reaping = spawn(&router, |router| router.reap(7));
        let event = router.on_token(7, 9, sample);
        assert!([UNCHANGED, Err(NotFed::NotTracked)].contains(&event));
        let summary = reaping.join().unwrap().expect("nobody else ends it");
        assert_eq!(
            summary.think_tokens,
            u32::from(event.is_ok()),
            "what was answered"
        );
        assert_eq!((router.phase_of(7), router.tracked_requests()), (None, 0));
        assert_eq!(router.on_token(7, 9, None), Err(NotFed::NotTracked));
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
        assert_eq!(router.on_token(7, 9, second.then_some(&SAMPLE)), UNCHANGED);
        assert_eq!(other.join().unwrap(), UNCHANGED);
        let Some(ThinkPhase::ThinkDecode {
            tokens_so_far,
            end_mass_ema,
            end_mass_sq_ema,
            ..
        }) = router.phase_of(7)
        else {
            panic!("the request thinks");
        };
        let expected =
            [(0.5, 0.25), (0.75, 0.625), (0.875, 0.8125)][usize::from(first) + usize::from(second)];
        assert_eq!(
            (tokens_so_far, (end_mass_ema, end_mass_sq_ema)),
            (2, expected)
        );
    });
}

/// A reader sees the state after some token, whole: no count without its averages, and never an older one again.
fn handle_progress_against_readers<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = router::<M>();
        let handle = router.track_with(7, StartPhase::ThinkDecode);
        let (mut handle, _) = handle.unwrap();
        let reading = spawn(&router, |router| {
            reads_go_forward(router);
            assert_eq!(router.on_token(7, 9, None), Err(NotFed::HandleDriven));
        });
        for sample in [Some(&SAMPLE), None] {
            assert_eq!(handle.on_token(9, sample), UNCHANGED);
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
            assert_eq!(router.on_token(7, 9, sample), UNCHANGED);
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
            end_mass_ema,
            end_mass_sq_ema,
            ..
        }) = phase
        else {
            panic!("the request thinks: {phase:?}");
        };
        let seen = STATES
            .iter()
            .position(|state| *state == (tokens_so_far, end_mass_ema, end_mass_sq_ema));
        let seen =
            seen.unwrap_or_else(|| panic!("a state that the request never was in: {phase:?}"));
        assert!(seen >= last, "the request went back");
        last = seen;
    }
}

/// One of them registers the request, and it is counted once.
fn register_against_register<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = router::<M>();
        let other = spawn(&router, |router| router.register(7));
        let own = router.register_with(7, StartPhase::ThinkDecode).is_ok();
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
    reap_idle_against::<M>(|router| router.on_token(7, 9, None).is_ok());
}

fn reap_idle_against<M: PhaseMap + Default + 'static>(live: fn(&PhaseRouter<M>) -> bool) {
    model(move || {
        let router = thinking::<M>();
        first_sweep(&router);
        let sweeping = spawn(&router, |router| sweep(router));
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
        let router = thinking::<M>();
        first_sweep(&router);
        let sweeping = spawn(&router, |router| sweep(router));
        let own = usize::from(router.reap(7).is_some());
        assert_eq!(own + sweeping.join().unwrap(), 1);
        assert_eq!(router.tracked_requests(), 0);
    });
}

/// Two sweeps at once, after a sign of life since the last: neither takes what the other is about to stamp for idle.
fn reap_idle_against_reap_idle<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        first_sweep(&router);
        assert!(router.touch(7));
        let other = spawn(&router, |router| sweep(router));
        assert_eq!(sweep(&router), 0);
        assert_eq!(other.join().unwrap(), 0);
        assert_eq!(router.tracked_requests(), 1);
    });
}

/// Whoever ends a request removes it, and not the one that takes its key in between.
fn reap_against_register<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let registering = spawn(&router, |router| router.register(7));
        assert!(router.reap(7).is_some());
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
        let router = router::<M>();
        let handle = router.track(7).unwrap();
        let dropping = thread::spawn(move || drop(handle));
        router.reap(7);
        // One of the two has ended the first.
        begin(&router);
        dropping.join().unwrap();
        assert_eq!((tokens(&router), router.tracked_requests()), (Some(0), 1));
    });
}

/// A request that is ended in the instant in which it is stored is counted out after it was counted in. (Stored, then
/// counted: 18446744073709551615 tracked requests.)
fn a_count_is_never_below_what_is_tracked<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = router::<M>();
        let reaping = spawn(&router, |router| {
            let ended = router.reap(7).is_some();
            (ended, router.tracked_requests())
        });
        assert!(router.register(7));
        let (ended, counted) = reaping.join().unwrap();
        assert!(counted <= 1, "{counted} requests are tracked, of one");
        assert_eq!(router.tracked_requests(), usize::from(!ended));
    });
}

/// The same for one that is refused: it was there for an instant, in the count.
fn a_refused_registration_is_taken_back<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let refused = spawn(&router, |router| router.register(7));
        let counted = router.tracked_requests();
        assert!((1..=2).contains(&counted), "{counted}");
        assert!(!refused.join().unwrap());
        assert_eq!(router.tracked_requests(), 1);
    });
}

/// A touch that was answered keeps a request that a handle drives, whose word only the handle stores.
fn reap_idle_against_a_touch_of_a_handle<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = router::<M>();
        let handle = router.track(7).unwrap();
        first_sweep(&router);
        let sweeping = spawn(&router, |router| sweep(router));
        let answered = router.touch(7);
        assert_eq!(sweeping.join().unwrap(), usize::from(!answered));
        assert_eq!(handle.phase().is_some(), answered);
        drop(handle);
        assert_eq!(router.tracked_requests(), 0);
    });
}

/// A touch is a sign of life beside a token with a sample, which locks the word that both change.
fn reap_idle_against_a_touch_and_a_token<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        first_sweep(&router);
        let feeding = spawn(&router, |router| {
            router.on_token(7, 9, Some(&SAMPLE)).is_ok()
        });
        let answered = router.touch(7);
        let fed = feeding.join().unwrap();
        assert!(answered && fed, "nobody ends it");
        assert_eq!(sweep(&router), 0);
        assert_eq!(tokens(&router), Some(1));
        assert_eq!(router.reap_idle(2 * TIMEOUT, TIMEOUT).len(), 1);
    });
}

/// Either the token comes first and is within the budget of before, or the budget, and then the token is over it. The end is
/// forced once, by whoever comes last, and at once.
fn a_budget_against_a_token<M: PhaseMap + Default + 'static>(
    sample: Option<&'static EntropySignal>,
) {
    model(move || {
        let router = thinking::<M>();
        assert_eq!(router.on_token(7, 9, None), UNCHANGED);
        let shrinking = spawn(&router, |router| router.set_budget(7, 2));
        let fed = router.on_token(7, 9, sample);
        let set = shrinking.join().unwrap();
        let forced = |event| matches!(event, Ok(PhaseEvent::ForceBudget { .. }));
        assert!(forced(fed) ^ forced(set), "{fed:?} {set:?}");
        assert_eq!(
            (tokens(&router), router.remaining_budget(7)),
            (Some(2), Some(0))
        );
        assert_eq!(router.on_token(7, 9, None), UNCHANGED, "once");
    });
}

/// The same at a marker's token, for which everything of the state is written.
fn a_budget_against_the_end_of_a_thought<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let shrinking = spawn(&router, |router| router.set_budget(7, 0));
        let fed = router.on_token(7, 2, None);
        assert_eq!(fed, Ok(PhaseEvent::ExitThink { tokens_used: 1 }));
        let set = shrinking.join().unwrap();
        let summary = router.reap(7).unwrap();
        let forced = matches!(set, Ok(PhaseEvent::ForceBudget { .. }));
        assert_eq!(summary.forced.is_some(), forced);
        assert_eq!((summary.think_tokens, summary.think_spans), (1, 1));
    });
}

/// A rollback that was answered keeps the request; one that came too late was told so. (It takes the state back to the
/// very one that the sweep has seen, and is no less a sign of life.)
fn reap_idle_against_rollback<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let state = router.state_of(7).unwrap();
        first_sweep(&router);
        let sweeping = spawn(&router, |router| sweep(router));
        let answered = router.rollback(7, &state).is_ok();
        assert_eq!(sweeping.join().unwrap(), usize::from(!answered));
        assert_eq!(router.phase_of(7).is_some(), answered);
    });
}

/// A reader sees a state that the request was in: before the draft, in it, or back.
fn a_rollback_against_readers<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let before = router.state_of(7).unwrap();
        assert_eq!(router.on_token(7, 9, Some(&SAMPLE)), UNCHANGED);
        let within = router.state_of(7).unwrap();
        let reading = spawn(&router, move |router| {
            let first = router.state_of(7).unwrap();
            let second = router.state_of(7).unwrap();
            assert!([before, within].contains(&first) && [before, within].contains(&second));
            assert!(first == within || second == before, "it went forth again");
        });
        assert_eq!(router.rollback(7, &before), UNCHANGED);
        reading.join().unwrap();
    });
}

/// Nobody waits in the map, and all get through: a reader, a token and a change, while a marker's token is being stored.
fn whoever_meets_a_change_waits_outside<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let feeding = spawn(&router, |router| router.on_token(7, 2, None));
        let ended = PhaseEvent::ExitThink { tokens_used: 1 };
        let phase = router.phase_of(7).unwrap();
        let was = matches!(
            phase,
            ThinkPhase::ThinkDecode {
                tokens_so_far: 0,
                ..
            }
        );
        let is = ThinkPhase::OutputDecode {
            think_tokens_used: 1,
        };
        assert!(was || phase == is, "{phase:?}");
        let eos = router.on_token(7, 3, None);
        let fed = feeding.join().unwrap();
        if eos == UNCHANGED {
            // A token of the thought, since it came first.
            assert_eq!(fed, Ok(PhaseEvent::ExitThink { tokens_used: 2 }));
        } else {
            assert_eq!((eos, fed), (Ok(PhaseEvent::Complete), Ok(ended)));
        }
    });
}

/// Of a reap and a move, one has the request.
fn a_move_against_reap<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let moving = spawn(&router, |router| router.move_out(7));
        let reaped = router.reap(7);
        let moved = moving.join().unwrap();
        assert!(reaped.is_some() ^ moved.is_some());
        assert_eq!(router.tracked_requests(), 0);
        if let Some(state) = moved {
            let begun = router.register_with(7, Registration::resume(state));
            assert_eq!(begun, Ok(PhaseEvent::Unchanged));
        }
    });
}

/// A fork is of the state before a token or after it.
fn a_fork_against_a_token<M: PhaseMap + Default + 'static>() {
    model(|| {
        let router = thinking::<M>();
        let feeding = spawn(&router, |router| router.on_token(7, 9, Some(&SAMPLE)));
        router.fork(7, (7, 1)).unwrap();
        assert_eq!(feeding.join().unwrap(), UNCHANGED);
        let Some(ThinkPhase::ThinkDecode {
            tokens_so_far,
            end_mass_ema,
            ..
        }) = router.phase_of((7, 1))
        else {
            panic!("it thinks");
        };
        assert!([(0, 0.5), (1, 0.75)].contains(&(tokens_so_far, end_mass_ema)));
        assert_eq!(router.tracked_requests(), 2);
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

        #[test]
        fn a_budget_against_a_token() {
            super::a_budget_against_a_token::<Map>(None);
            super::a_budget_against_a_token::<Map>(Some(&super::SAMPLE));
        }

        races!($map: handle_progress_against_readers, on_token_against_readers, register_against_register, reap_idle_against_touch,
            reap_idle_against_on_token, reap_idle_against_reap, reap_idle_against_reap_idle, reap_against_register, handle_drop_against_register,
            a_count_is_never_below_what_is_tracked, a_refused_registration_is_taken_back, reap_idle_against_a_touch_of_a_handle,
            reap_idle_against_a_touch_and_a_token, a_budget_against_the_end_of_a_thought, reap_idle_against_rollback,
            a_rollback_against_readers, whoever_meets_a_change_waits_outside, a_move_against_reap, a_fork_against_a_token);
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
