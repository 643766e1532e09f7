//! The state of one request, shared by whoever drives it and whoever looks at it.
//!
//! # Design
//!
//! One cache line, of one control [`word`](crate::word) and the fields that it guards. The word holds what changes with
//! every token.
//!
//! **A token that only counts** (no sample while thinking, no part of a marker, cap not reached) is the word plus a
//! constant: one compare-and-swap by key, one store by a handle. **Any other token** locks the word, applies the
//! state machine to the fields, and stores the next word, which unlocks.
//!
//! **Readers** take the word, the fields, and the word again, and start over if it has changed.
//!
//! **The end** of a request is the `dead` bit, set once by a compare-and-swap; whoever sets it has ended the request.
//! A handle's stores could overwrite the bit, so for an owned cell the end is a flag of its own, `gone`.
//!
//! # Why
//!
//! Tried before, per token by key: a sequence lock with a separate count (28 to 30 ns), a small mutex (34), this (20). A
//! handle: 11 with the sequence lock, 6 with this.
//!
//! # Invariants
//!
//! - The fields change only under the `locked` bit, which only one thread has; they are written before the word that
//!   unlocks.
//! - A by-key change of the word is a compare-and-swap against a word without `dead` and `locked`: a dead cell does
//!   not change.
//! - No code but this module's runs under the lock; it is held for some ten instructions.

use std::time::Duration;

use std_or_loom::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std_or_loom::{spin_loop, yield_now};

use crate::machine::{Averages, Rules, State, step_mut};
use crate::word::{
    ANSWERING, DEAD, FORCED, KIND, LOCKED, NODE, OWNED, THINKING, UNSEEN, VERSION_ONE, count,
    counted, encode, kind, node, progressed,
};
use crate::{EntropySignal, PhaseEvent, PhaseKind, StartPhase, ThinkPhase};

/// See the module.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct PhaseCell {
    word: AtomicU64,
    /// `eat_ema`, `eat_ema_sq`.
    eat: AtomicU64,
    /// `rpdi_local`, `rpdi_global`.
    rpdi: AtomicU64,
    earlier: AtomicU32,
    /// Signs of life that are no tokens. Besides the version, which touches alone could bring round between two sweeps.
    touches: AtomicU32,
    gone: AtomicBool,
    // What the last sweep saw, and when it first saw it. Sweeps take turns.
    seen_touches: AtomicU32,
    seen_word: AtomicU64,
    seen_since: AtomicU64,
}

/// What the cells of a router share: read on every token, so nothing that a token writes belongs beside it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) rules: Rules,
    /// Samples that were ignored since they were not finite.
    pub(crate) ignored: Apart<AtomicU64>,
}

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> std::ops::Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What a token takes. The first two are short cuts past the state machine, whose state would go through memory: nearly
/// every token takes one, and they do what it would do.
#[derive(Clone, Copy)]
enum Work<'s> {
    /// The count goes up.
    Count,
    /// The count goes up, and a sample is taken in, of which most probably nothing comes.
    Sample(&'s EntropySignal),
    /// Anything else.
    Step(Option<&'s EntropySignal>),
}

/// Who drives a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Whoever has its key.
    Key,
    /// The one handle on it.
    Handle,
}

impl PhaseCell {
    pub(crate) fn new(start: StartPhase, driver: Driver) -> Self {
        let state = State::start(start);
        let averages = state.averages;
        let owned = if driver == Driver::Handle { OWNED } else { 0 };
        Self {
            word: AtomicU64::new(encode(&state, owned)),
            eat: AtomicU64::new(bits([averages.eat_ema, averages.eat_ema_sq])),
            rpdi: AtomicU64::new(bits([averages.rpdi_local, averages.rpdi_global])),
            earlier: AtomicU32::new(state.earlier),
            touches: AtomicU32::new(0),
            gone: AtomicBool::new(false),
            seen_touches: AtomicU32::new(0),
            seen_word: AtomicU64::new(UNSEEN),
            seen_since: AtomicU64::new(0),
        }
    }

    /// A token by key; `None` if the request has ended.
    #[inline]
    pub(crate) fn on_token(
        &self,
        shared: &Shared,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Option<PhaseEvent> {
        let mut word = self.word.load(Ordering::Acquire);
        while word & (DEAD | LOCKED | OWNED) == 0 {
            let work = self.work(word, shared, token, sample);
            let next = if let Work::Count = work {
                counted(word)
            } else {
                word | LOCKED
            };
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(self.finish(work, word, shared, token)),
                Err(now) => word = now,
            }
        }
        self.on_token_late(word, shared, token, sample)
    }

