//! Routers that are processes of their own: this test binary, started again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use affinity::{AffinityStore, BindingKind, Expired, Pin, SessionRef, StickySessionRouter};
use affinity_redis::{RedisStore, RedisStoreConfig};
use redis::AsyncCommands;
use worker_id::WorkerWithDpRank;

use crate::server::{self, Server};

const ROLE: &str = "AFFINITY_REDIS_TEST_ROLE";
const URL: &str = "AFFINITY_REDIS_TEST_URL";
const CLAIM_TTL: Duration = Duration::from_secs(3_600);

/// What a process says when it has come so far as the test wants it.
pub(crate) const DONE: &str = "as far as it goes";

/// Killed when it is dropped.
pub(crate) struct Router(Child);

impl Router {
    fn start(server: &Server, role: &str) -> Self {
        Self::start_at(&server.url(), role, &[])
    }

    pub(crate) fn start_at(url: &str, role: &str, env: &[(&str, &str)]) -> Self {
        let this = std::env::current_exe().expect("a test is a file");
        let child = Command::new(this)
            .args([
                "processes::in_a_process_of_its_own",
                "--exact",
                "--nocapture",
            ])
            .env(ROLE, role)
            .env(URL, url)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.expect("a test can be started"))
    }

    /// Waits for it to say so, or to end.
    pub(crate) fn says(&mut self, what: &str) -> bool {
        let said = BufReader::new(self.0.stdout.take().expect("it was not asked before"));
        said.lines()
            .any(|line| line.is_ok_and(|line| line.contains(what)))
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a process does that a test below has started; as a test among others, nothing.
#[tokio::test]
async fn in_a_process_of_its_own() {
    let (Ok(role), Ok(url)) = (std::env::var(ROLE), std::env::var(URL)) else {
        return;
    };
    let config = RedisStoreConfig {
        timeout: Duration::from_secs(20),
        claim_ttl: CLAIM_TTL,
        ..RedisStoreConfig::new(url.clone())
    };
    let store = RedisStore::connect(config).await.unwrap();
    match &*role {
        "sweeper" => sweep_and_never_return(&store).await,
        #[cfg(feature = "tls")]
        "tls" => crate::tls::pin_and_say_so(&store).await,
        name => route(store, name, &url).await,
    }
}

/// The workers that a router knows of.
fn candidates(router: &str) -> [WorkerWithDpRank; 2] {
    let first = if router == "a" { 10 } else { 20 };
    [first, first + 1].map(|id| WorkerWithDpRank::from_worker_id(id).with_incarnation(1))
}

/// For each session it is told of: chooses when it is told to, and says where the turn went.
async fn route(store: RedisStore, name: &str, url: &str) {
    let router = StickySessionRouter::new(store);
    let client = redis::Client::open(url).unwrap();
    let mut orders = client
        .get_multiplexed_async_connection_with_config(&patient())
        .await
        .unwrap();
    let candidates = candidates(name);
    loop {
        let (_, session): (String, String) =
            orders.blpop(format!("go:{name}"), 60.0).await.unwrap();
        if session.is_empty() {
            return;
        }
        let number = session_number(&session);
        let mut choosing = orders.clone();
        let choose = || async move {
            choosing.rpush::<_, _, ()>("missed", name).await?;
            choosing
                .blpop::<_, ()>(format!("choose:{name}"), 60.0)
                .await?;
            Ok::<_, redis::RedisError>(candidates[number % 2])
        };
        let routed = router
            .resolve_or_assign(SessionRef::from(&session), &candidates, choose)
            .await
            .unwrap();
        let pin = match routed.pin {
            Pin::Made(_) => "made",
            Pin::Joined(_) => "joined",
            other => panic!("{other:?}"),
        };
        let answer = format!("{pin} {}", routed.worker);
        orders
            .rpush::<_, _, ()>(format!("routed:{name}"), answer)
            .await
            .unwrap();
    }
}

fn session_number(session: &str) -> usize {
    session.rsplit(' ').next().unwrap().parse().unwrap()
}

fn patient() -> redis::AsyncConnectionConfig {
    redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)))
}

#[tokio::test]
async fn two_routers_that_miss_at_once_use_one_worker() {
    let Some(server) = server::start().await else {
        return;
    };
    let _routers = ["a", "b"].map(|name| Router::start(&server, name));
    let client = redis::Client::open(server.url()).unwrap();
    let mut orders = client
        .get_multiplexed_async_connection_with_config(&patient())
        .await
        .unwrap();
    let store = server.store().await;
    let mut winners = [0, 0];
    for round in 0..40 {
        let session = format!("session {round}");
        for name in ["a", "b"] {
            orders
                .rpush::<_, _, ()>(format!("go:{name}"), &session)
                .await
                .unwrap();
        }
        for _ in 0..2 {
            let _: (String, String) = orders.blpop("missed", 60.0).await.unwrap();
        }
        // Both have found nothing, and now both claim.
        redis::pipe()
            .atomic()
            .rpush("choose:a", "")
            .rpush("choose:b", "")
            .exec_async(&mut orders)
            .await
            .unwrap();
        let mut routed = Vec::new();
        for name in ["a", "b"] {
            let (_, answer): (String, String) =
                orders.blpop(format!("routed:{name}"), 60.0).await.unwrap();
            let (pin, worker) = answer.split_once(' ').unwrap();
            routed.push((pin.to_owned(), worker.parse::<WorkerWithDpRank>().unwrap()));
        }
        let [(a, by_a), (b, by_b)] = &routed[..] else {
            panic!("{routed:?}")
        };
        assert!(by_a.same_incarnation(by_b), "{routed:?}");
        let winner = usize::from(a != "made");
        assert_eq!(
            [&**a, &**b],
            if winner == 0 {
                ["made", "joined"]
            } else {
                ["joined", "made"]
            }
        );
        assert!(candidates(["a", "b"][winner]).contains(by_a), "{routed:?}");
        winners[winner] += 1;
        let pinned = store
            .peek(SessionRef::from(&session))
            .await
            .unwrap()
            .unwrap();
        assert!(pinned.worker.same_incarnation(by_a));
    }
    assert_eq!(winners[0] + winners[1], 40);
    for name in ["a", "b"] {
        orders
            .rpush::<_, _, ()>(format!("go:{name}"), "")
            .await
            .unwrap();
    }
}

