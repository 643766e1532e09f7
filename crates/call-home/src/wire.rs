//! What travels on a connection: frames, byte by byte, for whoever writes a worker in another language.
//!
//! # Design
//!
//! A connection carries one stream. It is opened by the worker, which says [`Hello`]; the frontend answers
//! [`Frame::Welcome`] and the stream is claimed, or [`Frame::Refused`], and closes. Then one side *produces* and the
//! other *consumes*: the worker produces a response, the frontend a request.
//!
//! | the producer sends | the consumer sends |
//! |---|---|
//! | `Ready`, or `Failed` and nothing more (responses only, before all else) | `Stop`: come to an end, at most once |
//! | any number of `Data` | `Kill`: nobody reads on; the consumer closes |
//! | `Sentinel`: that was all | `Sentinel`: the same back, all has been read; then it closes |
//!
//! `Failed` is answered by `Sentinel` as well. A connection that closes without both sentinels has cut its stream.
//!
//! # Layout
//!
//! A frame is its length, four bytes, big endian; then that many bytes, of which the first is a tag:
//!
//! | tag | frame | behind the tag |
//! |---|---|---|
//! | 1 | `Hello` | `CHOM`, the version (two bytes, big endian), the kind (0 request, 1 response), the stream's id (16 bytes) |
//! | 2 | `Welcome` | |
//! | 3 | `Refused` | a code, see [`Refusal`] |
//! | 4 | `Ready` | |
//! | 5 | `Failed` | a text in UTF-8, at most [`MAX_REASON`] bytes |
//! | 6 | `Data` | the payload, perhaps none |
//! | 7 | `Sentinel` | |
//! | 8 | `Stop` | |
//! | 9 | `Kill` | |
//!
//! # Why
//!
//! - *Welcome before data*, a round trip, so that a worker does not compute for a stream that is gone.
//! - *A sentinel each way*, since a close says nothing: it looks the same when a process dies whose socket was empty.
//!
//! # Invariants
//!
//! - Decoding never panics, and never allocates for what a length only promises, beyond the longest frame that is due at
//!   that point of the conversation.
//! - Whatever is encoded is decoded as the same frame; whatever is decoded and encoded again is the same bytes, but for a
//!   text that was no UTF-8.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use stream_registry::{StreamId, StreamKind};
use thiserror::Error;

/// The version of the protocol that this crate speaks, and the only one.
pub const VERSION: u16 = 1;

/// The most bytes of a reason why a response failed. What is longer is cut off, at a character's end.
pub const MAX_REASON: usize = 1024;

/// The length of a `Hello`, without its length prefix.
pub const HELLO_LEN: usize = 1 + 4 + 2 + 1 + 16;

const MAGIC: [u8; 4] = *b"CHOM";

mod tag {
    pub(super) const HELLO: u8 = 1;
    pub(super) const WELCOME: u8 = 2;
    pub(super) const REFUSED: u8 = 3;
    pub(super) const READY: u8 = 4;
    pub(super) const FAILED: u8 = 5;
    pub(super) const DATA: u8 = 6;
    pub(super) const SENTINEL: u8 = 7;
    pub(super) const STOP: u8 = 8;
    pub(super) const KILL: u8 = 9;
}

/// How a worker opens a connection: for which stream, and what it takes that stream for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The half of a session, seen from the frontend.
    pub kind: StreamKind,
    /// The stream.
    pub id: StreamId,
}

/// A frame, without its length prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The worker says which stream it calls home for.
    Hello(Hello),
    /// The stream is the worker's.
    Welcome,
    /// It is not.
    Refused(Refusal),
    /// The prologue of a response that will come.
    Ready,
    /// The prologue of a response that will not come, with the reason.
    Failed(String),
    /// A piece of the stream.
    Data(Bytes),
    /// The clean end.
    Sentinel,
    /// The consumer wants the producer to come to an end by itself.
    Stop,
    /// The consumer reads no further.
    Kill,
}

/// Why a connection is refused. Each displays as a sentence with a way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
#[repr(u8)]
pub enum Refusal {
    /// Code 1: it did not begin with a `Hello`.
    #[error(
        "the frontend could not read the handshake: check that both sides use or do not use TLS"
    )]
    Malformed = 1,
    /// Code 2: it speaks another version.
    #[error("the frontend speaks another version of the protocol: run the same one on both sides")]
    Version = 2,
    /// Code 3: no such stream waits.
    #[error(
        "the frontend knows no such stream: it has ended, or was registered elsewhere; drop the request"
    )]
    Unknown = 3,
    /// Code 4: the stream is of the other kind.
    #[error("the stream is of the other kind: call home for it as what it was registered as")]
    WrongKind = 4,
    /// Code 5: somebody was faster.
    #[error("somebody has called home for this stream already: one connection a stream")]
    AlreadyClaimed = 5,
    /// Code 6: the stream was cancelled at this moment.
    #[error("the stream was cancelled just now: drop the request")]
    Cancelled = 6,
    /// Code 7: there are as many connections as there may be.
    #[error("the frontend has as many connections as it may have: call again later")]
    Busy = 7,
}

impl Refusal {
    const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Version,
        Self::Unknown,
        Self::WrongKind,
        Self::AlreadyClaimed,
        Self::Cancelled,
        Self::Busy,
    ];

    /// As it is called in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Unknown => "unknown",
            Self::WrongKind => "wrong_kind",
            Self::AlreadyClaimed => "already_claimed",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| *refusal as u8 == code)
    }
}

