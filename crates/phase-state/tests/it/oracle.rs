//! The naive model of one request: keeps every token, and works everything out anew on each.
//!
//! Shares with the machine what the rules are, and nothing of how they are followed: markers are

//! compared with the end of the history, and averages are computed from its beginning.

use phase_state::{
    BudgetForceReason, EntropySignal, PhaseEvent, PhaseRouterConfig, StartPhase, ThinkPhase,
};

type Fed = (u32, Option<EntropySignal>);

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct NaiveRequest {
    phase: ThinkPhase,
    /// All that was fed since the phase was entered.
    history: Vec<Fed>,
    /// Lengths of the thinking spans that have ended.
    spans: Vec<u32>,
    /// Whether the end of this span has been forced.
    forced: bool,
}

/// What is known of a span when its last token has come.
struct Span {
    n: u32,
    eat: f32,
    eat_sq: f32,
    local: f32,
    global: f32,
}

impl NaiveRequest {
    /// A request that has seen no token.
    pub(crate) fn new(start: StartPhase) -> Self {
        let mut request = Self {
            phase: ThinkPhase::Prefill,
            history: Vec::new(),
            spans: Vec::new(),
            forced: false,
        };
        if start == StartPhase::ThinkDecode {
            let _ = request.enter_think();
        }
        request
    }

    /// Where it stands.
    pub(crate) fn phase(&self) -> ThinkPhase {
        self.phase
    }

    /// Feeds a token.
    pub(crate) fn feed(
        &mut self,
        config: &PhaseRouterConfig,
        token: u32,
        sample: Option<EntropySignal>,
    ) -> PhaseEvent {
        self.history.push((token, sample));
        let starts = &config.think_start_markers;
        let ends = &config.think_end_markers;
        let eos = &config.eos_markers;
        match self.phase {
            ThinkPhase::Complete => PhaseEvent::Unchanged,
            ThinkPhase::Prefill => match (self.longest(starts), self.longest(eos)) {
                (0, 0) => {
                    if !self.may_be_within(starts) && !self.may_be_within(eos) {
                        self.enter_output();
                    }
                    PhaseEvent::Unchanged
                }
                (start, eos) if start > eos => self.enter_think(),
                _ => self.complete(),
            },
            ThinkPhase::OutputDecode { .. } => {
                let start = if config.reentry {
                    self.longest(starts)
                } else {
                    0
                };
                match (start, self.longest(eos)) {
                    (0, 0) => PhaseEvent::Unchanged,
                    (start, eos) if start > eos => self.enter_think(),
                    _ => self.complete(),
                }
            }
            ThinkPhase::ThinkDecode { .. } => {
                if self.longest(ends) > 0 {
                    let tokens_used = self.length();
                    self.spans.push(tokens_used);
                    self.enter_output();
                    return PhaseEvent::ExitThink { tokens_used };
                }
                self.think(config)
            }
        }
    }

    fn think(&mut self, config: &PhaseRouterConfig) -> PhaseEvent {
        let span = self.span(config);
        let variance = f32::max(0.0, span.eat_sq - span.eat * span.eat);
        let judged = usable(self.history.last()).is_some() && span.n > config.min_think_tokens;
        let used = span.n + self.spans.iter().sum::<u32>();

        let reason = if judged && variance < config.eat_ema_variance_threshold {
            Some(BudgetForceReason::Converged)
        } else if judged && span.global > 0.001 && span.local / span.global > config.rpdi_threshold
        {
            Some(BudgetForceReason::Overthinking)
        } else if used >= config.max_think_tokens {
            Some(BudgetForceReason::HardCap)
        } else {
            None
        };
        let event = match (reason, config.think_end_markers.first()) {
            (Some(reason), Some(end)) if !self.forced => {
                self.forced = true;
                PhaseEvent::ForceBudget {
                    inject_token: end[0],
                    reason,
                }
            }
            _ => PhaseEvent::Unchanged,
        };
        self.phase = ThinkPhase::ThinkDecode {
            tokens_so_far: span.n,
            eat_ema: span.eat,
            eat_ema_sq: span.eat_sq,
            rpdi_local: span.local,
            rpdi_global: span.global,
            force_in_progress: self.forced,
        };
        event
    }

    fn span(&self, config: &PhaseRouterConfig) -> Span {
        let a = config.ema_alpha;
        let mut span = Span {
            n: self.length(),
            eat: 0.5,
            eat_sq: 0.25,
            local: 0.0,
            global: 0.0,
        };
        for (before, fed) in self.history.iter().enumerate() {
            let Some(EntropySignal { token_entropy, eat }) = usable(Some(fed)) else {
                continue;
            };
            let transition = if token_entropy > config.transition_entropy_threshold {
                1.0
            } else {
                0.0
            };
            span.eat = a * eat + (1.0 - a) * span.eat;
            span.eat_sq = a * (eat * eat) + (1.0 - a) * span.eat_sq;
            span.local = a * transition + (1.0 - a) * span.local;
            span.global += (transition - span.global) / (before + 1) as f32;
        }
        span
    }

    fn enter_think(&mut self) -> PhaseEvent {
        self.enter(ThinkPhase::ThinkDecode {
            tokens_so_far: 0,
            eat_ema: 0.5,
            eat_ema_sq: 0.25,
            rpdi_local: 0.0,
            rpdi_global: 0.0,
            force_in_progress: false,
        });
        PhaseEvent::EnterThink
    }

    fn enter_output(&mut self) {
        self.enter(ThinkPhase::OutputDecode {
            think_tokens_used: self.spans.iter().sum(),
        });
    }

    fn complete(&mut self) -> PhaseEvent {
        self.enter(ThinkPhase::Complete);
        PhaseEvent::Complete
    }

    /// No marker reaches back over the beginning of a phase.
    fn enter(&mut self, phase: ThinkPhase) {
        self.phase = phase;
        self.history.clear();
        self.forced = false;
    }

    fn length(&self) -> u32 {
        u32::try_from(self.history.len()).unwrap()
    }

    fn ends_with(&self, tokens: &[u32]) -> bool {
        let fed = self.history.iter().rev().map(|(token, _)| token);
        tokens.len() <= self.history.len() && tokens.iter().rev().eq(fed.take(tokens.len()))
    }

    /// The length of the longest of `markers` that ends here; 0 for none.
    fn longest(&self, markers: &[Vec<u32>]) -> usize {
        let ending = markers.iter().filter(|marker| self.ends_with(marker));
        ending.map(Vec::len).max().unwrap_or(0)
    }

    /// Whether one of `markers` has begun, and may yet be completed.
    fn may_be_within(&self, markers: &[Vec<u32>]) -> bool {
        markers
            .iter()
            .any(|marker| (1..marker.len()).any(|part| self.ends_with(&marker[..part])))
    }
}

fn usable(fed: Option<&Fed>) -> Option<EntropySignal> {
    let sample = fed?.1?;
    let computable =
        sample.token_entropy.abs() < f32::INFINITY && sample.eat * sample.eat < f32::INFINITY;
    computable.then_some(sample)
}
