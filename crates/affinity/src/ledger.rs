//! What a store knows of its entries beside the map: in which order they run out, and which belong together.
//!
//! # Design
//!
//! Two ordered sets under one lock, which every write of the store takes and no hit does.
//!
//! - `due`: by a deadline that each entry had when it was last looked at. A refresh does not come here: the true
//!   deadline can only be later. When the noted one has come, a *look* at the entry either ends it or notes its deadline
//!   anew. So all that has run out is found at the front, and an entry is looked at about once in its time to live, however
//!   often it is used. In two halves: entries that no look has seen refreshed, and the others. Evictions begin with the
//!   first.
//! - `sessions`: by tenant and session, so that a session is found in all its scopes; also what long walks over
//!   everything go by, since a set in order can be left and entered again where one was.
//!
//! # Why
//!
//! - *Ordered sets, not a timer wheel*: an entry leaves them exactly when it ends. A wheel keeps what has ended until its
//!   slot comes round, or needs links both ways; under sessions that come and go fast that is more than the entries.
//! - *One lock, not one a shard*: the bound on entries is exact, evictions go by all entries, and the writes of a store
//!   cannot race with each other, which leaves only hits against writes to be proved. A binding is made once in a
//!   conversation.
//!
//! # Invariants
//!
//! - An entry that is in the map is in both sets, and the other way round, whenever the lock is free.
//! - The deadline noted of an entry is its true one or earlier.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::entry::{EntryKey, Moment, SessionEntry, State};
use crate::key::AnyKey;
use crate::{Binding, SessionRef};

/// The most entries that are looked at in one go, with the lock held.
pub(crate) const BITE: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    fresh: Due,
    used: Due,
    sessions: BTreeSet<EntryKey>,
    generation: u64,
}

type Due = BTreeSet<(u64, EntryKey)>;

fn key_of(entry: &SessionEntry) -> EntryKey {
    entry.clone().into()
}

/// What a look at an entry has come to.
#[derive(Debug)]
pub(crate) enum Look {
    /// Its time was up, and it was ended.
    RunOut(Binding),
    /// It holds, and its deadline is noted anew.
    Holds,
    /// It had ended.
    Ended,
}

/// What an attempt to evict has come to.
#[derive(Debug)]
pub(crate) enum Eviction {
    /// This one was ended.
    Of(SessionEntry, Binding),
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

    pub(crate) fn add(&mut self, entry: &SessionEntry, deadline: u64) {
        self.sessions.insert(key_of(entry));
        self.note(entry, deadline, false);
    }

    pub(crate) fn remove(&mut self, entry: &SessionEntry) {
        let key = key_of(entry);
        self.sessions.remove(&key);
        self.unnote(key);
    }

    fn note(&mut self, entry: &SessionEntry, deadline: u64, used: bool) {
        entry.set_place(deadline << 1 | u64::from(used));
        let due = if used {
            &mut self.used
        } else {
            &mut self.fresh
        };
        due.insert((deadline, key_of(entry)));
    }

    fn unnote(&mut self, key: EntryKey) {
        let place = key.entry().place();
        let due = if place & 1 == 1 {
            &mut self.used
        } else {
            &mut self.fresh
        };
        due.remove(&(place >> 1, key));
    }

    /// An entry that may have run out by `now`: everything that has is found so.
    pub(crate) fn due(&self, now: u64) -> Option<SessionEntry> {
        [&self.fresh, &self.used]
            .into_iter()
            .filter_map(|due| due.first())
            .find(|(noted, _)| *noted <= now)
            .map(|(_, key)| key.entry().clone())
    }

    /// Ends an entry that has run out, and notes the deadline of one that has not.
    pub(crate) fn look(&mut self, entry: &SessionEntry, moment: Moment) -> Look {
        match entry.end_if_run_out(moment) {
            Ok(binding) => Look::RunOut(binding),
            Err(State::Live {
                deadline,
                refreshed,
                ..
            }) => {
                self.unnote(key_of(entry));
                self.note(entry, deadline, refreshed);
                Look::Holds
            }
            Err(State::RunOut | State::Ended) => Look::Ended,
        }
    }

    /// Ends an entry that has been idle long, as [`EvictOldestIdle`](crate::WhenFull::EvictOldestIdle) says. Called where
    /// none is [due](Self::due).
    pub(crate) fn evict(&mut self, moment: Moment) -> Eviction {
        let mut oldest: Option<(u64, SessionEntry)> = None;
        for _ in 0..BITE {
            let Some((noted, key)) = self.fresh.first().or_else(|| self.used.first()) else {
                break;
            };
            let (noted, entry) = (*noted, key.entry().clone());
            let State::Live {
                deadline,
                refreshed,
                leased,
            } = entry.state(moment)
            else {
                return Eviction::NotYet;
            };
            let known = !refreshed || self.fresh.is_empty();
            if known && leased && noted >= moment.deadline {
                // All that follow are in use at this moment; some perhaps not by a turn in flight.
                let mut used = self.used.iter().take(BITE).map(|(_, key)| key.entry());
                oldest = used.find_map(|entry| Some((entry.idle_since(moment)?, entry.clone())));
                if oldest.is_none() {
                    return Eviction::AllInUse;
                }
                break;
            }
            if known && !leased && noted == deadline {
                oldest = Some((deadline, entry));
                break;
            }
            self.unnote(key_of(&entry));
            self.note(&entry, deadline, true);
            if !leased && oldest.as_ref().is_none_or(|(least, _)| deadline < *least) {
                oldest = Some((deadline, entry));
            }
        }
        let ended = oldest.and_then(|(deadline, entry)| {
            let binding = entry.end_if_idle_since(deadline)?;
            Some((entry, binding))
        });
        ended.map_or(Eviction::NotYet, |(entry, binding)| {
            Eviction::Of(entry, binding)
        })
    }

    /// Up to a bite of entries of one session, in whatever scope.
    pub(crate) fn of_session(&self, tenant: Option<&str>, session: &str) -> Vec<SessionEntry> {
        let first = SessionRef {
            tenant,
            ..SessionRef::new(session)
        };
        let owner = first.parts().owner();
        let first: &dyn AnyKey = &first;
        self.sessions
            .range::<dyn AnyKey, _>((Included(first), Unbounded))
            .map(EntryKey::entry)
            .take_while(|entry| entry.parts().owner() == owner)
            .take(BITE)
            .cloned()
            .collect()
    }

    /// A bite of all entries, in order, after this one.
    pub(crate) fn after(&self, last: Option<&EntryKey>) -> Vec<EntryKey> {
        let from = last.map_or(Unbounded, Excluded);
        self.sessions
            .range::<EntryKey, _>((from, Unbounded))
            .take(BITE)
            .cloned()
            .collect()
    }
}
