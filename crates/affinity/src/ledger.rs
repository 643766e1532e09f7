//! What a store knows of its sessions beside the map: in which order they run out, and the names of those that somebody may
//! ask for.
//!
//! # Design
//!
//! Ordered sets under one lock, which every write of the store takes and no hit does. The entries' words are
//! none of its business: whoever writes looks at them, and says here what they came to.
//!
//! - *When they run out*: by the deadline that each entry had when it was last looked at, its [`Note`], which the entry
//!   keeps. A refresh does not come here: the true deadline can only be later. When the noted one has come, a *look* at the
//!   entry either ends it or notes its deadline anew. So all that has run out is found at the front, and an entry is looked
//!   at about once in its time to live, however often it is used. In two halves: entries that no look has seen refreshed,
//!   and the others. Evictions begin with the first. Walks over everything go by this order too.
//! - *Names*, of sessions that an engine knows of, for `on_expire`, and of those in the scope of a tenant, a model or a leg, to
//!   be released by session. In the order of their fingerprints, in which all scopes of one session are together.
//!
//! # Why
//!
//! - *Ordered sets, not a timer wheel*: an entry leaves them exactly when it ends. A wheel keeps what has ended until its
//!   slot comes round, or needs links both ways; under sessions that come and go fast that is more than the entries.
//! - *Ordered by numbers, not by text*: text took some twenty comparisons, of three parts each and in as many cache lines,
//!   which was most of a sweep: 5,600 instructions for each entry that ended among 10,000, and 7,700 among 1,000,000.
//! - *No names of the others*: the pin of a router's own ends silently and has one scope. With its name in an allocation and a
//!   place for it in a third order such a session took 233 bytes, the published design's 142.
//! - *One lock, not one a shard*: the bound on entries is exact, evictions go by all entries, and the writes of a store
//!   cannot race with each other, which leaves only hits against writes to be proved. A binding is made once in a
//!   conversation.
//!
//! # Invariants
//!
//! - Whenever the lock is free, an entry that is in the map is in the half that its note says, by the deadline that it says,
//!   and nothing else is.
//! - The deadline noted of an entry is its true one or earlier.
//! - Notes move on: to a later deadline, or from the half of the fresh to that of the used. A walk over the fresh, and then
//!   over the used, comes upon everything that was there when it began.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use state_map::Access;

use crate::entry::{Live, Moment, Note, SessionEntry};
use crate::fingerprint::SessionFingerprint;
use crate::map::SessionMap;
use crate::{SessionKey, SessionRef};

/// The most entries that are looked at in one go, with the lock held.
pub(crate) const BITE: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    fresh: BTreeSet<Due>,
    used: BTreeSet<Due>,
    names: BTreeMap<SessionFingerprint, SessionKey>,
    generation: u64,
}

/// A noted deadline, and whose.
type Due = (u64, SessionFingerprint);

/// How far a walk over everything has come: the half of the used, or not, and an entry of it.
pub(crate) type Walked = (bool, Due);

/// Whom an eviction should end.
#[derive(Debug)]
pub(crate) enum Oldest {
    /// This one, if it still has this deadline.
    Is(SessionFingerprint, u64),
    /// None was found in a bite; another bite may find one.
    NotYet,
    /// There is none to be found: all are in use at this moment.
    AllInUse,
}

impl Ledger {
    pub(crate) fn len(&self) -> usize {
        self.fresh.len() + self.used.len()
    }

    pub(crate) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Notes a new entry.
    pub(crate) fn add(
        &mut self,
        at: SessionFingerprint,
        name: Option<SessionKey>,
        deadline: u64,
    ) -> Note {
        if let Some(name) = name {
            self.names.insert(at, name);
        }
        let used = false;
        self.fresh.insert((deadline, at));
        Note { deadline, used }
    }

    /// Forgets an entry, and answers with its name, if it had one here.
    pub(crate) fn remove(&mut self, at: SessionFingerprint, note: Note) -> Option<SessionKey> {
        self.unnote(at, note);
        self.remove_taken(at)
    }

    /// Forgets an entry that was [taken](Self::take_due), and answers with its name.
    pub(crate) fn remove_taken(&mut self, at: SessionFingerprint) -> Option<SessionKey> {
        self.names.remove(&at)
    }

