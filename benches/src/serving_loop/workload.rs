//! What is asked, what is answered, and how the answer is checked.
//!
//! # Design
//!
//! A request knows its whole answer beforehand, token by token, and so what `phase-state` has to
//! say of each. The worker writes that answer down piece by piece; the frontend [follows](Follower)
//! it, and tells a token that is missing from one that came twice or too late.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use phase_state::{EntropySignal, PhaseEvent, PhaseRouterConfig};
use worker_id::WorkerWithDpRank;

use crate::phase_state::{END, EOS, ONE_SAMPLE_IN, START};

/// Adapters that sessions ask for.
pub(super) const ADAPTERS: usize = 16;
/// Sessions, some of which have many turns and most of which have few.
const SESSIONS: usize = 4_096;
/// Tokens of a prompt.
const INPUT: usize = 256;
/// Tokens of a short and of a long answer.
const SHORT: u32 = 32;
const LONG: u32 = 512;
/// The model of plain answers, and that of answers that think first. Each is served behind one of
/// the two routers.
pub(super) const PLAIN: &str = "plain";
pub(super) const REASONING: &str = "reasoning";
/// Whose sessions they are.
pub(super) const TENANT: &str = "tenant";

/// Markers as a published reasoning model has them, and a budget that no answer uses up.
pub(super) fn phases() -> PhaseRouterConfig {
    PhaseRouterConfig {
        min_think_tokens: u32::MAX,
        max_think_tokens: u32::MAX,
        ..PhaseRouterConfig::with_marker_ids([START], [END], [EOS])
    }
}

pub(super) fn adapter(index: usize) -> String {
    format!("adapter-{index}")
}

fn session(rank: usize) -> String {
    format!("session-{rank}")
}

/// The ids of all sessions that requests may have.
pub(super) fn sessions() -> impl Iterator<Item = String> {
    (0..SESSIONS).map(session)
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) session: String,
    pub(super) adapter: String,
    /// The model that it names, if it does not leave that open and say which kind of router it
    /// would rather have.
    pub(super) model: Option<&'static str>,
    pub(super) prefer_pd: bool,
    prompt: Vec<u32>,
    output: u32,
    /// Tokens until the end marker, with both markers; 0 for a plain answer.
    thinks: u32,
}

impl Request {
    /// How many tokens the answer has.
    pub(super) fn output(&self) -> u32 {
        self.output
    }

    /// A token of the answer, which but for its markers repeats the prompt.
    fn token(&self, sequence: u32) -> u32 {
        if sequence + 1 == self.output {
            EOS
        } else if self.thinks > 0 && sequence == 0 {
            START
        } else if self.thinks > 0 && sequence + 1 == self.thinks {
            END
        } else {
            self.prompt[sequence as usize % INPUT]
        }
    }

    /// What has to be said of that token.
    fn event(&self, sequence: u32) -> PhaseEvent {
        match self.token(sequence) {
            START => PhaseEvent::EnterThink,
            END => PhaseEvent::ExitThink {
                // The start marker is the end of what was before.
                tokens_used: self.thinks - 1,
            },
            EOS => PhaseEvent::Complete,
            _ => PhaseEvent::Unchanged,
        }
    }

    /// One of the workers that fit. Of the same ones, the same whatever the maps are.
    pub(super) fn any_of(
        &self,
        fit: impl Iterator<Item = WorkerWithDpRank>,
    ) -> Option<WorkerWithDpRank> {
        let mut fit: Vec<_> = fit.collect();
        fit.sort_unstable();
        fastrand::Rng::with_seed(self.number).choice(fit)
    }

    /// A token as it travels: the request, which token it is, the token, and what was measured with
    /// it, if anything.
    pub(super) fn piece(&self, sequence: u32) -> Bytes {
        let sample = (sequence as usize).is_multiple_of(ONE_SAMPLE_IN);
        let mut piece = BytesMut::with_capacity(PIECE + 8);
        piece.put_u64(self.number);
        piece.put_u32(sequence);
        piece.put_u32(self.token(sequence));
        if sample {
            piece.put_f32(2.0);
            piece.put_f32(0.1);
        }
        piece.freeze()
    }
}

/// The bytes of a token without a sample.
const PIECE: usize = 16;

/// What a piece came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fed {
    pub(super) token: u32,
    pub(super) sample: Option<EntropySignal>,
    /// What has to be said of it.
    pub(super) event: PhaseEvent,
}

/// Follows an answer as it comes in.
#[derive(Debug)]
pub(super) struct Follower {
    request: Arc<Request>,
    next: u32,
    pub(super) lost: u64,
    pub(super) doubled: u64,
}

