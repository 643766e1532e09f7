//! What goes over the wire: one command an operation, and no time of the router's own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use affinity::{AffinityStore, BindingKind, SessionRef};
use affinity_redis::RedisStore;
use worker_id::WorkerWithDpRank;

use crate::server::{self, Server};

const KEY: SessionRef<'static> = SessionRef::new("chat-17");
const WORKER: WorkerWithDpRank = WorkerWithDpRank::new(7, 0).with_incarnation(41);

/// Shows what the server is asked, from outside and not by scripts.
struct Monitor {
    lines: BufReader<TcpStream>,
    stopped: u32,
}

impl Monitor {
    fn on(server: &Server) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port)).expect("it is up");
        socket.write_all(b"MONITOR\r\n").expect("it listens");
        let mut lines = BufReader::new(socket);
        lines.read_line(&mut String::new()).expect("it answers");
        Self { lines, stopped: 0 }
    }

    /// The commands since the last time.
    async fn commands(&mut self, server: &Server) -> Vec<String> {
        self.stopped += 1;
        let stop = format!("stop {}", self.stopped);
        server.run::<String>(&["ECHO", &stop]).await;
        let mut commands = Vec::new();
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).expect("it goes on");
            // `+1763655125.000123 [0 127.0.0.1:50000] "GETEX" ...`
            let (from, command) = line.trim_end().split_once("] ").expect("a command");
            if command.contains(&stop) {
                return commands;
            }
            if !from.ends_with(" lua") && !command.contains("\"CLIENT\"") {
                commands.push(command.to_owned());
            }
        }
    }
}

/// Every operation, and in which ways it may go; with what the server was asked for each.
async fn every_operation(
    server: &Server,
    store: &RedisStore,
    monitor: &mut Monitor,
) -> Vec<(&'static str, Vec<String>)> {
    let kind = BindingKind::EngineBacked;
    let _ = monitor.commands(server).await;
    let mut asked = Vec::new();
    let mut generations: Vec<u64> = Vec::new();
    macro_rules! ask {
        ($name:literal, $operation:expr) => {{
            let answer = $operation.await.unwrap();
            let commands = monitor.commands(server).await;
            asked.push(($name, commands));
            answer
        }};
    }
    let _ = ask!("get of nothing", store.get(KEY));
    let first = ask!("claim", store.claim(KEY, WORKER, kind))
        .now
        .expect("bound");
    let _ = ask!("lost claim", store.claim(KEY, WORKER, kind));
    let _ = ask!("get", store.get(KEY));
    let _ = ask!("peek", store.peek(KEY));
    let _ = ask!("refresh_if", store.refresh_if(KEY, WORKER));
    let second = ask!(
        "rebind_if",
        store.rebind_if(KEY, first.generation, WORKER, kind)
    )
    .now
    .expect("bound");
    let _ = ask!(
        "late rebind_if",
        store.rebind_if(KEY, first.generation, WORKER, kind)
    );
    let _ = ask!("remove_if", store.remove_if(KEY, second.generation));
    let third = ask!("bind", store.bind(KEY, WORKER, kind))
        .now
        .expect("bound");
    let _ = ask!("remove", store.remove(KEY));
    generations.extend([first, second, third].map(|binding| binding.generation));
    // They are the server's, and told apart by nothing else.
    for (_, commands) in &mut asked {
        for command in commands {
            for (number, generation) in generations.iter().enumerate() {
                *command =
                    command.replace(&generation.to_string(), &format!("generation {number}"));
            }
        }
    }
    asked
}

#[tokio::test]
async fn an_operation_is_one_round_trip() {
    let Some(server) = server::start().await else {
        return;
    };
    let store = server.store().await;
    // The first script is sent whole.
    let _ = store.remove(KEY).await.unwrap();
    let mut monitor = Monitor::on(&server);
    for (operation, commands) in every_operation(&server, &store, &mut monitor).await {
        assert_eq!(commands.len(), 1, "{operation}: {commands:?}");
        let native = match operation {
            "get" | "get of nothing" => "\"GETEX\"",
            "peek" => "\"GET\"",
            _ => "\"EVALSHA\"",
        };
        assert!(commands[0].starts_with(native), "{operation}: {commands:?}");
    }
}

/// So their clocks may differ as they like: what two of them send is the same at any time.
#[tokio::test]
async fn a_router_sends_no_time_of_its_own() {
    let Some(server) = server::start().await else {
        return;
    };
    let (one, other) = (server.store().await, server.store().await);
    let _ = one.remove(KEY).await.unwrap();
    let mut monitor = Monitor::on(&server);
    let before = every_operation(&server, &one, &mut monitor).await;
    let after = every_operation(&server, &other, &mut monitor).await;
    assert_eq!(before, after);

    // A time in whole seconds may have been the same in both: none is there at all, from 2001 on in any unit.
    let config = server.config();
    let _ = one
        .bind(KEY, WORKER, BindingKind::EngineBacked)
        .await
        .unwrap();
    server.elapse(config.ttl * 2).await;
    let _ = monitor.commands(&server).await;
    let swept = one.sweep(10, drop).await.unwrap();
    assert_eq!(swept.told, 1);
    let sweep = monitor.commands(&server).await;
    let all = before
        .iter()
        .flat_map(|(_, commands)| commands)
        .chain(&sweep);
    for command in all {
        let numbers = command.split(|c: char| !c.is_ascii_alphanumeric());
        // What a sweep repeats of a member begins with the generation, right behind the quotation mark.
        let numbers = numbers.filter(|word| !command.contains(&format!("\"{word} e 7:0@41 ")));
        let times: Vec<&str> = numbers
            .filter(|word| {
                word.len() < 20
                    && word
                        .parse::<u64>()
                        .is_ok_and(|number| number > 1_000_000_000)
            })
            .collect();
        assert!(times.is_empty(), "{times:?} in {command}");
    }
}
