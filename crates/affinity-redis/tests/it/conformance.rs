//! The suite of every store. Time passes by moving all deadlines on the server nearer; `sweeping` has it really pass.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use affinity::Expired;
use affinity::conformance::Subject;
use affinity_redis::RedisStore;

use crate::server::{self, Server};

struct OnRedis {
    server: Server,
    store: RedisStore,
    told: Arc<Mutex<Vec<Expired>>>,
}

impl Subject for OnRedis {
    type Store = RedisStore;
    /// So long that nothing runs out while a test runs.
    const TTL: Duration = Duration::from_secs(24 * 3_600);

    fn store(&self) -> &RedisStore {
        &self.store
    }

    async fn elapse(&self, time: Duration) {
        self.server.elapse(time).await;
        let on_expire = |expired| self.told.lock().unwrap().push(expired);
        let swept = self.store.sweep(usize::MAX, on_expire).await.unwrap();
        assert!(!swept.more);
    }

    fn expired(&self) -> Vec<Expired> {
        self.told.lock().unwrap().clone()
    }
}

/// There is no server to be had. The suite does not ask whether it can be run, so this is thrown through it.
struct NotRun;

async fn start() -> OnRedis {
    let Some(server) = server::start().await else {
        resume_unwind(Box::new(NotRun));
    };
    let mut config = server.config();
    config.ttl = OnRedis::TTL;
    OnRedis {
        store: server.store_with(config).await,
        server,
        told: Arc::default(),
    }
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be made");
    if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test)))
        && !thrown.is::<NotRun>()
    {
        resume_unwind(thrown);
    }
}

affinity::conformance!(start: start, block_on: block_on);
