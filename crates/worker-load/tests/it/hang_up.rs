//! The examples, with clients that hang up in mid-body: each is counted until then, and no longer.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use worker_load::{Capacity, PinnedTurns, WorkerLoads};

use crate::{fleet, worker};

#[path = "../../examples/axum.rs"]
mod axum_example;
#[path = "../../examples/hyper.rs"]
mod hyper_example;

const CLIENTS: usize = 20;

/// Reads the first tokens of an answer that has no end.
async fn client(address: std::net::SocketAddr) -> (TcpStream, Vec<u8>) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; 1_500];
    socket.read_exact(&mut answer).await.unwrap();
    (socket, answer)
}

async fn clients_hang_up<F>(serve: impl FnOnce(TcpListener, Arc<WorkerLoads>) -> F)
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let loads = Arc::new(fleet(2, Capacity::requests(10)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, Arc::clone(&loads)));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (socket, answer) = client(address).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
        clients.push(socket);
    }
    // The headers have long been there; the bodies have no end.
    assert_eq!(loads.snapshot().totals().requests, CLIENTS as u64);
    let mut turned_away = TcpStream::connect(address).await.unwrap();
    turned_away
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    turned_away.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("none of 2 candidates"), "{answer}");

    let draining: Vec<_> = (0..2)
        .map(|id| loads.drain(worker(id), PinnedTurns::Refuse).unwrap())
        .collect();
    assert!(draining.iter().all(|draining| !draining.is_drained()));
    drop(clients);
    for each in &draining {
        let drained = timeout(Duration::from_secs(20), each.drained()).await;
        drained.expect("a client that has hung up counts no longer");
    }
    let rows = loads.snapshot();
    let abandoned: u64 = rows.workers().iter().map(|row| row.abandoned).sum();
    assert_eq!(abandoned, CLIENTS as u64);
    server.abort();
}

#[tokio::test]
async fn on_hyper() {
    clients_hang_up(hyper_example::serve).await;
}

#[tokio::test]
async fn on_axum() {
    clients_hang_up(axum_example::serve).await;
}
