//! What a decode worker's host side does for every token of a step: the phase of its request, the chunk that goes to the
//! client, and the event that goes to the scheduler.
//!
//! A step has 256 of 1,024 requests. Requests think, answer and complete, and new ones take their place. The chunk is a
//! server-sent event in the form of a chat completion, serialised by `serde_json` into the request's buffer, which is taken
//! away now and then as a connection's task would. Nothing is padded.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use phase_state::{
    EntropySignal, NotFed, PhaseEvent, PhaseMap, PhaseRouter, PhaseRouterConfig, RequestHandle,
    RequestKey, StartPhase, StepToken,
};
use serde::Serialize;

use crate::baselines::phases::ReferencePhases;
use crate::phase_state::{OnMap, Setting, on_map};
use crate::scenario::{Share, Shares};

const START: u32 = 151_667;
const END: u32 = 151_668;
const EOS: u32 = 151_645;
/// The requests of a step.
const STEP: usize = 256;
/// A buffer is taken away when it holds so many bytes: a few tokens' chunks, since clients wait for them.
const FLUSH: usize = 2_048;
/// The scheduler takes its queue away when it holds so many events.
const DRAIN: usize = 1_024;

fn config() -> PhaseRouterConfig {
    PhaseRouterConfig::with_marker_ids([START], [END], [EOS])
}

/// The shares of all threads of an arm.
///
/// # Errors
///
/// If there is no such arm.
pub fn shares(arm: &str, setting: &Setting, seed: u64) -> Result<Shares> {
    match arm {
        "reference" => {
            let phases = Arc::new(ReferencePhases::new(config()));
            Ok(workers(setting, seed, |_| Reference(Arc::clone(&phases))))
        }
        "handle" => on_map("dashmap", setting, ByHandle { setting, seed }),
        map => on_map(map, setting, ByKey { setting, seed }),
    }
}

struct ByKey<'a> {
    setting: &'a Setting,
    seed: u64,
}

impl OnMap for ByKey<'_> {
    fn build<M: PhaseMap + 'static>(self, map: M) -> Shares {
        let router = Arc::new(PhaseRouter::with_map(config(), map).expect("a valid configuration"));
        workers(self.setting, self.seed, |_| Arc::clone(&router))
    }
}

struct ByHandle<'a> {
    setting: &'a Setting,
    seed: u64,
}

impl OnMap for ByHandle<'_> {
    fn build<M: PhaseMap + 'static>(self, map: M) -> Shares {
        let router = Arc::new(PhaseRouter::with_map(config(), map).expect("a valid configuration"));
        workers(self.setting, self.seed, |requests| Handles {
            router: Arc::clone(&router),
            handles: (0..requests).map(|_| None).collect(),
        })
    }
}

/// What follows the phases of a worker's requests, each of which has a slot.
trait Phases: Send + 'static {
    fn start(&mut self, slot: usize, key: RequestKey);
    /// One token for each slot from `first` on.
    fn step(
        &mut self,
        first: usize,
        step: &[StepToken],
        events: &mut Vec<Result<PhaseEvent, NotFed>>,
    );
    fn end(&mut self, slot: usize, key: RequestKey);
}

impl<M: PhaseMap + 'static> Phases for Arc<PhaseRouter<M>> {
    fn start(&mut self, _: usize, key: RequestKey) {
        let begun = self.register_with(key, StartPhase::ThinkDecode);
        assert!(begun.is_ok(), "a fresh key");
    }

    fn step(&mut self, _: usize, step: &[StepToken], events: &mut Vec<Result<PhaseEvent, NotFed>>) {
        self.on_step(step, events);
    }

    fn end(&mut self, _: usize, key: RequestKey) {
        assert!(self.reap(key).is_some(), "a tracked key");
    }
}

struct Reference(Arc<ReferencePhases>);

impl Phases for Reference {
    fn start(&mut self, _: usize, key: RequestKey) {
        self.0.register(key);
        assert_eq!(
            self.0.on_token(key, START, None),
            Ok(PhaseEvent::EnterThink)
        );
    }