    /// A token on a word that is not free to change.
    #[cold]
    fn on_token_late(
        &self,
        word: u64,
        shared: &Shared,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Option<PhaseEvent> {
        if word & OWNED != 0 {
            return self.is_live().then_some(PhaseEvent::HandleDriven);
        }
        if word & DEAD != 0 {
            return None;
        }
        self.unlocked_word();
        self.on_token(shared, token, sample)
    }

    /// A token by the handle, which must be the only one to call this; `None` if the request has ended.
    #[inline]
    pub(crate) fn on_handle_token(
        &self,
        shared: &Shared,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Option<PhaseEvent> {
        if self.gone.load(Ordering::Acquire) {
            return None;
        }
        // Nobody else stores this word.
        let word = self.word.load(Ordering::Relaxed);
        let work = self.work(word, shared, token, sample);
        let next = if let Work::Count = work {
            counted(word)
        } else {
            word | LOCKED
        };
        self.word.store(next, Ordering::Release);
        Some(self.finish(work, word, shared, token))
    }

    /// What a token takes.
    ///
    /// Reads `earlier` without a lock: it changes only with the word, so that whoever installs the next word in the place
    /// of this one has read what belongs to it.
    #[inline]
    fn work<'s>(
        &self,
        word: u64,
        shared: &Shared,
        token: u32,
        sample: Option<&'s EntropySignal>,
    ) -> Work<'s> {
        let (place, count) = (word & (KIND | NODE), count(word));
        if count == u32::MAX {
            return Work::Step(sample);
        }
        if place == THINKING && shared.rules.thinks_on(token) {
            match sample {
                Some(sample) if sample.is_finite() => return Work::Sample(sample),
                None if word & FORCED != 0 || !self.is_spent_by(count + 1, shared) => {
                    return Work::Count;
                }
                _ => {}
            }
        } else if place == ANSWERING && shared.rules.answers_on(token) {
            return Work::Count;
        }
        Work::Step(sample)
    }

    /// What is left to do of a token once its word is stored: nothing where it only counts, else all of it, on a word that
    /// this thread has locked. Stores the next word then, which unlocks.
    #[inline]
    fn finish(&self, work: Work<'_>, word: u64, shared: &Shared, token: u32) -> PhaseEvent {
        match work {
            Work::Count => PhaseEvent::Unchanged,
            Work::Sample(sample) => {
                let count = count(word) + 1;
                let averages = self
                    .averages(Ordering::Relaxed)
                    .with(&shared.rules, sample, count);
                let due = averages.is_due(&shared.rules, count) || self.is_spent_by(count, shared);
                if due && word & FORCED == 0 {
                    return self.step_locked(word, shared, token, Some(sample));
                }
                self.store_averages(averages);
                self.word.store(counted(word), Ordering::Release);
                PhaseEvent::Unchanged
            }
            Work::Step(sample) => self.step_locked(word, shared, token, sample),
        }
    }

    #[inline]
    fn is_spent_by(&self, count: u32, shared: &Shared) -> bool {
        shared
            .rules
            .is_spent(self.earlier.load(Ordering::Relaxed).saturating_add(count))
    }

