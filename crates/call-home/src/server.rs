//! The frontend's server: streams are registered here, and workers call home for them.
//!
//! # Design
//!
//! One task accepts; each connection is a task that shakes hands, claims, and pumps until its stream has ended. What the
//! streams are and which of them are in use is the registry's knowledge alone: a connection holds its stream's handle, and
//! hears through it of every cancellation.
//!
//! # Why
//!
//! *No table of connections.* To cut those of an instance they would have to be found by instance, which the registry
//! already can. Two trackers only count: what is pending and who is connected, for a shutdown to wait on.
//!
//! # Invariants
//!
//! - A connection's task ends with its handshake's deadline, or with its stream.
//! - Before a reader or writer learns of its end, its stream has left the registry.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stream_registry::{
    Registration, StreamId, StreamKind, StreamMap, StreamRegistry, StreamStats, Tombstoned,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use worker_id::EndpointInstanceId;

use crate::accept::{Backoff, concerns_one_connection};
use crate::frontend::End;
use crate::{
    BindError, CallHomeOptions, ConnectionInfo, DefaultStreamMap, FrontendEnd, PendingStream,
    StreamReader, StreamWriter, socket, telemetry,
};

/// Where workers call home.
///
/// Registers streams, accepts the connections of workers, and connects the two. Share it by `Arc`.
///
/// # Concurrency
///
/// As the [`StreamRegistry`] that it stands on: operations on one stream are linearizable, and
/// [`associate`](Self::associate) is atomic against [`cancel_instance`](Self::cancel_instance). A cancelled stream's
/// registrant, reader or writer is told at once, whatever state the connection is in.
///
/// # Cost
///
/// A registration is one of the registry's, and a count. A connection is a task, a socket and, while its stream is in use,
/// what its [`Limits`](crate::Limits) let it hold.
///
/// Dropped, it closes its listener and cancels all streams: [`shutdown`](Self::shutdown) waits for them first.
pub struct CallHomeServer<M = DefaultStreamMap> {
    pub(crate) home: Arc<Home<M>>,
    address: SocketAddr,
    _stop: DropGuard,
}

/// What the server, its accepting task and its connections share.
pub(crate) struct Home<M> {
    pub(crate) streams: Arc<StreamRegistry<FrontendEnd, M>>,
    pub(crate) options: CallHomeOptions,
    /// Counts registrations that have not answered.
    pending: TaskTracker,
    connections: TaskTracker,
    /// Nothing is registered any more.
    closing: CancellationToken,
    /// Nobody is accepted any more.
    pub(crate) deaf: CancellationToken,
    /// The listener is closed, and its address free.
    unbound: CancellationToken,
    stopped: CancellationToken,
}

/// How much there is of what, from [`CallHomeServer::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CallHomeStats {
    /// The streams. Of those that are claimed or established, each has a connection.
    pub streams: StreamStats,
    /// Connections, those that have not named their stream included.
    pub connections: usize,
}

impl CallHomeServer {
    /// A server on the default map. See [`bind_with_map`](Self::bind_with_map).
    ///
    /// # Errors
    ///
    /// [`BindError`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time.
    pub async fn bind(options: CallHomeOptions) -> Result<Self, BindError>
    where
        for<'any> DefaultStreamMap: StreamMap<FrontendEnd> + Default,
    {
        Self::bind_with_map(options, DefaultStreamMap::default()).await
    }
}

