//! The one connection of a store, opened anew after it broke.
//!
//! # Design
//!
//! All operations go through one connection, interleaved. Where there is none, the first operation begins to open one, and
//! all that come meanwhile wait for the same attempt. An attempt runs to its end in a task, so that operations which give
//! up before do not keep it from succeeding. An attempt that failed, and a connection that broke, are forgotten by whoever
//! finds out, and the next operation begins anew.
//!
//! # Why
//!
//! *Not the client library's own manager*: it begins anew only after errors of I/O. A server that comes back with another
//! password, or without the database, would end it for good, also when it has been set right again.
//!
//! # Invariants
//!
//! There is one attempt or connection at most, and nothing is sent twice.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, Pipeline, RedisFuture, RedisResult, Value,
};

use affinity::StoreError;

/// How long it may take to connect, and how long a peer that is silently gone is waited for.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type Attempt = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

/// Clones share one connection.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Inner>);

struct Inner {
    client: Client,
    current: Mutex<Option<Attempt>>,
}

impl Connection {
    /// Opens nothing yet.
    pub(crate) fn new(info: ConnectionInfo) -> Result<Self, StoreError> {
        // Small requests must not wait for one another's acknowledgement.
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(CONNECT_TIMEOUT));
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(CONNECT_TIMEOUT);
        #[cfg(feature = "tls")]
        if matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. }) {
            choose_cryptography();
        }
        let client = Client::open(info.set_tcp_settings(tcp)).map_err(StoreError::unavailable)?;
        Ok(Self(Arc::new(Inner {
            client,
            current: Mutex::new(None),
        })))
    }

    pub(crate) async fn open(&self) -> RedisResult<()> {
        self.attempt().await.map(drop)
    }

    fn current(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.0
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, or the attempt under way, or a new one.
    fn attempt(&self) -> Attempt {
        let mut current = self.current();
        if let Some(attempt) = &*current {
            return attempt.clone();
        }
        let client = self.0.client.clone();
        let attempt = async move {
            // The bound on an answer is the store's, around everything.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(None);
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        };
        let attempt = attempt.boxed().shared();
        tokio::spawn(attempt.clone().map(drop));
        *current = Some(attempt.clone());
        attempt
    }

    /// Unless another has taken its place.
    fn forget(&self, failed: &Attempt) {
        let mut current = self.current();
        if current
            .as_ref()
            .is_some_and(|current| current.ptr_eq(failed))
        {
            *current = None;
        }
    }

    async fn run<T>(
        &self,
        send: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let attempt = self.attempt();
        let answer = match attempt.clone().await {
            Ok(mut connection) => send(&mut connection).await,
            Err(error) => {
                self.forget(&attempt);
                return Err(error);
            }
        };
        if let Err(error) = &answer
            && error.is_unrecoverable_error()
        {
            self.forget(&attempt);
        }
        answer
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.run(async move |connection| connection.send_packed_command(command).await)
            .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.run(async move |connection| {
            connection
                .send_packed_commands(commands, offset, count)
                .await
        })
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.0.client.get_connection_info().redis_settings().db()
    }
}

/// rustls takes the process's choice; where nobody has made one and several are compiled in, it would panic.
#[cfg(feature = "tls")]
fn choose_cryptography() {
    use rustls::crypto::{CryptoProvider, ring};

    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster: then theirs it is.
        let _ = ring::default_provider().install_default();
    }
}
