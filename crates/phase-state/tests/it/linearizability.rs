//! Recorded histories of every map: register, on_token, reap and phase_of of one request are linearizable, numbers
//! and all.

use std::sync::{Mutex, PoisonError};
use std::thread;

use linearize::{Budget, Plan, Rng, Spec, check_by_key, concurrent_pairs};
use phase_state::{
    BudgetForceReason, EntropySignal, PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig,
    ThinkPhase,
};

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
        ..PhaseRouterConfig::with_marker_ids([START], [END], [EOS])
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Register(u64),
    Token(u64, u32),
    /// A token with a sample of this `eat`, in quarters.
    Sampled(u64, u8),
    Reap(u64),
    PhaseOf(u64),
}

impl Op {
    fn key(&self) -> u64 {
        match *self {
            Op::Register(key)
            | Op::Token(key, _)
            | Op::Sampled(key, _)
            | Op::Reap(key)
            | Op::PhaseOf(key) => key,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ret {
    Done(bool),
    Event(Option<PhaseEvent>),
    Phase(Option<Picture>),
}

/// A phase, with floats as bits. A torn one is none that the specification ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Picture {
    Prefill,
    Think {
        tokens: u32,
        eat: u32,
        eat_sq: u32,
        forced: bool,
    },
    Output {
        used: u32,
    },
    Complete,
}

impl From<ThinkPhase> for Picture {
    fn from(phase: ThinkPhase) -> Self {
        match phase {
            ThinkPhase::Prefill => Self::Prefill,
            ThinkPhase::ThinkDecode {
                tokens_so_far,
                eat_ema,
                eat_ema_sq,
                force_in_progress,
                ..
            } => Self::Think {
                tokens: tokens_so_far,
                eat: eat_ema.to_bits(),
                eat_sq: eat_ema_sq.to_bits(),
                forced: force_in_progress,
            },
            ThinkPhase::OutputDecode { think_tokens_used } => Self::Output {
                used: think_tokens_used,
            },
            ThinkPhase::Complete => Self::Complete,
        }
    }
}

fn eat(quarters: u8) -> f32 {
    f32::from(quarters) / 4.0
}

struct Request;

impl Spec for Request {
    type Op = Op;
    type Ret = Ret;
    type State = Option<Picture>;

    fn initial(&self) -> Self::State {
        None
    }

    fn step(&self, state: &mut Self::State, op: &Op) -> Ret {
        match *op {
            Op::Register(_) => {
                let fresh = state.is_none();
                state.get_or_insert(Picture::Prefill);
                Ret::Done(fresh)
            }
            Op::Reap(_) => Ret::Done(state.take().is_some()),
            Op::PhaseOf(_) => Ret::Phase(*state),
            Op::Token(_, token) => Ret::Event(state.as_mut().map(|phase| feed(phase, token, None))),
            Op::Sampled(_, quarters) => Ret::Event(
                state
                    .as_mut()
                    .map(|phase| feed(phase, 9, Some(eat(quarters)))),
            ),
        }
    }
}

fn feed(phase: &mut Picture, token: u32, sample: Option<f32>) -> PhaseEvent {
    match (*phase, token) {
        (Picture::Prefill, START) => {
            let [eat, eat_sq] = [0.5_f32, 0.25].map(f32::to_bits);
            *phase = Picture::Think {
                tokens: 0,
                eat,
                eat_sq,
                forced: false,
            };
            PhaseEvent::EnterThink
        }
        (Picture::Prefill | Picture::Output { .. }, EOS) => {
            *phase = Picture::Complete;
            PhaseEvent::Complete
        }
        (Picture::Prefill, _) => {
            *phase = Picture::Output { used: 0 };
            PhaseEvent::Unchanged
        }
        (Picture::Think { tokens, .. }, END) => {
            *phase = Picture::Output { used: tokens + 1 };
            PhaseEvent::ExitThink {
                tokens_used: tokens + 1,
            }
        }
        (
            Picture::Think {
                tokens,
                eat,
                eat_sq,
                forced,
            },
            _,
        ) => {
            let average = |bits: u32, x: Option<f32>| {
                x.map_or(bits, |x| (0.5 * x + 0.5 * f32::from_bits(bits)).to_bits())
            };
            let (eat, eat_sq) = (average(eat, sample), average(eat_sq, sample.map(|x| x * x)));
            let tokens = tokens + 1;
            let variance = f32::from_bits(eat_sq) - f32::from_bits(eat) * f32::from_bits(eat);
            let converged = sample.is_some() && tokens > CAP && variance.max(0.0) < 0.001;
            let due = if converged {
                Some(BudgetForceReason::Converged)
            } else {
                None
            }
            .or((tokens >= CAP).then_some(BudgetForceReason::HardCap))
            .filter(|_| !forced);
            *phase = Picture::Think {
                tokens,
                eat,
                eat_sq,
                forced: forced || due.is_some(),
            };
            due.map_or(PhaseEvent::Unchanged, |reason| PhaseEvent::ForceBudget {
                inject_token: END,
                reason,
            })
        }
        (Picture::Output { .. } | Picture::Complete, _) => PhaseEvent::Unchanged,
    }
}

fn generate(rng: &mut Rng, _thread: usize) -> Op {
    let key = rng.below(2);
    match rng.below(12) {
        0 | 1 => Op::Register(key),
        2 => Op::Reap(key),
        3 | 4 => Op::PhaseOf(key),
        5 => Op::Token(key, START),
        6 => Op::Token(key, *rng.pick(&[END, EOS])),
        7 | 8 => Op::Token(key, 9),
        _ => Op::Sampled(key, *rng.pick(&[0, 1, 3, 4])),
    }
}

fn run<M: PhaseMap>(router: &PhaseRouter<M>, op: &Op) -> Ret {
    match *op {
        Op::Register(key) => Ret::Done(router.register(key)),
        Op::Reap(key) => Ret::Done(router.reap(key)),
        Op::PhaseOf(key) => Ret::Phase(router.phase_of(key).map(Picture::from)),
        Op::Token(key, token) => Ret::Event(router.on_token(key, token, None)),
        Op::Sampled(key, quarters) => {
            let sample = EntropySignal {
                token_entropy: 1.0,
                eat: eat(quarters),
            };
            Ret::Event(router.on_token(key, 9, Some(&sample)))
        }
    }
}

fn histories_are_linearizable<M: PhaseMap + Default + Send>() {
    // Tests beside this one would take the cores that its threads are to overlap on.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

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
                    run(router, op)
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