impl<M: StreamMap<FrontendEnd> + 'static> CallHomeServer<M> {
    /// Listens, and accepts from now on, on the runtime that this is called on. `map` must be empty.
    ///
    /// # Errors
    ///
    /// [`BindError`], if an option makes no sense or the address is not to be had.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time.
    #[allow(
        clippy::unused_async,
        reason = "it needs the runtime that only a future is sure to run on"
    )]
    pub async fn bind_with_map(options: CallHomeOptions, map: M) -> Result<Self, BindError> {
        options.check()?;
        let address = options.address;
        let listen = |source| BindError::Listen { address, source };
        let listener = listen_on(address, options.backlog).map_err(listen)?;
        let address = options.advertise(listener.local_addr().map_err(listen)?)?;
        let stopped = CancellationToken::new();
        let home = Arc::new(Home {
            streams: Arc::new(StreamRegistry::with_map(options.streams, map)),
            options,
            pending: TaskTracker::new(),
            connections: TaskTracker::new(),
            closing: CancellationToken::new(),
            deaf: stopped.child_token(),
            unbound: CancellationToken::new(),
            stopped: stopped.clone(),
        });
        // Made here, since a task that is dropped before it was ever polled has run nothing.
        let all = CancelAll(Arc::clone(&home));
        tokio::spawn(Home::run(all, listener));
        Ok(Self {
            home,
            address,
            _stop: stopped.drop_guard(),
        })
    }

    /// Registers the stream of a response: the worker will send and the frontend will read.
    ///
    /// While the server shuts down, the stream is cancelled from the start.
    pub fn register_response(&self) -> PendingStream<StreamReader> {
        self.register(StreamKind::Response, End::reader)
    }

    /// Registers the stream of a request: the frontend will send and the worker will read.
    ///
    /// While the server shuts down, the stream is cancelled from the start.
    pub fn register_request(&self) -> PendingStream<StreamWriter> {
        self.register(StreamKind::Request, End::writer)
    }

    fn register<E>(&self, kind: StreamKind, open: fn(End) -> Option<E>) -> PendingStream<E> {
        let token = self.home.pending.token();
        let registration: Registration<FrontendEnd> = self.home.streams.register(kind);
        let (address, id) = (self.address, registration.id());
        // First registered, then looked; a shutdown first says so, then cancels all. One of the two sees the other: the
        // token answers under a lock.
        if self.home.closing.is_cancelled() {
            self.home.streams.cancel(id);
        }
        let info = ConnectionInfo { address, kind, id };
        PendingStream::new(registration, info, open, token)
    }

    /// Ties streams to the instance that is to call home for them: both halves of a session. May come before or after the
    /// call. See [`StreamRegistry::associate`].
    ///
    /// # Errors
    ///
    /// [`Tombstoned`], if the instance was cancelled a moment ago. All these streams have been ended.
    pub fn associate(
        &self,
        streams: &[StreamId],
        instance: &EndpointInstanceId,
    ) -> Result<(), Tombstoned> {
        self.home.streams.associate(streams, instance)
    }

    /// Ends a stream, in whatever state it is; its connection is closed. False if it had ended.
    pub fn cancel(&self, stream: StreamId) -> bool {
        self.home.streams.cancel(stream)
    }

    /// Ends every stream that is associated with this instance, closes their connections, and returns how many those
    /// were. For a tombstone's life nothing can be associated with the instance.
    ///
    /// Looks at every stream: `O(streams)`.
    pub fn cancel_instance(&self, instance: &EndpointInstanceId) -> usize {
        self.home.streams.cancel_instance(instance)
    }

    /// Lets streams be associated with this instance again, since it is back. False if it had no tombstone.
    pub fn clear_tombstone(&self, instance: &EndpointInstanceId) -> bool {
        self.home.streams.clear_tombstone(instance)
    }

    /// How much there is of what; all zero, but for tombstones, where nothing is in flight. `O(streams)`.
    #[must_use]
    pub fn stats(&self) -> CallHomeStats {
        CallHomeStats {
            streams: self.home.streams.stats(),
            connections: self.home.connections.len(),
        }
    }

    /// Where workers call.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing new begin, waits until everything has ended, or until `deadline` from now, and then ends the rest.
    /// Returns how many streams that cut.
    ///
    /// Streams that are registered may still be called home for. When it returns, the listener is closed and every
    /// connection is; that takes at most a second beyond the deadline. May be called again, and at the same time.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        let home = &self.home;
        home.closing.cancel();
        home.pending.close();
        home.connections.close();
        let drained = async {
            home.pending.wait().await;
            home.deaf.cancel();
            home.connections.wait().await;
        };
        let _ = timeout(deadline, drained).await;
        home.deaf.cancel();
        let cut = home.streams.cancel_all();
        home.connections.wait().await;
        // The accepting task hears that it is deaf on a turn of its own, and closes the listener then.
        home.unbound.cancelled().await;
        home.stopped.cancel();
        cut
    }
}

impl<M> fmt::Debug for CallHomeServer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHomeServer")
            .field("address", &self.address)
            .field("options", &self.home.options)
            .finish_non_exhaustive()
    }
}

/// Cancels all streams when it goes, and be it with its runtime.
struct CancelAll<M: StreamMap<FrontendEnd> + 'static>(Arc<Home<M>>);

impl<M: StreamMap<FrontendEnd> + 'static> Drop for CancelAll<M> {
    fn drop(&mut self) {
        self.0.closing.cancel();
        self.0.streams.cancel_all();
        // The task is gone, perhaps before its first turn: nobody else would say it to a shutdown.
        self.0.unbound.cancel();
    }
}

impl<M: StreamMap<FrontendEnd> + 'static> Home<M> {
    async fn run(all: CancelAll<M>, listener: TcpListener) {
        all.0.accept(&listener).await;
        drop(listener);
        all.0.unbound.cancel();
        all.0.stopped.cancelled().await;
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.deaf.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let failures = backoff.succeeded();
                    if failures > 0 {
                        telemetry::recovered(failures);
                    }
                    self.receive(stream, peer);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    let advice = backoff.failed(Instant::now());
                    if let Some(failures) = advice.say {
                        telemetry::exhausted(&error, failures);
                    }
                    let _ = timeout(advice.wait, self.deaf.cancelled()).await;
                }
            }
        }
    }

    fn receive(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let span = telemetry::span(peer);
        if self.connections.len() >= self.options.max_connections {
            let _entered = span.enter();
            return self.turn_away(&stream);
        }
        let accepted = telemetry::Accepted::new();
        let home = Arc::clone(self);
        let connection = async move {
            home.connected(stream).await;
            drop(accepted);
        };
        self.connections.spawn(connection.instrument(span));
    }
}

fn listen_on(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let listener = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket::reuse(&listener)?;
    listener.bind(address)?;
    listener.listen(backlog)
}
