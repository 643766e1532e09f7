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
//! The end of a turn lets the time begin anew, by a clock that its thread read before, and that others may have seen move on
//! since. So **whoever finds an entry held by a turn in flight moves its deadline**, to where the end of the turn would move
//! it if it came now. An end that knows an older time leaves the deadline there, and counts as of that moment.
//!
//! # Why
//!
//! - *No binding that changes inside the entry*: readers would need a sequence lock or a published cell to get it whole.
//!   Rebinding is rare, and looking a second time, see `memory.rs`, is needed anyway.
//! - *In the table, not behind a pointer*: a hit on one of 100,000 sessions waits for memory and for little else, once for
//!   each allocation that it goes through: these were the table, and the entry with its text. `fingerprint.rs` has the figures.
//! - *Where the ledger has it, here*: what the ledger would need to find its own note by, it would have to look up as well.
//! - *A compare-and-swap for a refresh, not a store*: a store could bring an ended entry back.
//! - *Moved by those who look, not an end under the lock*: an end that had read 22 ms, and wrote after others had seen the
//!   binding held at 39 ms, left it run out at once; recorded histories showed it. The clock stands still while the ledger's
//!   lock is held, but a turn is one request, and should take no lock. This is at most one write a millisecond, to a word
//!   that the turn writes anyway.
//!
//! # Invariants
//!
//! - A word that has ended does not change.
//! - Until then the deadline only grows. With leases it may be in the past for as long as nobody looks.
//! - Whoever found it held by a turn in flight at a time `t` has left a deadline of `t` and a time to live, or a later one.
//! - The note changes under the ledger's lock alone.

use std::fmt;

use std_or_loom::atomic::{AtomicU64, Ordering};
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

/// What is seen of an entry that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) deadline: u64,
    pub(crate) refreshed: bool,
    pub(crate) leased: bool,
}

impl Live {
    fn of(word: u64) -> Self {
        Self {
            deadline: deadline_of(word),
            refreshed: word & REFRESHED > 0,
            leased: leases(word) > 0,
        }
    }
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
    pub(crate) fn peek(&self, moment: Moment) -> Option<Binding> {
        let seen = self.change(moment, |word| looked_at(word, moment))?;
        Some(self.binding(seen))
    }

    /// The binding, if it holds now; it is used now.
    #[inline]
    pub(crate) fn refresh(&self, moment: Moment) -> Option<Binding> {
        let seen = self.change(moment, |word| used(word, moment))?;
        Some(self.binding(seen))
    }

    /// The binding, if it holds now, with one lease more. The outer `None` if it does not; the inner error if it has `most`
    /// leases: how many.
    pub(crate) fn lease(&self, moment: Moment, most: u16) -> Option<Result<Binding, u16>> {
        let is_free = |word| leases(word) < most;
        let seen = self.change(moment, |word| {
            if is_free(word) {
                used(word, moment) + ONE_LEASE
            } else {
                looked_at(word, moment)
            }
        })?;
        Some(if is_free(seen) {
            Ok(self.binding(seen))
        } else {
            Err(leases(seen))
        })
    }

    /// Gives a lease of binding `generation` back, and lets the time begin anew. Nothing where another binding has taken its
    /// place, or the entry has ended.
    pub(crate) fn release(&self, generation: u64, moment: Moment) {
        if self.generation == generation {
            let _ = self.change(moment, |word| used(word, moment) - ONE_LEASE);
        }
    }

    /// Ends the entry if its time is up, and answers with what it was, unless it had ended before.
    ///
    /// # Errors
    ///
    /// If it holds: how it stands.
    pub(crate) fn end_if_run_out(&self, moment: Moment) -> Result<Option<Binding>, Live> {
        let holds = |word| holds(word, moment.now);
        let (seen, left) = self.leave(|word| {
            if holds(word) {
                looked_at(word, moment)
            } else {
                ENDED
            }
        });
        if holds(seen) {
            return Err(Live::of(left));
        }
        Ok((seen != ENDED).then(|| self.binding(seen)))
    }

    /// Ends the entry if it is not used any later than `deadline` says, and by nobody's turn.
    pub(crate) fn end_if_idle_since(&self, deadline: u64) -> Option<Binding> {
        let is_idle = |word| leases(word) == 0 && deadline_of(word) <= deadline;
        let (seen, left) = self.leave(|word| if is_idle(word) { ENDED } else { word });
        (seen != left).then(|| self.binding(seen))
    }

    /// Ends the entry, whatever it is doing; to its first caller, the binding that it was.
    pub(crate) fn end(&self) -> Option<Binding> {
        let seen = self.word.swap(ENDED, Ordering::AcqRel);
        (seen != ENDED).then(|| self.binding(seen))
    }

    /// How it stands, if it holds.
    pub(crate) fn live(&self, moment: Moment) -> Option<Live> {
        let seen = self.change(moment, |word| looked_at(word, moment))?;
        Some(Live::of(looked_at(seen, moment)))
    }

    /// Changes the word of an entry that holds, and answers with what it was.
    #[inline]
    fn change(&self, moment: Moment, next: impl Fn(u64) -> u64) -> Option<u64> {
        let holds = |word| holds(word, moment.now);
        let (seen, _) = self.leave(|word| if holds(word) { next(word) } else { word });
        holds(seen).then_some(seen)
    }

    /// Leaves the word as `next` says, and answers with what it was and is.
    #[inline]
    fn leave(&self, next: impl Fn(u64) -> u64) -> (u64, u64) {
        let word = &self.word;
        let mut seen = word.load(Ordering::Acquire);
        loop {
            let left = next(seen);
            if left == seen {
                return (seen, left);
            }
            match word.compare_exchange_weak(seen, left, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return (seen, left),
                Err(newer) => seen = newer,
            }
        }
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
fn used(word: u64, moment: Moment) -> u64 {
    later(word, moment.deadline) | REFRESHED
}

/// The word after somebody went by it who does not use it.
#[inline]
fn looked_at(word: u64, moment: Moment) -> u64 {
    if leases(word) > 0 {
        later(word, moment.deadline)
    } else {
        word
    }
}

#[inline]
fn later(word: u64, deadline: u64) -> u64 {
    let deadline = deadline_of(word).max(deadline);
    deadline << DEADLINE | word & !(u64::MAX << DEADLINE)
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
