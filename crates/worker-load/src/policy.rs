//! Which of several workers a request goes to.
//!
//! # Design
//!
//! A policy looks and names a place; [`pick`](crate::WorkerLoads::pick) reserves there, exactly,
//! and asks again where that fails. So a policy may look at numbers that are stale, and never has
//! to answer for a cap.
//!
//! # Why
//!
//! *Two choices rather than a scan, by default*: the scan reads a line of every worker. With a
//! thousand workers in use on other cores that is a thousand lines that travel, for each request;
//! two choices are two. `docs/worker-load-performance.md` has the figures.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use worker_id::WorkerWithDpRank;

use crate::word::{Charge, Word};
use crate::{Among, WorkerLoad, sync};

/// Chooses one of several workers for a request.
///
/// # Examples
///
/// One's own: the first that would take the request.
///
/// ```
/// use worker_load::{Among, Policy};
///
/// struct First;
///
/// impl Policy for First {
///     fn choose(&self, among: &Among<'_>) -> Option<usize> {
///         among.first_from(0)
///     }
/// }
/// ```
pub trait Policy {
    /// The place of the candidate to reserve on; `None` to have the request refused.
    ///
    /// Called again, up to [`ATTEMPTS`](crate::WorkerLoads::ATTEMPTS) times in all, where the
    /// candidate does not take the request after all. Outside of every lock; may panic.
    fn choose(&self, among: &Among<'_>) -> Option<usize>;
}

impl<P: Policy + ?Sized> Policy for &P {
    fn choose(&self, among: &Among<'_>) -> Option<usize> {
        P::choose(self, among)
    }
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn choose(&self, among: &Among<'_>) -> Option<usize> {
        P::choose(self, among)
    }
}

/// What a load is measured by: what each thing in flight counts for, divided by the worker's
/// [weight](crate::Capacity::weight).
///
/// Negative factors and NaN make no sense, and no harm but a strange choice.
///
/// ```
/// use std::time::Duration;
/// use worker_load::Mix;
///
/// // A prefill token is as much work as four tokens in the cache; who has joined just now gets few for a minute.
/// let mix = Mix { prefill_token: 4.0, slow_start: Duration::from_secs(60), ..Mix::tokens() };
/// # let _ = mix;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use]
pub struct Mix {
    /// What a request counts for.
    pub request: f64,
    /// What a token of a prefill that is not done counts for.
    pub prefill_token: f64,
    /// What any other token counts for.
    pub decode_token: f64,
    /// What a byte of KV counts for.
    pub kv_byte: f64,
    /// For how long after it has joined a worker gets less, by the clock of
    /// [`advance_to`](crate::WorkerLoads::advance_to): a tenth of its share at first, all of it at
    /// the end, as much more as time has passed between. Zero for not at all.
    pub slow_start: Duration,
}

impl Mix {
    /// Requests alone.
    pub const fn requests() -> Self {
        Self {
            request: 1.0,
            prefill_token: 0.0,
            decode_token: 0.0,
            kv_byte: 0.0,
            slow_start: Duration::ZERO,
        }
    }

    /// Tokens alone, of prefills and others alike.
    pub const fn tokens() -> Self {
        Self {
            request: 0.0,
            prefill_token: 1.0,
            decode_token: 1.0,
            ..Self::requests()
        }
    }

    #[inline]
    pub(crate) fn load(&self, worker: &WorkerLoad, word: Word, now: Duration) -> f64 {
        self.measure(worker, word, &Charge::default(), 0, now)
    }

    #[inline]
    pub(crate) fn score(
        &self,
        worker: &WorkerLoad,
        word: Word,
        charge: &Charge,
        now: Duration,
    ) -> f64 {
        self.measure(worker, word, charge, 1, now)
    }

