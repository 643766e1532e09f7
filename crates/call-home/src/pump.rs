//! What a connection does while its stream is in use: the same on both sides of it, for a producer and for a consumer.
//!
//! # Design
//!
//! A pump is a future that owns the connection, and ends when the stream does. It waits for everything at once: frames,
//! the other end of a bounded channel, and the stream's cancellation. Nobody else touches the connection, so that nothing
//! here is locked.
//!
//! # Invariants
//!
//! - A consumer takes a frame off the connection only when it has handed on the one before: the channel is the
//!   backpressure, by way of the system's buffers.
//! - A producer listens while it writes: a consumer that does not read can still kill it.

use std::future::Future;
use std::pin::pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::error::TrySendError;

use crate::link::Link;
use crate::stream::{Command, Drain, Feed, Progress};
use crate::wire::Frame;
use crate::{Cut, Limits};

/// How many bytes are gathered for one write, unless a frame is longer.
const BATCH: usize = 64 << 10;

/// Hands what comes in to a reader. `Ok` is the clean end, and the producer has been told.
pub(crate) async fn consume<S: AsyncRead + AsyncWrite>(
    link: &mut Link<S>,
    limits: &Limits,
    feed: &mut Feed,
    cancelled: impl Future<Output = ()>,
) -> Result<(), Cut> {
    let Feed {
        pieces, commands, ..
    } = feed;
    link.inbound.expect(1 + limits.max_frame);
    let mut cancelled = pin!(cancelled);
    let mut held = None;
    let mut finished = false;
    while !finished || !link.outbound.is_idle() {
        tokio::select! {
            biased;
            // Once the end has been confirmed it is the end, for both sides.
            () = &mut cancelled, if !finished => return Err(Cut::Cancelled),
            flushed = link.outbound.flush(), if !link.outbound.is_idle() => flushed?,
            changed = commands.changed(), if !finished => {
                let command = *commands.borrow_and_update();
                if changed.is_err() || command == Command::Kill {
                    return Err(Cut::Killed);
                }
                link.outbound.push(Frame::Stop);
            }
            slot = pieces.reserve(), if held.is_some() => match (slot, held.take()) {
                (Ok(slot), Some(piece)) => slot.send(piece),
                _ => return Err(Cut::Killed),
            },
            frame = link.inbound.next(), if held.is_none() && !finished => match frame? {
                Frame::Data(piece) => match pieces.try_send(piece) {
                    Ok(()) => {}
                    Err(TrySendError::Full(piece)) => held = Some(piece),
                    Err(TrySendError::Closed(_)) => return Err(Cut::Killed),
                },
                Frame::Sentinel => {
                    link.outbound.push(Frame::Sentinel);
                    finished = true;
                }
                other => return Err(other.out_of_turn().into()),
            },
        }
    }
    Ok(())
}

/// Sends what a writer hands over. `Ok` if it has finished, and the consumer has read it all.
pub(crate) async fn produce<S: AsyncRead + AsyncWrite>(
    link: &mut Link<S>,
    drain: &mut Drain,
    cancelled: impl Future<Output = ()>,
) -> Result<(), Cut> {
    let Drain { frames, progress } = drain;
    link.inbound.expect(1);
    let mut cancelled = pin!(cancelled);
    let mut finished = false;
    loop {
        tokio::select! {
            biased;
            () = &mut cancelled => return Err(Cut::Cancelled),
            frame = link.inbound.next() => match frame? {
                Frame::Stop => progress.send_modify(Progress::stop),
                Frame::Kill => return Err(Cut::Killed),
                Frame::Sentinel if finished && link.outbound.is_idle() => return Ok(()),
                other => return Err(other.out_of_turn().into()),
            },
            flushed = link.outbound.flush(), if !link.outbound.is_idle() => flushed?,
            frame = frames.recv(), if link.outbound.is_idle() && !finished => {
                let mut next = Some(frame.ok_or(Cut::Abandoned)?);
                while let Some(frame) = next {
                    finished = matches!(frame, Frame::Sentinel | Frame::Failed(_));
                    link.outbound.push(frame);
                    let more = !finished && link.outbound.waiting() < BATCH;
                    next = if more { frames.try_recv().ok() } else { None };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
