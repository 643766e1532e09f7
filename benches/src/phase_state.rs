//! The paths of `phase-state`: tokens by key, by step and by handle.
//!
//! All requests are thinking, each thread has its share of them, and the tokens were made before the start: what is
//! measured is what a router does with them. Every token's answer is looked at, so that none can be left out.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};
use foldhash::fast::FixedState;
use phase_state::{
    Converged, DashMapPhases, EntropySignal, NotFed, Overthinking, PapayaPhases, PhaseEntry,
    PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig, RequestHandle, RequestKey, RwLockPhases,
    SccPhases, StartPhase, StepToken,
};
use state_map::{DashMapBackend, DefaultHashBuilder};

use crate::baselines::phases::ReferencePhases;
use crate::scenario::{Share, Shares, map_of};

const START: u32 = 151_667;
/// Tokens of a step, and of a round: short, so that a slice ends where it should.
const STEP: usize = 64;
const ROUND: usize = 1_024;
/// The most tokens that are made beforehand for a thread: they should fit the second-level cache.
const STREAM: usize = 16_384;
/// Shards of the map whose keys all fall on one.
const SHARDS: usize = 8;

/// What varies between scenarios of one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Threads that operate at once.
    pub threads: u32,
    /// Requests that are tracked, over all threads.
    pub requests: u64,
    /// Of so many tokens one has a sample; 0 for none.
    pub one_sample_in: u64,
    /// Whether few requests get most of the tokens, by Zipf's law with 0.99, or all the same.
    pub zipf: bool,
    /// Of 100 operations so many replace a request by a new one.
    pub churn_percent: u32,
    /// The shards of a map that has shards; as many as it likes by itself if `None`.
    pub shards: Option<usize>,
    /// Whether all keys fall on one shard.
    pub one_shard: bool,
}

/// The name of the arm that is papaya with a counter planted that all tokens bump: what the ratios at two threads and more
/// are there to catch.
pub const COUNTING: &str = "papaya-counting";

/// Markers as a published reasoning model has them, both rules on samples, and a budget that no run uses up.
pub fn config() -> PhaseRouterConfig {
    PhaseRouterConfig {
        max_think_tokens: u32::MAX,
        converged: Some(Converged::default()),
        overthinking: Some(Overthinking::default()),
        ..PhaseRouterConfig::with_marker_ids([START], [151_668], [151_643, 151_645])
    }
}

/// By key, one token at a time.
///
/// # Errors
///
/// If there is no such arm.
pub fn by_key(arm: &str, setting: &Setting, seed: u64) -> Result<Shares> {
    if arm == "reference" {
        let phases = Arc::new(ReferencePhases::new(config()));
        for key in keys(setting) {
            phases.register(key);
            let _ = phases.on_token(key, START, None);
        }
        return Ok(each_thread(setting, seed, |stream| Tokens {
            phases: Arc::clone(&phases),
            stream,
        }));
    }
    let counting = arm == COUNTING;
    on_map(
        arm,
        setting,
        ByKey {
            setting,
            seed,
            counting,
        },
    )
}

/// By key, a step at a time. The reference has no steps, and takes the tokens one by one.
///
/// # Errors
///
/// If there is no such arm.
pub fn by_step(arm: &str, setting: &Setting, seed: u64) -> Result<Shares> {
    if arm == "reference" {
        return by_key(arm, setting, seed);
    }
    on_map(arm, setting, ByStep { setting, seed })
}

/// By handle. The reference has no handles, and takes the tokens by key.
///
/// # Errors
///
/// If there is no such arm.
pub fn by_handle(arm: &str, setting: &Setting, seed: u64) -> Result<Shares> {
    if arm == "reference" {
        return by_key(arm, setting, seed);
    }
    on_map(arm, setting, ByHandle { setting, seed })
}

/// Something to build on whichever map an arm stands for.
pub(crate) trait OnMap {
    fn build<M: PhaseMap + 'static>(self, map: M) -> Shares;
}

pub(crate) fn on_map(arm: &str, setting: &Setting, what: impl OnMap) -> Result<Shares> {
    let map = if arm == COUNTING {
        "papaya"
    } else {
        map_of(arm)
    };
    Ok(match (map, setting.shards) {
        ("dashmap", _) if setting.one_shard => {
            let map = DashMapBackend::<RequestKey, PhaseEntry, _>::with_capacity_hasher_and_shards(
                0,
                hasher(),
                SHARDS,
            );
            what.build(map?)
        }
        ("dashmap", None) => what.build(DashMapPhases::new()),
        ("dashmap", Some(shards)) => {
            let hasher = DefaultHashBuilder::default();
            what.build(DashMapPhases::with_capacity_hasher_and_shards(
                0, hasher, shards,
            )?)
        }
        ("papaya", _) => what.build(PapayaPhases::new()),
        ("scc", _) => what.build(SccPhases::new()),
        ("rwlock", _) => what.build(RwLockPhases::new()),
        _ => bail!("no map is called {arm}"),
    })
}

