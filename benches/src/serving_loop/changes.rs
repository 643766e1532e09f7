//! What goes on beside the requests: adapters come and go, pins that have run out are swept, workers die.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::Gateway;

/// Between two changes of adapters, and between two sweeps.
const OFTEN: Duration = Duration::from_millis(50);

/// Tasks that go on until they are stopped.
pub(super) struct Changes {
    over: CancellationToken,
    adapters: JoinHandle<Result<()>>,
    pins: JoinHandle<()>,
    deaths: JoinHandle<Result<u64>>,
}

impl Changes {
    pub(super) fn start(gateway: &Arc<Gateway>) -> Self {
        let over = CancellationToken::new();
        let turns = |period| Turns::new(period, over.clone());
        let kill_every = gateway.options.kill_every.map(turns);
        let (often, sweeps) = (turns(OFTEN), turns(OFTEN));
        Self {
            adapters: tokio::spawn(change_adapters(Arc::clone(gateway), often)),
            pins: tokio::spawn(sweep(Arc::clone(gateway), sweeps)),
            deaths: tokio::spawn(kill(Arc::clone(gateway), kill_every)),
            over,
        }
    }

    /// Answers how many workers have died.
    pub(super) async fn stop(self) -> Result<u64> {
        self.over.cancel();
        self.adapters.await??;
        self.pins.await?;
        self.deaths.await?
    }
}

async fn change_adapters(gateway: Arc<Gateway>, mut turns: Turns) -> Result<()> {
    while turns.next().await {
        if let Some(worker) = gateway.fleet.any() {
            gateway.front.churn(worker.id)?;
        }
    }
    Ok(())
}

async fn sweep(gateway: Arc<Gateway>, mut turns: Turns) {
    let begun = Instant::now();
    while turns.next().await {
        let _ = gateway.front.pins.store().sweep(begun.elapsed(), 1_024);
    }
}

/// One worker after the other.
async fn kill(gateway: Arc<Gateway>, turns: Option<Turns>) -> Result<u64> {
    let mut killed = 0;
    let Some(mut turns) = turns else {
        return Ok(killed);
    };
    while turns.next().await {
        let number = killed % gateway.options.workers as u64;
        gateway
            .fleet
            .replace(number, &gateway.front, &gateway.server)
            .await?;
        killed += 1;
    }
    Ok(killed)
}

/// Turns that come at an interval, until all is over.
struct Turns {
    interval: Interval,
    over: CancellationToken,
}

impl Turns {
    fn new(period: Duration, over: CancellationToken) -> Self {
        let mut interval = interval_at(tokio::time::Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, over }
    }

    async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.over.cancelled() => false,
            _ = self.interval.tick() => true,
        }
    }
}
