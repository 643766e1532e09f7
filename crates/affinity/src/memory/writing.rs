//! A write of a memory store: what happens with the ledger's lock held, and what is told after it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use state_map::sync::{self, MutexGuard};
use worker_id::WorkerWithDpRank;

use super::MemoryStore;
use crate::entry::{Moment, SessionEntry, State};
use crate::fingerprint::SessionFingerprint;
use crate::ledger::{BITE, Ledger, Oldest};
use crate::map::{SessionMap, SessionMapSession};
use crate::record::Record;
use crate::{Binding, BindingKind, ExpireCause, Expired, SessionRef, WhenFull};

impl<M: SessionMap> MemoryStore<M> {
    /// Takes the lock. What is ended until the answer is dropped is told then, with the lock released.
    pub(super) fn write(&self) -> Writing<'_, M> {
        let ledger = sync::lock(&self.ledger);
        Writing {
            session: self.hot.map.open(),
            // With the lock held, so that no writer goes by an earlier moment than the one before it.
            moment: self.hot.time.moment(),
            ledger,
            ended: Told {
                store: self,
                ended: Vec::new(),
            },
        }
    }

    fn tell(&self, record: &Record, binding: Binding, cause: ExpireCause) {
        let Some(told) = &self.on_expire else {
            return;
        };
        let expired = Expired {
            key: record.key(),
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
    ended: Vec<(Record, Binding, ExpireCause)>,
}

/// Whether there is room for one entry more.
pub(super) enum Room {
    Made,
    None,
    /// A bite did not find any, and has not looked at everything.
    Unknown,
}

impl<M: SessionMap> Writing<'_, M> {
    /// What the map has for a session that the ledger knows.
    pub(super) fn at(&self, record: &Record) -> SessionFingerprint {
        self.ended.store.hot.fingerprints.of(&record.parts())
    }

    fn owner(&self, at: SessionFingerprint, record: &Record) -> u64 {
        let fingerprints = &self.ended.store.hot.fingerprints;
        fingerprints.of_owner(&record.parts(), at)
    }

    /// Asks the entry at `at` until it has an answer, or is ended because its time is up.
    pub(super) fn ask<R>(
        &mut self,
        at: SessionFingerprint,
        ask: impl Fn(&SessionEntry, Moment) -> Option<R>,
    ) -> Option<R> {
        loop {
            let answer = self.session.find(&at, |entry| ask(entry, self.moment))?;
            // Another thread may know a later time, or an earlier one, and just have refreshed it: absent it is only once
            // it is ended.
            if answer.is_some() || self.look(at) {
                return answer;
            }
        }
    }

    /// The binding at `at`, if it holds. One that has run out is ended.
    pub(super) fn holder(&mut self, at: SessionFingerprint) -> Option<Binding> {
        self.ask(at, |entry, moment| entry.peek(moment.now))
    }

    /// Looks at the entry at `at`: it is ended if its time is up, which is the answer, or its deadline is noted anew.
    pub(super) fn look(&mut self, at: SessionFingerprint) -> bool {
        let look =
            |entry: &SessionEntry| (entry.record().clone(), entry.end_if_run_out(self.moment));
        let Some((record, looked)) = self.session.find(&at, look) else {
            return true;
        };
        match looked {
            Ok(binding) => {
                self.remove(at, &record);
                self.ended(record, binding, ExpireCause::Idle);
                true
            }
            Err(State::Live {
                deadline,
                refreshed,
                ..
            }) => {
                self.ledger.looked(&record, deadline, refreshed);
                false
            }
            Err(State::RunOut | State::Ended) => {
                self.remove(at, &record);
                true
            }
        }
    }

    /// Ends the entry at `at`, whatever it is doing, and answers with what it was.
    pub(super) fn end(&mut self, at: SessionFingerprint) -> Option<(Record, Binding)> {
        self.end_as(at, SessionEntry::end)
    }

    /// Ends the entry at `at` as `end` does, and takes it out of the map and the ledger if it did.
    fn end_as(
        &mut self,
        at: SessionFingerprint,
        end: impl FnOnce(&SessionEntry) -> Option<Binding>,
    ) -> Option<(Record, Binding)> {
        let ended = self
            .session
            .find(&at, |entry| Some((entry.record().clone(), end(entry)?)));
        let (record, binding) = ended.flatten()?;
        self.remove(at, &record);
        Some((record, binding))
    }

    /// Takes an entry that has ended out of the map and the ledger.
    fn remove(&mut self, at: SessionFingerprint, record: &Record) {
        let owner = self.owner(at, record);
        self.ledger.remove(&(owner, record.clone()));
        self.session.evict(&at);
    }

    /// Ends the entry at `at` and says so, unless its time was up.
    pub(super) fn release(&mut self, at: SessionFingerprint) -> bool {
        if self.holder(at).is_none() {
            return false;
        }
        let ended = self.end(at);
        let released = ended.is_some();
        if let Some((record, binding)) = ended {
            self.ended(record, binding, ExpireCause::Released);
        }
        released
    }

    fn ended(&mut self, record: Record, binding: Binding, cause: ExpireCause) {
        if binding.kind == BindingKind::EngineBacked {
            self.ended.ended.push((record, binding, cause));
        }
    }

    pub(super) fn add(
        &mut self,
        at: SessionFingerprint,
        key: &SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Binding {
        let binding = Binding {
            worker,
            kind,
            generation: self.ledger.next_generation(),
        };
        let deadline = self.moment.deadline;
        let record = Record::new(&key.parts(), binding.generation);
        let owner = self.owner(at, &record);
        self.ledger.add((owner, record.clone()), deadline);
        let entry = SessionEntry::new(record, &binding, deadline);
        self.session.put(at, entry);
        binding
    }

    /// Makes room for one entry more: of what has run out first, then by the policy.
    pub(super) fn make_room(&mut self) -> Room {
        let config = &self.ended.store.config;
        if self.ledger.len() < config.capacity {
            return Room::Made;
        }
        for _ in 0..BITE {
            let Some(record) = self.ledger.due(self.moment.now) else {
                return self.evict();
            };
            if self.look(self.at(&record)) {
                return Room::Made;
            }
        }
        Room::Unknown
    }

    fn evict(&mut self) -> Room {
        if self.ended.store.config.when_full != WhenFull::EvictOldestIdle {
            return Room::None;
        }
        let fingerprints = &self.ended.store.hot.fingerprints;
        let state = |record: &Record| {
            let at = fingerprints.of(&record.parts());
            let state = self.session.find(&at, |entry| entry.state(self.moment));
            state.unwrap_or(State::Ended)
        };
        let (record, deadline) = match self.ledger.oldest_idle(self.moment, state) {
            Oldest::Is(record, deadline) => (record, deadline),
            Oldest::NotYet => return Room::Unknown,
            Oldest::AllInUse => return Room::None,
        };
        // Not if it has been used in the meantime.
        let idle = |entry: &SessionEntry| entry.end_if_idle_since(deadline);
        let Some((record, binding)) = self.end_as(self.at(&record), idle) else {
            return Room::Unknown;
        };
        self.ended(record, binding, ExpireCause::Evicted);
        Room::Made
    }
}

impl<M: SessionMap> Drop for Told<'_, M> {
    fn drop(&mut self) {
        for (record, binding, cause) in self.ended.drain(..) {
            self.store.tell(&record, binding, cause);
        }
    }
}
