//! A server on hyper that counts each response until its last byte has left, or its client has hung
//! up.
//!
//! `cargo run -p worker-load --example hyper --features http-body`, then `curl -N localhost:8000`
//! and Ctrl-C.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use worker_id::WorkerWithDpRank;
use worker_load::{Capacity, Cost, Counted, PowerOfTwo, WorkerLoads};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a worker answers that has always one more token.
fn tokens() -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send {
    let token = || Ok(Frame::data(Bytes::from_static(&[b'a'; 1_024])));
    StreamBody::new(stream::repeat_with(token))
}

/// A request: a worker is chosen and reserved in one, and the body has the reservation.
async fn respond(
    loads: Arc<WorkerLoads>,
    _: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let fleet = loads.everyone(); // kept while the fleet stands, in a real gateway
    let reservation = match loads.pick(&fleet, Cost::tokens(100, 20), &PowerOfTwo::default()) {
        Ok(reservation) => reservation,
        Err(refused) => {
            let mut response = Response::new(Full::from(refused.to_string()).boxed_unsync());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(response);
        }
    };
    // Here the request would go to `reservation.worker()`.
    let body = Counted::body(tokens(), reservation);
    Ok(Response::new(body.boxed_unsync()))
}

/// Serves until the listener fails.
pub(crate) async fn serve(listener: TcpListener, loads: Arc<WorkerLoads>) -> std::io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        let loads = Arc::clone(&loads);
        let service = service_fn(move |request| respond(Arc::clone(&loads), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
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
