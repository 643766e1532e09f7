//! What is in flight on one worker, or under one budget: the words that are written, and the one
//! that decides.
//!
//! # Design
//!
//! The first line has what every request writes. Its `word` is laid out in `word.rs`.
//!
//! Requests, tokens and the state must be exact *together*, so they are one word, and an admission
//! is one compare-and-swap of it. Bytes of KV have a word of their own, which only requests that
//! say them touch. They are taken before `word`, and given back where `word` refuses. `prefill` is
//! a part of the tokens and has no cap: it follows.
//!
//! # Invariants
//!
//! 1. `word` is changed by a compare-and-swap that saw no state bit against it and both caps kept
//!    ([`Counter::take`]), by a subtraction of what was added ([`Counter::give_back`]), by an
//!    addition to what is admitted ([`Counter::add`]), or in its state bits alone. So no count
//!    sinks below zero, and none is admitted over a cap or past a state bit.
//! 2. No count overflows into its neighbour: a counter holds at most [`MOST_REQUESTS`], and each of
//!    them at most [`MOST_TOKENS`](crate::word::MOST_TOKENS), whose product has 43 bits.
//! 3. `bytes` is at least what the admitted requests said. It is more only while a request that
//!    `word` is about to refuse, or has just refused, gives its bytes back.
//! 4. A request's `prefill` and `bytes` are given back before its part of `word`: where `word` has
//!    no requests, all of them are at rest.
//!
//! `tests/loom.rs` has a scenario for each race here.

use state_map::sync::atomic::{AtomicU64, Ordering};

use crate::word::{
    Charge, DRAINING, GONE, MOST_REQUESTS, No, ONE_REQUEST, SHUT, STATE, TOKEN_BITS, TOKENS, Word,
};
use crate::{Admission, Capacity, Limit};

/// Two lines: what every request writes, and what few do. See the module.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Counter {
    /// State, requests and tokens.
    word: AtomicU64,
    /// The caps of `word`'s two counts, in its layout.
    caps: AtomicU64,
    /// The most that `word` has counted since the last look, in its layout.
    peak: AtomicU64,
    /// The tokens of prefills that are not done.
    prefill: AtomicU64,
    /// What policies divide the load by. Read with the word, and so beside it.
    weight: AtomicU64,
    /// Requests that ended, by [`Outcome`](crate::Outcome).
    pub(crate) ended: [AtomicU64; 3],
    // From here on the second line.
    /// Tokens that running requests added while the cap was passed, over the counter's life.
    overrun: AtomicU64,
    /// Bytes of KV in flight.
    bytes: AtomicU64,
    bytes_cap: AtomicU64,
    bytes_peak: AtomicU64,
}

impl Counter {
    pub(crate) fn new(capacity: &Capacity) -> Self {
        let counter = Self {
            word: AtomicU64::new(0),
            caps: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            prefill: AtomicU64::new(0),
            weight: AtomicU64::new(1),
            ended: [(); 3].map(|()| AtomicU64::new(0)),
            overrun: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_cap: AtomicU64::new(0),
            bytes_peak: AtomicU64::new(0),
        };
        counter.set_capacity(capacity);
        counter
    }

