//! The body of a worker that has always one more token.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

/// Tokens without end, a kilobyte a frame: more than a socket takes that nobody reads.
#[derive(Debug, Default)]
pub(crate) struct Tokens(());

impl Body for Tokens {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const FRAME: &[u8] = &[b'a'; 1_024];
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(FRAME)))))
    }
}
