//! One connection's two directions, each under its deadline.
//!
//! # Invariants
//!
//! [`Inbound::next`] and [`Outbound::flush`] may be dropped at any await and called again: no byte is lost, and no
//! deadline is prolonged by it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Buf;
use futures_core::Stream;
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout_at};
use tokio_util::codec::FramedRead;

use crate::codec::{FrameDecoder, Outbox};
use crate::telemetry::Traffic;
use crate::wire::Frame;
use crate::{Cut, Limits};

/// A connection.
#[derive(Debug)]
pub(crate) struct Link<S> {
    pub(crate) inbound: Inbound<S>,
    pub(crate) outbound: Outbound<S>,
}

impl<S: AsyncRead + AsyncWrite> Link<S> {
    /// Expects frames of at most `most` bytes, with their tags.
    pub(crate) fn new(stream: S, limits: &Limits, most: usize) -> Self {
        let (read, write) = io::split(stream);
        Self {
            inbound: Inbound {
                frames: FramedRead::new(read, FrameDecoder::new(most)),
                deadline: limits.frame_deadline,
                due: None,
                traffic: Traffic::received(),
            },
            outbound: Outbound {
                io: write,
                outbox: Outbox::default(),
                deadline: limits.frame_deadline,
                due: None,
                traffic: Traffic::sent(),
            },
        }
    }

    /// Closes, once the other side has or a moment has passed. Whoever closes first keeps the connection's two ports busy
    /// for a minute; the frontend can afford that and a worker, which needs a port for each call, cannot.
    pub(crate) async fn close_second(mut self) {
        let soon = Instant::now() + LAST_WORD;
        let _ = timeout_at(soon, self.inbound.next()).await;
        let _ = timeout_at(soon, self.outbound.finish()).await;
    }

    /// Sends one last frame and closes, when the other side has, or after a moment. Closed at once, with something still
    /// unread, the system would take the connection down together with the frame that says why.
    pub(crate) async fn close(mut self, last: Frame) {
        let soon = Instant::now() + LAST_WORD.min(self.outbound.deadline);
        let last_word = async {
            self.outbound.send(last).await?;
            self.outbound.finish().await?;
            self.inbound.discard().await
        };
        // Whoever does not take it learns from the close.
        let _ = timeout_at(soon, last_word).await;
    }
}

/// How long a connection that is over may take to say so.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What comes in.
#[derive(Debug)]
pub(crate) struct Inbound<S> {
    frames: FramedRead<ReadHalf<S>, FrameDecoder>,
    deadline: Duration,
    /// When the frame has to be complete of which the first bytes are here.
    due: Option<Instant>,
    traffic: Traffic,
}

impl<S: AsyncRead> Inbound<S> {
    /// Reads to the end of the connection, for nothing.
    async fn discard(&mut self) -> Result<(), Cut> {
        let mut buffer = std::mem::take(self.frames.read_buffer_mut());
        let read = self.frames.get_mut();
        loop {
            buffer.clear();
            buffer.reserve(4096);
            if read.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Takes frames of at most `most` bytes from now on, with their tags.
    pub(crate) fn expect(&mut self, most: usize) {
        self.frames.decoder_mut().expect(most);
    }

    /// The next frame. Waits for its first byte as long as it takes, and for its last until the deadline.
    pub(crate) async fn next(&mut self) -> Result<Frame, Cut> {
        let begun = poll_fn(|cx| match Pin::new(&mut self.frames).poll_next(cx) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending if self.frames.read_buffer().is_empty() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        });
        let frame = match begun.await {
            Some(frame) => frame,
            None => {
                let deadline = self.deadline;
                let due = *self.due.get_or_insert_with(|| Instant::now() + deadline);
                let rest = poll_fn(|cx| Pin::new(&mut self.frames).poll_next(cx));
                timeout_at(due, rest)
                    .await
                    .map_err(|_| Cut::Slow { deadline })?
            }
        };
        self.due = None;
        let frame = frame.ok_or(Cut::Closed)??;
        if let Frame::Data(data) = &frame {
            self.traffic.add(data.len());
        }
        Ok(frame)
    }
}

/// What goes out.
#[derive(Debug)]
pub(crate) struct Outbound<S> {
    io: WriteHalf<S>,
    outbox: Outbox,
    deadline: Duration,
    /// When what is in the outbox has to be gone.
    due: Option<Instant>,
    traffic: Traffic,
}

impl<S: AsyncWrite> Outbound<S> {
    /// How many bytes wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.outbox.remaining()
    }

    /// Whether everything has been written, and has left.
    pub(crate) fn is_idle(&self) -> bool {
        self.due.is_none()
    }

    /// Lets a frame wait to be written.
    pub(crate) fn push(&mut self, frame: Frame) {
        if let Frame::Data(data) = &frame {
            self.traffic.add(data.len());
        }
        self.outbox.push(frame);
        let deadline = self.deadline;
        self.due.get_or_insert_with(|| Instant::now() + deadline);
    }

    /// Writes what waits.
    pub(crate) async fn flush(&mut self) -> Result<(), Cut> {
        let Some(due) = self.due else {
            return Ok(());
        };
        let written = async {
            while self.outbox.has_remaining() {
                if self.io.write_buf(&mut self.outbox).await? == 0 {
                    return Err(Cut::Closed);
                }
            }
            Ok(self.io.flush().await?)
        };
        let deadline = self.deadline;
        timeout_at(due, written)
            .await
            .map_err(|_| Cut::Slow { deadline })??;
        self.due = None;
        Ok(())
    }

    pub(crate) async fn send(&mut self, frame: Frame) -> Result<(), Cut> {
        self.push(frame);
        self.flush().await
    }

    /// Says that nothing more will come.
    pub(crate) async fn finish(&mut self) -> Result<(), Cut> {
        Ok(self.io.shutdown().await?)
    }
}
