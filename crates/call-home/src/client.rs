//! A worker's side: it calls home for the streams it was told of.

use std::fmt;
use std::future::pending;
#[cfg(feature = "tls")]
use std::sync::Arc;

use stream_registry::StreamKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
#[cfg(feature = "tls")]
use tokio_rustls::{TlsConnector, rustls};

use crate::link::Link;
use crate::stream::{Drain, Feed};
use crate::wire::{Frame, Hello};
use crate::{
    CallError, ConnectionInfo, Cut, Limits, OptionsError, StreamReader, StreamWriter, pump, socket,
};

/// Calls home. Cheap to clone; holds no connection.
#[derive(Clone)]
pub struct CallHomeClient {
    limits: Limits,
    #[cfg(feature = "tls")]
    tls: Option<(
        Arc<rustls::ClientConfig>,
        rustls::pki_types::ServerName<'static>,
    )>,
}

impl CallHomeClient {
    /// A client whose connections may cost this much each. `max_frame` must not be above the frontend's.
    ///
    /// # Errors
    ///
    /// [`OptionsError`], for a limit that nothing can be done within.
    pub fn new(limits: Limits) -> Result<Self, OptionsError> {
        limits.check()?;
        Ok(Self {
            limits,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// Speaks TLS, to frontends that have a certificate for `name`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(
        self,
        config: Arc<rustls::ClientConfig>,
        name: rustls::pki_types::ServerName<'static>,
    ) -> Self {
        let tls = Some((config, name));
        Self { tls, ..self }
    }

    /// Calls home to send a response. The stream is claimed when this returns, and the frontend waits for the prologue:
    /// [`ResponseCall::start`] or [`ResponseCall::fail`].
    ///
    /// # Errors
    ///
    /// [`CallError`]. When it is [`Refused`](CallError::Refused), nobody waits for this response: drop the request.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time.
    pub async fn response(&self, info: &ConnectionInfo) -> Result<ResponseCall, CallError> {
        let (writer, drain) = StreamWriter::new(&self.limits);
        self.call(info, Side::Producer(drain)).await?;
        Ok(ResponseCall { writer })
    }

    /// Calls home to receive a request.
    ///
    /// # Errors
    ///
    /// [`CallError`]. When it is [`Refused`](CallError::Refused), the request was given up.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time.
    pub async fn request(&self, info: &ConnectionInfo) -> Result<StreamReader, CallError> {
        let (reader, feed) = StreamReader::new(&self.limits);
        self.call(info, Side::Consumer(feed)).await?;
        Ok(reader)
    }

    async fn call(&self, info: &ConnectionInfo, side: Side) -> Result<(), CallError> {
        let registered = info.kind;
        if registered != side.kind() {
            return Err(CallError::WrongKind { registered });
        }
        let deadline = self.limits.handshake_deadline;
        timeout_at(Instant::now() + deadline, self.connect(info, side))
            .await
            .map_err(|_| CallError::Deadline {
                address: info.address,
                deadline,
            })?
    }

    async fn connect(&self, info: &ConnectionInfo, side: Side) -> Result<(), CallError> {
        let address = info.address;
        let connect = |source| CallError::Connect { address, source };
        let stream = TcpStream::connect(address).await.map_err(connect)?;
        socket::prepare(&stream, &self.limits).map_err(connect)?;
        #[cfg(feature = "tls")]
        if let Some((config, name)) = &self.tls {
            let connector = TlsConnector::from(Arc::clone(config));
            let secured = connector.connect(name.clone(), stream).await;
            return self.greet(secured.map_err(connect)?, info, side).await;
        }
        self.greet(stream, info, side).await
    }

    /// Claims the stream, and leaves the connection to a task.
    async fn greet<S>(&self, stream: S, info: &ConnectionInfo, side: Side) -> Result<(), CallError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let ConnectionInfo { kind, id, .. } = *info;
        let mut link = Link::new(stream, &self.limits, REPLY);
        link.outbound.send(Frame::Hello(Hello { kind, id })).await?;
        match link.inbound.next().await? {
            Frame::Welcome => {
                tokio::spawn(side.run(link, self.limits));
                Ok(())
            }
            Frame::Refused(refusal) => Err(refusal.into()),
            other => Err(Cut::from(other.out_of_turn()).into()),
        }
    }
}

/// The longest answer to a handshake, with its tag.
const REPLY: usize = 2;

/// A connection's side of what the caller gets.
enum Side {
    Producer(Drain),
    Consumer(Feed),
}

impl Side {
    fn kind(&self) -> StreamKind {
        match self {
            Self::Producer(_) => StreamKind::Response,
            Self::Consumer(_) => StreamKind::Request,
        }
    }

    async fn run<S: AsyncRead + AsyncWrite>(self, mut link: Link<S>, limits: Limits) {
        match self {
            Self::Producer(mut drain) => {
                let outcome = pump::produce(&mut link, &mut drain, pending()).await;
                drain.end(outcome);
                if outcome.is_ok() {
                    link.close_second().await;
                }
            }
            Self::Consumer(mut feed) => {
                let outcome = pump::consume(&mut link, &limits, &mut feed, pending()).await;
                feed.end(outcome);
                match outcome {
                    Ok(()) => link.close_second().await,
                    Err(_) => link.close(Frame::Kill).await,
                }
            }
        }
    }
}

impl fmt::Debug for CallHomeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHomeClient")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A claimed response stream whose prologue has not been sent. From [`CallHomeClient::response`].
///
/// Dropped, it closes the connection, and the registrant gets an error at once.
#[derive(Debug)]
#[must_use = "dropped, it fails the stream"]
pub struct ResponseCall {
    writer: StreamWriter,
}

impl ResponseCall {
    /// Sends the prologue: the response will come. The frontend's registration answers with its reader.
    pub fn start(self) -> StreamWriter {
        self.writer.begin_with(Frame::Ready);
        self.writer
    }

    /// Sends the other prologue: there will be no response, for this reason, which reaches the registrant. At most
    /// [`MAX_REASON`](crate::wire::MAX_REASON) bytes of it do. Waits until the frontend has taken it.
    ///
    /// # Errors
    ///
    /// [`Cut`], if the stream ended otherwise meanwhile.
    pub async fn fail(self, reason: impl Into<String>) -> Result<(), Cut> {
        self.writer.end_with(Frame::Failed(reason.into())).await
    }

    /// Resolves when nobody waits any more: the stream was cancelled, or its connection is gone.
    pub async fn cancelled(&self) {
        self.writer.killed().await;
    }
}