fn hasher() -> FixedState {
    FixedState::with_seed(0)
}

/// The keys of all requests.
fn keys(setting: &Setting) -> Vec<RequestKey> {
    let falls_on_the_shard = |key: &RequestKey| {
        // As DashMap chooses: by the bits below the seven that the table's tags take.
        let shard = (hasher().hash_one(key) << 7) >> (u64::BITS - SHARDS.ilog2());
        !setting.one_shard || shard == 0
    };
    let requests = usize::try_from(setting.requests).unwrap_or(usize::MAX);
    (0..)
        .map(RequestKey::from)
        .filter(falls_on_the_shard)
        .take(requests)
        .collect()
}

/// The keys of a thread; all of them where there are too few to share out.
fn share(keys: &[RequestKey], thread: usize, threads: usize) -> Vec<RequestKey> {
    if keys.len() < threads {
        keys.to_vec()
    } else {
        keys.iter().skip(thread).step_by(threads).copied().collect()
    }
}

/// What a thread feeds, again and again, and where a request is replaced by a new one.
struct Stream {
    rounds: Vec<Vec<StepToken>>,
    churn: Vec<bool>,
    at: usize,
}

impl Stream {
    fn new(keys: &[RequestKey], setting: &Setting, rng: &mut fastrand::Rng) -> Self {
        // Each request has a token with a sample within as many passes as it takes.
        let passes = usize::try_from(setting.one_sample_in.max(1)).unwrap_or(1);
        let length = (keys.len() * passes).clamp(ROUND, STREAM);
        let popular = Zipf::new(keys.len());
        let in_order = !setting.zipf && keys.len() * passes <= STREAM;
        let stream: Vec<StepToken> = (0..length)
            .map(|at| {
                let key = match (in_order, setting.zipf) {
                    (true, _) => keys[at % keys.len()],
                    (false, true) => keys[popular.rank(rng)],
                    (false, false) => keys[rng.usize(..keys.len())],
                };
                let token = StepToken::new(key, rng.u32(0..START));
                let signal = EntropySignal {
                    token_entropy: rng.f32() * 4.0,
                    end_mass: rng.f32(),
                };
                let sampled =
                    setting.one_sample_in > 0 && (at / keys.len() + at).is_multiple_of(passes);
                if sampled {
                    token.with_sample(signal)
                } else {
                    token
                }
            })
            .collect();
        let churn = (0..ROUND)
            .map(|_| rng.u32(0..100) < setting.churn_percent)
            .collect();
        Self {
            rounds: stream.chunks(ROUND).map(<[_]>::to_vec).collect(),
            churn,
            at: 0,
        }
    }

    fn next(&mut self) -> (&[StepToken], &[bool]) {
        self.at = (self.at + 1) % self.rounds.len();
        (&self.rounds[self.at], &self.churn)
    }
}

/// Ranks by Zipf's law with exponent 0.99.
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(ranks: usize) -> Self {
        let weights = (1..=ranks).map(|rank| (rank as f64).powf(-0.99));
        Self(
            weights
                .scan(0.0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                })
                .collect(),
        )
    }

    pub(crate) fn rank(&self, rng: &mut fastrand::Rng) -> usize {
        let at = rng.f64() * self.0.last().copied().unwrap_or_default();
        self.0
            .partition_point(|sum| *sum < at)
            .min(self.0.len().saturating_sub(1))
    }
}

fn each_thread<S: Share + 'static>(
    setting: &Setting,
    seed: u64,
    mut make: impl FnMut(Stream) -> S,
) -> Shares {
    let (keys, threads) = (keys(setting), setting.threads as usize);
    (0..threads)
        .map(|thread| {
            let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(thread as u64));
            Box::new(make(Stream::new(
                &share(&keys, thread, threads),
                setting,
                &mut rng,
            ))) as Box<dyn Share>
        })
        .collect()
}

fn is_answered(event: Result<PhaseEvent, NotFed>) -> u64 {
    u64::from(black_box(event).is_ok())
}

fn settle(fed: usize, answered: u64) -> u64 {
    assert_eq!(fed as u64, answered, "a token was not answered");
    answered
}

/// What takes tokens by key.
trait Phases: Send {
    fn take(&self, token: &StepToken) -> Result<PhaseEvent, NotFed>;
    fn replace(&self, key: RequestKey);
}

