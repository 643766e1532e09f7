//! What a store knows of its sessions beside the map: in which order they run out, and which belong together.
//!
//! # Design
//!
//! Two ordered sets of records under one lock, which every write of the store takes and no hit does. The entries' words are
//! none of its business: whoever writes looks at them, and says here what they came to.
//!
//! - `due`: by a deadline that each entry had when it was last looked at, and then by age. A refresh does not come here: the true
//!   deadline can only be later. When the noted one has come, a *look* at the entry either ends it or notes its deadline
//!   anew. So all that has run out is found at the front, and an entry is looked at about once in its time to live, however
//!   often it is used. In two halves: entries that no look has seen refreshed, and the others. Evictions begin with the
//!   first.
//! - `sessions`: by a fingerprint of tenant and session, so that a session is found in all its scopes; also what long walks
//!   over everything go by, since a set in order can be left and entered again where one was.
//!
//! # Why
//!
//! - *Ordered sets, not a timer wheel*: an entry leaves them exactly when it ends. A wheel keeps what has ended until its
//!   slot comes round, or needs links both ways; under sessions that come and go fast that is more than the entries.
//! - *Ordered by numbers, not by text*: text took some twenty comparisons, of three parts each and in as many cache lines, for
//!   each of the two sets, which was most of a sweep: 5,600 instructions for each entry that ended among 10,000, and 7,700 among
//!   1,000,000; now 2,100 and 2,330.
//! - *One lock, not one a shard*: the bound on entries is exact, evictions go by all entries, and the writes of a store
//!   cannot race with each other, which leaves only hits against writes to be proved. A binding is made once in a
//!   conversation.
//!
//! # Invariants
//!
//! - An entry that is in the map is in both sets, and the other way round, whenever the lock is free.
//! - The deadline noted of an entry is its true one or earlier.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::SessionRef;
use crate::entry::{Moment, State};
use crate::record::Record;

/// The most entries that are looked at in one go, with the lock held.
pub(crate) const BITE: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    fresh: Due,
    used: Due,
    sessions: BTreeSet<Owned>,
    generation: u64,
}

/// By noted deadline and generation.
type Due = BTreeMap<(u64, u64), Record>;

/// A record and the fingerprint of its owner, which goes before it in order.
pub(crate) type Owned = (u64, Record);

/// Whom an eviction should end.
#[derive(Debug)]
pub(crate) enum Oldest {
    /// This one, if it still has this deadline.
    Is(Record, u64),
    /// None was found in a bite; another bite may find one.
    NotYet,
    /// There is none to be found: all are in use at this moment.
    AllInUse,
}

impl Ledger {
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    pub(crate) fn add(&mut self, owned: Owned, deadline: u64) {
        self.note(&owned.1, deadline, false);
        self.sessions.insert(owned);
    }

    pub(crate) fn remove(&mut self, owned: &Owned) {
        self.sessions.remove(owned);
        self.unnote(&owned.1);
    }

    /// Notes the deadline of an entry anew, as a look at it has found it.
    pub(crate) fn looked(&mut self, record: &Record, deadline: u64, used: bool) {
        self.unnote(record);
        self.note(record, deadline, used);
    }

    fn note(&mut self, record: &Record, deadline: u64, used: bool) {
        record.set_place(deadline << 1 | u64::from(used));
        let at = (deadline, record.generation());
        self.due_of(used).insert(at, record.clone());
    }

    fn unnote(&mut self, record: &Record) {
        let place = record.place();
        let at = (place >> 1, record.generation());
        self.due_of(place & 1 == 1).remove(&at);
    }

    fn due_of(&mut self, used: bool) -> &mut Due {
        if used {
            &mut self.used
        } else {
            &mut self.fresh
        }
    }

    /// An entry that may have run out by `now`: everything that has is found so.
    pub(crate) fn due(&self, now: u64) -> Option<Record> {
        [&self.fresh, &self.used]
            .into_iter()
            .filter_map(|due| due.first_key_value())
            .find(|((noted, _), _)| *noted <= now)
            .map(|(_, record)| record.clone())
    }

    /// Finds an entry that has been idle long, as [`EvictOldestIdle`](crate::WhenFull::EvictOldestIdle) says. Called where
    /// none is [due](Self::due); `state` looks at an entry.
    pub(crate) fn oldest_idle(
        &mut self,
        moment: Moment,
        state: impl Fn(&Record) -> State,
    ) -> Oldest {
        let mut oldest: Option<(u64, Record)> = None;
        for _ in 0..BITE {
            let halves = [&self.fresh, &self.used];
            let first = halves.into_iter().find_map(|due| due.first_key_value());
            let Some(((noted, _), record)) = first else {
                break;
            };
            let (noted, record) = (*noted, record.clone());
            let State::Live {
                deadline,
                refreshed,
                leased,
            } = state(&record)
            else {
                return Oldest::NotYet;
            };
            let known = !refreshed || self.fresh.is_empty();
            if known && leased && noted >= moment.deadline {
                // All that follow are in use at this moment; some perhaps not by a turn in flight.
                let mut used = self.used.values().take(BITE);
                let idle = used.find_map(|record| match state(record) {
                    State::Live {
                        deadline,
                        leased: false,
                        ..
                    } => Some(Oldest::Is(record.clone(), deadline)),
                    _ => None,
                });
                return idle.unwrap_or(Oldest::AllInUse);
            }
            if known && !leased && noted == deadline {
                return Oldest::Is(record, deadline);
            }
            self.looked(&record, deadline, true);
            if !leased && oldest.as_ref().is_none_or(|(least, _)| deadline < *least) {
                oldest = Some((deadline, record));
            }
        }
        oldest.map_or(Oldest::NotYet, |(deadline, record)| {
            Oldest::Is(record, deadline)
        })
    }

    /// Up to a bite of the entries that have this owner, of which `first` is the one with no scope.
    pub(crate) fn of_owner(&self, owner: u64, first: &SessionRef<'_>) -> Vec<Record> {
        let first = (owner, Record::new(&first.parts(), 0));
        self.sessions
            .range((Included(&first), Unbounded))
            .take_while(|each| each.0 == owner && each.1.parts().owner() == first.1.parts().owner())
            .take(BITE)
            .map(|(_, record)| record.clone())
            .collect()
    }

    /// A bite of all entries, in order, after this one.
    pub(crate) fn after(&self, last: Option<&Owned>) -> Vec<Owned> {
        let from = last.map_or(Unbounded, Excluded);
        self.sessions
            .range((from, Unbounded))
            .take(BITE)
            .cloned()
            .collect()
    }
}
