//! The state of one request, shared by whoever drives it and whoever looks at it.
//!
//! # Design
//!
//! Two cache lines. The first has the control [`word`](crate::word) and all that a plain token reads; the second what changes
//! with the phase, and what sweeps remember.
//!
//! - **A token that only counts** is the word plus a constant: one compare-and-swap by key, one store by a handle.
//! - **A token with a sample** writes the copy of the averages that nobody reads, and turns to it with the next word.
//! - **Any other change** computes the next state, sets `stepping`, writes the fields, and stores the next word.
//!
//! By key, the last two lock the word first: `tokens.rs`. Readers take the word, the fields, and the word again, and start
//! over if it has changed: `read`. The end and signs of life are in `life.rs`.
//!
//! # Invariants
//!
//! 1. The fields of a turn, and those beside, change only between two words that differ in `progress`.
//! 2. By key, whoever changes the word does so by a compare-and-swap against one that is neither `dead` nor `locked`, and only
//!    who has `locked` it stores it. By handle, only the handle stores it.
//! 3. Nothing here waits: what cannot be done now is [`Busy`]. Who may wait does so outside of the map, see `patience.rs`.
//! 4. No code but this crate's runs under `locked`; should it panic, the word is put back (`Lock`).

mod life;
mod tokens;

use std::sync::Arc;

use state_map::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::machine::{Averages, State, Tally};
use crate::rules::Rules;
use crate::word::{
    DEAD, FIRST, FORCED, LOCKED, OWNED, PROGRESS_SHIFT, STEPPING, TOUCHED, TURN, UNSEEN, encode,
    kind, node, progress, turn,
};
use crate::{BudgetForceReason, Forced, Injection, PhaseEvent, PhaseKind, ThinkPhase};

pub(crate) use tokens::Fed;

/// See the module.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct PhaseCell {
    // The line of every token.
    word: AtomicU64,
    /// The word from which on a token that only counts needs a look: the cap is reached, or the count is full.
    limit: AtomicU64,
    pub(crate) rules: Arc<Rules>,
    /// Two copies of `mass_ema, mass_sq_ema` and `rpdi_local, rpdi_global`.
    averages: [[AtomicU64; 2]; 2],
    /// The progress, its lower half, with which this phase began.
    base: AtomicU32,
    /// `touched` and `dead` of a request that a handle drives.
    life: AtomicU32,

    // The line of the phases: written under `stepping`.
    budget: AtomicU32,
    think: AtomicU32,
    tool: AtomicU32,
    output: AtomicU32,
    /// `spans` below, `tool_spans` above.
    spans: AtomicU32,
    forced_at: AtomicU32,
    /// 0 for none, else one more than the reason.
    forced_for: AtomicU32,
    /// Thoughts whose end was told to metrics below, whose force was above: a rollback brings neither back.
    told: AtomicU32,
    // What the last sweep saw, and when it first saw it. Sweeps take turns.
    seen_word: AtomicU64,
    seen_since: AtomicU64,
}

/// Another thread is inside a change of the request: nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Who drives a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Whoever has its key.
    Key,
    /// The one handle on it.
    Handle,
}

const REASONS: [BudgetForceReason; 3] = [
    BudgetForceReason::Converged,
    BudgetForceReason::Overthinking,
    BudgetForceReason::HardCap,
];

impl PhaseCell {
    pub(crate) fn new(rules: Arc<Rules>, state: &State, driver: Driver) -> Self {
        let owned = if driver == Driver::Handle { OWNED } else { 0 };
        // What the state has already told elsewhere: all thoughts before this one, and this one's force.
        let ended = state.tally.spans
            - u16::from(state.kind == PhaseKind::ThinkDecode && state.tally.spans > 0);
        let forced = if state.forced {
            state.tally.spans
        } else {
            ended
        };
        let cell = Self {
            word: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            rules,
            averages: Default::default(),
            base: AtomicU32::new(0),
            life: AtomicU32::new(0),
            budget: AtomicU32::new(0),
            think: AtomicU32::new(0),
            tool: AtomicU32::new(0),
            output: AtomicU32::new(0),
            spans: AtomicU32::new(0),
            forced_at: AtomicU32::new(0),
            forced_for: AtomicU32::new(0),
            told: AtomicU32::new(pair(ended, forced)),
            seen_word: AtomicU64::new(UNSEEN),
            seen_since: AtomicU64::new(0),
        };
        cell.publish(FIRST << PROGRESS_SHIFT | owned, state);
        cell
    }

    /// The state, whole, of one moment of this call. Starts over while tokens come in between.
    pub(crate) fn read(&self) -> Result<State, Busy> {
        loop {
            let word = self.word.load(Ordering::Acquire);
            if word & STEPPING != 0 {
                return Err(Busy);
            }
            let state = self.state(word, Ordering::Acquire);
            // The copy of this turn is written again only after the word has turned away from it; a field that was read
            // late, by Acquire, brings the word along under which it was written.
            let now = self.word.load(Ordering::Relaxed);
            if (now ^ word) & !(LOCKED | TOUCHED | DEAD) == 0 {
                return Ok(state);
            }
        }
    }

    /// The phase, of one moment of this call; `None` if the request has ended.
    pub(crate) fn phase(&self) -> Result<Option<ThinkPhase>, Busy> {
        let state = self.read()?;
        Ok(self.is_live().then(|| state.phase()))
    }

    /// The kind of the phase, from one load.
    pub(crate) fn kind(&self) -> Option<PhaseKind> {
        let word = self.word.load(Ordering::Acquire);
        self.is_live().then(|| kind(word))
    }