    fn step(&mut self, _: usize, step: &[StepToken], events: &mut Vec<Result<PhaseEvent, NotFed>>) {
        events.clear();
        events.extend(step.iter().map(|StepToken { key, token, sample }| {
            self.0.on_token(*key, *token, sample.as_ref())
        }));
    }

    fn end(&mut self, _: usize, key: RequestKey) {
        assert!(self.0.reap(key), "a tracked key");
    }
}

struct Handles<M> {
    router: Arc<PhaseRouter<M>>,
    handles: Vec<Option<RequestHandle>>,
}

impl<M: PhaseMap + 'static> Phases for Handles<M> {
    fn start(&mut self, slot: usize, key: RequestKey) {
        let tracked = self.router.track_with(key, StartPhase::ThinkDecode);
        self.handles[slot] = Some(tracked.expect("a fresh key").0);
    }

    fn step(
        &mut self,
        first: usize,
        step: &[StepToken],
        events: &mut Vec<Result<PhaseEvent, NotFed>>,
    ) {
        events.clear();
        events.extend(self.handles[first..].iter_mut().zip(step).map(
            |(handle, StepToken { token, sample, .. })| {
                let handle = handle.as_mut().ok_or(NotFed::NotTracked)?;
                handle.on_token(*token, sample.as_ref())
            },
        ));
    }

    fn end(&mut self, slot: usize, _: RequestKey) {
        self.handles[slot] = None;
    }
}

