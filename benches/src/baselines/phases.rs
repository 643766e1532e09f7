//! The reference design for phase state: a DashMap with its standard hasher, the phase mutated in
//! place under the shard's lock, and a process-wide tick bumped per token so that idle requests can
//! be told.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use phase_state::{
    BudgetForceReason, EntropySignal, PhaseEvent, PhaseRouterConfig, RequestKey, ThinkPhase,
};

static TICKS: AtomicU64 = AtomicU64::new(0);

/// Every tracked request, by key.
#[derive(Debug)]
pub struct ReferencePhases {
    requests: DashMap<RequestKey, Request>,
    config: PhaseRouterConfig,
    starts: Vec<u32>,
    ends: Vec<u32>,
    eos: Vec<u32>,
}

#[derive(Debug)]
struct Request {
    phase: ThinkPhase,
    last_tick: u64,
}

const THINKING: ThinkPhase = ThinkPhase::ThinkDecode {
    tokens_so_far: 0,
    eat_ema: 0.5,
    eat_ema_sq: 0.25,
    rpdi_local: 0.0,
    rpdi_global: 0.0,
    force_in_progress: false,
};

impl ReferencePhases {
    /// No requests, with markers of one token each.
    #[must_use]
    pub fn new(config: PhaseRouterConfig) -> Self {
        let ids = |markers: &[Vec<u32>]| markers.iter().flatten().copied().collect();
        Self {
            requests: DashMap::new(),
            starts: ids(&config.think_start_markers),
            ends: ids(&config.think_end_markers),
            eos: ids(&config.eos_markers),
            config,
        }
    }

    /// Starts to track a request.
    pub fn register(&self, key: RequestKey) {
        let last_tick = TICKS.fetch_add(1, Ordering::Relaxed);
        self.requests.entry(key).or_insert(Request {
            phase: ThinkPhase::Prefill,
            last_tick,
        });
    }

    /// Ends a request.
    pub fn reap(&self, key: RequestKey) -> bool {
        self.requests.remove(&key).is_some()
    }

    /// A token of a request.
    pub fn on_token(
        &self,
        key: RequestKey,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> Option<PhaseEvent> {
        let mut request = self.requests.get_mut(&key)?;
        request.last_tick = TICKS.fetch_add(1, Ordering::Relaxed);
        Some(self.step(&mut request.phase, token, sample))
    }

    fn step(
        &self,
        phase: &mut ThinkPhase,
        token: u32,
        sample: Option<&EntropySignal>,
    ) -> PhaseEvent {
        match phase {
            ThinkPhase::Prefill if self.starts.contains(&token) => {
                *phase = THINKING;
                PhaseEvent::EnterThink
            }
            ThinkPhase::Prefill | ThinkPhase::OutputDecode { .. } if self.eos.contains(&token) => {
                *phase = ThinkPhase::Complete;
                PhaseEvent::Complete
            }
            ThinkPhase::Prefill => {
                *phase = ThinkPhase::OutputDecode {
                    think_tokens_used: 0,
                };
                PhaseEvent::Unchanged
            }
            ThinkPhase::ThinkDecode { tokens_so_far, .. } if self.ends.contains(&token) => {
                let tokens_used = *tokens_so_far + 1;
                *phase = ThinkPhase::OutputDecode {
                    think_tokens_used: tokens_used,
                };
                PhaseEvent::ExitThink { tokens_used }
            }
            ThinkPhase::ThinkDecode { .. } => self.think(phase, sample),
            ThinkPhase::OutputDecode { .. } | ThinkPhase::Complete => PhaseEvent::Unchanged,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a budget of tokens is far below 2^24"
    )]
    fn think(&self, phase: &mut ThinkPhase, sample: Option<&EntropySignal>) -> PhaseEvent {
        let ThinkPhase::ThinkDecode {
            tokens_so_far,
            eat_ema,
            eat_ema_sq,
            rpdi_local,
            rpdi_global,
            force_in_progress,
        } = phase
        else {
            return PhaseEvent::Unchanged;
        };
        *tokens_so_far += 1;
        let n = *tokens_so_far;
        let mut due = None;
        if let Some(sample) = sample {
            let alpha = self.config.ema_alpha;
            *eat_ema = alpha * sample.eat + (1.0 - alpha) * *eat_ema;
            *eat_ema_sq = alpha * sample.eat * sample.eat + (1.0 - alpha) * *eat_ema_sq;
            let transition =
                f32::from(sample.token_entropy > self.config.transition_entropy_threshold);
            *rpdi_local = alpha * transition + (1.0 - alpha) * *rpdi_local;
            *rpdi_global += (transition - *rpdi_global) / n as f32;
            if n > self.config.min_think_tokens {
                let variance = (*eat_ema_sq - *eat_ema * *eat_ema).max(0.0);
                if variance < self.config.eat_ema_variance_threshold {
                    due = Some(BudgetForceReason::Converged);
                } else if *rpdi_global > 0.001
                    && *rpdi_local / *rpdi_global > self.config.rpdi_threshold
                {
                    due = Some(BudgetForceReason::Overthinking);
                }
            }
        }
        if due.is_none() && n >= self.config.max_think_tokens {
            due = Some(BudgetForceReason::HardCap);
        }
        match due {
            Some(reason) if !*force_in_progress => {
                *force_in_progress = true;
                PhaseEvent::ForceBudget {
                    inject_token: self.ends[0],
                    reason,
                }
            }
            _ => PhaseEvent::Unchanged,
        }
    }
}
