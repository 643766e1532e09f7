//! The published design for sticky sessions: a DashMap from session ids to a worker, a time to live
//! and a deadline. A hit takes its shard's exclusive lock, reads the clock, and moves the deadline.
//! Its log line for each hit is left out: what a subscriber costs is not the design's.

use std::time::{Duration, Instant};

use dashmap::DashMap;
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
}
