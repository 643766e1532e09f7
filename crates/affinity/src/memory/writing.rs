//! A write of a memory store: what happens with the ledger's lock held, and what is told after it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use state_map::Access;
use std_or_loom::{self as sync, MutexGuard};
use worker_id::WorkerWithDpRank;

use super::MemoryStore;
use crate::entry::{Moment, Note, SessionEntry};
use crate::fingerprint::SessionFingerprint;
use crate::ledger::{BITE, Ledger, Oldest};
use crate::map::SessionMap;
use crate::{
    Binding, BindingKind, ExpireCause, Expired, SessionKey, SessionRef, StoreError, WhenFull,
};

impl<M: SessionMap> MemoryStore<M> {
    /// Takes the lock. What is ended until the answer is dropped is told then, with the lock released.
    pub(super) fn write(&self) -> Writing<'_, M> {
        let ledger = sync::lock(&self.ledger);
        Writing {
            access: self.hot.map.access(),
            // With the lock held, so that no writer goes by an earlier moment than the one before it.
            moment: self.hot.time.moment(),
            ledger,
            ended: Told {
                store: self,
                ended: Vec::new(),
            },
        }
    }

    fn tell(&self, expired: Expired) {
        let Some(told) = &self.on_expire else {
            return;
        };
        let key = expired.key.clone();
        if catch_unwind(AssertUnwindSafe(|| told(expired))).is_err() {
            tracing::error!(%key, "on_expire panicked");
        }
    }
}

/// A write under way. The fields are dropped in this order: the lock is released before anybody is told.
pub(super) struct Writing<'s, M: SessionMap> {
    pub(super) access: Access<'s, M>,
    pub(super) moment: Moment,
    pub(super) ledger: MutexGuard<'s, Ledger>,
    ended: Told<'s, M>,
}

/// What a write has ended, told when this is dropped.
struct Told<'s, M: SessionMap> {
    store: &'s MemoryStore<M>,
    ended: Vec<Expired>,
}

/// Whether there is room for one entry more.
pub(super) enum Room {
    Made,
    None,
    /// A bite did not find any, and has not looked at everything.
    Unknown,
}