/// The part of a chat completion that goes out with a token.
#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'static str,
    choices: [Choice<'a>; 1],
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

/// A request as the engine sees it.
struct Request {
    key: RequestKey,
    id: String,
    thinks: u32,
    answers: u32,
    fed: u32,
    thinking: bool,
    buffer: Vec<u8>,
}

impl Request {
    fn new(number: u64, rng: &mut fastrand::Rng) -> Self {
        Self {
            key: number.into(),
            id: format!("chatcmpl-{number:032x}"),
            thinks: rng.u32(200..600),
            answers: rng.u32(50..250),
            fed: 0,
            thinking: true,
            buffer: Vec::with_capacity(FLUSH + 1_024),
        }
    }

    fn next(&mut self, one_sample_in: u64, rng: &mut fastrand::Rng) -> StepToken {
        self.fed += 1;
        let token = match (self.thinking, self.fed) {
            (true, fed) if fed == self.thinks => END,
            (false, fed) if fed == self.answers => EOS,
            _ => rng.u32(0..EOS),
        };
        let token = StepToken::new(self.key, token);
        if one_sample_in > 0 && u64::from(self.fed) % one_sample_in == 0 {
            token.with_sample(EntropySignal {
                token_entropy: rng.f32() * 4.0,
                end_mass: rng.f32(),
            })
        } else {
            token
        }
    }
}

struct Worker<P> {
    phases: P,
    requests: Vec<Request>,
    /// The slot that the next step begins at.
    first: usize,
    next_number: u64,
    stride: u64,
    one_sample_in: u64,
    vocabulary: Vec<String>,
    step: Vec<StepToken>,
    events: Vec<Result<PhaseEvent, NotFed>>,
    queue: Arc<Mutex<Vec<(RequestKey, PhaseEvent)>>>,
    rng: fastrand::Rng,
}

fn workers<P: Phases>(setting: &Setting, seed: u64, mut phases: impl FnMut(usize) -> P) -> Shares {
    let queue = Arc::new(Mutex::new(Vec::with_capacity(DRAIN)));
    let threads = u64::from(setting.threads);
    let requests = usize::try_from(setting.requests / threads)
        .unwrap_or(1)
        .max(1);
    (0..threads)
        .map(|thread| {
            let mut worker = Worker {
                phases: phases(requests),
                requests: Vec::new(),
                first: 0,
                next_number: thread,
                stride: threads,
                one_sample_in: setting.one_sample_in,
                vocabulary: (0..4_096_u32)
                    .map(|token| format!(" token{token}"))
                    .collect(),
                step: Vec::with_capacity(STEP),
                events: Vec::with_capacity(STEP),
                queue: Arc::clone(&queue),
                rng: fastrand::Rng::with_seed(seed.wrapping_add(thread)),
            };
            for slot in 0..requests {
                let request = worker.admit(slot);
                worker.requests.push(request);
            }
            // Not all at their first token: a worker has requests of every age.
            for request in &mut worker.requests {
                request.thinks = worker.rng.u32(1..request.thinks);
            }
            Box::new(worker) as Box<dyn Share>
        })
        .collect()
}

impl<P: Phases> Worker<P> {
    fn admit(&mut self, slot: usize) -> Request {
        let request = Request::new(self.next_number, &mut self.rng);
        self.next_number += self.stride;
        self.phases.start(slot, request.key);
        request
    }

    /// What a token's event means for its request; whether the request has completed.
    fn follow(&mut self, slot: usize, event: PhaseEvent) -> bool {
        let request = &mut self.requests[slot];
        match event {
            PhaseEvent::Unchanged => {
                let due = if request.thinking {
                    request.thinks
                } else {
                    request.answers
                };
                assert_ne!(request.fed, due, "a marker was not seen");
                return false;
            }
            PhaseEvent::ExitThink { tokens_used } => {
                assert!(
                    request.thinking && tokens_used == request.fed,
                    "a thinking span ended where it should not"
                );
                (request.thinking, request.fed) = (false, 0);
            }
            PhaseEvent::Complete => assert!(
                !request.thinking && request.fed == request.answers,
                "ended too early"
            ),
            // Left to run its course: what a scheduler makes of it is not this worker's business.
            PhaseEvent::ForceBudget { .. } => {}
            other => panic!("no decode worker expects {other:?}"),
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push((request.key, event));
        if queue.len() == DRAIN {
            black_box(&*queue);
            queue.clear();
        }
        event == PhaseEvent::Complete
    }

    fn send(&mut self, slot: usize, token: u32, thought: bool) {
        let request = &mut self.requests[slot];
        let text = Some(self.vocabulary[token as usize % self.vocabulary.len()].as_str());
        let (reasoning_content, content) = if thought { (text, None) } else { (None, text) };
        let chunk = Chunk {
            id: &request.id,
            object: "chat.completion.chunk",
            created: 1_790_000_000,
            model: "reasoner-70b",
            choices: [Choice {
                index: request.key.choice,
                delta: Delta {
                    reasoning_content,
                    content,
                },
                finish_reason: (token == EOS).then_some("stop"),
            }],
        };
        if request.buffer.len() > FLUSH {
            black_box(&request.buffer);
            request.buffer.clear();
        }
        request.buffer.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut request.buffer, &chunk).expect("a vector takes all");
        request
            .buffer
            .write_all(b"\n\n")
            .expect("a vector takes all");
    }
}

impl<P: Phases> Share for Worker<P> {
    fn round(&mut self) -> u64 {
        let first = self.first;
        let end = (first + STEP).min(self.requests.len());
        self.first = if end == self.requests.len() { 0 } else { end };

        self.step.clear();
        let (rng, one_sample_in) = (&mut self.rng, self.one_sample_in);
        self.step.extend(
            self.requests[first..end]
                .iter_mut()
                .map(|request| request.next(one_sample_in, rng)),
        );
        let mut events = std::mem::take(&mut self.events);
        self.phases.step(first, &self.step, &mut events);
        assert_eq!(events.len(), end - first, "a token was not answered");
        for (at, event) in events.iter().enumerate() {
            let (slot, token) = (first + at, self.step[at].token);
            let thought = self.requests[slot].thinking;
            let completed = self.follow(slot, event.expect("a tracked request"));
            self.send(slot, token, thought);
            if completed {
                self.phases.end(slot, self.requests[slot].key);
                self.requests[slot] = self.admit(slot);
            }
        }
        self.events = events;
        (end - first) as u64
    }
}
