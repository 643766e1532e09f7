//! The two ends of a stream in use: the same types at the frontend and at a worker.
//!
//! # Design
//!
//! An end is a bounded channel to its connection's task, and a word the other way: a [`Command`] from a reader, a
//! [`Progress`] to a writer. The reason of an end is published before the channel closes, so that whoever finds it
//! closed finds the reason.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::{mpsc, watch};

use crate::wire::Frame;
use crate::{Cut, Limits, SendError};

/// What a producer should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Go on.
    Run,
    /// Come to an end: send what is still to be sent, and finish.
    Stop,
    /// Drop everything: nobody reads on. The stream was killed or cancelled, or its connection is gone.
    Kill,
}

/// What a reader asks for. Goes up only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Command {
    Run,
    Stop,
    Kill,
}

/// How far a writer's connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Running,
    Stopping,
    Ended(Result<(), Cut>),
}

impl Progress {
    pub(crate) fn stop(&mut self) {
        if *self == Self::Running {
            *self = Self::Stopping;
        }
    }

    fn signal(self) -> Signal {
        match self {
            Self::Running => Signal::Run,
            Self::Stopping => Signal::Stop,
            Self::Ended(_) => Signal::Kill,
        }
    }
}

/// The consumer's end of a stream: a response at the frontend, a request at a worker.
///
/// Pieces come whole and in the order in which they were sent. Also a `futures_core::Stream`, which ends after the clean
/// end or the first error.
///
/// Dropped before the end, it kills the stream: the producer hears of it, and the connection is closed.
#[derive(Debug)]
#[must_use = "dropped, it kills the stream"]
pub struct StreamReader {
    pieces: mpsc::Receiver<Bytes>,
    commands: watch::Sender<Command>,
    end: Arc<OnceLock<Result<(), Cut>>>,
    over: bool,
}

/// A connection's side of a reader.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) pieces: mpsc::Sender<Bytes>,
    pub(crate) commands: watch::Receiver<Command>,
    end: Arc<OnceLock<Result<(), Cut>>>,
}

impl Feed {
    /// Closes the channel, with this as the reason.
    pub(crate) fn end(self, outcome: Result<(), Cut>) {
        // Nobody else sets it: the feed is one.
        let _ = self.end.set(outcome);
    }
}

impl StreamReader {
    pub(crate) fn new(limits: &Limits) -> (Self, Feed) {
        let (sender, pieces) = mpsc::channel(limits.slots());
        let (commands, command) = watch::channel(Command::Run);
        let end = Arc::default();
        let feed = Feed {
            pieces: sender,
            commands: command,
            end: Arc::clone(&end),
        };
        let reader = Self {
            pieces,
            commands,
            end,
            over: false,
        };
        (reader, feed)
    }

    /// The next piece; `None` after the clean end. Cancel-safe.
    ///
    /// A piece is a view of the connection's buffer: keep a copy rather than a small piece for long.
    ///
    /// # Errors
    ///
    /// [`Cut`], where the stream ended in any other way; after the pieces that had come before.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        match self.pieces.recv().await {
            Some(piece) => Ok(Some(piece)),
            None => self.outcome().map(|()| None),
        }
    }

    /// Asks the producer to come to an end by itself. Read on until the end; this only asks.
    pub fn stop(&self) {
        self.command(Command::Stop);
    }

    /// Ends the stream. The producer is told, and the connection is closed; what had come before can still be read.
    pub fn kill(&self) {
        self.command(Command::Kill);
    }

    fn command(&self, command: Command) {
        self.commands.send_if_modified(|current| {
            let up = *current < command;
            *current = command.max(*current);
            up
        });
    }

    fn outcome(&self) -> Result<(), Cut> {
        self.end.get().copied().unwrap_or(Err(Cut::Runtime))
    }
}

impl Stream for StreamReader {
    type Item = Result<Bytes, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(cx));
        self.over = piece.is_none();
        Poll::Ready(match piece {
            Some(piece) => Some(Ok(piece)),
            None => self.outcome().err().map(Err),
        })
    }
}

