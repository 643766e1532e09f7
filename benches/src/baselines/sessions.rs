//! Two designs for sticky sessions: the published one, and an off-the-shelf cache.
//!
//! The published one is a DashMap from session ids to a worker, a time to live and a deadline. A hit takes its shard's
//! exclusive lock, reads the clock, and moves the deadline; a reaper goes over everything. Its log line for each hit is left
//! out: what a subscriber costs is not the design's.

use std::time::{Duration, Instant};

use dashmap::DashMap;
use moka::sync::Cache;
use worker_id::WorkerWithDpRank;

/// The published store.
#[derive(Debug, Default)]
pub struct ReferenceSessions {
    sessions: DashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    worker: WorkerWithDpRank,
    ttl: Duration,
    expires_at: Instant,
}

impl ReferenceSessions {
    /// Binds a session to a worker.
    pub fn put(&self, session: &str, worker: WorkerWithDpRank, ttl: Duration) {
        let expires_at = Instant::now() + ttl;
        let entry = Entry {
            worker,
            ttl,
            expires_at,
        };
        self.sessions.insert(session.to_owned(), entry);
    }

    /// A session's worker, whose time begins anew.
    #[must_use]
    pub fn get(&self, session: &str) -> Option<WorkerWithDpRank> {
        let now = Instant::now();
        let mut entry = self.sessions.get_mut(session)?;
        if entry.expires_at <= now {
            drop(entry);
            self.sessions
                .remove_if(session, |_, entry| entry.expires_at <= now);
            return None;
        }
        entry.expires_at = now + entry.ttl;
        Some(entry.worker)
    }

    /// How many sessions there are, run out or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Removes what has run out, shard by shard.
    pub fn reap(&self) {
        let now = Instant::now();
        self.sessions.retain(|_, entry| entry.expires_at > now);
    }
}

/// moka, by its time to idle.
#[derive(Debug)]
pub struct MokaSessions(Cache<String, WorkerWithDpRank>);

impl MokaSessions {
    /// With room for so many sessions.
    #[must_use]
    pub fn new(capacity: u64, ttl: Duration) -> Self {
        let cache = Cache::builder().max_capacity(capacity).time_to_idle(ttl);
        Self(cache.build())
    }

    /// Binds a session to a worker.
    pub fn put(&self, session: &str, worker: WorkerWithDpRank) {
        self.0.insert(session.to_owned(), worker);
    }

    /// A session's worker, whose time begins anew.
    #[must_use]
    pub fn get(&self, session: &str) -> Option<WorkerWithDpRank> {
        self.0.get(session)
    }
}
