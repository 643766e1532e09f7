//! Signs of life, and the end of a request.
//!
//! Both are bits of one word, which is the control word by key and `life` by handle: a touch sets `touched`, the end sets
//! `dead`, and a sweep ends only by a compare-and-swap against a word without either. So of a touch and a sweep, one comes
//! first, and the other knows.

use std::time::Duration;

use state_map::sync::atomic::Ordering;

use super::{Busy, PhaseCell};
use crate::machine::State;
use crate::word::{DEAD, LOCKED, TOUCHED, UNSEEN};

#[expect(
    clippy::cast_possible_truncation,
    reason = "both are among the lower 32 bits"
)]
const LIFE_TOUCHED: u32 = TOUCHED as u32;
#[expect(
    clippy::cast_possible_truncation,
    reason = "both are among the lower 32 bits"
)]
const LIFE_DEAD: u32 = DEAD as u32;

impl PhaseCell {
    /// A sign of life. False if the request has ended; where it was true, no sweep under way ends it.
    pub(crate) fn touch(&self) -> bool {
        if self.is_owned() {
            return self.life.fetch_or(LIFE_TOUCHED, Ordering::AcqRel) & LIFE_DEAD == 0;
        }
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & DEAD != 0 {
                return false;
            }
            if word & LOCKED != 0 {
                // A token is under way: it is the sign of life, since the word that it stores is another.
                return true;
            }
            // Also where it is touched already: a sweep may just be taking that away. Fails where a token or a sweep got
            // through.
            match self.word.compare_exchange_weak(
                word,
                word | TOUCHED,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Ends the request: true for the one caller that did.
    pub(crate) fn end(&self) -> Result<bool, Busy> {
        if self.is_owned() {
            return Ok(self.life.fetch_or(LIFE_DEAD, Ordering::AcqRel) & LIFE_DEAD == 0);
        }
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & DEAD != 0 {
                return Ok(false);
            }
            if word & LOCKED != 0 {
                return Err(Busy);
            }
            // Fails where a token or a touch got through: each round is somebody's progress.
            match self.word.compare_exchange_weak(
                word,
                word | DEAD,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(true),
                Err(now) => word = now,
            }
        }
    }

    /// Ends the request if nothing has happened to it for `timeout`, as far as sweeps can tell: its last state, if this
    /// did.
    ///
    /// `now` counts from the same moment in every sweep; sweeps must take turns.
    pub(crate) fn end_if_idle(&self, now: Duration, timeout: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let (word, touched) = if self.is_owned() {
            let life = self.life.load(Ordering::Acquire);
            (
                self.word.load(Ordering::Acquire) | u64::from(life & LIFE_DEAD),
                life & LIFE_TOUCHED != 0,
            )
        } else {
            let word = self.word.load(Ordering::Acquire);
            (word, word & TOUCHED != 0)
        };
        if word & DEAD != 0 {
            return false;
        }
        // A word that is locked is one that a token is about to change.
        if touched || word & LOCKED != 0 || self.seen_word.load(Ordering::Relaxed) != word {
            self.seen_word.store(self.untouch(word), Ordering::Relaxed);
            self.seen_since.store(now, Ordering::Relaxed);
            return false;
        }
        let idle = now.saturating_sub(self.seen_since.load(Ordering::Relaxed));
        if u128::from(idle) < timeout.as_nanos() {
            return false;
        }
        // Fails where there was a token or a touch since the load above: it was answered, and the request lives.
        if self.is_owned() {
            let ended =
                self.life
                    .compare_exchange(0, LIFE_DEAD, Ordering::AcqRel, Ordering::Relaxed);
            return ended.is_ok();
        }
        let ended =
            self.word
                .compare_exchange(word, word | DEAD, Ordering::AcqRel, Ordering::Relaxed);
        ended.is_ok()
    }

    /// Takes the mark of a touch away, and says what word to remember: none where it is about to change.
    fn untouch(&self, word: u64) -> u64 {
        if self.is_owned() {
            self.life.fetch_and(!LIFE_TOUCHED, Ordering::AcqRel);
            return word;
        }
        let untouched = word & !TOUCHED;
        if word & LOCKED != 0 {
            return UNSEEN;
        }
        // Fails where the word has changed meanwhile: then the next sweep sees that.
        let _ = self
            .word
            .compare_exchange(word, untouched, Ordering::AcqRel, Ordering::Relaxed);
        untouched
    }

    /// The last state, for whoever has ended the request. By key it does not change any more; by handle there may be a
    /// token more in it, or one less, if that came in the same instant.
    pub(crate) fn last(&self) -> Result<State, Busy> {
        self.read()
    }
}
