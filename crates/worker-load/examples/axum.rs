//! A handler of axum's whose response counts until its last byte has left, or its client has hung
//! up.
//!
//! `cargo run -p worker-load --example axum --features http-body`, then `curl -N localhost:8000`
//! and Ctrl-C.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::net::TcpListener;
use worker_id::WorkerWithDpRank;
use worker_load::{Capacity, Cost, Counted, PowerOfTwo, WorkerLoads};

/// What a worker answers that has always one more token.
fn tokens() -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send {
    let token = || Ok(Frame::data(Bytes::from_static(&[b'a'; 1_024])));
    StreamBody::new(stream::repeat_with(token))
}

/// A request: a worker is chosen and reserved in one, and the body has the reservation.
async fn respond(State(loads): State<Arc<WorkerLoads>>) -> Result<Body, (StatusCode, String)> {
    let fleet = loads.everyone(); // kept while the fleet stands, in a real gateway
    let reservation = loads
        .pick(&fleet, Cost::tokens(100, 20), &PowerOfTwo::default())
        .map_err(|refused| (StatusCode::SERVICE_UNAVAILABLE, refused.to_string()))?;
    // Here the request would go to `reservation.worker()`.
    Ok(Body::new(Counted::body(tokens(), reservation)))
}

/// Serves until the listener fails.
pub(crate) async fn serve(listener: TcpListener, loads: Arc<WorkerLoads>) -> std::io::Result<()> {
    let app = Router::new().route("/", get(respond)).with_state(loads);
    axum::serve(listener, app).await
}

#[allow(dead_code, reason = "the test that includes this file has its own")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let loads = Arc::new(WorkerLoads::new());
    for id in 0..2 {
        loads.join(WorkerWithDpRank::new(id, 0), Capacity::requests(256))?;
    }
    let listener = TcpListener::bind("127.0.0.1:8000").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(serve(listener, loads).await?)
}