    /// For what is taken by calls that begin after this one. One under way goes by the old caps or
    /// the new.
    pub(crate) fn set_capacity(&self, capacity: &Capacity) {
        let requests = capacity.requests.map_or(MOST_REQUESTS, u64::from);
        let tokens = capacity.tokens.unwrap_or(TOKENS);
        let caps = requests.min(MOST_REQUESTS) << TOKEN_BITS | tokens.min(TOKENS);
        // Nothing else is read by way of the caps.
        self.caps.store(caps, Ordering::Relaxed);
        let bytes = capacity.kv_bytes.unwrap_or(u64::MAX);
        self.bytes_cap.store(bytes, Ordering::Relaxed);
        let weight = u64::from(capacity.weight.get());
        self.weight.store(weight, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        // With what whoever changed it had done before: a drain's owner reads counts that are at
        // rest.
        Word(self.word.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn caps(&self) -> Word {
        Word(self.caps.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn prefill(&self) -> u64 {
        self.prefill.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_cap(&self) -> u64 {
        self.bytes_cap.load(Ordering::Relaxed)
    }

    /// At least 1.
    #[inline]
    pub(crate) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    pub(crate) fn overrun(&self) -> u64 {
        self.overrun.load(Ordering::Relaxed)
    }

    /// The most that there was since this was last called, and from now on the most since now.
    pub(crate) fn take_peaks(&self) -> (Word, u64) {
        // An admission between the two operations of a pair counts for the look that is under way,
        // or for the next.
        let peak = Word(self.peak.swap(self.word().counts().0, Ordering::Relaxed));
        let bytes = self.bytes_peak.swap(self.bytes(), Ordering::Relaxed);
        (peak.larger(self.word()), bytes.max(self.bytes()))
    }

    /// Whether `word` has no state against one more request, and room for it.
    #[inline]
    fn fits(&self, word: Word, charge: &Charge, admission: Admission) -> Result<(), No> {
        if word.0 & STATE > 0 {
            if word.is_gone() {
                return Err(No::Gone);
            }
            if admission == Admission::New || word.0 & SHUT > 0 {
                let requests = word.requests();
                return Err(No::Draining { requests });
            }
        }
        let caps = self.caps();
        let full = |limit, in_flight, cap| No::Full {
            limit,
            in_flight,
            cap,
        };
        if word.requests() >= caps.requests() {
            return Err(full(Limit::Requests, word.requests(), caps.requests()));
        }
        // What costs no tokens is not refused for them: others may have passed the cap by running
        // on.
        if charge.tokens > 0 && word.tokens() + charge.tokens > caps.tokens() {
            return Err(full(Limit::Tokens, word.tokens(), caps.tokens()));
        }
        Ok(())
    }

    /// Whether [`take`](Self::take) would succeed now, and the word that says so.
    #[inline]
    pub(crate) fn would_take(&self, charge: &Charge, admission: Admission) -> Result<Word, No> {
        let word = self.word();
        self.fits(word, charge, admission)?;
        if charge.bytes > 0 {
            self.room_for(self.bytes(), charge.bytes)?;
        }
        Ok(word)
    }

    /// What `bytes` would be with so many more.
    fn room_for(&self, bytes: u64, more: u64) -> Result<u64, No> {
        let cap = self.bytes_cap();
        let after = bytes.checked_add(more).filter(|after| *after <= cap);
        after.ok_or(No::Full {
            limit: Limit::KvBytes,
            in_flight: bytes,
            cap,
        })
    }

    /// Counts one more request, if its state and caps admit it; else nothing is kept.
    #[inline]
    pub(crate) fn take(&self, charge: &Charge, admission: Admission) -> Result<(), No> {
        if charge.bytes > 0 {
            // A worker that is full or gone is not written, not even for a moment.
            self.would_take(charge, admission)?;
            self.take_bytes(charge.bytes)?;
        }
        if let Err(no) = self.take_word(charge, admission) {
            if charge.bytes > 0 {
                self.bytes.fetch_sub(charge.bytes, Ordering::Relaxed);
            }
            return Err(no);
        }
        if charge.prefill > 0 {
            self.prefill.fetch_add(charge.prefill, Ordering::Relaxed);
        }
        Ok(())
    }

    #[inline]
    fn take_word(&self, charge: &Charge, admission: Admission) -> Result<(), No> {
        let mut seen = self.word();
        // Ends: another's success is what makes ours fail, and a state bit is seen and returned.
        loop {
            self.fits(seen, charge, admission)?;
            let taken = seen.0 + ONE_REQUEST + charge.tokens;
            // Acquire: what was released before has happened. The failure's load is the next
            // `seen`, as `word`'s.
            let swapped =
                self.word
                    .compare_exchange_weak(seen.0, taken, Ordering::AcqRel, Ordering::Acquire);
            match swapped {
                Ok(_) => {
                    self.note(Word(taken));
                    return Ok(());
                }
                Err(newer) => seen = Word(newer),
            }
        }
    }

    fn take_bytes(&self, more: u64) -> Result<(), No> {
        let mut seen = self.bytes();
        loop {
            let taken = self.room_for(seen, more)?;
            // Relaxed: a count that is exact by itself. `word` orders what must be ordered.
            let swapped =
                self.bytes
                    .compare_exchange_weak(seen, taken, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => {
                    if taken > self.bytes_peak.load(Ordering::Relaxed) {
                        self.bytes_peak.fetch_max(taken, Ordering::Relaxed);
                    }
                    return Ok(());
                }
                Err(newer) => seen = newer,
            }
        }
    }

    /// Gives a request back. True if it was the last one of what is draining or gone: whoever waits
    /// is to be told.
    #[inline]
    pub(crate) fn give_back(&self, charge: &Charge) -> bool {
        self.prefill_done(charge.prefill);
        if charge.bytes > 0 {
            self.bytes.fetch_sub(charge.bytes, Ordering::Relaxed);
        }
        // Release: whoever sees the request gone sees all else of it gone. No borrow, by invariants
        // 1 and 2.
        let before = self
            .word
            .fetch_sub(ONE_REQUEST + charge.tokens, Ordering::AcqRel);
        // A drain that begins after this subtraction finds no request, and needs no telling.
        before & (GONE | DRAINING) > 0 && Word(before).requests() == 1
    }

    #[inline]
    pub(crate) fn prefill_done(&self, tokens: u64) {
        if tokens > 0 {
            self.prefill.fetch_sub(tokens, Ordering::Relaxed);
        }
    }

    /// Counts tokens of an admitted request, whatever the cap is.
    pub(crate) fn add(&self, tokens: u64) {
        // Relaxed: nobody reads anything by way of it. No overflow, by invariant 2.
        let before = Word(self.word.fetch_add(tokens, Ordering::Relaxed));
        let after = Word(before.0 + tokens);
        self.note(after);
        let over = after.tokens().saturating_sub(self.caps().tokens());
        if over > 0 {
            self.overrun.fetch_add(over.min(tokens), Ordering::Relaxed);
        }
    }

    /// Remembers the most that there was. A high-water mark writes only while it rises.
    #[inline]
    fn note(&self, word: Word) {
        let word = word.counts();
        let mut seen = Word(self.peak.load(Ordering::Relaxed));
        loop {
            let larger = seen.larger(word);
            if larger == seen {
                return;
            }
            let swapped = self.peak.compare_exchange_weak(
                seen.0,
                larger.0,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return,
                Err(newer) => seen = Word(newer),
            }
        }
    }

    /// Takes nothing new from now on; pinned turns only where `pinned`. The word that it was;
    /// unchanged if gone.
    pub(crate) fn drain(&self, pinned: bool) -> Word {
        let state = if pinned { DRAINING } else { DRAINING | SHUT };
        self.change_state(|word| word & !(DRAINING | SHUT) | state)
    }

    /// Takes anything again, unless it is gone.
    pub(crate) fn resume(&self) -> Word {
        self.change_state(|word| word & !(DRAINING | SHUT))
    }

    /// Takes nothing from now on, for ever. True for one caller.
    pub(crate) fn end(&self) -> bool {
        // What is released from now on sees the bit, or has been subtracted before it.
        self.word.fetch_or(GONE, Ordering::AcqRel) & GONE == 0
    }

    fn change_state(&self, next: impl Fn(u64) -> u64) -> Word {
        let mut seen = self.word();
        loop {
            if seen.is_gone() {
                return seen;
            }
            // A request that is counted meanwhile makes this fail, so that none is admitted after
            // the bits are set.
            let swapped = self.word.compare_exchange_weak(
                seen.0,
                next(seen.0),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => return seen,
                Err(newer) => seen = Word(newer),
            }
        }
    }
}