    #[inline]
    fn measure(
        &self,
        worker: &WorkerLoad,
        word: Word,
        more: &Charge,
        requests: u64,
        now: Duration,
    ) -> f64 {
        let counter = &worker.0.counter;
        let mut sum = self.request * float(word.requests() + requests);
        if self.prefill_token != 0.0 || self.decode_token != 0.0 {
            let tokens = word.tokens() + more.tokens;
            // Not of the same moment as the tokens.
            let prefill = (counter.prefill() + more.prefill).min(tokens);
            sum +=
                self.prefill_token * float(prefill) + self.decode_token * float(tokens - prefill);
        }
        if self.kv_byte != 0.0 {
            sum += self.kv_byte * float(counter.bytes().saturating_add(more.bytes));
        }
        let mut share = float(counter.weight());
        if !self.slow_start.is_zero() {
            let age = now.saturating_sub(worker.joined());
            share *= age.div_duration_f64(self.slow_start).clamp(0.1, 1.0);
        }
        sum / share
    }
}

/// [`requests`](Mix::requests).
impl Default for Mix {
    fn default() -> Self {
        Self::requests()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "loads are compared, not counted"
)]
fn float(count: u64) -> f64 {
    count as f64
}

/// The worker that would be least loaded with the request. Reads a line of every candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LeastLoaded(pub Mix);

impl Policy for LeastLoaded {
    fn choose(&self, among: &Among<'_>) -> Option<usize> {
        let mut least: Option<(usize, f64)> = None;
        // Of equal ones the first, and the first is another one each time.
        for at in among.rotated() {
            if let Some(score) = among.score(at, &self.0)
                && least.is_none_or(|(_, least)| score < least)
            {
                least = Some((at, score));
            }
        }
        least.map(|(at, _)| at)
    }
}

/// The less loaded of two workers at random: nearly as even as the least loaded of all, at a cost
/// that does not grow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PowerOfTwo(pub Mix);

impl Policy for PowerOfTwo {
    fn choose(&self, among: &Among<'_>) -> Option<usize> {
        let one = among.at_random()?;
        // Another one, where there is another: at `one` itself once round.
        let other = among.first_from(one + 1 + sync::below((among.len() - 1).max(1)))?;
        let score = |at| among.score(at, &self.0).unwrap_or(f64::INFINITY);
        Some(if score(other) < score(one) {
            other
        } else {
            one
        })
    }
}

/// One worker after the other. Writes a line that all threads share.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RoundRobin(AtomicUsize);

impl Policy for RoundRobin {
    fn choose(&self, among: &Among<'_>) -> Option<usize> {
        among.first_from(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Any worker, whatever its load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Random;

impl Policy for Random {
    fn choose(&self, among: &Among<'_>) -> Option<usize> {
        among.at_random()
    }
}

/// A worker at random, of twice the [weight](crate::Capacity::weight) twice as likely, whatever its
/// load. Looks at every candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightedRandom;

impl Policy for WeightedRandom {
    fn choose(&self, among: &Among<'_>) -> Option<usize> {
        let (mut chosen, mut sum) = (None, 0.0);
        for at in (0..among.len()).filter(|at| among.would_take(*at)) {
            let weight = float(among.workers()[at].0.counter.weight());
            sum += weight;
            // Each takes the place of those before it as often as its share of them all.
            if sync::part() * sum < weight {
                chosen = Some(at);
            }
        }
        chosen
    }
}

/// The worker that has the prefix, unless it is over its fair share; else what `otherwise` says.
///
/// Its fair share is what candidates have on average, in flight now; workers that drain count,
/// those that are gone do not. It is over that by what it has more, in units of `mix`: with
/// [`Mix::tokens`], by tokens. So set `over` to the work that the prefix saves. Reads a line of
/// every candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prefer<P> {
    /// The worker that has the prefix.
    pub worker: WorkerWithDpRank,
    /// How far over its fair share it may be.
    pub over: f64,
    /// What load is measured by.
    pub mix: Mix,
    /// Who is chosen where it is not, or would not take the request.
    pub otherwise: P,
}

impl<P: Policy> Policy for Prefer<P> {
    fn choose(&self, among: &Among<'_>) -> Option<usize> {
        let preferred = among.position(&self.worker);
        let preferred = preferred.filter(|at| among.would_take(*at) && self.is_fair(*at, among));
        preferred.or_else(|| self.otherwise.choose(among))
    }
}

impl<P> Prefer<P> {
    fn is_fair(&self, at: usize, among: &Among<'_>) -> bool {
        let workers = among.workers().iter().enumerate();
        let there = workers.filter(|(_, worker)| !worker.is_gone());
        let (sum, count) = there.fold((0.0, 0), |(sum, count), (each, _)| {
            (sum + among.load(each, &self.mix), count + 1)
        });
        among.load(at, &self.mix) - sum / float(count) <= self.over
    }
}
