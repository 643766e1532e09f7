//! The scenarios of `phase-state`: tokens by key, by step and by handle, and the
//! [decode step](decode_step) that they are part of.
//!
//! All requests are thinking, each thread has its share of them, and the tokens were made before
//! the start: what is measured is what a router does with them. Every token's answer is looked at,
//! so that none can be left out.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;
use phase_state::{
    EntropySignal, PhaseEntry, PhaseEvent, PhaseRouter, PhaseRouterConfig, RequestHandle,
    RequestKey, StartPhase, StepToken,
};

use crate::any_map::{AnyMap, Backend};
use crate::baselines::phases::ReferencePhases;
use crate::decode_step;
use crate::scenario::{Scenario, Share, Shares, deciding, maps};
use crate::threads::{Operation, Threads, beside};

/// Markers as a published reasoning model has them.
pub(crate) const START: u32 = 151_667;
pub(crate) const END: u32 = 151_668;
pub(crate) const EOS: u32 = 151_645;
/// Tokens of a step, and of a round: short, so that a slice ends where it should.
const STEP: usize = 64;
const ROUND: usize = 1_024;
/// Of so many tokens one has a sample.
pub(crate) const ONE_SAMPLE_IN: usize = 4;

/// The crate on any map.
pub(crate) type Router = PhaseRouter<AnyMap<RequestKey, PhaseEntry>>;

const fn operation(name: &'static str, what: &'static str) -> Operation {
    let adr = "0003";
    Operation { adr, name, what }
}

static ON_TOKEN: Operation = operation("on-token", "one token by key");
static ON_STEP: Operation = operation("on-step", "a step of up to 64 tokens by key");
static HANDLE: Operation = operation("handle", "one token by handle");
static DECODE_STEP: Operation = operation("decode-step", decode_step::WHAT);

/// What varies between scenarios of one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setting {
    /// Threads that operate at once.
    pub(crate) threads: u32,
    /// Requests that are tracked, over all threads.
    pub(crate) requests: u64,
    /// Of 100 operations so many replace a request by a new one.
    churn_percent: u32,
    /// The shards of DashMap; as many as it likes by itself if `None`.
    shards: Option<usize>,
}

/// The scenarios, on a machine with so many cores: each operation as usual, and varied by one
/// factor at a time.
pub(crate) fn all(cores: u32) -> Vec<Scenario> {
    let usual = Setting {
        threads: cores,
        requests: 1_024,
        churn_percent: 0,
        shards: None,
    };
    let threads = |threads| Setting { threads, ..usual };
    let mut scenarios: Vec<_> = [&DECODE_STEP, &ON_TOKEN, &ON_STEP, &HANDLE]
        .into_iter()
        .flat_map(|operation| {
            let alone = (cores > 1).then(|| scenario(operation, "threads=1", threads(1)));
            [scenario(operation, "", usual)].into_iter().chain(alone)
        })
        .collect();
    let hot = Setting {
        requests: 1,
        ..usual
    };
    let churn = Setting {
        churn_percent: 10,
        ..usual
    };
    let shards = Setting {
        shards: Some(128),
        ..usual
    };
    scenarios.extend([
        // What a lock does when its holder loses its core.
        scenario(&ON_TOKEN, "oversubscribed", threads(cores * 4)),
        // One request that all threads feed.
        scenario(&ON_TOKEN, "requests=1", hot),
        scenario(&ON_TOKEN, "churn=10", churn),
        // DashMap as it comes on 32 cores.
        scenario(&ON_TOKEN, "shards=128", shards),
    ]);
    scenarios
}

fn scenario(operation: &'static Operation, variation: &str, setting: Setting) -> Scenario {
    let arms = if operation.name == DECODE_STEP.name {
        deciding()
    } else {
        maps()
    };
    let arms = beside(arms, ["reference"]);
    operation.scenario(variation, setting.threads, arms, move |threads| {
        shares(operation.name, setting, threads)
    })
}

/// Its markers, and a budget that no run uses up.
pub(crate) fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        max_think_tokens: u32::MAX,
        ..PhaseRouterConfig::with_marker_ids([START], [END], [151_643, EOS])
    }
}

/// The reference has no steps and no handles, and takes the tokens one by one, by key.
fn shares(operation: &str, setting: Setting, threads: Threads<'_>) -> Result<Shares> {
    if operation == DECODE_STEP.name {
        return decode_step::shares(threads, setting);
    }
    if threads.arm == "reference" {
        let phases = Arc::new(ReferencePhases::new(config()));
        for key in keys(setting) {
            phases.register(key);
            let _ = phases.on_token(key, START, None);
        }
        return Ok(threads.each(|thread, rng| Tokens {
            phases: Arc::clone(&phases),
            stream: Stream::new(setting, thread, rng),
        }));
    }
    let backend = match (Backend::of_arm(threads.arm)?, setting.shards) {
        (Backend::DashMap, Some(shards)) => Backend::Sharded(shards),
        (backend, _) => backend,
    };
    let phases = router(backend, config());
    if operation == HANDLE.name {
        return Ok(threads.each(|thread, rng| Handles {
            handles: share(setting, thread)
                .map(|key| phases.track_in(key, StartPhase::ThinkDecode))
                .collect::<Result<_, _>>()
                .expect("fresh keys"),
            stream: Stream::new(setting, thread, rng),
            at: 0,
        }));
    }
    let is_new = |key| phases.register_in(key, StartPhase::ThinkDecode);
    assert!(keys(setting).all(is_new), "fresh keys");
    Ok(if operation == ON_STEP.name {
        threads.each(|thread, rng| Steps {
            phases: Arc::clone(&phases),
            stream: Stream::new(setting, thread, rng),
            events: Vec::with_capacity(STEP),
        })
    } else {
        threads.each(|thread, rng| Tokens {
            phases: Arc::clone(&phases),
            stream: Stream::new(setting, thread, rng),
        })
    })
}

