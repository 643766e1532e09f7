//! One connection at the frontend: handshake, claim, prologue, pump.

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use stream_registry::{Claim, ClaimError, StreamKind, StreamMap};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use crate::frontend::End;
use crate::link::Link;
use crate::server::Home;
use crate::wire::{Frame, FrameError, HELLO_LEN, Hello, MAX_REASON, Refusal};
use crate::{Cut, FrontendEnd, StreamReader, StreamWriter, pump, socket, telemetry};

/// Why a connection came to nothing.
enum NoClaim {
    /// The worker is told.
    Refused(Refusal),
    /// It is not there to be told, or does not wait for it.
    Gone(&'static str),
}

impl<M: StreamMap<FrontendEnd> + 'static> Home<M> {
    /// Refuses a connection beyond the limit without another task: what it takes fits into the socket's buffer.
    pub(crate) fn turn_away(&self, stream: &TcpStream) {
        telemetry::refused("busy");
        #[cfg(feature = "tls")]
        if self.options.tls.is_some() {
            return;
        }
        let mut busy = BytesMut::new();
        Frame::Refused(Refusal::Busy).encode(&mut busy);
        let _ = SockRef::from(stream).send(busy.chunk());
    }

    pub(crate) async fn connected(&self, stream: TcpStream) {
        let limits = &self.options.limits;
        let due = Instant::now() + limits.handshake_deadline;
        if socket::prepare(&stream, limits).is_err() {
            return telemetry::refused("closed");
        }
        #[cfg(feature = "tls")]
        if let Some(config) = &self.options.tls {
            let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::clone(config));
            let secured = tokio::select! {
                () = self.deaf.cancelled() => return,
                secured = timeout_at(due, acceptor.accept(stream)) => secured,
            };
            return match secured {
                Ok(Ok(stream)) => self.serve(stream, due).await,
                Ok(Err(_)) => telemetry::refused("tls"),
                Err(_) => telemetry::refused("deadline"),
            };
        }
        self.serve(stream, due).await;
    }

    pub(crate) async fn serve<S: AsyncRead + AsyncWrite>(&self, stream: S, due: Instant) {
        let mut link = Link::new(stream, &self.options.limits, HELLO_LEN);
        let greeted = tokio::select! {
            () = self.deaf.cancelled() => return,
            greeted = timeout_at(due, link.inbound.next()) => greeted,
        };
        let greeted = greeted.unwrap_or(Err(Cut::Slow {
            deadline: self.options.limits.handshake_deadline,
        }));
        match self.claim(&greeted) {
            Ok(claim) => self.welcome(link, claim, due).await,
            Err(NoClaim::Gone(reason)) => telemetry::refused(reason),
            Err(NoClaim::Refused(refusal)) => {
                telemetry::refused(refusal.name());
                link.close(Frame::Refused(refusal)).await;
            }
        }
    }

    fn claim(&self, greeted: &Result<Frame, Cut>) -> Result<Claim<FrontendEnd>, NoClaim> {
        let &Hello { kind, id } = match greeted {
            Ok(Frame::Hello(hello)) => hello,
            Err(Cut::Frame(FrameError::Version { .. })) => {
                return Err(NoClaim::Refused(Refusal::Version));
            }
            Ok(_) | Err(Cut::Frame(_)) => return Err(NoClaim::Refused(Refusal::Malformed)),
            Err(Cut::Slow { .. }) => return Err(NoClaim::Gone("deadline")),
            Err(_) => return Err(NoClaim::Gone("closed")),
        };
        let span = Span::current();
        span.record("kind", tracing::field::display(kind));
        span.record("stream", tracing::field::debug(id));
        self.streams.claim(id, kind).map_err(|error| {
            NoClaim::Refused(match error {
                ClaimError::WrongKind { .. } => Refusal::WrongKind,
                ClaimError::AlreadyClaimed { .. } => Refusal::AlreadyClaimed,
                ClaimError::Cancelled { .. } => Refusal::Cancelled,
                _ => Refusal::Unknown,
            })
        })
    }

    async fn welcome<S: AsyncRead + AsyncWrite>(
        &self,
        mut link: Link<S>,
        claim: Claim<FrontendEnd>,
        due: Instant,
    ) {
        let welcomed = timeout_at(due, link.outbound.send(Frame::Welcome)).await;
        if !matches!(welcomed, Ok(Ok(()))) {
            return tracing::debug!("cut before it was welcomed");
        }
        match claim.kind() {
            StreamKind::Response => self.read_response(link, claim).await,
            StreamKind::Request => self.write_request(link, claim).await,
        }
    }

    async fn read_response<S: AsyncRead + AsyncWrite>(
        &self,
        mut link: Link<S>,
        mut claim: Claim<FrontendEnd>,
    ) {
        link.inbound.expect(1 + MAX_REASON);
        let prologue = tokio::select! {
            biased;
            () = claim.cancelled() => Err(Cut::Cancelled),
            prologue = link.inbound.next() => prologue,
        };
        match prologue {
            Ok(Frame::Ready) => {}
            Ok(Frame::Failed(reason)) => {
                claim.fail(reason);
                return link.close(Frame::Sentinel).await;
            }
            Err(Cut::Cancelled) => return link.close(Frame::Kill).await,
            other => {
                let cut = other.map_or_else(|cut| cut, |frame| frame.out_of_turn().into());
                return tracing::info!(%cut, "cut before its prologue");
            }
        }
        let limits = &self.options.limits;
        let (reader, mut feed) = StreamReader::new(limits);
        let Ok(mut established) = claim.establish(FrontendEnd(End::Reader(reader))) else {
            return link.close(Frame::Kill).await;
        };
        let outcome = pump::consume(&mut link, limits, &mut feed, established.cancelled()).await;
        drop(established);
        feed.end(outcome);
        tell(outcome);
        match outcome {
            Ok(()) => drop(link.outbound.finish().await),
            Err(_) => link.close(Frame::Kill).await,
        }
    }

    async fn write_request<S: AsyncRead + AsyncWrite>(
        &self,
        mut link: Link<S>,
        claim: Claim<FrontendEnd>,
    ) {
        let (writer, mut drain) = StreamWriter::new(&self.options.limits);
        let Ok(mut established) = claim.establish(FrontendEnd(End::Writer(writer))) else {
            return;
        };
        let outcome = pump::produce(&mut link, &mut drain, established.cancelled()).await;
        drop(established);
        drain.end(outcome);
        tell(outcome);
    }
}

fn tell(outcome: Result<(), Cut>) {
    match outcome {
        Ok(()) => tracing::debug!("stream ended"),
        Err(cut) => tracing::info!(%cut, "stream cut"),
    }
}

#[cfg(all(
    test,
    any(
        feature = "dashmap",
        feature = "papaya",
        feature = "scc",
        feature = "rwlock"
    )
))]
mod tests;