    pub(crate) fn unnote(&mut self, at: SessionFingerprint, note: Note) {
        self.half(note.used).remove(&(note.deadline, at));
    }

    /// Notes the deadline of an entry, which is nowhere, as a look at it has found it.
    pub(crate) fn note(
        &mut self,
        at: SessionFingerprint,
        entry: &SessionEntry,
        deadline: u64,
        used: bool,
    ) {
        entry.set_note(Note { deadline, used });
        self.half(used).insert((deadline, at));
    }

    fn half(&mut self, used: bool) -> &mut BTreeSet<Due> {
        if used {
            &mut self.used
        } else {
            &mut self.fresh
        }
    }

    /// Takes out an entry that may have run out by `now`: everything that has is found so. It is noted anew or removed
    /// before the lock is free.
    pub(crate) fn take_due(&mut self, now: u64) -> Option<SessionFingerprint> {
        let half = self.half_due(now)?;
        let (_, at) = self.half(half).pop_first()?;
        Some(at)
    }

    /// Whether there is one to be taken.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.half_due(now).is_some()
    }

    /// The half that has one.
    fn half_due(&self, now: u64) -> Option<bool> {
        [(false, &self.fresh), (true, &self.used)]
            .into_iter()
            .find(|(_, half)| half.first().is_some_and(|(noted, _)| *noted <= now))
            .map(|(used, _)| used)
    }

    /// Finds an entry of this map that has been idle long, as [`EvictOldestIdle`](crate::WhenFull::EvictOldestIdle) says.
    /// Called where none is [due](Self::is_due).
    pub(crate) fn oldest_idle<M: SessionMap>(
        &mut self,
        moment: Moment,
        access: &Access<'_, M>,
    ) -> Oldest {
        let live = |at: &SessionFingerprint| access.read(at, |entry| entry.live(moment)).flatten();
        let mut oldest: Option<Due> = None;
        for _ in 0..BITE {
            let first = self.fresh.first().or_else(|| self.used.first());
            let Some(&(noted, at)) = first else {
                break;
            };
            let Some(Live {
                deadline,
                refreshed,
                leased,
            }) = live(&at)
            else {
                return Oldest::NotYet;
            };
            let known = !refreshed || self.fresh.is_empty();
            if known && leased && noted >= moment.deadline {
                // All that follow are in use at this moment; some perhaps not by a turn in flight.
                let mut used = self.used.iter().take(BITE);
                let idle = used.find_map(|(_, at)| {
                    let idle = live(at).filter(|live| !live.leased)?;
                    Some(Oldest::Is(*at, idle.deadline))
                });
                return idle.unwrap_or(Oldest::AllInUse);
            }
            if known && !leased && noted == deadline {
                return Oldest::Is(at, deadline);
            }
            let _ = access.read(&at, |entry| {
                self.unnote(at, entry.note());
                self.note(at, entry, deadline, true);
            });
            if !leased && oldest.is_none_or(|(least, _)| deadline < least) {
                oldest = Some((deadline, at));
            }
        }
        oldest.map_or(Oldest::NotYet, |(deadline, at)| Oldest::Is(at, deadline))
    }

    /// Up to a bite of the entries that have a name here and this owner, whose fingerprint is `at`.
    pub(crate) fn of_owner(
        &self,
        owner: &SessionRef<'_>,
        at: SessionFingerprint,
    ) -> Vec<SessionFingerprint> {
        let is_its = |name: &SessionKey| {
            let name = name.as_ref();
            (name.tenant, name.session) == (owner.tenant, owner.session)
        };
        self.names
            .range(at.with_this_owner())
            .filter(|(_, name)| is_its(name))
            .take(BITE)
            .map(|(at, _)| *at)
            .collect()
    }

    /// A bite of all entries after this one: first the fresh, then the used.
    pub(crate) fn after(&self, last: Option<Walked>) -> Vec<Walked> {
        let (used, from) = match last {
            None => (false, Unbounded),
            Some((used, due)) => (used, Excluded(due)),
        };
        let (fresh, from) = if used {
            (None, from)
        } else {
            (Some(self.fresh.range((from, Unbounded))), Unbounded)
        };
        let fresh = fresh.into_iter().flatten().map(|due| (false, *due));
        let used = self.used.range((from, Unbounded)).map(|due| (true, *due));
        fresh.chain(used).take(BITE).collect()
    }
}
