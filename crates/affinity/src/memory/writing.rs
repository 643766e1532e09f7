//! A write of a memory store: what happens with the ledger's lock held, and what is told after it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use state_map::sync::{self, MutexGuard};
use worker_id::WorkerWithDpRank;

use super::MemoryStore;
use crate::entry::{Moment, SessionEntry};
use crate::ledger::{BITE, Eviction, Ledger, Look};
use crate::map::{SessionMap, SessionMapSession};
use crate::{Binding, BindingKind, ExpireCause, Expired, SessionRef, WhenFull};

impl<M: SessionMap> MemoryStore<M> {
    /// Takes the lock. What is ended until the answer is dropped is told then, with the lock released.
    pub(super) fn write(&self) -> Writing<'_, M> {
        let ledger = sync::lock(&self.ledger);
        Writing {
            session: self.map.open(),
            // With the lock held, so that no writer goes by an earlier moment than the one before it.
            moment: self.time.moment(),
            ledger,
            ended: Told {
                store: self,
                ended: Vec::new(),
            },
        }
    }

    fn tell(&self, entry: &SessionEntry, binding: Binding, cause: ExpireCause) {
        let Some(told) = &self.on_expire else {
            return;
        };
        let expired = Expired {
            key: entry.key(),
            binding,
            cause,
        };
        let key = expired.key.clone();
        if catch_unwind(AssertUnwindSafe(|| told(expired))).is_err() {
            tracing::error!(%key, "on_expire panicked");
        }
    }
}

/// A write under way. The fields are dropped in this order: the lock is released before anybody is told.
pub(super) struct Writing<'s, M: SessionMap> {
    pub(super) session: M::Session<'s>,
    pub(super) moment: Moment,
    pub(super) ledger: MutexGuard<'s, Ledger>,
    ended: Told<'s, M>,
}

/// What a write has ended, told when this is dropped.
struct Told<'s, M: SessionMap> {
    store: &'s MemoryStore<M>,
    ended: Vec<(SessionEntry, Binding, ExpireCause)>,
}

/// Whether there is room for one entry more.
pub(super) enum Room {
    Made,
    None,
    /// A bite did not find any, and has not looked at everything.
    Unknown,
}

impl<M: SessionMap> Writing<'_, M> {
    /// The entry of a key and its binding, if it holds. One that has run out is ended.
    pub(super) fn holder(&mut self, key: SessionRef<'_>) -> Option<(SessionEntry, Binding)> {
        let entry = self.session.find(key, SessionEntry::clone)?;
        loop {
            if let Some(binding) = entry.peek(self.moment.now) {
                return Some((entry, binding));
            }
            // Another thread may know a later time, or an earlier one, and just have refreshed it.
            if self.look(&entry) {
                return None;
            }
        }
    }

    /// Looks at an entry, and says whether that has ended it.
    pub(super) fn look(&mut self, entry: &SessionEntry) -> bool {
        match self.ledger.look(entry, self.moment) {
            Look::RunOut(binding) => {
                self.drop_entry(entry);
                self.ended(entry, binding, ExpireCause::Idle);
                true
            }
            Look::Ended => {
                self.drop_entry(entry);
                true
            }
            Look::Holds => false,
        }
    }

    /// Takes an entry that has ended out of the map and the ledger.
    pub(super) fn drop_entry(&mut self, entry: &SessionEntry) {
        self.ledger.remove(entry);
        self.session.evict(&entry.clone().into());
    }

    pub(super) fn end_released(&mut self, entry: &SessionEntry) -> bool {
        if entry.peek(self.moment.now).is_none() && self.look(entry) {
            return false;
        }
        let released = entry.end();
        self.drop_entry(entry);
        if let Some(binding) = released {
            self.ended(entry, binding, ExpireCause::Released);
        }
        released.is_some()
    }

    fn ended(&mut self, entry: &SessionEntry, binding: Binding, cause: ExpireCause) {
        if binding.kind == BindingKind::EngineBacked {
            self.ended.ended.push((entry.clone(), binding, cause));
        }
    }

    pub(super) fn add(
        &mut self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Binding {
        let generation = self.ledger.next_generation();
        let deadline = self.moment.deadline;
        let entry = SessionEntry::new(key.parts(), worker, kind, generation, deadline);
        self.ledger.add(&entry, deadline);
        self.session.put(entry.clone().into(), entry);
        Binding {
            worker,
            kind,
            generation,
        }
    }

    /// Makes room for one entry more: of what has run out first, then by the policy.
    pub(super) fn make_room(&mut self) -> Room {
        let config = &self.ended.store.config;
        if self.ledger.len() < config.capacity {
            return Room::Made;
        }
        for _ in 0..BITE {
            let Some(entry) = self.ledger.due(self.moment.now) else {
                return self.evict();
            };
            if self.look(&entry) {
                return Room::Made;
            }
        }
        Room::Unknown
    }

    fn evict(&mut self) -> Room {
        if self.ended.store.config.when_full != WhenFull::EvictOldestIdle {
            return Room::None;
        }
        match self.ledger.evict(self.moment) {
            Eviction::Of(entry, binding) => {
                self.drop_entry(&entry);
                self.ended(&entry, binding, ExpireCause::Evicted);
                Room::Made
            }
            Eviction::NotYet => Room::Unknown,
            Eviction::AllInUse => Room::None,
        }
    }
}

impl<M: SessionMap> Drop for Told<'_, M> {
    fn drop(&mut self) {
        for (entry, binding, cause) in self.ended.drain(..) {
            self.store.tell(&entry, binding, cause);
        }
    }
}
