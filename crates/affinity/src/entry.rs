//! One binding in memory: what never changes of it, and the one word that does.
//!
//! # Design
//!
//! An entry lies in the map's own table: the word, the binding, and where the ledger has it, which hits do not read.
//! **A binding does not change.** A rebind ends one entry and makes another. So a reader that finds an entry has a whole
//! binding in hand, and all there is to race about is the word:
//!
//! | bits | |
//! |---|---|
//! | 18 to 63 | the *deadline*: the first millisecond of the store's clock at which the entry is over |
//! | 17 | whether it has been refreshed since it was bound |
//! | 16 | whether the engine knows of it; set at the start, does not change |
//! | 0 to 15 | turns in flight, that is, leases; while there is one the deadline does not count |
//!
//! The whole word is 0 once the entry has *ended*, and stays so. A refresh, a lease and its release are each a
//! compare-and-swap against a word that has not ended; so is its expiry, against a word whose time is up. Of a refresh and
//! an expiry that race, one sees the other's word.
//!
//! # Why
//!
//! - *No binding that changes inside the entry*: readers would need a sequence lock or a published cell to get it whole.
//!   Rebinding is rare, and looking a second time, see `memory.rs`, is needed anyway.
//! - *In the table, not behind a pointer*: a hit on one of 100,000 sessions waits for memory and for little else, once for
//!   each allocation that it goes through: these were the table, and the entry with its text. `fingerprint.rs` has the figures.
//! - *Where the ledger has it, here*: what the ledger would need to find its own note by, it would have to look up as well.
//! - *A compare-and-swap for a refresh, not a store*: a store could bring an ended entry back.
//!
//! # Invariants
//!
//! - A word that has ended does not change.
//! - Until then the deadline only grows. With leases it may be in the past, and the release sets it anew.
//! - The note changes under the ledger's lock alone.

use std::fmt;

use state_map::Retire;
use state_map::sync::atomic::{AtomicU64, Ordering};
use worker_id::WorkerWithDpRank;

use crate::{Binding, BindingKind};

const ENDED: u64 = 0;
const ONE_LEASE: u64 = 1;
const LEASES: u64 = 0xffff;
const ENGINE: u64 = 1 << 16;
const REFRESHED: u64 = 1 << 17;
const DEADLINE: u32 = 18;

/// The deadline of what never runs out: 2,200 years.
pub(crate) const NEVER: u64 = u64::MAX >> DEADLINE;

/// The most leases of one entry.
pub(crate) const MAX_LEASES: u16 = u16::MAX;

/// What a map of sessions stores: one binding. Opaque, and no bigger than a cache line together with its key.
pub struct SessionEntry {
    word: AtomicU64,
    worker: WorkerWithDpRank,
    generation: u64,
    note: AtomicU64,
}

/// Where the ledger has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) deadline: u64,
    pub(crate) used: bool,
}

/// The moments that an operation goes by, in milliseconds of the store's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: u64,
    /// The deadline of what is used now.
    pub(crate) deadline: u64,
}

/// What can be seen of an entry at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It holds. Its deadline, or, with turns in flight, the earliest that it can have once they are over.
    Live {
        deadline: u64,
        refreshed: bool,
        leased: bool,
    },
    /// Its time is up, and nobody has ended it yet.
    RunOut,
    /// It has ended.
    Ended,
}

impl Note {
    /// A deadline has 46 bits.
    fn into_bits(self) -> u64 {
        self.deadline << 1 | u64::from(self.used)
    }

    fn from_bits(bits: u64) -> Self {
        Self {
            deadline: bits >> 1,
            used: bits & 1 == 1,
        }
    }
}

impl SessionEntry {
    /// With no turn in flight; noted as `note`, by which its deadline is.
    pub(crate) fn new(binding: &Binding, note: Note) -> Self {
        let engine = match binding.kind {
            BindingKind::RouterOnly => 0,
            BindingKind::EngineBacked => ENGINE,
        };
        Self {
            word: AtomicU64::new(note.deadline << DEADLINE | engine),
            worker: binding.worker,
            generation: binding.generation,
            note: AtomicU64::new(note.into_bits()),
        }
    }

    /// Of `word`, which was read while the entry had not ended: an ended one has forgotten its kind.
    #[inline]
    fn binding(&self, word: u64) -> Binding {
        Binding {
            worker: self.worker,
            kind: if word & ENGINE == 0 {
                BindingKind::RouterOnly
            } else {
                BindingKind::EngineBacked
            },
            generation: self.generation,
        }
    }

    /// Where the ledger has it. With the ledger's lock held.
    pub(crate) fn note(&self) -> Note {
        Note::from_bits(self.note.load(Ordering::Relaxed))
    }

