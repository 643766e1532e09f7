//! Recorded histories of every map: all that is done to one request, and seen of it, is linearizable, numbers and all.

use std::sync::{Mutex, PoisonError};
use std::thread;

use linearize::{Budget, Plan, Rng, Spec, check_by_key, concurrent_pairs};
use phase_state::{
    Converged, EntropySignal, NotFed, PhaseMap, PhaseRouter, PhaseRouterConfig, Registration,
    RequestKey, RequestState, Summary, ThinkPhase,
};

use crate::oracle::{Event, NaiveRequest};

crate::backends::on_every_backend! { histories_are_linearizable }

const START: u32 = 1;
const END: u32 = 2;
const EOS: u32 = 3;
const CAP: u32 = 4;

fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        ema_alpha: 0.5,
        min_think_tokens: CAP,
        max_think_tokens: CAP,
        converged: Some(Converged::default()),
        ..PhaseRouterConfig::with_marker_ids([START], [END], [EOS])
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Register(u64, u32),
    Token(u64, u32),
    /// A token with a sample of this mass, in quarters.
    Sampled(u64, u8),
    SetBudget(u64, u32),
    /// Back to before the first token.
    Restart(u64),
    Reap(u64),
    PhaseOf(u64),
    SummaryOf(u64),
}

impl Op {
    fn key(&self) -> u64 {
        match *self {
            Op::Register(key, _)
            | Op::Token(key, _)
            | Op::Sampled(key, _)
            | Op::SetBudget(key, _)
            | Op::Restart(key)
            | Op::Reap(key)
            | Op::PhaseOf(key)
            | Op::SummaryOf(key) => key,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Ret {
    Done(bool),
    Event(Result<Event, NotFed>),
    Phase(Option<ThinkPhase>),
    Sums(Option<Sums>),
}

/// Tokens of thinking, of tool calls and of neither, and thoughts.
type Sums = (u32, u32, u32, u16);

fn sums(summary: Summary) -> Sums {
    let Summary {
        think_tokens,
        tool_tokens,
        output_tokens,
        think_spans,
        ..
    } = summary;
    (think_tokens, tool_tokens, output_tokens, think_spans)
}

fn sample(quarters: u8) -> EntropySignal {
    EntropySignal {
        token_entropy: 1.0,
        end_mass: f32::from(quarters) / 4.0,
    }
}

struct Request;

impl Request {
    fn begun(budget: u32) -> NaiveRequest {
        let config = config();
        let start = phase_state::StartPhase::Prefill;
        NaiveRequest::new(&config, &config.formats[0], start, Some(budget)).0
    }
}

/// The naive model, with what decides whether two of it are the same.
#[derive(Clone, Debug)]
struct Model(Option<NaiveRequest>);

impl Model {
    fn text(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Model {}

impl std::hash::Hash for Model {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl Spec for Request {
    type Op = Op;
    type Ret = Ret;
    type State = Model;

    fn initial(&self) -> Self::State {
        Model(None)
    }

    fn step(&self, Model(state): &mut Self::State, op: &Op) -> Ret {
        let config = &config();
        let naive_sums = |naive: &NaiveRequest| {
            let (think, tool, output, spans, _) = naive.sums();
            (think, tool, output, spans)
        };
        let mut change = |change: &mut dyn FnMut(&mut NaiveRequest) -> Event| {
            Ret::Event(state.as_mut().map(change).ok_or(NotFed::NotTracked))
        };
        match *op {
            Op::Token(_, token) => change(&mut |naive| naive.feed(config, token, None)),
            Op::Sampled(_, quarters) => {
                change(&mut |naive| naive.feed(config, 9, Some(sample(quarters))))
            }
            Op::SetBudget(_, budget) => change(&mut |naive| naive.set_budget(config, budget)),
            Op::Restart(_) => change(&mut |naive| naive.roll_back(&Self::begun(CAP))),
            Op::Register(_, budget) => {
                let fresh = state.is_none();
                state.get_or_insert_with(|| Self::begun(budget));
                Ret::Done(fresh)
            }
            Op::Reap(_) => Ret::Sums(state.take().as_ref().map(naive_sums)),
            Op::PhaseOf(_) => Ret::Phase(state.as_ref().map(|naive| naive.phase(config))),
            Op::SummaryOf(_) => Ret::Sums(state.as_ref().map(naive_sums)),
        }
    }
}

fn generate(rng: &mut Rng, _thread: usize) -> Op {
    let key = rng.below(2);
    match rng.below(16) {
        0 | 1 => Op::Register(key, *rng.pick(&[0, 2, CAP])),
        2 => Op::Reap(key),
        3 | 4 => Op::PhaseOf(key),
        5 => Op::SummaryOf(key),
        6 | 7 => Op::Token(key, START),
        8 => Op::Token(key, *rng.pick(&[END, EOS])),
        9 | 10 => Op::Token(key, 9),
        11 => Op::SetBudget(key, *rng.pick(&[1, 2, CAP])),
        12 => Op::Restart(key),
        _ => Op::Sampled(key, *rng.pick(&[0, 1, 3, 4])),
    }
}

fn run<M: PhaseMap>(router: &PhaseRouter<M>, first: &RequestState, op: &Op) -> Ret {
    let event = |event: Result<_, NotFed>| {
        Ret::Event(
            event.map(|event| Event::of(event, |injection| router.injection(injection).to_vec())),
        )
    };
    match *op {
        Op::Register(key, budget) => {
            let registration = Registration::new().budget(budget);
            Ret::Done(router.register_with(key, registration).is_ok())
        }
        Op::Reap(key) => Ret::Sums(router.reap(key).map(sums)),
        Op::PhaseOf(key) => Ret::Phase(router.phase_of(key)),
        Op::SummaryOf(key) => Ret::Sums(router.summary_of(key).map(sums)),
        Op::Token(key, token) => event(router.on_token(key, token, None)),
        Op::Sampled(key, quarters) => event(router.on_token(key, 9, Some(&sample(quarters)))),
        Op::SetBudget(key, budget) => event(router.set_budget(key, budget)),
        Op::Restart(key) => event(router.rollback(key, first)),
    }
}

/// The state of a request before its first token.
fn first() -> RequestState {
    let map = state_map::model::ReferenceMap::<RequestKey, phase_state::PhaseEntry>::default();
    let router = PhaseRouter::with_map(config(), map).unwrap();
    assert!(router.register(0));
    router.state_of(0).unwrap()
}

fn histories_are_linearizable<M: PhaseMap + Default + Send>() {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let first = first();
    let mut overlapping = 0;
    Plan {
        threads: 3,
        calls: 10,
        histories: 2_000,
        seed: 3,
    }
    .record(
        || PhaseRouter::with_map(config(), M::default()).unwrap(),
        generate,
        |router, ops, recorder| {
            for (at, op) in ops.into_iter().enumerate() {
                recorder.call(op, |op| {
                    // Somewhere within a call, so that calls overlap however few cores there are.
                    if at % 3 == 0 {
                        thread::yield_now();
                    }
                    run(router, &first, op)
                });
            }
        },
        |history| {
            overlapping += concurrent_pairs(history);
            check_by_key(&Request, history, Op::key, Budget::default()).assert_linearizable();
        },
    );
    assert!(
        overlapping > 2_000,
        "only {overlapping} pairs of calls overlapped: nothing was tested"
    );
}