impl<M: SessionMap> Writing<'_, M> {
    /// Asks the entry at `at` until it has an answer, or is ended because its time is up.
    pub(super) fn ask<R>(
        &mut self,
        at: SessionFingerprint,
        ask: impl Fn(&SessionEntry, Moment) -> Option<R>,
    ) -> Option<R> {
        loop {
            let answer = self.access.read(&at, |entry| ask(entry, self.moment))?;
            // Another thread may know a later time, or an earlier one, and just have refreshed it: absent it is only once
            // it is ended.
            if answer.is_some() || self.look(at) {
                return answer;
            }
        }
    }

    /// The binding at `at`, if it holds. One that has run out is ended.
    pub(super) fn holder(&mut self, at: SessionFingerprint) -> Option<Binding> {
        self.ask(at, SessionEntry::peek)
    }

    /// Looks at the entry at `at`: it is ended if its time is up, which is the answer, or its deadline is noted anew.
    pub(super) fn look(&mut self, at: SessionFingerprint) -> bool {
        let ledger = &mut self.ledger;
        let _ = self
            .access
            .read(&at, |entry| ledger.unnote(at, entry.note()));
        self.look_at_taken(at)
    }

    /// Looks at an entry that the ledger has no note of at this moment.
    fn look_at_taken(&mut self, at: SessionFingerprint) -> bool {
        let (ledger, moment) = (&mut self.ledger, self.moment);
        let looked = self.access.read(&at, |entry| {
            let ended = entry.end_if_run_out(moment);
            if let Err(live) = ended {
                ledger.note(at, entry, live.deadline, live.refreshed);
            }
            ended
        });
        let Ok(ended) = looked.unwrap_or(Ok(None)) else {
            return false;
        };
        self.access.remove(&at);
        let name = self.ledger.remove_taken(at);
        if let Some(binding) = ended {
            self.ended(name, binding, ExpireCause::Idle);
        }
        true
    }

    /// Looks at one that is due, if there is one: whether it was ended.
    pub(super) fn look_at_due(&mut self) -> Option<bool> {
        let at = self.ledger.take_due(self.moment.now)?;
        Some(self.look_at_taken(at))
    }

    /// Ends the entry at `at`, whatever it is doing, and answers with what it was.
    pub(super) fn end(&mut self, at: SessionFingerprint) -> Option<(Option<SessionKey>, Binding)> {
        self.end_as(at, SessionEntry::end)
    }

    /// Ends the entry at `at` as `end` does, and takes it out of the map and the ledger if it did.
    fn end_as(
        &mut self,
        at: SessionFingerprint,
        end: impl FnOnce(&SessionEntry) -> Option<Binding>,
    ) -> Option<(Option<SessionKey>, Binding)> {
        let ended = self
            .access
            .read(&at, |entry| Some((end(entry)?, entry.note())));
        let (binding, note) = ended.flatten()?;
        Some((self.remove(at, note), binding))
    }

    /// Takes an entry that has ended out of the map and the ledger, and answers with its name, if that was kept.
    fn remove(&mut self, at: SessionFingerprint, note: Note) -> Option<SessionKey> {
        self.access.remove(&at);
        self.ledger.remove(at, note)
    }

    /// Ends the entry at `at` and says so, unless its time was up.
    pub(super) fn release(&mut self, at: SessionFingerprint) -> bool {
        if self.holder(at).is_none() {
            return false;
        }
        let ended = self.end(at);
        let released = ended.is_some();
        if let Some((name, binding)) = ended {
            self.ended(name, binding, ExpireCause::Released);
        }
        released
    }

    fn ended(&mut self, name: Option<SessionKey>, binding: Binding, cause: ExpireCause) {
        if binding.kind == BindingKind::EngineBacked {
            let expired = name.map(|key| Expired {
                key,
                binding,
                cause,
            });
            self.ended.ended.extend(expired);
        }
    }

    /// Binds `key`, which has no entry, and whose fingerprint is `at`.
    pub(super) fn add(
        &mut self,
        at: SessionFingerprint,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Binding, StoreError> {
        let is_asked_for = kind == BindingKind::EngineBacked || key.alone().is_none();
        let name = is_asked_for.then(|| SessionKey::new(key)).transpose()?;
        let binding = Binding {
            worker,
            kind,
            generation: self.ledger.next_generation(),
        };
        let note = self.ledger.add(at, name, self.moment.deadline);
        // Never taken: what was there has been removed, and nobody else inserts.
        let _ = self
            .access
            .insert_if_absent(at, SessionEntry::new(&binding, note));
        Ok(binding)
    }

    /// Makes room for one entry more: of what has run out first, then by the policy.
    pub(super) fn make_room(&mut self) -> Room {
        let config = &self.ended.store.config;
        if self.ledger.len() < config.capacity {
            return Room::Made;
        }
        for _ in 0..BITE {
            match self.look_at_due() {
                None => return self.evict(),
                Some(true) => return Room::Made,
                Some(false) => {}
            }
        }
        Room::Unknown
    }

    fn evict(&mut self) -> Room {
        if self.ended.store.config.when_full != WhenFull::EvictOldestIdle {
            return Room::None;
        }
        let (at, deadline) = match self.ledger.oldest_idle(self.moment, &self.access) {
            Oldest::Is(at, deadline) => (at, deadline),
            Oldest::NotYet => return Room::Unknown,
            Oldest::AllInUse => return Room::None,
        };
        // Not if it has been used in the meantime.
        let idle = |entry: &SessionEntry| entry.end_if_idle_since(deadline);
        let Some((name, binding)) = self.end_as(at, idle) else {
            return Room::Unknown;
        };
        self.ended(name, binding, ExpireCause::Evicted);
        Room::Made
    }
}

impl<M: SessionMap> Drop for Told<'_, M> {
    fn drop(&mut self) {
        for expired in self.ended.drain(..) {
            self.store.tell(expired);
        }
    }
}