/// Bytes that are no frame, or no frame that may come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is above what is due here; nothing was allocated for it.
    #[error(
        "a frame is longer than {most} bytes, the most that is due here: raise `max_frame` on this side, or lower it on the other"
    )]
    TooLong {
        /// The longest that would have been taken, with its tag.
        most: usize,
    },
    /// A length of 0: not even a tag.
    #[error("a frame is empty: the other side does not speak this protocol")]
    Empty,
    /// No frame has this tag.
    #[error("no frame has the tag {tag}: the other side does not speak this protocol")]
    UnknownTag {
        /// The tag.
        tag: u8,
    },
    /// What stands behind the tag is not what belongs there.
    #[error(
        "a frame with the tag {tag} has {len} bytes that make no sense: the other side does not speak this protocol"
    )]
    Malformed {
        /// The tag.
        tag: u8,
        /// How many bytes there are behind it.
        len: usize,
    },
    /// A handshake of another version.
    #[error("the other side speaks version {theirs} of the protocol, this one version {ours}: run the same one on both sides", ours = VERSION)]
    Version {
        /// The version it speaks.
        theirs: u16,
    },
    /// A frame of this protocol that the other side must not send now.
    #[error(
        "a frame with the tag {tag} comes out of turn: the other side does not follow this protocol"
    )]
    OutOfTurn {
        /// The tag.
        tag: u8,
    },
}

impl Frame {
    /// Reads a frame, which has lost its length prefix. A payload stays where it is.
    ///
    /// # Errors
    ///
    /// [`FrameError`]; never `TooLong` or `OutOfTurn`.
    pub fn decode(mut body: Bytes) -> Result<Self, FrameError> {
        if body.is_empty() {
            return Err(FrameError::Empty);
        }
        let tag = body.get_u8();
        let len = body.len();
        let malformed = FrameError::Malformed { tag, len };
        let bare = |frame| if len == 0 { Ok(frame) } else { Err(malformed) };
        match tag {
            tag::HELLO => Hello::decode(&body).map(Self::Hello),
            tag::WELCOME => bare(Self::Welcome),
            tag::REFUSED => match *body {
                [code] => Refusal::from_code(code).map(Self::Refused).ok_or(malformed),
                _ => Err(malformed),
            },
            tag::READY => bare(Self::Ready),
            // A reason that is not UTF-8 is still a reason.
            tag::FAILED if len <= MAX_REASON => {
                Ok(Self::Failed(String::from_utf8_lossy(&body).into_owned()))
            }
            tag::FAILED => Err(malformed),
            tag::DATA => Ok(Self::Data(body)),
            tag::SENTINEL => bare(Self::Sentinel),
            tag::STOP => bare(Self::Stop),
            tag::KILL => bare(Self::Kill),
            _ => Err(FrameError::UnknownTag { tag }),
        }
    }

    /// Writes the frame to `head`, with its length prefix; but a payload is not copied, and belongs behind `head`.
    ///
    /// A payload above 4 GiB has no length prefix: nothing this crate sends is longer than `max_frame`.
    pub fn encode(self, head: &mut BytesMut) -> Bytes {
        let (text, payload) = match &self {
            Self::Failed(reason) => (shortened(reason).as_bytes(), Bytes::new()),
            Self::Data(payload) => (&[][..], payload.clone()),
            _ => (&[][..], Bytes::new()),
        };
        let fixed = match self {
            Self::Hello(_) => HELLO_LEN,
            Self::Refused(_) => 2,
            _ => 1,
        };
        let len = u32::try_from(fixed + text.len() + payload.len()).unwrap_or(u32::MAX);
        head.put_u32(len);
        head.put_u8(self.tag());
        match &self {
            Self::Hello(hello) => hello.encode(head),
            Self::Refused(refusal) => head.put_u8(*refusal as u8),
            _ => head.put_slice(text),
        }
        payload
    }

    /// The tag that stands before the rest.
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Self::Hello(_) => tag::HELLO,
            Self::Welcome => tag::WELCOME,
            Self::Refused(_) => tag::REFUSED,
            Self::Ready => tag::READY,
            Self::Failed(_) => tag::FAILED,
            Self::Data(_) => tag::DATA,
            Self::Sentinel => tag::SENTINEL,
            Self::Stop => tag::STOP,
            Self::Kill => tag::KILL,
        }
    }

    pub(crate) fn out_of_turn(&self) -> FrameError {
        FrameError::OutOfTurn { tag: self.tag() }
    }
}

impl Hello {
    fn decode(body: &[u8]) -> Result<Self, FrameError> {
        let malformed = FrameError::Malformed {
            tag: tag::HELLO,
            len: body.len(),
        };
        let rest = body.strip_prefix(&MAGIC).ok_or(malformed)?;
        let (version, rest) = rest.split_first_chunk().ok_or(malformed)?;
        let theirs = u16::from_be_bytes(*version);
        // What follows is that version's business.
        if theirs != VERSION {
            return Err(FrameError::Version { theirs });
        }
        let (&kind, id) = rest.split_first().ok_or(malformed)?;
        let kind = match kind {
            0 => StreamKind::Request,
            1 => StreamKind::Response,
            _ => return Err(malformed),
        };
        let id = id.try_into().map_err(|_| malformed)?;
        let id = StreamId::from_bytes(id);
        Ok(Self { kind, id })
    }

    fn encode(&self, head: &mut BytesMut) {
        head.put_slice(&MAGIC);
        head.put_u16(VERSION);
        head.put_u8(match self.kind {
            StreamKind::Request => 0,
            StreamKind::Response => 1,
        });
        head.put_slice(&self.id.to_bytes());
    }
}

/// As much of a reason as is sent.
fn shortened(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
