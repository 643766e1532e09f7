//! What a decode worker's host side does for every token of a step: the phase of its request, the
//! chunk that goes to the client, and the event that goes to the scheduler.
//!
//! A step has 256 of 1,024 requests. Requests think, answer and complete, and new ones take their
//! place. The chunk is a server-sent event in the form of a chat completion, serialised by
//! `serde_json` into the request's buffer, which is taken away now and then as a connection's task
//! would. Nothing is padded.
//!
//! The arm `free` drives each request by a handle, and so leaves out all that it takes to find the
//! request of a token. It also saves the compare-and-swap that a token by key needs, so that it
//! gains more than any map could. A request is still inserted and removed, once in some 550 tokens.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use phase_state::{
    EntropySignal, PhaseEvent, PhaseRouterConfig, RequestHandle, RequestKey, StartPhase, StepToken,
};
use serde::Serialize;

use crate::any_map::Backend;
use crate::baselines::phases::ReferencePhases;
use crate::phase_state::{END, EOS, ONE_SAMPLE_IN, Router, START, Setting, router};
use crate::scenario::{FREE, Share, Shares};
use crate::threads::Threads;

/// One line on it.
pub(crate) const WHAT: &str = "the host side of a decode step: the phase of 256 tokens, \
     their chunks serialised, events queued";

/// The requests of a step.
const STEP: usize = 256;
/// A buffer is taken away when it holds so many bytes: a few tokens' chunks, since clients wait for
/// them.
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
pub(crate) fn shares(threads: Threads<'_>, setting: Setting) -> Result<Shares> {
    Ok(match threads.arm {
        "reference" => {
            let phases = Arc::new(ReferencePhases::new(config()));
            workers(threads, setting, || Box::new(Arc::clone(&phases)))
        }
        FREE => {
            let phases = router(Backend::DashMap, config());
            workers(threads, setting, || Box::new(Handles::new(&phases)))
        }
        map => {
            let phases = router(Backend::of_arm(map)?, config());
            workers(threads, setting, || Box::new(Arc::clone(&phases)))
        }
    })
}

/// What follows the phases of a worker's requests, each of which has a slot. A step is one call: so
/// what is done beside it is the same code for all arms.
trait Phases: Send {
    fn start(&mut self, slot: usize, key: RequestKey);
    /// One token for each slot from `first` on.
    fn step(&mut self, first: usize, step: &[StepToken], events: &mut Vec<Option<PhaseEvent>>);
    fn end(&mut self, slot: usize, key: RequestKey);
}

impl Phases for Arc<Router> {
    fn start(&mut self, _: usize, key: RequestKey) {
        let is_new = self.register_in(key, StartPhase::ThinkDecode);
        assert!(is_new, "a fresh key");
    }

    fn step(&mut self, _: usize, step: &[StepToken], events: &mut Vec<Option<PhaseEvent>>) {
        self.on_step(step, events);
    }

    fn end(&mut self, _: usize, key: RequestKey) {
        assert!(self.reap(key), "a tracked key");
    }
}

impl Phases for Arc<ReferencePhases> {
    fn start(&mut self, _: usize, key: RequestKey) {
        self.register(key);
        let entered = self.on_token(key, START, None);
        assert_eq!(entered, Some(PhaseEvent::EnterThink));
    }

    fn step(&mut self, _: usize, step: &[StepToken], events: &mut Vec<Option<PhaseEvent>>) {
        events.clear();
        events.extend(
            step.iter().map(|StepToken { key, token, sample }| {
                self.on_token(*key, *token, sample.as_ref())
            }),
        );
    }

    fn end(&mut self, _: usize, key: RequestKey) {
        assert!(self.reap(key), "a tracked key");
    }
}

struct Handles {
    phases: Arc<Router>,
    of_slots: Vec<Option<RequestHandle>>,
}

impl Handles {
    fn new(phases: &Arc<Router>) -> Self {
        Self {
            phases: Arc::clone(phases),
            of_slots: Vec::new(),
        }
    }
}

impl Phases for Handles {
    fn start(&mut self, slot: usize, key: RequestKey) {
        let handle = self.phases.track_in(key, StartPhase::ThinkDecode);
        let slots = self.of_slots.len().max(slot + 1);
        self.of_slots.resize_with(slots, || None);
        self.of_slots[slot] = Some(handle.expect("a fresh key"));
    }

    fn step(&mut self, first: usize, step: &[StepToken], events: &mut Vec<Option<PhaseEvent>>) {
        events.clear();
        let handles = self.of_slots[first..].iter_mut().zip(step);
        events.extend(handles.map(|(handle, StepToken { token, sample, .. })| {
            handle.as_mut()?.on_token(*token, sample.as_ref())
        }));
    }

    fn end(&mut self, slot: usize, _: RequestKey) {
        self.of_slots[slot] = None;
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

    fn next(&mut self, rng: &mut fastrand::Rng) -> StepToken {
        self.fed += 1;
        let token = match (self.thinking, self.fed) {
            (true, fed) if fed == self.thinks => END,
            (false, fed) if fed == self.answers => EOS,
            _ => rng.u32(0..EOS),
        };
        let token = StepToken::new(self.key, token);
        if (self.fed as usize).is_multiple_of(ONE_SAMPLE_IN) {
            token.with_sample(EntropySignal {
                token_entropy: rng.f32() * 4.0,
                eat: rng.f32(),
            })
        } else {
            token
        }
    }
}

struct Worker {
    phases: Box<dyn Phases>,
    requests: Vec<Request>,
    /// The slot that the next step begins at.
    first: usize,
    next_number: u64,
    stride: u64,
    vocabulary: Vec<String>,
    step: Vec<StepToken>,
    events: Vec<Option<PhaseEvent>>,
    queue: Arc<Mutex<Vec<(RequestKey, PhaseEvent)>>>,
    rng: fastrand::Rng,
}

fn workers(threads: Threads<'_>, setting: Setting, phases: impl Fn() -> Box<dyn Phases>) -> Shares {
    let queue = Arc::new(Mutex::new(Vec::with_capacity(DRAIN)));
    let stride = u64::from(setting.threads);
    threads.each(|thread, rng| {
        let mut worker = Worker {
            phases: phases(),
            requests: Vec::new(),
            first: 0,
            next_number: thread as u64,
            stride,
            vocabulary: (0..4_096_u32)
                .map(|token| format!(" token{token}"))
                .collect(),
            step: Vec::with_capacity(STEP),
            events: Vec::with_capacity(STEP),
            queue: Arc::clone(&queue),
            rng,
        };
        for slot in 0..usize::try_from(setting.requests / stride)
            .unwrap_or(1)
            .max(1)
        {
            let mut request = worker.admit(slot);
            // Not all at their first token: a worker has requests of every age.
            request.thinks = worker.rng.u32(1..request.thinks);
            worker.requests.push(request);
        }
        worker
    })
}

impl Worker {
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

impl Share for Worker {
    fn round(&mut self) -> u64 {
        let first = self.first;
        let end = (first + STEP).min(self.requests.len());
        self.first = if end == self.requests.len() { 0 } else { end };

        self.step.clear();
        let requests = self.requests[first..end].iter_mut();
        let tokens = requests.map(|request| request.next(&mut self.rng));
        self.step.extend(tokens);
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
