//! Telling of engine-backed bindings that have run out: once, by whichever router's sweeper comes first.
//!
//! # Design
//!
//! A binding runs out when its pin does, by the server's own expiry: nothing else knows its deadline. Each bucket has an
//! index of its engine-backed bindings by the time *to look at them*. A refresh does not touch it. A sweeper takes the
//! members whose time has come and asks, in one script:
//!
//! - the pin still has this record: it was refreshed, and is put off to its deadline;
//! - it has not: the binding has ended, and as whoever replaces or removes a live one takes its member along, it has run
//!   out. The member is put off by the length of a claim, and is the sweeper's until then.
//!
//! The sweeper calls `on_expire` and then removes the member. One that dies in between leaves the member where it is: its
//! time comes again, and another finds it, in the same way and with the same generation.
//!
//! # Why
//!
//! - *An index, not the server's notifications*: those are sent once to whoever listens at that moment.
//! - *A claim is nothing but a later time in the same index*: with a set of claims beside it, two things would have to agree,
//!   and recovery would be another path that is hardly ever taken.
//! - *Deadlines in one place*: had the index the deadline too, every refresh would be two writes, and a script.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use affinity::{ExpireCause, Expired, StoreError};
use redis::cmd;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::store::millis;
use crate::{RedisStore, record};

/// Members that one script looks at: some hundred microseconds of the server's.
const BITE: usize = 128;

/// Members that the sweeper task looks at before it lets others of its thread go on.
const BUDGET: usize = 1_024;

/// What a [sweep](RedisStore::sweep) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Swept {
    /// Bindings that `on_expire` was called with.
    pub told: usize,
    /// Members of the index that it looked at: those, and others that had been refreshed in the meantime or that
    /// another sweeper took.
    pub looked: usize,
    /// Whether it stopped for its budget, with more to do.
    pub more: bool,
}

impl RedisStore {
    /// Calls `on_expire` with engine-backed bindings that have run out and that nobody was told of, and looks at no more
    /// than `budget` of them.
    ///
    /// Any number of routers may sweep at once. A binding is told to one of them, once; and once more, with the same
    /// generation, where a sweeper died, was dropped, or lost its connection, between its claim and the end of this
    /// call, or where `on_expire` took longer than half of [`claim_ttl`](crate::RedisStoreConfig::claim_ttl). So a
    /// binding is told at least once, unless the server loses its memory.
    ///
    /// `on_expire` runs on the calling task and should be short: hand the work to a queue. When it returns, the binding
    /// counts as told. If it panics as well; the panic is logged as an error.
    ///
    /// Cost: two round trips for each bucket with something due, one for each without.
    ///
    /// # Errors
    ///
    /// [`StoreError::Timeout`], [`StoreError::Unavailable`]: what was not told yet is told by a later sweep.
    pub async fn sweep(
        &self,
        budget: usize,
        on_expire: impl Fn(Expired) + Send + Sync,
    ) -> Result<Swept, StoreError> {
        let buckets = self.inner.keys.buckets();
        // Another one each time, so that a bucket with a lot to do does not keep the others from their turn.
        let first = self.inner.first_bucket.fetch_add(1, Ordering::Relaxed) % buckets;
        let mut swept = Swept::default();
        for bucket in (first..buckets).chain(0..first) {
            loop {
                let bite = BITE.min(budget - swept.looked);
                if bite == 0 {
                    swept.more = true;
                    return Ok(swept);
                }
                let due = self.due(bucket, bite).await?;
                swept.looked += due.len();
                if !due.is_empty() {
                    swept.told += self.tell(bucket, &due, &on_expire).await?;
                }
                if due.len() < bite {
                    break;
                }
            }
        }
        Ok(swept)
    }

    async fn due(&self, bucket: u16, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut script = self.inner.due.key(self.inner.keys.index(bucket));
        script.arg(most);
        let mut connection = self.connection();
        self.bounded(script.invoke_async(&mut connection)).await
    }

    /// How many were told.
    async fn tell(
        &self,
        bucket: u16,
        due: &[Vec<u8>],
        on_expire: &(impl Fn(Expired) + Send + Sync),
    ) -> Result<usize, StoreError> {
        let (keys, claim_ttl) = (&self.inner.keys, self.inner.config.claim_ttl);
        let index = keys.index(bucket);
        let mut connection = self.connection();

        let mut done: Vec<&[u8]> = Vec::new();
        let mut members = Vec::new();
        let mut script = self.inner.claim.key(&index);
        script.arg(millis(claim_ttl));
        for member in due {
            if let Some((name, binding)) = record::member(member) {
                script.key(keys.place(name.clone()).pin).arg(member);
                members.push((member, name, binding));
            } else {
                tracing::error!(%index, "something else writes to this index: give each its own prefix");
                done.push(member);
            }
        }
        let claimed_at = Instant::now();
        let claimed: Vec<usize> = self.bounded(script.invoke_async(&mut connection)).await?;

        let mut told = 0;
        for claimed in claimed {
            // Past that, by the time it is told it may be another's.
            if claimed_at.elapsed() > claim_ttl / 2 {
                break;
            }
            let Some((member, name, binding)) = members.get(claimed) else {
                continue;
            };
            let expired = Expired {
                key: name.clone(),
                binding: *binding,
                cause: ExpireCause::Idle,
            };
            if catch_unwind(AssertUnwindSafe(|| on_expire(expired))).is_err() {
                tracing::error!(session = %name, "`on_expire` panicked");
            }
            done.push(member);
            told += 1;
        }
        self.remove_told(&index, &done).await?;
        Ok(told)
    }

    /// Nothing comes back under a generation, so this can be repeated: each time it is not, a binding is told twice.
    async fn remove_told(&self, index: &str, members: &[&[u8]]) -> Result<(), StoreError> {
        if members.is_empty() {
            return Ok(());
        }
        let mut command = cmd("ZREM");
        command.arg(index).arg(members);
        let mut attempts = 0;
        loop {
            let mut connection = self.connection();
            let answer = self.bounded(command.exec_async(&mut connection)).await;
            attempts += 1;
            if answer.is_ok() || attempts == 3 {
                return answer;
            }
        }
    }

    /// Spawns a task that [sweeps](Self::sweep) at once and then `every` so often (at least a millisecond). It ends by
    /// itself within that time of the store's end, that is, of the last clone's, or by `abort`.
    ///
    /// One router with a sweeper is enough, and any number may have one. Where the server cannot be reached, the task says
    /// so at `warn` and tries again.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime with a timer around.
    pub fn spawn_sweeper(
        &self,
        every: Duration,
        on_expire: impl Fn(Expired) + Send + Sync + 'static,
    ) -> JoinHandle<()> {
        let inner = Arc::downgrade(&self.inner);
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::spawn(async move {
            loop {
                ticks.tick().await;
                loop {
                    let Some(inner) = inner.upgrade() else {
                        return;
                    };
                    let store = RedisStore { inner };
                    match store.sweep(BUDGET, &on_expire).await {
                        Ok(swept) if swept.more => tokio::task::yield_now().await,
                        Ok(_) => break,
                        Err(error) => {
                            tracing::warn!(%error, "expired sessions were not swept, and will be");
                            break;
                        }
                    }
                }
            }
        })
    }
}