/// The producer's end of a stream: a request at the frontend, a response at a worker.
///
/// Dropped without [`finish`](Self::finish), it cuts the stream, once what was sent before has left: the reader sees a
/// cut, and not an end.
#[must_use = "dropped, it cuts the stream"]
pub struct StreamWriter {
    frames: mpsc::Sender<Frame>,
    progress: watch::Receiver<Progress>,
    max_frame: usize,
}

/// A connection's side of a writer.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) frames: mpsc::Receiver<Frame>,
    pub(crate) progress: watch::Sender<Progress>,
}

impl Drain {
    /// Closes the channel, with this as the reason.
    pub(crate) fn end(self, outcome: Result<(), Cut>) {
        self.progress.send_replace(Progress::Ended(outcome));
    }
}

impl StreamWriter {
    pub(crate) fn new(limits: &Limits) -> (Self, Drain) {
        let (sender, frames) = mpsc::channel(limits.slots());
        let (publisher, progress) = watch::channel(Progress::Running);
        let writer = Self {
            frames: sender,
            progress,
            max_frame: limits.max_frame,
        };
        let drain = Drain {
            frames,
            progress: publisher,
        };
        (writer, drain)
    }

    /// Sends a piece, when there is room for it. It is not copied if it is longer than 1 KiB.
    ///
    /// `Ok` says that it will be written; [`finish`](Self::finish) says that it has been read. If the future is dropped,
    /// nothing is sent.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the piece back, where the stream has ended or the piece is too long for a frame.
    pub async fn send(&self, data: impl Into<Bytes>) -> Result<(), SendError> {
        let data = data.into();
        if data.len() > self.max_frame {
            let max_frame = self.max_frame;
            return Err(SendError::TooLong { data, max_frame });
        }
        match self.frames.reserve().await {
            Ok(slot) => {
                slot.send(Frame::Data(data));
                Ok(())
            }
            Err(_) => {
                let cut = self.ended().await.err().unwrap_or(Cut::Closed);
                Err(SendError::Ended { data, cut })
            }
        }
    }

    /// Ends the stream cleanly, and waits until the consumer's side has taken everything: its reader has room for all
    /// of it. If the future is dropped while it waits for that, the stream still ends cleanly; if it is dropped while there
    /// is no room for the end itself, the stream is cut.
    ///
    /// # Errors
    ///
    /// [`Cut`], if the stream ended otherwise meanwhile.
    pub async fn finish(self) -> Result<(), Cut> {
        self.end_with(Frame::Sentinel).await
    }

    /// What the producer should do now.
    #[must_use]
    pub fn signal(&self) -> Signal {
        if self.frames.is_closed() {
            return Signal::Kill;
        }
        self.progress.borrow().signal()
    }

    /// Resolves when the consumer asks to stop, or [`killed`](Self::killed) does.
    pub async fn stopped(&self) {
        self.until(|progress| *progress != Progress::Running).await;
    }

    /// Resolves when nobody reads on: the stream was killed or cancelled, or its connection is gone.
    pub async fn killed(&self) {
        self.until(|progress| matches!(progress, Progress::Ended(_)))
            .await;
    }

    pub(crate) async fn end_with(self, last: Frame) -> Result<(), Cut> {
        // If there is no channel any more, there is a reason.
        let _ = self.frames.send(last).await;
        self.ended().await
    }

    /// Sends the first frame, for which there is always room.
    pub(crate) fn begin_with(&self, first: Frame) {
        let _ = self.frames.try_send(first);
    }

    async fn ended(&self) -> Result<(), Cut> {
        match self
            .until(|progress| matches!(progress, Progress::Ended(_)))
            .await
        {
            Some(Progress::Ended(outcome)) => outcome,
            _ => Err(Cut::Runtime),
        }
    }

    async fn until(&self, there: impl FnMut(&Progress) -> bool) -> Option<Progress> {
        let mut progress = self.progress.clone();
        progress.wait_for(there).await.ok().map(|found| *found)
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWriter")
            .field("signal", &self.signal())
            .finish_non_exhaustive()
    }
}
