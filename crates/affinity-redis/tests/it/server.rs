//! A Redis server of a test's own: on a free loopback port, with nothing that outlives it.

use std::future::Future;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use affinity_redis::{RedisStore, RedisStoreConfig};
use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    args: Vec<String>,
    pub(crate) port: u16,
    folder: TempDir,
    child: Child,
}

/// A server, or `None` where none is installed: the test is then *not run*, says so, and fails where `CI=true` is set.
pub(crate) async fn start() -> Option<Server> {
    start_with(&[]).await
}

pub(crate) async fn start_with(args: &[&str]) -> Option<Server> {
    let Some(name) = NAMES.into_iter().find(|name| is_installed(name)) else {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        let missing = format!("not run: {test}: neither of {NAMES:?} is on the PATH");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        // Not by `eprintln!`, which is kept back where a test passes.
        writeln!(std::io::stderr(), "{missing}").expect("stderr can be written to");
        return None;
    };
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    for _ in 0..20 {
        let (port, folder) = (
            free_port(),
            tempfile::tempdir().expect("a folder can be made"),
        );
        let mut server = Server {
            name,
            child: spawn(name, port, &folder, &args),
            args: args.clone(),
            port,
            folder,
        };
        if server.is_up().await {
            return Some(server);
        }
        // Somebody else took the port in the meantime.
    }
    panic!("{name} does not start with {args:?}");
}

fn is_installed(name: &str) -> bool {
    let version = Command::new(name).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    socket.local_addr().expect("it has an address").port()
}

fn spawn(name: &str, port: u16, folder: &TempDir, args: &[String]) -> Child {
    let port = port.to_string();
    Command::new(name)
        .args(["--bind", "127.0.0.1", "--port", &port, "--save", ""])
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server can be started")
}

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// With so long a timeout that a busy machine is no frozen server.
    pub(crate) fn config(&self) -> RedisStoreConfig {
        RedisStoreConfig {
            timeout: Duration::from_secs(20),
            ..RedisStoreConfig::new(self.url())
        }
    }

    pub(crate) async fn store(&self) -> RedisStore {
        self.store_with(self.config()).await
    }

    pub(crate) async fn store_with(&self, config: RedisStoreConfig) -> RedisStore {
        let store = RedisStore::connect(config).await;
        store.expect("the server can be connected to")
    }

    /// A connection past the store.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await;
        connection.expect("the server can be connected to")
    }

    pub(crate) async fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        let answer = command.query_async(&mut self.connection().await).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// As if so much time had passed: every deadline is that much nearer. The pins come first, so that a sweeper which is
    /// at work meanwhile never sees the index ahead of them.
    pub(crate) async fn elapse(&self, time: Duration) {
        let time = i64::try_from(time.as_millis()).expect("not so long");
        let mut connection = self.connection().await;
        for pin in self.run::<Vec<Vec<u8>>>(&["KEYS", "*}:s:*"]).await {
            let mut left = redis::cmd("PTTL");
            let left: i64 = left.arg(&pin).query_async(&mut connection).await.unwrap();
            // In the past it is a deletion.
            let mut shift = redis::cmd("PEXPIRE");
            shift.arg(&pin).arg(left - time);
            shift.exec_async(&mut connection).await.unwrap();
        }
        for index in self.run::<Vec<String>>(&["KEYS", "*}:x"]).await {
            for member in self
                .run::<Vec<Vec<u8>>>(&["ZRANGE", &index, "0", "-1"])
                .await
            {
                // One that is gone by now was told in the meantime.
                let mut shift = redis::cmd("ZADD");
                let due = redis::cmd("ZSCORE").arg(&index).arg(&member).to_owned();
                let due: Option<i64> = due.query_async(&mut connection).await.unwrap();
                if let Some(due) = due {
                    shift.arg(&index).arg("XX").arg(due - time).arg(member);
                    shift.exec_async(&mut connection).await.unwrap();
                }
            }
        }
    }

    /// The server's clock, in milliseconds.
    pub(crate) async fn now(&self) -> u64 {
        let (seconds, micros): (u64, u64) = self.run(&["TIME"]).await;
        seconds * 1_000 + micros / 1_000
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server is there");
    }

    /// As by `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server is there");
        self.child.wait().expect("it is our child");
    }

    /// After [`kill`](Self::kill): on the same port, with what it had on disk.
    pub(crate) async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    pub(crate) async fn restart_with(&mut self, more: &[&str]) {
        let more = more.iter().map(|&arg| arg.to_owned());
        let args: Vec<String> = self.args.iter().cloned().chain(more).collect();
        self.child = spawn(self.name, self.port, &self.folder, &args);
        assert!(self.is_up().await, "it does not start again");
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
            match redis::cmd("PING").exec_async(&mut connection).await {
                Ok(_) => return true,
                // It wants a password, and so is there.
                Err(error) if error.code() == Some("NOAUTH") => return true,
                Err(_) => {}
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The test may have killed it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output, which has to come in a time in which anything that comes at all has come.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let output = tokio::time::timeout(Duration::from_secs(60), future).await;
    output.unwrap_or_else(|_| panic!("no end to it: {what}"))
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    soon(what, async {
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        while !ask().await {
            ticks.tick().await;
        }
    })
    .await;
}
