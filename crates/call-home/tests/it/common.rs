//! What the tests of the transport share.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use call_home::{
    CallHomeClient, CallHomeOptions, CallHomeServer, Cut, EndpointInstanceId, FrontendEnd, Limits,
    StreamMap, StreamReader,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Fails a test that hangs. Nothing here waits for it to pass.
pub(crate) const HANGS: Duration = Duration::from_secs(120);

pub(crate) async fn within_bounds<T>(test: impl Future<Output = T>) -> T {
    timeout(HANGS, test).await.expect("does not hang")
}

pub(crate) async fn server<M: StreamMap<FrontendEnd> + Default + 'static>() -> CallHomeServer<M> {
    server_with(CallHomeOptions::default()).await
}

pub(crate) async fn server_with<M: StreamMap<FrontendEnd> + Default + 'static>(
    options: CallHomeOptions,
) -> CallHomeServer<M> {
    let server = CallHomeServer::bind_with_map(options, M::default()).await;
    server.expect("a free port")
}

pub(crate) fn client() -> CallHomeClient {
    CallHomeClient::new(Limits::default()).expect("the default limits are fine")
}

pub(crate) fn instance(id: u64) -> EndpointInstanceId {
    EndpointInstanceId::new("prod", "decode", "generate", id).expect("names are fine")
}

/// All pieces until the end, and how it ended.
pub(crate) async fn read_all(reader: &mut StreamReader) -> (Vec<Bytes>, Result<(), Cut>) {
    let mut pieces = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(piece)) => pieces.push(piece),
            Ok(None) => return (pieces, Ok(())),
            Err(cut) => return (pieces, Err(cut)),
        }
    }
}

/// Waits until nothing is in flight any more. Tombstones stay for their time.
pub(crate) async fn settles<M: StreamMap<FrontendEnd> + 'static>(server: &CallHomeServer<M>) {
    loop {
        let stats = server.stats();
        let streams = stats.streams;
        let open = streams.pending + streams.claimed + streams.established + streams.instances;
        if open + stats.connections == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A peer that speaks bytes.
pub(crate) async fn raw(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a listener")
}

/// What a peer is sent until it is closed. A reset is a close, too.
pub(crate) async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}
