//! One frontend process and two worker processes: the frontend streams a prompt to a worker, which calls home for it and
//! streams words back.
//!
//! ```console
//! $ cargo run -p call-home --features serde --example call_home -- worker 127.0.0.1:7101 &
//! $ cargo run -p call-home --features serde --example call_home -- worker 127.0.0.1:7102 &
//! $ cargo run -p call-home --features serde --example call_home -- frontend 127.0.0.1:7101 127.0.0.1:7102
//! $ kill $(jobs -p)
//! ```
//!
//! The frontend sends requests to the workers in turn, as one line of JSON each, and prints what they answer. Start each in a
//! terminal of its own, and stop a worker while it speaks, by Ctrl-C or Ctrl-Z: the frontend sees a cut, or gives up on the
//! worker after three seconds, cancels its instance, and goes on with the other one.

use std::error::Error;
use std::time::Duration;

use call_home::{
    CallHomeClient, CallHomeOptions, CallHomeServer, ConnectionInfo, EndpointInstanceId, Limits,
    StreamReader,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, timeout};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What goes to a worker, over whatever carries requests: here a line on a connection of its own.
#[derive(Serialize, Deserialize)]
struct Request {
    prompt: ConnectionInfo,
    response: ConnectionInfo,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["worker", address] => worker(address).await,
        ["frontend", workers @ ..] if !workers.is_empty() => frontend(workers).await,
        _ => Err("say `worker ADDRESS` or `frontend ADDRESS...`".into()),
    }
}

async fn worker(address: &str) -> Result<()> {
    let client = CallHomeClient::new(Limits::default())?;
    let listener = TcpListener::bind(address).await?;
    println!("waits for requests on {address}");
    loop {
        let (stream, _) = listener.accept().await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        let request = serde_json::from_str(&line)?;
        let client = client.clone();
        tokio::spawn(async move {
            match generate(&client, request).await {
                Ok(words) => println!("answered with {words} words"),
                Err(error) => println!("gave up: {error}"),
            }
        });
    }
}

/// A model that repeats what it hears, four words a second.
async fn generate(client: &CallHomeClient, request: Request) -> Result<usize> {
    let mut prompt = client.request(&request.prompt).await?;
    let response = client.response(&request.response).await?.start();
    let mut pace = interval(Duration::from_millis(250));
    let mut words = 0;
    while let Some(piece) = prompt.next().await? {
        for word in std::str::from_utf8(&piece)?.split_inclusive(' ') {
            pace.tick().await;
            response.send(word.to_owned()).await?;
            words += 1;
        }
    }
    response.finish().await?;
    Ok(words)
}

async fn frontend(workers: &[&str]) -> Result<()> {
    let server = CallHomeServer::bind(CallHomeOptions::default()).await?;
    for (number, worker) in workers.iter().cycle().take(6).enumerate() {
        let port = worker.rsplit(':').next().unwrap_or_default().parse()?;
        let instance = EndpointInstanceId::new("example", "worker", "generate", port)?;
        println!("request {number} to {worker}");
        if let Err(error) = ask(&server, worker, &instance).await {
            println!(" ... {error}");
            server.cancel_instance(&instance);
        }
    }
    println!(
        "cut at the end: {}",
        server.shutdown(Duration::from_secs(5)).await
    );
    println!("{:?}", server.stats());
    Ok(())
}

async fn ask(server: &CallHomeServer, worker: &str, instance: &EndpointInstanceId) -> Result<()> {
    let (prompt, response) = (server.register_request(), server.register_response());
    server.associate(&[prompt.id(), response.id()], instance)?;
    let request = Request {
        prompt: prompt.info(),
        response: response.info(),
    };
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    let patience = Duration::from_secs(3);
    let mut stream = timeout(patience, connected(worker)).await?;
    stream.write_all(line.as_bytes()).await?;

    let prompt = timeout(patience, prompt).await??;
    prompt
        .send("once upon a time there was a stream that ")
        .await?;
    prompt
        .send("nobody claimed, until a worker called home")
        .await?;
    prompt.finish().await?;
    let mut response = timeout(patience, response).await??;
    while let Some(word) = next(&mut response, patience).await? {
        print!("{word}");
        tokio::io::stdout().flush().await?;
    }
    println!();
    Ok(())
}

/// A worker that was started along with this does not listen yet.
async fn connected(worker: &str) -> TcpStream {
    let mut pace = interval(Duration::from_millis(100));
    loop {
        pace.tick().await;
        if let Ok(stream) = TcpStream::connect(worker).await {
            return stream;
        }
    }
}

async fn next(response: &mut StreamReader, patience: Duration) -> Result<Option<String>> {
    let piece = timeout(patience, response.next()).await??;
    Ok(piece.map(|piece| String::from_utf8_lossy(&piece).into_owned()))
}
