//! A Redis server of a test's own: on a free loopback port, with nothing on disk that outlives it.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use affinity_redis::{RedisStore, RedisStoreConfig};
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// Killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    args: Vec<String>,
    port: u16,
    folder: TempDir,
    child: Child,
}

/// A server, or `None` where none is installed: the test is then *not run*, says so, and fails where `CI=true` is set.
pub async fn start() -> Option<Server> {
    start_with(&[]).await
}

pub async fn start_with(args: &[&str]) -> Option<Server> {
    let Some(name) = NAMES.into_iter().find(|name| is_installed(name)) else {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let missing = format!("not run: {test}: neither of {NAMES:?} is on the PATH");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        // Not by `eprintln!`, which is kept back where a test passes.
        writeln!(std::io::stderr(), "{missing}").expect("stderr can be written to");
        return None;
    };
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let folder = tempfile::tempdir().expect("a folder can be made");
    loop {
        let port = free_port();
        let child = spawn(name, port, &folder, &args);
        let mut server = Server {
            name,
            args: args.clone(),
            port,
            folder: tempfile::tempdir().expect("a folder can be made"),
            child,
        };
        if server.is_up().await {
            return Some(server);
        }
        // Somebody else took the port in the meantime.
    }
}

fn is_installed(name: &str) -> bool {
    let version = Command::new(name).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    socket.local_addr().expect("it has an address").port()
}

fn spawn(name: &str, port: u16, folder: &TempDir, args: &[String]) -> Child {
    let port = port.to_string();
    Command::new(name)
        .args(["--bind", "127.0.0.1", "--port", &port, "--save", ""])
        .args(args)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server can be started")
}

impl Server {
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn config(&self) -> RedisStoreConfig {
        RedisStoreConfig {
            // A machine that runs many tests at once is slow; those about time set their own.
            timeout: Duration::from_secs(5),
            ..RedisStoreConfig::new(self.url())
        }
    }

    pub async fn store(&self) -> RedisStore {
        let store = RedisStore::connect(self.config()).await;
        store.expect("the server can be connected to")
    }

    /// A connection past the store.
    pub async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await;
        connection.expect("the server can be connected to")
    }

    /// Waits until it answers, and says so; or until it has ended.
    async fn is_up(&mut self) -> bool {
        let client = redis::Client::open(self.url()).expect("a URL");
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            if let Ok(Some(_)) = self.child.try_wait() {
                return false;
            }
            let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
                continue;
            };
            let ping = redis::cmd("PING")
                .query_async::<String>(&mut connection)
                .await;
            if ping.is_ok_and(|pong| pong == "PONG") {
                return true;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
