//! Frames on a byte stream: cutting what comes in, gathering what goes out.
//!
//! # Design
//!
//! Lengths are `tokio-util`'s business; what is behind them, [`wire`](crate::wire)'s. Going out, small frames are gathered
//! in one buffer and a large payload is queued between two of them, all for one vectored write.
//!
//! # Why
//!
//! A token is some thirty bytes: to copy it beside its neighbours is cheaper than an entry of its own in a vectored
//! write, and far cheaper than a write of its own. A payload of megabytes is never copied.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

use crate::Cut;
use crate::wire::{Frame, FrameError};

/// What is at most copied of a payload.
const COPIED: usize = 1024;

/// Cuts what comes in into frames.
#[derive(Debug)]
pub(crate) struct FrameDecoder {
    lengths: LengthDelimitedCodec,
}

impl FrameDecoder {
    /// For frames of at most `most` bytes, with their tags.
    pub(crate) fn new(most: usize) -> Self {
        let lengths = LengthDelimitedCodec::builder()
            .max_frame_length(most)
            .new_codec();
        Self { lengths }
    }

    /// Takes frames of at most `most` bytes from now on, with their tags.
    pub(crate) fn expect(&mut self, most: usize) {
        self.lengths.set_max_frame_length(most);
    }
}

impl Decoder for FrameDecoder {
    type Item = Frame;
    type Error = Cut;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, Cut> {
        let body = self.lengths.decode(src).map_err(|_| {
            let most = self.lengths.max_frame_length();
            FrameError::TooLong { most }
        })?;
        let frame = body.map(|body| Frame::decode(body.freeze())).transpose()?;
        Ok(frame)
    }

    /// An end in the middle of a frame is an end like any other: it was not announced.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, Cut> {
        self.decode(src)
    }
}

/// Frames that are to be written.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Comes first.
    queue: VecDeque<Bytes>,
    /// Comes last.
    tail: BytesMut,
    len: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, frame: Frame) {
        let before = self.tail.len();
        let payload = frame.encode(&mut self.tail);
        self.len += self.tail.len() - before + payload.len();
        if payload.len() <= COPIED {
            self.tail.extend_from_slice(&payload);
        } else {
            self.queue.push_back(self.tail.split().freeze());
            self.queue.push_back(payload);
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&self.tail, |first| first)
    }

    fn advance(&mut self, mut count: usize) {
        self.len -= count;
        while let Some(first) = self.queue.front_mut() {
            if count < first.len() {
                return first.advance(count);
            }
            count -= first.len();
            self.queue.pop_front();
        }
        self.tail.advance(count);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let chunks = self.queue.iter().map(|chunk| &chunk[..]);
        let chunks = chunks.chain([&self.tail[..]]);
        let mut count = 0;
        for (slot, chunk) in slices
            .iter_mut()
            .zip(chunks.filter(|chunk| !chunk.is_empty()))
        {
            *slot = IoSlice::new(chunk);
            count += 1;
        }
        count
    }
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // rustls: closed without a word. We have our own.
            io::ErrorKind::UnexpectedEof => Self::Closed,
            kind => Self::Io(kind),
        }
    }
}

#[cfg(test)]
mod tests;
