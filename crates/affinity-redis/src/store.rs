//! The store: one round trip an operation.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

use affinity::{AffinityStore, Binding, BindingKind, SessionKey, SessionRef, StoreError, Written};
use redis::{RedisResult, Script, cmd};
use tokio::time::timeout;
use worker_id::WorkerWithDpRank;

use crate::connection::{CONNECT_TIMEOUT, Connection};
use crate::keys::{Keyspace, Place};
use crate::{ConnectError, RedisStoreConfig, record};

/// Pins on a Redis or Valkey server, which any number of routers share.
///
/// Clones are one store: they share its connection. All operations of all tasks go through it, interleaved.
///
/// # Concurrency
///
/// Operations on one key are linearizable over all routers, as the server carries out one command or script at a time. That
/// holds for one server; a failover to a replica can lose the last writes, as with everything on Redis.
///
/// # Cost
///
/// One round trip an operation, and four allocations or so. `get` and `peek` are one native command each, every write is one
/// script.
///
/// # Time
///
/// The server's clock is the only one: routers send durations and no times.
///
/// # Errors and retries
///
/// Every operation ends within [`timeout`](RedisStoreConfig::timeout): with an answer, with [`StoreError::Timeout`] from a
/// server that is there but says nothing (frozen, overloaded, cut off), or with [`StoreError::Unavailable`] from one that is
/// gone or refuses. After either, a write *may* have happened, or may yet: it can lie in the server's queue. Nothing is ever
/// sent twice by the store itself (but where the server says that it does not know the script, and so has not run it). A
/// caller may repeat:
///
/// | operation | repeated after it did happen |
/// |---|---|
/// | `get`, `peek`, `refresh_if`, `remove` | changes nothing more |
/// | `claim` | is declined, and answers with the binding that the first one made |
/// | `rebind_if` | is declined, and answers with the binding that the first one made |
/// | `remove_if` | is declined, and answers with what is there since |
/// | `bind` | makes another generation; overwrites what another router has bound in between |
///
/// After a lost connection the store connects again, as soon as there is something to do.
#[derive(Clone)]
pub struct RedisStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    connection: Connection,
    pub(crate) keys: Keyspace,
    pub(crate) config: RedisStoreConfig,
    write: Script,
    pub(crate) due: Script,
    pub(crate) claim: Script,
    /// Where the next sweep begins.
    pub(crate) first_bucket: AtomicU16,
}

/// What has to hold for a write to be applied.
enum When {
    Always,
    Absent,
    Present,
    Generation(u64),
    Worker(WorkerWithDpRank),
}

enum Then {
    Bind(WorkerWithDpRank, BindingKind),
    Refresh,
    Remove,
}

impl RedisStore {
    /// Connects, and makes sure that the routers under this prefix agree on where pins are.
    ///
    /// Needs a tokio runtime with I/O and time, which has to live as long as the store is used: a task on it drives the
    /// connection.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], after five seconds at most.
    pub async fn connect(config: RedisStoreConfig) -> Result<Self, ConnectError> {
        config.validate()?;
        let connection = Connection::new(config.connection_info()?)?;
        connection.open().await.map_err(|error| {
            if error.is_timeout() {
                StoreError::Timeout {
                    after: CONNECT_TIMEOUT,
                }
            } else {
                StoreError::unavailable(error)
            }
        })?;
        let store = Self {
            inner: Arc::new(Inner {
                connection,
                keys: Keyspace::new(&config.prefix, config.buckets),
                config,
                write: Script::new(include_str!("scripts/write.lua")),
                due: Script::new(include_str!("scripts/due.lua")),
                claim: Script::new(include_str!("scripts/claim.lua")),
                first_bucket: AtomicU16::new(0),
            }),
        };
        store.agree_on_layout().await?;
        Ok(store)
    }

    /// The configuration this store was made with.
    pub fn config(&self) -> &RedisStoreConfig {
        &self.inner.config
    }