const SESSIONS: usize = 5;
const TOLD_BEFORE: usize = 2;

/// Calls back for some of what it has claimed, says so, and hangs in the next call.
async fn sweep_and_never_return(store: &RedisStore) {
    let calls = AtomicUsize::new(0);
    let _ = store
        .sweep(usize::MAX, |_| {
            if calls.fetch_add(1, Ordering::Relaxed) == TOLD_BEFORE {
                println!("{DONE}");
                loop {
                    std::thread::park();
                }
            }
        })
        .await;
}

#[tokio::test]
async fn a_router_killed_during_a_sweep_is_made_good_by_another() {
    let Some(server) = server::start().await else {
        return;
    };
    let config = RedisStoreConfig {
        buckets: 16,
        claim_ttl: CLAIM_TTL,
        ..server.config()
    };
    let store = server.store_with(config.clone()).await;
    let mut bound = Vec::new();
    // All in one bucket, so that one claim has them all.
    let mut in_bucket = 0;
    for number in 0.. {
        let session = format!("session {number}");
        let written = store
            .bind(
                SessionRef::from(&session),
                7.into(),
                BindingKind::EngineBacked,
            )
            .await
            .unwrap();
        if server.run::<usize>(&["ZCARD", "{affinity:3}:x"]).await > in_bucket {
            in_bucket += 1;
            bound.push((session, written.now.unwrap().generation));
        } else {
            assert!(
                store
                    .remove(SessionRef::from(&session))
                    .await
                    .unwrap()
                    .applied
            );
        }
        if in_bucket == SESSIONS {
            break;
        }
    }
    server.elapse(config.ttl * 2).await;

    let mut sweeper = Router::start(&server, "sweeper");
    assert!(sweeper.says(DONE), "it ended");
    drop(sweeper);

    let told: Mutex<Vec<Expired>> = Mutex::default();
    let tell = |each| told.lock().unwrap().push(each);
    let swept = store.sweep(usize::MAX, tell).await.unwrap();
    assert_eq!(
        (swept.told, swept.looked),
        (0, 0),
        "they are the dead sweeper's until its claim runs out"
    );
    server.elapse(CLAIM_TTL).await;
    let swept = store.sweep(usize::MAX, tell).await.unwrap();
    assert_eq!(swept.told, SESSIONS);
    let mut told: Vec<(String, u64)> = told
        .into_inner()
        .unwrap()
        .into_iter()
        .map(|expired| {
            (
                expired.key.as_ref().session.to_owned(),
                expired.binding.generation,
            )
        })
        .collect();
    told.sort_by_key(|(_, generation)| *generation);
    assert_eq!(told, bound, "with the generations that they had");
}

#[tokio::test]
async fn a_worker_that_restarted_under_its_id_is_no_hit() {
    let Some(server) = server::start().await else {
        return;
    };
    let [one, other] = [server.store().await, server.store().await].map(StickySessionRouter::new);
    let key = SessionRef::from("chat-17");
    let before = WorkerWithDpRank::new(7, 0).with_incarnation(1);
    let after = before.with_incarnation(2);
    let choose = |worker| move || async move { Ok::<_, std::convert::Infallible>(worker) };
    let first = one
        .resolve_or_assign(key, &[before], choose(before))
        .await
        .unwrap();
    assert!(matches!(first.pin, Pin::Made(_)), "{first:?}");
    let again = other
        .resolve_or_assign(key, &[before], choose(before))
        .await
        .unwrap();
    assert!(matches!(again.pin, Pin::Found(_)), "{again:?}");

    let moved = other
        .resolve_or_assign(key, &[after], choose(after))
        .await
        .unwrap();
    assert!(matches!(moved.pin, Pin::Made(_)), "{moved:?}");
    assert!(moved.worker.same_incarnation(&after));
    // A turn that ends late on the worker's earlier life does not touch the pin to its new one.
    assert!(!one.store().refresh_if(key, before).await.unwrap().applied);
    let found = one
        .resolve_or_assign(key, &[after], choose(after))
        .await
        .unwrap();
    assert!(
        matches!(found.pin, Pin::Found(_)) && found.worker.same_incarnation(&after),
        "{found:?}"
    );
}