    /// With the ledger's lock held.
    pub(crate) fn set_note(&self, note: Note) {
        self.note.store(note.into_bits(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn worker(&self) -> WorkerWithDpRank {
        self.worker
    }

    /// The binding, if it holds now.
    #[inline]
    pub(crate) fn peek(&self, now: u64) -> Option<Binding> {
        let word = self.word.load(Ordering::Acquire);
        holds(word, now).then(|| self.binding(word))
    }

    /// The binding, if it holds now; it is used now.
    #[inline]
    pub(crate) fn refresh(&self, moment: Moment) -> Option<Binding> {
        self.change(moment.now, |word| Some(used(word, moment.deadline)))
    }

    /// The binding, if it holds now, with one lease more. The outer `None` if it does not; the inner one if it has
    /// `most` leases, whose number comes with it.
    pub(crate) fn lease(&self, moment: Moment, most: u16) -> Option<Result<Binding, u16>> {
        let mut turns = 0;
        let leased = self.change(moment.now, |word| {
            turns = leases(word);
            (turns < most).then(|| used(word, moment.deadline) + ONE_LEASE)
        });
        match leased {
            Some(binding) => Some(Ok(binding)),
            None if turns >= most => Some(Err(turns)),
            None => None,
        }
    }

    /// Gives a lease of binding `generation` back, and lets the time begin anew. Nothing where another binding has taken its
    /// place.
    pub(crate) fn release(&self, generation: u64, moment: Moment) {
        if self.generation != generation {
            return;
        }
        // Its own lease keeps it from running out, so that this fails for an ended entry only.
        let _ = self.change(moment.now, |word| {
            Some(used(word, moment.deadline) - ONE_LEASE)
        });
    }

    /// Changes the word of an entry that holds, and answers with its binding; `None` if it does not hold or `next` gives
    /// nothing.
    #[inline]
    fn change(&self, now: u64, mut next: impl FnMut(u64) -> Option<u64>) -> Option<Binding> {
        let word = &self.word;
        let mut seen = word.load(Ordering::Acquire);
        loop {
            if !holds(seen, now) {
                return None;
            }
            let wanted = next(seen)?;
            if wanted == seen {
                return Some(self.binding(seen));
            }
            match word.compare_exchange_weak(seen, wanted, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(self.binding(wanted)),
                Err(newer) => seen = newer,
            }
        }
    }

    /// Ends the entry if its time is up, and answers with what it was, or how it stands.
    pub(crate) fn end_if_run_out(&self, moment: Moment) -> Result<Binding, State> {
        let word = &self.word;
        let mut seen = word.load(Ordering::Acquire);
        loop {
            match state(seen, moment) {
                State::RunOut => {}
                other => return Err(other),
            }
            match word.compare_exchange_weak(seen, ENDED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(self.binding(seen)),
                Err(newer) => seen = newer,
            }
        }
    }

    /// Ends the entry if it is not used any later than `deadline` says, and by nobody's turn.
    pub(crate) fn end_if_idle_since(&self, deadline: u64) -> Option<Binding> {
        let word = &self.word;
        let mut seen = word.load(Ordering::Acquire);
        loop {
            if seen == ENDED || leases(seen) > 0 || deadline_of(seen) > deadline {
                return None;
            }
            match word.compare_exchange_weak(seen, ENDED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(self.binding(seen)),
                Err(newer) => seen = newer,
            }
        }
    }

    /// Ends the entry, whatever it is doing; to its first caller, the binding that it was.
    pub(crate) fn end(&self) -> Option<Binding> {
        let seen = self.word.swap(ENDED, Ordering::AcqRel);
        (seen != ENDED).then(|| self.binding(seen))
    }

    pub(crate) fn state(&self, moment: Moment) -> State {
        state(self.word.load(Ordering::Acquire), moment)
    }
}

#[inline]
fn leases(word: u64) -> u16 {
    u16::try_from(word & LEASES).unwrap_or(MAX_LEASES)
}

#[inline]
fn deadline_of(word: u64) -> u64 {
    word >> DEADLINE
}

/// An ended word's deadline is 0, which has passed at any time.
#[inline]
fn holds(word: u64, now: u64) -> bool {
    deadline_of(word) > now || word & LEASES > 0
}

/// The word after a use: a deadline never moves back, for another user may have seen a later clock.
#[inline]
fn used(word: u64, deadline: u64) -> u64 {
    let deadline = deadline_of(word).max(deadline);
    deadline << DEADLINE | REFRESHED | word & (ENGINE | LEASES)
}

fn state(word: u64, moment: Moment) -> State {
    let leased = word & LEASES > 0;
    if word == ENDED {
        State::Ended
    } else if holds(word, moment.now) {
        State::Live {
            deadline: deadline_of(word).max(if leased { moment.deadline } else { 0 }),
            refreshed: word & REFRESHED > 0,
            leased,
        }
    } else {
        State::RunOut
    }
}

impl fmt::Debug for SessionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        f.debug_struct("SessionEntry")
            .field("binding", &self.binding(word))
            .field("ended", &(word == ENDED))
            .finish()
    }
}

/// Nothing has to be handed over: whoever ended the entry has what there was to know.
impl Retire for SessionEntry {
    type Payload = ();

    fn retire(&self) {}
}