/// One without requests.
pub(crate) fn router(backend: Backend, config: PhaseRouterConfig) -> Arc<Router> {
    let router = PhaseRouter::with_map(config, backend.map(0));
    Arc::new(router.expect("a valid configuration"))
}

/// The keys of all requests.
fn keys(setting: Setting) -> impl Iterator<Item = RequestKey> {
    (0..setting.requests).map(RequestKey::from)
}

/// The keys of a thread; all of them where there are too few to share out.
fn share(setting: Setting, thread: usize) -> impl Iterator<Item = RequestKey> {
    let threads = setting.threads as usize;
    let (first, every) = if setting.requests < threads as u64 {
        (0, 1)
    } else {
        (thread, threads)
    };
    keys(setting).skip(first).step_by(every)
}

/// What a thread feeds, again and again, and where a request is replaced by a new one.
struct Stream {
    rounds: Vec<Vec<StepToken>>,
    churn: Vec<bool>,
    at: usize,
}

impl Stream {
    fn new(setting: Setting, thread: usize, mut rng: fastrand::Rng) -> Self {
        let keys: Vec<_> = share(setting, thread).collect();
        // In order, and so often that each request has a token with a sample.
        let length = (keys.len() * ONE_SAMPLE_IN).max(ROUND);
        let stream: Vec<StepToken> = (0..length)
            .map(|at| {
                let token = StepToken::new(keys[at % keys.len()], rng.u32(0..START));
                let signal = EntropySignal {
                    token_entropy: rng.f32() * 4.0,
                    eat: rng.f32(),
                };
                if (at / keys.len() + at).is_multiple_of(ONE_SAMPLE_IN) {
                    token.with_sample(signal)
                } else {
                    token
                }
            })
            .collect();
        let churn = (0..ROUND).map(|_| rng.u32(0..100) < setting.churn_percent);
        Self {
            rounds: stream.chunks(ROUND).map(<[_]>::to_vec).collect(),
            churn: churn.collect(),
            at: 0,
        }
    }

    fn next(&mut self) -> (&[StepToken], &[bool]) {
        self.at = (self.at + 1) % self.rounds.len();
        (&self.rounds[self.at], &self.churn)
    }
}

fn is_answered(event: Option<PhaseEvent>) -> u64 {
    u64::from(black_box(event).is_some_and(|event| event != PhaseEvent::HandleDriven))
}

fn settle(fed: usize, answered: u64) -> u64 {
    assert_eq!(fed as u64, answered, "a token was not answered");
    answered
}

/// What takes tokens by key.
trait Phases: Send + Sync + 'static {
    fn take(&self, token: &StepToken) -> Option<PhaseEvent>;
    fn replace(&self, key: RequestKey);
}

impl Phases for ReferencePhases {
    fn take(&self, StepToken { key, token, sample }: &StepToken) -> Option<PhaseEvent> {
        self.on_token(*key, *token, sample.as_ref())
    }

    fn replace(&self, key: RequestKey) {
        // Another thread may feed the same request: then there are two who replace it.
        self.reap(key);
        self.register(key);
        let _ = self.on_token(key, START, None);
    }
}

impl Phases for Router {
    fn take(&self, StepToken { key, token, sample }: &StepToken) -> Option<PhaseEvent> {
        self.on_token(*key, *token, sample.as_ref())
    }

    fn replace(&self, key: RequestKey) {
        self.reap(key);
        self.register_in(key, StartPhase::ThinkDecode);
    }
}

struct Tokens<P> {
    phases: Arc<P>,
    stream: Stream,
}

impl<P: Phases> Share for Tokens<P> {
    fn round(&mut self) -> u64 {
        let (round, churn) = self.stream.next();
        let mut answered = 0;
        for (token, churn) in round.iter().zip(churn) {
            answered += is_answered(self.phases.take(token));
            if *churn {
                self.phases.replace(token.key);
            }
        }
        settle(round.len(), answered)
    }
}

struct Steps {
    phases: Arc<Router>,
    stream: Stream,
    events: Vec<Option<PhaseEvent>>,
}

impl Share for Steps {
    fn round(&mut self) -> u64 {
        let (round, _) = self.stream.next();
        let mut answered = 0;
        for step in round.chunks(STEP) {
            self.phases.on_step(step, &mut self.events);
            answered += self.events.iter().copied().map(is_answered).sum::<u64>();
        }
        settle(round.len(), answered)
    }
}

struct Handles {
    handles: Vec<RequestHandle>,
    stream: Stream,
    at: usize,
}

impl Share for Handles {
    fn round(&mut self) -> u64 {
        let (round, _) = self.stream.next();
        let mut answered = 0;
        for StepToken { token, sample, .. } in round {
            // In order, whatever the token's key: an engine has the handle in the request's slot.
            self.at += 1;
            if self.at == self.handles.len() {
                self.at = 0;
            }
            answered += is_answered(self.handles[self.at].on_token(*token, sample.as_ref()));
        }
        settle(round.len(), answered)
    }
}
