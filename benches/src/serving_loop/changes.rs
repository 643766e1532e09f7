//! What goes on beside the requests: adapters come and go, pins that have run out are swept,
//! workers die.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::Gateway;

/// Between two changes of adapters, and between two sweeps.
const OFTEN: Duration = Duration::from_millis(50);

/// Tasks that go on until they are stopped. Each answers how many workers it has killed.
pub(super) struct Changes {
    over: CancellationToken,
    tasks: JoinSet<Result<u64>>,
}

impl Changes {
    pub(super) fn start(gateway: &Arc<Gateway>) -> Self {
        let over = CancellationToken::new();
        let ticks = |period| Ticks::new(period, over.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(change_adapters(Arc::clone(gateway), ticks(OFTEN)));
        tasks.spawn(sweep(Arc::clone(gateway), ticks(OFTEN)));
        if let Some(every) = gateway.options.kill_every {
            tasks.spawn(kill(Arc::clone(gateway), ticks(every)));
        }
        Self { over, tasks }
    }

    /// Answers how many workers have died.
    pub(super) async fn stop(self) -> Result<u64> {
        self.over.cancel();
        self.tasks.join_all().await.into_iter().sum()
    }
}

async fn change_adapters(gateway: Arc<Gateway>, mut ticks: Ticks) -> Result<u64> {
    while ticks.next().await {
        if let Some(worker) = gateway.fleet.any() {
            gateway.front.churn(worker.id)?;
        }
    }
    Ok(0)
}

async fn sweep(gateway: Arc<Gateway>, mut ticks: Ticks) -> Result<u64> {
    let begun = Instant::now();
    while ticks.next().await {
        let _ = gateway.front.pins.store().sweep(begun.elapsed(), 1_024);
    }
    Ok(0)
}

/// One worker after the other.
async fn kill(gateway: Arc<Gateway>, mut ticks: Ticks) -> Result<u64> {
    let (front, home) = (&gateway.front, &gateway.server);
    let mut killed = 0;
    while ticks.next().await {
        let number = killed % gateway.options.workers as u64;
        gateway.fleet.replace(number, front, home).await?;
        killed += 1;
    }
    Ok(killed)
}

/// Moments that come at an interval, until all is over.
struct Ticks {
    interval: Interval,
    over: CancellationToken,
}

impl Ticks {
    fn new(period: Duration, over: CancellationToken) -> Self {
        let mut interval = interval_at(tokio::time::Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, over }
    }

    async fn next(&mut self) -> bool {
        let tick = self.interval.tick();
        self.over.run_until_cancelled(tick).await.is_some()
    }
}