impl Follower {
    pub(super) fn new(request: Arc<Request>) -> Self {
        Self {
            request,
            next: 0,
            lost: 0,
            doubled: 0,
        }
    }

    /// How many tokens have come.
    pub(super) fn came(&self) -> u32 {
        self.next
    }

    /// A piece, if it is the next token of this answer, or a later one after a gap, which is
    /// counted.
    pub(super) fn take(&mut self, mut piece: Bytes) -> Option<Fed> {
        let whole = matches!(piece.len(), PIECE | 24);
        if !whole || piece.get_u64() != self.request.number {
            // A stranger's: missing where it belongs, and one too many here.
            self.doubled += 1;
            return None;
        }
        let (sequence, token) = (piece.get_u32(), piece.get_u32());
        if sequence < self.next || sequence >= self.request.output {
            self.doubled += 1;
            return None;
        }
        self.lost += u64::from(sequence - self.next);
        self.next = sequence + 1;
        if token != self.request.token(sequence) {
            self.lost += 1;
        }
        let sample = piece.has_remaining().then(|| EntropySignal {
            token_entropy: piece.get_f32(),
            eat: piece.get_f32(),
        });
        let event = self.request.event(sequence);
        Some(Fed {
            token,
            sample,
            event,
        })
    }

    /// The clean end: what has not come is lost.
    pub(super) fn finish(&mut self) {
        self.lost += u64::from(self.request.output - self.next);
        self.next = self.request.output;
    }
}

/// Ranks by Zipf's law with exponent 0.99.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(ranks: usize) -> Self {
        let mut sum = 0.0;
        let sums = (1..=ranks).map(|rank| {
            sum += (rank as f64).powf(-0.99);
            sum
        });
        Self(sums.collect())
    }

    fn rank(&self, rng: &mut fastrand::Rng) -> usize {
        let Self(sums) = self;
        let at = rng.f64() * sums.last().copied().unwrap_or_default();
        let rank = sums.partition_point(|sum| *sum < at);
        rank.min(sums.len().saturating_sub(1))
    }
}

/// Makes requests.
#[derive(Clone)]
pub(super) struct Workload {
    popular: Arc<Zipf>,
    rng: fastrand::Rng,
}

impl Workload {
    pub(super) fn new(rng: fastrand::Rng) -> Self {
        Self {
            popular: Arc::new(Zipf::new(SESSIONS)),
            rng,
        }
    }

    /// The same mixture, drawn otherwise.
    pub(super) fn fork(&mut self) -> Self {
        Self {
            popular: Arc::clone(&self.popular),
            rng: self.rng.fork(),
        }
    }

    pub(super) fn request(&mut self, number: u64) -> Arc<Request> {
        let rng = &mut self.rng;
        let rank = self.popular.rank(rng);
        let output = if rng.bool() { SHORT } else { LONG };
        let (model, thinks) = if rng.bool() {
            (REASONING, output / 2)
        } else {
            (PLAIN, 0)
        };
        Arc::new(Request {
            number,
            session: session(rank),
            // A session stays with its adapter.
            adapter: adapter(rank % ADAPTERS),
            model: rng.bool().then_some(model),
            prefer_pd: rng.bool(),
            prompt: (0..INPUT).map(|_| rng.u32(1_000..100_000)).collect(),
            output,
            thinks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Arc<Request> {
        Workload::new(fastrand::Rng::with_seed(1)).request(7)
    }

    fn follow(sequences: impl IntoIterator<Item = u32>) -> (u64, u64) {
        let request = request();
        let mut follower = Follower::new(Arc::clone(&request));
        for sequence in sequences {
            let _ = follower.take(request.piece(sequence));
        }
        follower.finish();
        (follower.lost, follower.doubled)
    }

    #[test]
    fn what_is_missing_is_lost_and_what_comes_again_or_late_is_doubled() {
        let output = request().output();
        assert_eq!(follow(0..output), (0, 0));
        assert_eq!(follow(1..output), (1, 0));
        assert_eq!(follow(0..output - 2), (2, 0));
        assert_eq!(follow([0].into_iter().chain(0..output)), (0, 1));
        let late = [0, 2, 1].into_iter().chain(3..output);
        assert_eq!(follow(late), (1, 1));
    }

    #[test]
    fn a_piece_of_another_request_is_not_taken() {
        let (mut workload, request) = (Workload::new(fastrand::Rng::with_seed(2)), request());
        let mut follower = Follower::new(request);
        assert_eq!(follower.take(workload.request(8).piece(0)), None);
        assert_eq!(follower.take(Bytes::from_static(b"no piece")), None);
        assert_eq!((follower.came(), follower.doubled), (0, 2));
    }
}
