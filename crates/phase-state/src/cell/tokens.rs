//! Tokens, and other changes of a request by whoever drives it.

use std::mem;

use state_map::sync::atomic::Ordering;

use super::PhaseCell;
use crate::machine::{State, step_mut};
use crate::marker::ROOT;
use crate::word::{
    ANSWERING, CALLING, DEAD, FORCED, KIND, LOCKED, NODE, OWNED, THINKING, TURN, counted,
};
use crate::{EntropySignal, FormatId, NotFed, PhaseEvent, PhaseKind};

/// What a token did, with what metrics have to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fed {
    pub(crate) event: PhaseEvent,
    /// The format of the request, for its label.
    pub(crate) format: FormatId,
    /// Not told before.
    pub(crate) is_news: bool,
}

impl Fed {
    /// A token that only counted: nobody is told of it.
    const UNCHANGED: Self = Self {
        event: PhaseEvent::Unchanged,
        format: FormatId(0),
        is_news: false,
    };
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

/// A word that this thread has locked. Puts it back as it was if this goes without having stored the next: no field was
/// written then.
struct Lock<'a> {
    cell: &'a PhaseCell,
    word: u64,
}

impl Lock<'_> {
    /// Makes `state` the next one, which unlocks.
    fn publish(self, state: &State) {
        self.cell.publish(self.word, state);
        mem::forget(self);
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        self.cell.word.store(self.word, Ordering::Release);
    }
}

impl PhaseCell {
    /// A token by key.
    #[inline]
    pub(crate) fn on_token(
        &self,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Result<Fed, NotFed> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & (DEAD | LOCKED | OWNED) != 0 {
                return Err(self.refusal(word));
            }
            let work = self.work(word, token, sample);
            let next = if let Work::Count = work {
                counted(word)
            } else {
                word | LOCKED
            };
            // Fails where another token got through, or a touch: each round is somebody's progress.
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Ok(self.finish(work, word, token)),
                Err(now) => word = now,
            }
        }
    }

    #[cold]
    fn refusal(&self, word: u64) -> NotFed {
        if word & OWNED != 0 {
            return if self.is_live() {
                NotFed::HandleDriven
            } else {
                NotFed::NotTracked
            };
        }
        if word & DEAD != 0 {
            NotFed::NotTracked
        } else {
            NotFed::Busy
        }
    }

    /// A token by the handle, which must be the only one to call this.
    #[inline]
    pub(crate) fn on_handle_token(
        &self,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Result<Fed, NotFed> {
        // Whoever ends the request does not wait for this: a token that comes in the same instant is the last.
        if u64::from(self.life.load(Ordering::Acquire)) & DEAD != 0 {
            return Err(NotFed::NotTracked);
        }
        // Nobody else stores this word.
        let word = self.word.load(Ordering::Relaxed);
        let work = self.work(word, token, sample);
        if let Work::Count = work {
            self.word.store(counted(word), Ordering::Release);
        }
        Ok(self.finish(work, word, token))
    }

    /// What a token takes.
    ///
    /// Reads `limit` without a lock: it changes only with the word, so that whoever installs the next word in the place
    /// of `word` has read the one that belongs to it.
    #[inline]
    fn work<'s>(&self, word: u64, token: u32, sample: Option<&'s EntropySignal>) -> Work<'s> {
        if counted(word) < self.limit.load(Ordering::Relaxed) {
            let place = word & (KIND | NODE);
            if place == THINKING {
                match sample {
                    _ if !self.rules.think.is_plain(ROOT, token) => {}
                    None => return Work::Count,
                    Some(sample) if sample.is_finite() => return Work::Sample(sample),
                    Some(_) => {}
                }
            } else if place == ANSWERING && self.rules.output.is_plain(ROOT, token)
                || place == CALLING && self.rules.tool.is_plain(ROOT, token)
            {
                return Work::Count;
            }
        }
        Work::Step(sample)
    }

    /// What is left to do of a token, on a word that is this thread's to store: nothing where it only counts.
    #[inline]
    fn finish(&self, work: Work<'_>, word: u64, token: u32) -> Fed {
        match work {
            Work::Count => Fed::UNCHANGED,
            Work::Sample(sample) => {
                let n = self.tokens(word, Ordering::Relaxed).wrapping_add(1);
                let averages = self
                    .averages(word, Ordering::Relaxed)
                    .with(&self.rules, sample, n);
                if word & FORCED == 0 && averages.judge(&self.rules, n).is_some() {
                    return self.step(word, token, Some(sample));
                }
                self.write_averages(word, averages);
                self.word.store(counted(word) ^ TURN, Ordering::Release);
                Fed::UNCHANGED
            }
            Work::Step(sample) => self.step(word, token, sample),
        }
    }

    #[cold]
    #[inline(never)]
    fn step(&self, word: u64, token: u32, sample: Option<&EntropySignal>) -> Fed {
        // By handle nothing is locked, and to put the same word back is nothing.
        let lock = Lock { cell: self, word };
        let mut state = self.state(word, Ordering::Relaxed);
        if state.kind == PhaseKind::ThinkDecode && sample.is_some_and(|sample| !sample.is_finite())
        {
            self.rules.counts.ignore();
        }
        let event = step_mut(&mut state, &self.rules, token, sample);
        let is_news = self.is_news(event, &state);
        lock.publish(&state);
        Fed {
            event,
            format: self.rules.id,
            is_news,
        }
    }

    /// A change by key that is no token.
    pub(crate) fn change(&self, change: impl Fn(&mut State) -> PhaseEvent) -> Result<Fed, NotFed> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & (DEAD | LOCKED | OWNED) != 0 {
                return Err(self.refusal(word));
            }
            // As for a token: each round is somebody's progress.
            match self.word.compare_exchange_weak(
                word,
                word | LOCKED,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(self.changed(word, change)),
                Err(now) => word = now,
            }
        }
    }

    /// The same by the handle, which must be the only one to call this.
    pub(crate) fn change_by_handle(
        &self,
        change: impl Fn(&mut State) -> PhaseEvent,
    ) -> Result<Fed, NotFed> {
        if u64::from(self.life.load(Ordering::Acquire)) & DEAD != 0 {
            return Err(NotFed::NotTracked);
        }
        Ok(self.changed(self.word.load(Ordering::Relaxed), change))
    }

    fn changed(&self, word: u64, change: impl Fn(&mut State) -> PhaseEvent) -> Fed {
        let lock = Lock { cell: self, word };
        let mut state = self.state(word, Ordering::Relaxed);
        let event = change(&mut state);
        let is_news = self.is_news(event, &state);
        lock.publish(&state);
        Fed {
            event,
            format: self.rules.id,
            is_news,
        }
    }
}
