//! A continuous batch of 256 requests over 4 decode workers: prints what happens to requests.
//!
//! ```console
//! $ cargo run -p phase-state --example decode_loop --release
//! ```
//!
//! The model is made up. It thinks until it has converged, or is told to stop, and then answers.

use std::error::Error;
use std::thread;

use phase_state::{
    Converged, EntropySignal, PhaseEvent, PhaseRouter, PhaseRouterConfig, RequestKey, StartPhase,
    StepToken,
};

const WORKERS: u64 = 4;
const BATCH: u64 = 256 / WORKERS;
const REQUESTS: u64 = 20_000;
const THINK_END: u32 = 151_668;
const EOS: u32 = 151_645;

fn main() -> Result<(), Box<dyn Error>> {
    let config = PhaseRouterConfig {
        min_think_tokens: 64,
        max_think_tokens: 512,
        converged: Some(Converged::default()),
        ..PhaseRouterConfig::with_marker_ids([151_667], [THINK_END], [EOS])
    };
    let router = PhaseRouter::new(config)?;
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                scope.spawn({
                    let router = &router;
                    move || decode(router, worker)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .collect()
    });

    let total = tallies.into_iter().fold(Tally::default(), Tally::plus);
    println!("requests        {:>12}", total.completed);
    println!("tokens          {:>12}", total.tokens);
    println!("thought         {:>12}", total.thought);
    println!("left thinking   {:>12}", total.exited);
    println!("budgets forced  {:>12}", total.forced);
    println!("still tracked   {:>12}", router.tracked_requests());
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Tally {
    tokens: u64,
    completed: u64,
    thought: u64,
    exited: u64,
    forced: u64,
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            completed: self.completed + other.completed,
            thought: self.thought + other.thought,
            exited: self.exited + other.exited,
            forced: self.forced + other.forced,
        }
    }
}

/// A request as the made-up model sees it.
struct Sequence {
    key: RequestKey,
    /// Tokens until it feels like going on to what comes next.
    left: u64,
    answering: bool,
    inject: Option<u32>,
}

fn decode(router: &PhaseRouter, worker: u64) -> Tally {
    let mut noise = Noise(worker + 1);
    let mut admitted = 0..REQUESTS / WORKERS;
    let mut batch: Vec<Sequence> = Vec::new();
    let (mut step, mut events) = (Vec::new(), Vec::new());
    let mut tally = Tally::default();
    loop {
        while batch.len() < usize::try_from(BATCH).unwrap_or(usize::MAX)
            && let Some(number) = admitted.next()
        {
            let key = RequestKey::from(worker * REQUESTS + number);
            // The chat template has put the start marker into the prompt.
            let begun = router.register_with(key, StartPhase::ThinkDecode);
            assert!(begun.is_ok(), "a fresh key");
            batch.push(Sequence {
                key,
                left: 32 + noise.below(1_000),
                answering: false,
                inject: None,
            });
        }
        if batch.is_empty() {
            return tally;
        }

        step.clear();
        step.extend(batch.iter_mut().map(|sequence| sequence.next(&mut noise)));
        router.on_step(&step, &mut events);
        tally.tokens += step.len() as u64;

        let mut answered = events.iter();
        batch.retain_mut(|sequence| {
            let event = answered
                .next()
                .copied()
                .expect("an answer for each token")
                .expect("a request of the batch is tracked");
            match event {
                PhaseEvent::ForceBudget { injection, reason } => {
                    tally.forced += 1;
                    show(tally.forced, || {
                        format!("request {}: forced, {reason}", sequence.key)
                    });
                    // One token, in this format.
                    sequence.inject = router.injection(injection).first().copied();
                }
                PhaseEvent::ExitThink { tokens_used } => {
                    tally.exited += 1;
                    show(tally.exited, || {
                        format!("request {}: thought for {tokens_used} tokens", sequence.key)
                    });
                    sequence.answering = true;
                    sequence.left = 16 + noise.below(64);
                }
                PhaseEvent::Complete => {
                    tally.completed += 1;
                    let summary = router.reap(sequence.key).expect("tracked until now");
                    tally.thought += u64::from(summary.think_tokens);
                    return false;
                }
                _ => {}
            }
            true
        });
    }
}

impl Sequence {
    fn next(&mut self, noise: &mut Noise) -> StepToken {
        self.left = self.left.saturating_sub(1);
        let token = match (self.inject.take(), self.left, self.answering) {
            (Some(injected), ..) => injected,
            (None, 0, false) => THINK_END,
            (None, 0, true) => EOS,
            _ => u32::try_from(noise.below(150_000)).unwrap_or_default(),
        };
        let token = StepToken::new(self.key, token);
        // A host that gets the distribution of every fourth token only.
        if self.left.is_multiple_of(4) {
            let end_mass = if self.left < 200 {
                0.9
            } else {
                noise.below(100) as f32 / 100.0
            };
            token.with_sample(EntropySignal {
                token_entropy: noise.below(40) as f32 / 10.0,
                end_mass,
            })
        } else {
            token
        }
    }
}

/// The first few of each worker.
fn show(so_far: u64, line: impl FnOnce() -> String) {
    if so_far <= 3 {
        println!("{}", line());
    }
}

/// A generator that is good enough to make up tokens.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