    #[cold]
    #[inline(never)]
    fn step_locked(
        &self,
        word: u64,
        shared: &Shared,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> PhaseEvent {
        let mut state = self.state(word, Ordering::Relaxed);
        if state.kind == PhaseKind::ThinkDecode && sample.is_some_and(|sample| !sample.is_finite())
        {
            shared.ignored.fetch_add(1, Ordering::Relaxed);
        }
        let event = step_mut(&mut state, &shared.rules, token, sample);
        self.store_averages(state.averages);
        self.earlier.store(state.earlier, Ordering::Release);
        self.word
            .store(encode(&state, progressed(word)), Ordering::Release);
        event
    }

    #[inline]
    fn averages(&self, ordering: Ordering) -> Averages {
        let [eat_ema, eat_ema_sq] = floats(self.eat.load(ordering));
        let [rpdi_local, rpdi_global] = floats(self.rpdi.load(ordering));
        Averages {
            eat_ema,
            eat_ema_sq,
            rpdi_local,
            rpdi_global,
        }
    }

    /// Release, so that a reader who sees one of these also sees that the word was locked before.
    #[inline]
    fn store_averages(&self, averages: Averages) {
        self.eat.store(
            bits([averages.eat_ema, averages.eat_ema_sq]),
            Ordering::Release,
        );
        self.rpdi.store(
            bits([averages.rpdi_local, averages.rpdi_global]),
            Ordering::Release,
        );
    }

    /// The state that belongs to `word`, if it has not changed meanwhile.
    fn state(&self, word: u64, ordering: Ordering) -> State {
        let kind = kind(word);
        State {
            kind,
            forced: word & FORCED != 0,
            node: node(word),
            tokens: if kind == PhaseKind::ThinkDecode {
                count(word)
            } else {
                0
            },
            earlier: self.earlier.load(ordering),
            averages: self.averages(ordering),
        }
    }

    /// The phase at one moment of this call; `None` if the request has ended. Starts over while tokens with samples
    /// come in between.
    pub(crate) fn phase(&self) -> Option<ThinkPhase> {
        loop {
            let word = self.unlocked_word();
            let state = self.state(word, Ordering::Acquire);
            if self.word.load(Ordering::Relaxed) == word {
                return self.is_live().then(|| state.phase());
            }
        }
    }

    /// The kind of the phase, from one load.
    pub(crate) fn kind(&self) -> Option<PhaseKind> {
        let word = self.word.load(Ordering::Acquire);
        self.is_live().then(|| kind(word))
    }

    /// Whether the request has not ended.
    pub(crate) fn is_live(&self) -> bool {
        self.word.load(Ordering::Acquire) & DEAD == 0 && !self.gone.load(Ordering::Acquire)
    }

    /// Ends the request: true for the one caller that did.
    pub(crate) fn end(&self) -> bool {
        if self.is_owned() {
            return self.end_owned();
        }
        loop {
            let word = self.unlocked_word();
            if word & DEAD != 0 {
                return false;
            }
            if self.replace(word, word | DEAD) {
                return true;
            }
        }
    }

    /// A sign of life. False if the request has ended; where it was true, a sweep under way lets it live.
    pub(crate) fn touch(&self) -> bool {
        self.touches.fetch_add(1, Ordering::AcqRel);
        if self.is_owned() {
            return self.is_live();
        }
        loop {
            let word = self.unlocked_word();
            if word & DEAD != 0 {
                return false;
            }
            // A changed word makes the compare-and-swap of a sweep fail that has already looked at this cell.
            if self.replace(word, word.wrapping_add(VERSION_ONE)) {
                return true;
            }
        }
    }

    /// Ends the request if nothing has happened to it for `timeout`, as far as sweeps can tell: true if this did.
    ///
    /// `now` counts from the same moment in every sweep; sweeps must take turns.
    pub(crate) fn end_if_idle(&self, now: Duration, timeout: Duration) -> bool {
        let touches = self.touches.load(Ordering::Acquire);
        let word = self.word.load(Ordering::Acquire);
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        if word & LOCKED != 0
            || self.seen_word.load(Ordering::Relaxed) != word
            || self.seen_touches.load(Ordering::Relaxed) != touches
        {
            self.seen_word.store(word, Ordering::Relaxed);
            self.seen_touches.store(touches, Ordering::Relaxed);
            self.seen_since.store(now, Ordering::Relaxed);
            return false;
        }
        let idle = now.saturating_sub(self.seen_since.load(Ordering::Relaxed));
        if u128::from(idle) < timeout.as_nanos() || word & DEAD != 0 {
            return false;
        }
        if word & OWNED != 0 {
            return self.end_owned();
        }
        self.replace(word, word | DEAD)
    }

    /// Never changes, so that any load will do.
    fn is_owned(&self) -> bool {
        self.word.load(Ordering::Relaxed) & OWNED != 0
    }

    fn end_owned(&self) -> bool {
        !self.gone.swap(true, Ordering::AcqRel)
    }

    fn replace(&self, word: u64, next: u64) -> bool {
        self.word
            .compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The word, once nobody has it locked.
    fn unlocked_word(&self) -> u64 {
        // The holder needs nanoseconds, unless it has lost its core: then it can use this one.
        const SPINS: u32 = 64;
        let mut spins = 0;
        loop {
            let word = self.word.load(Ordering::Acquire);
            if word & LOCKED == 0 {
                return word;
            }
            if spins < SPINS {
                spins += 1;
                spin_loop();
            } else {
                yield_now();
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "either half has 32 bits")]
#[inline]
fn floats(bits: u64) -> [f32; 2] {
    [
        f32::from_bits(bits as u32),
        f32::from_bits((bits >> 32) as u32),
    ]
}

#[inline]
fn bits([low, high]: [f32; 2]) -> u64 {
    u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::word::COUNT;

    #[test]
    fn a_cell_is_one_cache_line_and_shares_it_with_nobody() {
        assert_eq!((size_of::<PhaseCell>(), align_of::<PhaseCell>()), (64, 64));
    }

    /// Where the count is full, no short cut adds to it.
    #[test]
    fn a_full_count_stays() {
        let config = crate::PhaseRouterConfig {
            max_think_tokens: u32::MAX,
            ..crate::PhaseRouterConfig::with_marker_ids([1], [2], [3])
        };
        let shared = Shared {
            rules: Rules::new(&config).unwrap(),
            ignored: Apart::default(),
        };
        let cell = PhaseCell::new(StartPhase::ThinkDecode, Driver::Key);
        cell.word.store(
            cell.word.load(Ordering::Relaxed) | (COUNT - 1),
            Ordering::Relaxed,
        );
        let sample = EntropySignal {
            token_entropy: 1.0,
            eat: 0.5,
        };
        let forced = cell.on_token(&shared, 9, None);
        assert!(
            matches!(forced, Some(PhaseEvent::ForceBudget { .. })),
            "the cap is reached: {forced:?}"
        );
        for sample in [None, Some(&sample), None] {
            assert_eq!(
                cell.on_token(&shared, 9, sample),
                Some(PhaseEvent::Unchanged)
            );
            let Some(ThinkPhase::ThinkDecode { tokens_so_far, .. }) = cell.phase() else {
                panic!("the request thinks");
            };
            assert_eq!(tokens_so_far, u32::MAX);
        }
    }
}
