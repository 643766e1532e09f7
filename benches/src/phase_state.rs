//! The workload of `phase-state`: what a decode worker does with every token.
//!
//! 1,024 requests are thinking, each thread has its share of them and goes round it as a continuous batch does, and
//! one token in four comes with a sample. What each path answers is summed up and compared, so that no work can be left out.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use phase_state::{
    EntropySignal, PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig, RequestHandle, RequestKey,
    StartPhase, StepToken,
};

use crate::baselines::phases::ReferencePhases;

/// Requests tracked, over all threads.
pub const REQUESTS: u64 = 1_024;
/// Tokens in a step.
pub const BATCH: usize = 64;
const START: u32 = 151_667;

/// Markers as a published reasoning model has them, and a budget that no run uses up.
pub fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        max_think_tokens: u32::MAX,
        ..PhaseRouterConfig::with_marker_ids([START], [151_668], [151_643, 151_645])
    }
}

/// One thread's share of the work.
pub trait Share {
    /// Feeds each token of `round`, which has one for each request of the share in order, and checks that all were answered.
    fn round(&mut self, round: &[StepToken]);
}

/// The keys of a thread's share.
fn keys(thread: u64, threads: u64) -> impl Iterator<Item = RequestKey> {
    (0..REQUESTS)
        .filter(move |id| id % threads == thread)
        .map(RequestKey::from)
}

/// What a thread feeds, made beforehand: four rounds, over which each request has one token with a sample.
#[must_use]
pub fn rounds(thread: u64, threads: u64, rng: &mut fastrand::Rng) -> Vec<Vec<StepToken>> {
    (0..4)
        .map(|round| {
            keys(thread, threads)
                .map(|key| {
                    let token = StepToken::new(key, rng.u32(0..START));
                    let entropy = EntropySignal {
                        token_entropy: rng.f32() * 4.0,
                        eat: rng.f32(),
                    };
                    if (key.request / threads + round).is_multiple_of(4) {
                        token.with_sample(entropy)
                    } else {
                        token
                    }
                })
                .collect()
        })
        .collect()
}

fn settle(fed: usize, answered: usize) {
    assert_eq!(fed, answered, "a token was not answered");
}

fn is_answered(event: Option<PhaseEvent>) -> usize {
    usize::from(black_box(event).is_some())
}

/// By key, on the reference design.
#[derive(Debug)]
pub struct Reference(Arc<ReferencePhases>);

impl Reference {
    /// The shares of all threads.
    #[must_use]
    pub fn shares(threads: u64) -> Vec<Self> {
        let phases = Arc::new(ReferencePhases::new(config()));
        for id in 0..REQUESTS {
            phases.register(id.into());
            let _ = phases.on_token(id.into(), START, None);
        }
        (0..threads).map(|_| Self(Arc::clone(&phases))).collect()
    }
}

impl Share for Reference {
    fn round(&mut self, round: &[StepToken]) {
        let answers = round.iter().map(|StepToken { key, token, sample }| {
            is_answered(self.0.on_token(*key, *token, sample.as_ref()))
        });
        settle(round.len(), answers.sum());
    }
}

fn router<M: PhaseMap + Default>() -> Arc<PhaseRouter<M>> {
    Arc::new(PhaseRouter::with_map(config(), M::default()).expect("a valid configuration"))
}

fn tracking_router<M: PhaseMap + Default>() -> Arc<PhaseRouter<M>> {
    let router = router();
    for id in 0..REQUESTS {
        assert!(router.register_in(id, StartPhase::ThinkDecode));
    }
    router
}

/// By key, on a router.
#[derive(Debug)]
pub struct ByKey<M>(Arc<PhaseRouter<M>>);

impl<M: PhaseMap + Default> ByKey<M> {
    /// The shares of all threads.
    #[must_use]
    pub fn shares(threads: u64) -> Vec<Self> {
        let router = tracking_router();
        (0..threads).map(|_| Self(Arc::clone(&router))).collect()
    }
}

impl<M: PhaseMap> Share for ByKey<M> {
    fn round(&mut self, round: &[StepToken]) {
        let answers = round.iter().map(|StepToken { key, token, sample }| {
            is_answered(self.0.on_token(*key, *token, sample.as_ref()))
        });
        settle(round.len(), answers.sum());
    }
}

/// By key, with a counter that all tokens bump planted into it: what the two-thread figures are there to catch.
#[derive(Debug)]
pub struct Counting<M>(ByKey<M>);

impl<M: PhaseMap + Default> Counting<M> {
    /// The shares of all threads.
    #[must_use]
    pub fn shares(threads: u64) -> Vec<Self> {
        ByKey::shares(threads).into_iter().map(Self).collect()
    }
}

impl<M: PhaseMap> Share for Counting<M> {
    fn round(&mut self, round: &[StepToken]) {
        static TOKENS: AtomicU64 = AtomicU64::new(0);
        let answers = round.iter().map(|StepToken { key, token, sample }| {
            TOKENS.fetch_add(1, Ordering::Relaxed);
            is_answered(self.0.0.on_token(*key, *token, sample.as_ref()))
        });
        settle(round.len(), answers.sum());
    }
}

/// In steps of [`BATCH`] tokens, on a router.
#[derive(Debug)]
pub struct ByStep<M> {
    router: Arc<PhaseRouter<M>>,
    events: Vec<Option<PhaseEvent>>,
}

impl<M: PhaseMap + Default> ByStep<M> {
    /// The shares of all threads.
    #[must_use]
    pub fn shares(threads: u64) -> Vec<Self> {
        let router = tracking_router();
        (0..threads)
            .map(|_| Self {
                router: Arc::clone(&router),
                events: Vec::with_capacity(BATCH),
            })
            .collect()
    }
}

impl<M: PhaseMap> Share for ByStep<M> {
    fn round(&mut self, round: &[StepToken]) {
        let mut answered = 0;
        for step in round.chunks(BATCH) {
            self.router.on_step(step, &mut self.events);
            answered += self
                .events
                .iter()
                .map(|event| is_answered(*event))
                .sum::<usize>();
        }
        settle(round.len(), answered);
    }
}

/// By handle.
#[derive(Debug)]
pub struct ByHandle(Vec<RequestHandle>);

impl ByHandle {
    /// The shares of all threads.
    ///
    /// # Panics
    ///
    /// If a fresh key is tracked already.
    #[must_use]
    pub fn shares<M: PhaseMap + Default + 'static>(threads: u64) -> Vec<Self> {
        let router = router::<M>();
        let track = |key| {
            router
                .track_in(key, StartPhase::ThinkDecode)
                .expect("a fresh key")
        };
        (0..threads)
            .map(|thread| Self(keys(thread, threads).map(track).collect()))
            .collect()
    }
}

impl Share for ByHandle {
    fn round(&mut self, round: &[StepToken]) {
        let answers =
            round
                .iter()
                .zip(&mut self.0)
                .map(|(StepToken { token, sample, .. }, handle)| {
                    is_answered(handle.on_token(*token, sample.as_ref()))
                });
        settle(round.len(), answers.sum());
    }
}