    /// The state that belongs to `word`, if it has not changed meanwhile.
    fn state(&self, word: u64, ordering: Ordering) -> State {
        let spans = self.spans.load(ordering);
        State {
            kind: kind(word),
            forced: word & FORCED != 0,
            node: node(word),
            tokens: self.tokens(word, ordering),
            tally: Tally {
                budget: self.budget.load(ordering),
                think: self.think.load(ordering),
                tool: self.tool.load(ordering),
                output: self.output.load(ordering),
                spans: low(spans),
                tool_spans: high(spans),
                forced: self.forced(ordering),
            },
            averages: self.averages(word, ordering),
        }
    }

    /// The tokens of this phase.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half is what is stored"
    )]
    #[inline]
    fn tokens(&self, word: u64, ordering: Ordering) -> u32 {
        (progress(word) as u32).wrapping_sub(self.base.load(ordering))
    }

    fn forced(&self, ordering: Ordering) -> Option<Forced> {
        let at_token = self.forced_at.load(ordering);
        let number = self.forced_for.load(ordering).checked_sub(1)?;
        let reason = *REASONS.get(usize::try_from(number).ok()?)?;
        Some(Forced { reason, at_token })
    }

    #[inline]
    fn averages(&self, word: u64, ordering: Ordering) -> Averages {
        let [mass, rpdi] = &self.averages[turn(word)];
        let [mass_ema, mass_sq_ema] = floats(mass.load(ordering));
        let [rpdi_local, rpdi_global] = floats(rpdi.load(ordering));
        Averages {
            mass_ema,
            mass_sq_ema,
            rpdi_local,
            rpdi_global,
        }
    }

    /// Writes the copy that `word` does not read. Release, so that a reader who sees one of these also sees that the word
    /// has turned away from them.
    #[inline]
    fn write_averages(&self, word: u64, averages: Averages) {
        let [mass, rpdi] = &self.averages[turn(word ^ TURN)];
        mass.store(
            bits([averages.mass_ema, averages.mass_sq_ema]),
            Ordering::Release,
        );
        rpdi.store(
            bits([averages.rpdi_local, averages.rpdi_global]),
            Ordering::Release,
        );
    }

    /// Makes `state` what comes after `word`, which is this thread's to store: it has locked it, or is the handle.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half is what is stored"
    )]
    fn publish(&self, word: u64, state: &State) {
        let next = encode(state, word);
        let base = progress(next) - u64::from(state.tokens);
        let limit = (base + u64::from(state.look_at(&self.rules))) << PROGRESS_SHIFT;
        // A reader who sees any field of the next state, by Acquire, sees this or the next word, and starts over.
        self.word.store(word | LOCKED | STEPPING, Ordering::Release);
        self.write_averages(word, state.averages);
        let tally = &state.tally;
        let (forced_for, forced_at) = tally.forced.map_or((0, 0), |Forced { reason, at_token }| {
            (1 + reason as u32, at_token)
        });
        for (field, value) in [
            (&self.base, base as u32),
            (&self.budget, tally.budget),
            (&self.think, tally.think),
            (&self.tool, tally.tool),
            (&self.output, tally.output),
            (&self.spans, pair(tally.spans, tally.tool_spans)),
            (&self.forced_at, forced_at),
            (&self.forced_for, forced_for),
        ] {
            field.store(value, Ordering::Release);
        }
        self.limit.store(limit, Ordering::Release);
        self.word.store(next, Ordering::Release);
    }

    /// Whether the request has not ended.
    pub(crate) fn is_live(&self) -> bool {
        self.word.load(Ordering::Acquire) & DEAD == 0
            && u64::from(self.life.load(Ordering::Acquire)) & DEAD == 0
    }

    /// Never changes, so that any load will do.
    fn is_owned(&self) -> bool {
        self.word.load(Ordering::Relaxed) & OWNED != 0
    }

    /// Whether metrics have yet to be told of an event, and says that they are now. A thought that ends again, after a
    /// rollback, is no other thought. For who has locked the word, or is the handle.
    fn is_news(&self, event: PhaseEvent, state: &State) -> bool {
        let told = self.told.load(Ordering::Relaxed);
        let (ended, forced) = (low(told), high(told));
        let spans = state.tally.spans;
        let (is_news, now) = match event {
            PhaseEvent::ExitThink { .. } => (spans > ended, pair(spans.max(ended), forced)),
            PhaseEvent::ForceBudget { .. } => (spans > forced, pair(ended, spans.max(forced))),
            _ => (true, told),
        };
        // Relaxed: whoever reads it has locked the word after this, or ends the request.
        self.told.store(now, Ordering::Relaxed);
        is_news
    }

    /// The tokens of a thought that the end of the request cuts, which nobody has been told of.
    pub(crate) fn cut(&self, state: &State) -> Option<u32> {
        let told = low(self.told.load(Ordering::Relaxed));
        let is_cut = state.kind == PhaseKind::ThinkDecode && state.tally.spans > told;
        (is_cut && state.tokens > 0).then_some(state.tokens)
    }

    /// The tokens of what is left to inject.
    pub(crate) fn injection(&self, injection: Injection) -> &[u32] {
        self.rules.tokens(injection)
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

fn pair(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn low(pair: u32) -> u16 {
    pair as u16
}

fn high(pair: u32) -> u16 {
    low(pair >> 16)
}

#[cfg(test)]
mod tests;