    async fn agree_on_layout(&self) -> Result<(), ConnectError> {
        let keys = &self.inner.keys;
        let (key, ours) = (keys.layout_key(), keys.layout());
        let mut connection = self.connection();
        // The first router's counts. Both can be repeated.
        self.bounded(
            cmd("SET")
                .arg(&key)
                .arg(&ours)
                .arg("NX")
                .exec_async(&mut connection),
        )
        .await?;
        let found: String = self
            .bounded(cmd("GET").arg(&key).query_async(&mut connection))
            .await?;
        if found == ours {
            return Ok(());
        }
        Err(ConnectError::Layout {
            prefix: self.inner.config.prefix.clone(),
            found,
            ours,
        })
    }

    pub(crate) fn connection(&self) -> Connection {
        self.inner.connection.clone()
    }

    pub(crate) async fn bounded<T>(
        &self,
        operation: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, StoreError> {
        let after = self.inner.config.timeout;
        match timeout(after, operation).await {
            Ok(answer) => answer.map_err(StoreError::unavailable),
            Err(_) => Err(StoreError::Timeout { after }),
        }
    }

    fn place(&self, key: SessionRef<'_>) -> Result<Place, StoreError> {
        key.check(self.inner.config.max_key_len)?;
        Ok(self.inner.keys.place(SessionKey::new(key)?))
    }

    fn ttl(&self) -> u64 {
        millis(self.inner.config.ttl)
    }

    async fn write(
        &self,
        key: SessionRef<'_>,
        when: When,
        then: Then,
    ) -> Result<Written, StoreError> {
        let place = self.place(key)?;
        let keys = &self.inner.keys;
        let mut script = self.inner.write.prepare_invoke();
        script
            .key(&place.pin)
            .key(keys.index(place.bucket))
            .key(keys.newest(place.bucket));
        match when {
            When::Always => script.arg("always").arg(""),
            When::Absent => script.arg("absent").arg(""),
            When::Present => script.arg("present").arg(""),
            When::Generation(generation) => script.arg("generation").arg(generation),
            When::Worker(worker) => script.arg("worker").arg(worker.to_string()),
        };
        let (deed, target) = match then {
            Then::Bind(worker, kind) => ("bind", record::target(worker, kind)),
            Then::Refresh => ("refresh", String::new()),
            Then::Remove => ("remove", String::new()),
        };
        script
            .arg(deed)
            .arg(place.name.canonical())
            .arg(self.ttl())
            .arg(target);
        let mut connection = self.connection();
        let (applied, now): (bool, Option<Vec<u8>>) =
            self.bounded(script.invoke_async(&mut connection)).await?;
        Ok(Written {
            applied,
            now: read(now)?,
        })
    }
}

fn read(record: Option<Vec<u8>>) -> Result<Option<Binding>, StoreError> {
    record
        .map(|record| record::binding(&record))
        .transpose()
        .map_err(StoreError::unavailable)
}

/// Of a duration that has been validated, which has few of them.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl AffinityStore for RedisStore {
    async fn get(&self, key: SessionRef<'_>) -> Result<Option<Binding>, StoreError> {
        let place = self.place(key)?;
        let mut command = cmd("GETEX");
        command.arg(&place.pin).arg("PX").arg(self.ttl());
        let mut connection = self.connection();
        read(self.bounded(command.query_async(&mut connection)).await?)
    }

    async fn peek(&self, key: SessionRef<'_>) -> Result<Option<Binding>, StoreError> {
        let place = self.place(key)?;
        let mut command = cmd("GET");
        command.arg(&place.pin);
        let mut connection = self.connection();
        read(self.bounded(command.query_async(&mut connection)).await?)
    }

    async fn bind(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.write(key, When::Always, Then::Bind(worker, kind))
            .await
    }

    async fn claim(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.write(key, When::Absent, Then::Bind(worker, kind))
            .await
    }

    async fn refresh_if(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
    ) -> Result<Written, StoreError> {
        self.write(key, When::Worker(worker), Then::Refresh).await
    }

    async fn rebind_if(
        &self,
        key: SessionRef<'_>,
        observed: u64,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        self.write(key, When::Generation(observed), Then::Bind(worker, kind))
            .await
    }

    async fn remove(&self, key: SessionRef<'_>) -> Result<Written, StoreError> {
        self.write(key, When::Present, Then::Remove).await
    }

    async fn remove_if(&self, key: SessionRef<'_>, observed: u64) -> Result<Written, StoreError> {
        self.write(key, When::Generation(observed), Then::Remove)
            .await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}
