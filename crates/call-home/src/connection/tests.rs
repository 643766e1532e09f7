//! Peers that are slow, silent, confused or hostile, each over a pipe in memory, in a time that passes only when nothing
//! else happens.

use std::sync::Arc;
use std::time::Duration;

use stream_registry::{StreamError, StreamId};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::{CallHomeOptions, CallHomeServer};

/// What a peer was told in the end, and after how long it was closed.
struct Told {
    bytes: Vec<u8>,
    after: Duration,
}

async fn server() -> CallHomeServer {
    let server = CallHomeServer::bind(CallHomeOptions::default()).await;
    server.expect("a free port")
}

fn call(server: &CallHomeServer) -> (DuplexStream, JoinHandle<()>) {
    let (peer, stream) = duplex(4096);
    let home = Arc::clone(&server.home);
    let due = Instant::now() + home.options.limits.handshake_deadline;
    let task = tokio::spawn(async move { home.serve(stream, due).await });
    (peer, task)
}

/// Sends `bytes`, each after a pause, and reads until it is closed.
async fn tell(server: &CallHomeServer, bytes: &[u8], pause: Duration) -> Told {
    let (peer, task) = call(server);
    let start = Instant::now();
    let (mut read, mut write) = tokio::io::split(peer);
    let drip = async {
        for byte in bytes {
            let _ = timeout_at(Instant::now() + pause, std::future::pending::<()>()).await;
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    };
    let mut answer = Vec::new();
    let (_, told) = tokio::join!(drip, read.read_to_end(&mut answer));
    told.expect("a pipe that is closed");
    task.await.expect("no panic");
    Told {
        bytes: answer,
        after: start.elapsed(),
    }
}

fn encoded(frame: Frame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let payload = frame.encode(&mut bytes);
    [&bytes[..], &payload].concat()
}

fn hello(id: StreamId, kind: StreamKind) -> Vec<u8> {
    encoded(Frame::Hello(Hello { kind, id }))
}

fn refused(refusal: Refusal) -> Vec<u8> {
    encoded(Frame::Refused(refusal))
}

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_speaks_is_closed_at_the_deadline() {
    let told = tell(&server().await, &[], Duration::ZERO).await;
    assert_eq!((told.bytes, told.after), (vec![], DEADLINE));
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_one_byte_a_second_is_closed_at_the_deadline() {
    let server = server().await;
    let pending = server.register_response();
    let bytes = hello(pending.id(), StreamKind::Response);
    let told = tell(&server, &bytes, Duration::from_secs(1)).await;
    assert_eq!(told.bytes, []);
    // The pipe tells it of the close with its next byte.
    assert!(told.after <= DEADLINE + Duration::from_secs(1));
    assert_eq!(server.stats().streams.pending, 1, "the stream waits on");
}

#[tokio::test(start_paused = true)]
async fn garbage_is_refused_at_once() {
    let server = server().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: frontend\r\n\r\n"[..],
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        &[0xff; 64],
        &[0; 64],
        &encoded(Frame::Ready),
        &encoded(Frame::Data("no handshake".into())),
    ] {
        let told = tell(&server, garbage, Duration::ZERO).await;
        assert_eq!(told.bytes, refused(Refusal::Malformed), "{garbage:?}");
        assert!(told.after < Duration::from_secs(2));
    }
    let mut other_version = hello(StreamId::from_bytes([0; 16]), StreamKind::Response);
    other_version[10] = 2;
    let told = tell(&server, &other_version, Duration::ZERO).await;
    assert_eq!(told.bytes, refused(Refusal::Version));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_half_closes_ends_its_stream() {
    let server = server().await;
    // Before its handshake, within it, and before its prologue.
    let pending = server.register_response();
    let hello = hello(pending.id(), StreamKind::Response);
    for (sent, answer) in [
        (0, vec![]),
        (20, vec![]),
        (hello.len(), encoded(Frame::Welcome)),
    ] {
        let (mut peer, task) = call(&server);
        peer.write_all(&hello[..sent]).await.unwrap();
        peer.shutdown().await.unwrap();
        let mut told = Vec::new();
        peer.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, answer);
        task.await.unwrap();
    }
    assert_eq!(pending.await.unwrap_err(), StreamError::ClaimDropped);
}

#[tokio::test(start_paused = true)]
async fn a_prologue_out_of_turn_fails_the_stream() {
    let server = server().await;
    for frame in [
        Frame::Sentinel,
        Frame::Welcome,
        Frame::Kill,
        Frame::Data("early".into()),
    ] {
        let pending = server.register_response();
        let bytes = [hello(pending.id(), StreamKind::Response), encoded(frame)].concat();
        let told = tell(&server, &bytes, Duration::ZERO).await;
        assert_eq!(told.bytes, encoded(Frame::Welcome));
        assert_eq!(pending.await.unwrap_err(), StreamError::ClaimDropped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_that_is_not_due_yet_is_refused() {
    let server = server().await;
    // 16 MiB are fine for data, and not for a prologue.
    let pending = server.register_response();
    let bytes = [
        &hello(pending.id(), StreamKind::Response)[..],
        &[1, 0, 0, 0, 5],
    ]
    .concat();
    tell(&server, &bytes, Duration::ZERO).await;
    assert_eq!(pending.await.unwrap_err(), StreamError::ClaimDropped);

    let pending = server.register_response();
    let bytes = [
        hello(pending.id(), StreamKind::Response),
        encoded(Frame::Ready),
        vec![1, 0, 0, 2, 6],
    ]
    .concat();
    let (told, reader) = tokio::join!(tell(&server, &bytes, Duration::ZERO), pending);
    let most = (16 << 20) + 1;
    let mut reader = reader.unwrap();
    assert_eq!(
        reader.next().await,
        Err(FrameError::TooLong { most }.into())
    );
    assert_eq!(
        told.bytes,
        [encoded(Frame::Welcome), encoded(Frame::Kill)].concat()
    );
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_thinks_for_an_hour_before_its_prologue_is_not_cut() {
    let server = server().await;
    let pending = server.register_response();
    let (mut peer, _task) = call(&server);
    peer.write_all(&hello(pending.id(), StreamKind::Response))
        .await
        .unwrap();
    let hour = Duration::from_secs(3600);
    let _ = tokio::time::timeout(hour, std::future::pending::<()>()).await;
    peer.write_all(&encoded(Frame::Ready)).await.unwrap();
    let (mut reader, ()) = tokio::join!(async { pending.await.unwrap() }, async {
        peer.write_all(&encoded(Frame::Sentinel)).await.unwrap();
    });
    assert_eq!(reader.next().await, Ok(None));
}
