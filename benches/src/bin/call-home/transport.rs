//! The least transport that a stream can be called home over: the handshake, tokens and ends of
//! `call_home::wire`, without limits, deadlines, commands or batches.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use benches::streams::Streams;
use bytes::{Bytes, BytesMut};
use call_home::wire::{Frame, Hello};
use stream_registry::{StreamId, StreamKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

use super::nanos;

/// A token is some thirty bytes.
pub(crate) const TOKEN: &str = "{\"token\":12345,\"text\":\" word\"}";

/// What a registrant gets.
pub(crate) struct Feed {
    pub(crate) pieces: mpsc::Receiver<Bytes>,
    /// How long it took to claim the stream, in nanoseconds.
    pub(crate) claim: u64,
}

struct Connection {
    stream: TcpStream,
    codec: LengthDelimitedCodec,
    buffer: BytesMut,
}

impl Connection {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            codec: LengthDelimitedCodec::new(),
            buffer: BytesMut::with_capacity(8192),
        })
    }

    async fn send(&mut self, frame: Frame) -> Result<()> {
        let mut bytes = BytesMut::with_capacity(64);
        let payload = frame.encode(&mut bytes);
        bytes.extend_from_slice(&payload);
        Ok(self.stream.write_all(&bytes).await?)
    }

    async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(body) = self.codec.decode(&mut self.buffer)? {
                return Ok(Frame::decode(body.freeze())?);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("closed");
            }
        }
    }
}

pub(crate) async fn serve<S: Streams<Feed>>(streams: S) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Whoever waits for the stream misses tokens, and says so.
            tokio::spawn(receive(streams.clone(), stream));
        }
    });
    Ok(address)
}

async fn receive<S: Streams<Feed>>(streams: S, stream: TcpStream) -> Result<()> {
    let mut connection = Connection::new(stream)?;
    let Frame::Hello(Hello { id, .. }) = connection.next().await? else {
        bail!("no handshake");
    };
    let start = Instant::now();
    let claim = streams.claim(&S::came(id)).await;
    let claim = claim.context("no such stream")?;
    let took = nanos(start);
    connection.send(Frame::Welcome).await?;
    let (sender, pieces) = mpsc::channel(64);
    let feed = Feed {
        pieces,
        claim: took,
    };
    let _in_use = S::establish(claim, feed);
    loop {
        match connection.next().await? {
            Frame::Data(piece) => sender.send(piece).await?,
            Frame::Sentinel => return connection.send(Frame::Sentinel).await,
            other => bail!("{other:?}"),
        }
    }
}

pub(crate) async fn work(address: SocketAddr, id: StreamId, tokens: usize) -> Result<()> {
    let mut connection = Connection::new(TcpStream::connect(address).await?)?;
    let kind = StreamKind::Response;
    connection.send(Frame::Hello(Hello { kind, id })).await?;
    connection.next().await?;
    for _ in 0..tokens {
        connection.send(Frame::Data(TOKEN.into())).await?;
        tokio::task::yield_now().await;
    }
    connection.send(Frame::Sentinel).await?;
    connection.next().await?;
    // The frontend closes first: its port is one, and not of a few thousand.
    let _ = connection.next().await;
    Ok(())
}