impl Phases for Arc<ReferencePhases> {
    fn take(&self, StepToken { key, token, sample }: &StepToken) -> Result<PhaseEvent, NotFed> {
        self.on_token(*key, *token, sample.as_ref())
    }

    fn replace(&self, key: RequestKey) {
        // Another thread may feed the same request: then there are two who replace it.
        self.reap(key);
        self.register(key);
        let _ = self.on_token(key, START, None);
    }
}

impl<M: PhaseMap> Phases for Arc<PhaseRouter<M>> {
    fn take(&self, StepToken { key, token, sample }: &StepToken) -> Result<PhaseEvent, NotFed> {
        self.on_token(*key, *token, sample.as_ref())
    }

    fn replace(&self, key: RequestKey) {
        self.reap(key);
        // Another thread may feed the same request: then there are two who replace it.
        let _ = self.register_with(key, StartPhase::ThinkDecode);
    }
}

struct Tokens<P> {
    phases: P,
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

fn tracking<M: PhaseMap>(map: M, setting: &Setting) -> Arc<PhaseRouter<M>> {
    let router = PhaseRouter::with_map(config(), map).expect("a valid configuration");
    for key in keys(setting) {
        let begun = router.register_with(key, StartPhase::ThinkDecode);
        assert!(begun.is_ok(), "a fresh key");
    }
    Arc::new(router)
}

struct ByKey<'a> {
    setting: &'a Setting,
    seed: u64,
    counting: bool,
}

impl OnMap for ByKey<'_> {
    fn build<M: PhaseMap + 'static>(self, map: M) -> Shares {
        let phases = tracking(map, self.setting);
        let (setting, seed) = (self.setting, self.seed);
        if self.counting {
            return each_thread(setting, seed, |stream| Tokens {
                phases: Counting(Arc::clone(&phases)),
                stream,
            });
        }
        each_thread(setting, seed, |stream| Tokens {
            phases: Arc::clone(&phases),
            stream,
        })
    }
}

/// With a counter that all tokens bump.
struct Counting<P>(P);

impl<P: Phases> Phases for Counting<P> {
    fn take(&self, token: &StepToken) -> Result<PhaseEvent, NotFed> {
        static TOKENS: AtomicU64 = AtomicU64::new(0);
        TOKENS.fetch_add(1, Ordering::Relaxed);
        self.0.take(token)
    }

    fn replace(&self, key: RequestKey) {
        self.0.replace(key);
    }
}

struct ByStep<'a> {
    setting: &'a Setting,
    seed: u64,
}

impl OnMap for ByStep<'_> {
    fn build<M: PhaseMap + 'static>(self, map: M) -> Shares {
        let router = tracking(map, self.setting);
        each_thread(self.setting, self.seed, |stream| Steps {
            router: Arc::clone(&router),
            stream,
            events: Vec::with_capacity(STEP),
        })
    }
}

struct Steps<M> {
    router: Arc<PhaseRouter<M>>,
    stream: Stream,
    events: Vec<Result<PhaseEvent, NotFed>>,
}

impl<M: PhaseMap> Share for Steps<M> {
    fn round(&mut self) -> u64 {
        let (round, _) = self.stream.next();
        let mut answered = 0;
        for step in round.chunks(STEP) {
            self.router.on_step(step, &mut self.events);
            answered += self
                .events
                .iter()
                .map(|event| is_answered(*event))
                .sum::<u64>();
        }
        settle(round.len(), answered)
    }
}

struct ByHandle<'a> {
    setting: &'a Setting,
    seed: u64,
}

impl OnMap for ByHandle<'_> {
    fn build<M: PhaseMap + 'static>(self, map: M) -> Shares {
        let router = Arc::new(PhaseRouter::with_map(config(), map).expect("a valid configuration"));
        let (keys, threads) = (keys(self.setting), self.setting.threads as usize);
        let mut thread = 0;
        each_thread(self.setting, self.seed, |stream| {
            let own = share(&keys, thread, threads);
            thread += 1;
            let track = |key| {
                let tracked = router.track_with(key, StartPhase::ThinkDecode);
                tracked.expect("a fresh key").0
            };
            Handles {
                handles: own.into_iter().map(track).collect(),
                stream,
                at: 0,
            }
        })
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
            // In order, whatever the token's key: an engine has the handle in the request's own slot.
            self.at += 1;
            if self.at == self.handles.len() {
                self.at = 0;
            }
            answered += is_answered(self.handles[self.at].on_token(*token, sample.as_ref()));
        }
        settle(round.len(), answered)
    }
}
